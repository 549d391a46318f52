"""Lines of shell that put a small or a full disk under a directory, for a mount namespace of its own."""


def small_disk(state, size):
    return f"mount -t tmpfs -o size={size},mode=700 none {state}"


def full_disk(state):
    return f"{small_disk(state, '64k')}; head -c 100k /dev/zero > {state}/fill 2>/dev/null || true"
