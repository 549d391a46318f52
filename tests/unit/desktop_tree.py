"""A machine of files below a folder, for what reads /proc, /run, /etc and /sys below a `root`."""

import os

BTIME = 1_700_000_000
STAT_TAIL = "0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 {ticks} 1000 10 0 0 0"


class Tree:
    """One such machine; at first it has a first process, a boot time, and nothing else."""

    def __init__(self, folder):
        self.root = str(folder)
        self.file("proc/stat", f"cpu 1 2 3\nbtime {BTIME}\n")
        self.file("proc/net/tcp", "  sl  local_address rem_address   st\n")
        self.process(1, "init", ticks=1)

    def path(self, inside):
        path = os.path.join(self.root, inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def file(self, inside, content):
        data = content if isinstance(content, bytes) else content.encode()
        with open(self.path(inside), "wb") as file:
            file.write(data)

    def link(self, inside, target):
        os.symlink(target, self.path(inside))

    def process(self, pid, comm, *, ticks, uid=0, state="S"):
        self.file(f"proc/{pid}/stat", f"{pid} ({comm}) {state} 1 1 1 " + STAT_TAIL.format(ticks=ticks))
        self.file(f"proc/{pid}/comm", f"{comm}\n")
        self.file(f"proc/{pid}/status", f"Name:\t{comm}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")

    def session(self, name, **keys):
        defaults = {"UID": 1000, "ACTIVE": 1, "STATE": "active", "REMOTE": 0, "TYPE": "x11", "CLASS": "user"}
        lines = [f"{key}={value}" for key, value in (defaults | keys).items() if value is not None]
        self.file(f"run/systemd/sessions/{name}", "# private data of logind\n" + "\n".join(lines) + "\n")

    def listens(self, port, inode, address="0100007F", file="tcp"):
        head = (
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid timeout inode"
        )
        queues = "00000000:00000000 00:00000000 00000000"
        row = f"   0: {address}:{port:04X} 00000000:0000 0A {queues} 0 0 {inode} 1"
        self.file(f"proc/net/{file}", f"{head}\n{row}\n")
