"""What a load can do to a machine, one process a deed. Standalone; none asks for a privilege.

Arguments: names of deeds. Several at once are a mixture; it ends when all have. A deed that is refused by a
limit says so and ends well: that is what limits are for.
"""

import ctypes
import mmap
import os
import random
import signal
import sys
import tempfile
import threading
import time

MIB = 2**20
BLOCK = b"\xa5" * MIB
FOR_EVER = 600


def balloon(megabytes=1024, pause=0.0):
    area = mmap.mmap(-1, megabytes * MIB)
    for _ in range(megabytes):
        area.write(BLOCK)
        time.sleep(pause)
    time.sleep(FOR_EVER)


def slow_balloon():
    balloon(pause=0.008)


def busy(times):
    for _ in range(times * len(os.sched_getaffinity(0)) - 1):
        if os.fork() == 0:
            break
    while True:
        pass


def fork_bomb():
    while True:
        try:
            os.fork()
        except OSError:
            time.sleep(0.001)


def threads(wanted=10_000):
    threading.stack_size(64 * 1024)
    end = threading.Event()
    try:
        for _ in range(wanted):
            threading.Thread(target=end.wait, daemon=True).start()
    except RuntimeError:
        pass
    print(f"threads {threading.active_count()}", flush=True)
    os._exit(0)


def shared_memory():
    """A file of tmpfs that outlives its maker; the test that names it removes it."""
    with open(os.environ["SHM_FILE"], "wb", buffering=0) as file:
        for _ in range(1024):
            file.write(BLOCK)


def memory_file():
    fd = os.memfd_create("filler")
    for _ in range(1024):
        os.write(fd, BLOCK)


def sysv(megabytes):
    """A segment that stays when nobody uses it any more; its number is told, for the test to remove it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(0, megabytes * MIB, 0o1600)
    print(f"segment {number}", flush=True)
    at = libc.shmat(number, None, 0)
    for page in range(0, megabytes * MIB, 4096):
        ctypes.memset(at + page, 1, 1)


def disk():
    """Return a folder on a disk: this one, unless it is in memory, as /tmp is in Debian 13 and Fedora."""
    about = os.stat(os.getcwd()).st_dev
    with open("/proc/self/mountinfo") as mounts:
        kinds = [line.partition(" - ")[2].split()[0] for line in mounts if line.split()[2] == _numbers(about)]
    return "/var/tmp" if "tmpfs" in kinds else os.getcwd()


def _numbers(device):
    return f"{os.major(device)}:{os.minor(device)}"


def page_cache(megabytes=256):
    with tempfile.TemporaryFile(dir=disk()) as file:
        for _ in range(megabytes):
            file.write(BLOCK)


def synced_writes(megabytes=24):
    with tempfile.TemporaryFile(dir=disk(), buffering=0) as file:
        for _ in range(megabytes):
            file.write(BLOCK)
            os.fsync(file.fileno())


def locked_memory():
    libc = ctypes.CDLL(None, use_errno=True)
    area = mmap.mmap(-1, 1024 * MIB)
    at = ctypes.addressof(ctypes.c_char.from_buffer(area))
    for megabyte in range(1024):
        if libc.mlock(ctypes.c_void_p(at + megabyte * MIB), ctypes.c_size_t(MIB)) != 0:
            print(f"refused after {megabyte} MiB", flush=True)
            os._exit(0)
    time.sleep(FOR_EVER)


def swap_thrash(megabytes=192):
    """More than there is memory for, and all of it in use, in an order that nobody can read ahead."""
    area, block = mmap.mmap(-1, megabytes * MIB), os.urandom(MIB)  # zram can keep none of it small
    for _ in range(megabytes):
        area.write(block)
    draw = random.Random(0)
    while True:
        area[draw.randrange(megabytes * MIB)] ^= 1


def descriptors():
    held = []
    try:
        for _ in range(100_000):
            held.append(os.dup(0))
    except OSError:
        pass
    print(f"descriptors {len(held)}", flush=True)


def zombies():
    for _ in range(150):
        if os.fork() == 0:
            os._exit(0)
    time.sleep(FOR_EVER)


def stopped_tree():
    for _ in range(3):
        if os.fork() == 0:
            os.fork()
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(FOR_EVER)
    time.sleep(FOR_EVER)


def deaf_daemons():
    """Sessions of their own, doubly forked, that ignore what can be ignored; the first process ends."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    read_end, write_end = os.pipe()
    for _ in range(4):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.close(read_end)
                os.close(write_end)
                time.sleep(FOR_EVER)
            os._exit(0)
    os.close(write_end)
    os.read(read_end, 1)


def flood(megabytes=64):
    for _ in range(megabytes * 16):
        os.write(1, b"y\n" * 32_768)


DEEDS = {
    "fast balloon": balloon,
    "slow balloon": slow_balloon,
    "4 busy loops a core": lambda: busy(4),
    "16 busy loops a core": lambda: busy(16),
    "fork bomb": fork_bomb,
    "10000 threads": threads,
    "/dev/shm": shared_memory,
    "memory file": memory_file,
    "SysV segment over the limit": lambda: sysv(256),
    "SysV segment left behind": lambda: sysv(16),
    "page cache": page_cache,
    "synced writes": synced_writes,
    "locked memory": locked_memory,
    "swap thrash": swap_thrash,
    "descriptors": descriptors,
    "zombies": zombies,
    "stopped tree": stopped_tree,
    "deaf daemons": deaf_daemons,
    "output flood": flood,
}


def do(name):
    try:
        DEEDS[name]()
    except (OSError, RuntimeError) as refused:
        print(f"{name}: refused, {refused}", flush=True)


def main(names):
    if mark := os.environ.get("STARTED_FILE"):
        open(mark, "w").close()
    if len(names) == 1:
        do(names[0])
        return
    begun = 0
    for name in names:
        try:
            pid = os.fork()
        except OSError:  # the ones before have taken all there is
            break
        if pid == 0:
            do(name)
            os._exit(0)
        begun += 1
    for _ in range(begun):
        os.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
