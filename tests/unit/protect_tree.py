"""A machine of files with systemd, a desktop and people on it, for what `protect` reads below a root.

As recorded from the testbed (Debian 12, systemd 252, lightdm, openbox) and cut down to what is read.
"""

import os

from desktop_tree import Tree

GIB = 2**30
MOUNT = (
    "24 1 0:22 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup2"
    " rw,nsdelegate,memory_recursiveprot\n"
)
BOOT = "11111111-2222-3333-4444-555555555555"
_SERVICE = "[Service]\nExecStart=/usr/sbin/{}\n"
UNITS = {
    "user@.service": "[Service]\nUser=%i\nDelegate=pids memory cpu\nOOMScoreAdjust=100\n",
    "lightdm.service": _SERVICE.format("lightdm"),
    "ssh.service": _SERVICE.format("sshd -D"),
    "dbus.service": "[Service]\nExecStart=/usr/bin/dbus-daemon\nOOMScoreAdjust=-900\n",
    "systemd-logind.service": _SERVICE.format("systemd-logind"),
    "user.slice": "[Slice]\nMemoryAccounting=yes\n",
}
USER_UNITS = {
    "session.slice": "[Slice]\nCPUWeight=100\n",
    "app.slice": "[Unit]\nDescription=User Application Slice\n",
    "dbus.service": "[Service]\nSlice=session.slice\n",
}
SESSION, MANAGER = "session-3.scope", "user@1000.service"
USER = "sys/fs/cgroup/user.slice/user-1000.slice"


class Desktop(Tree):
    """The machine with somebody at its screen."""

    def __init__(self, folder, *, ram=16 * GIB, swap=0, version=252, managed=False):
        super().__init__(folder)
        self.file("proc/sys/kernel/random/boot_id", f"{BOOT}\n")
        self.file("proc/meminfo", f"MemTotal: {ram >> 10} kB\nSwapTotal: {swap >> 10} kB\nSwapFree: 0 kB\n")
        self.file("proc/self/mountinfo", MOUNT)
        self.file("proc/self/cgroup", "0::/user.slice/user-1000.slice/session-3.scope\n")
        self.file("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n")
        os.makedirs(self.path("run/systemd/system/x").rsplit("/", 1)[0], exist_ok=True)
        self.file(f"usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-{version}.so", "")
        self.file("var/lib/other", "somebody's")
        self.file("etc/passwd", "root:x:0:0::/root:/bin/sh\ndesk:x:1000:1000::/home/desk:/bin/bash\n")
        for name, text in UNITS.items():
            self.file(f"usr/lib/systemd/system/{name}", text)
        for name, text in USER_UNITS.items():
            self.file(f"usr/lib/systemd/user/{name}", text)
        self.link("etc/systemd/system/display-manager.service", "/usr/lib/systemd/system/lightdm.service")
        self.link("etc/systemd/system/sshd.service", "/usr/lib/systemd/system/ssh.service")
        self.session("3", LEADER=100, SEAT="seat0")
        self.member(100, "lightdm", f"/user.slice/user-1000.slice/{SESSION}", uid=0)
        self.member(200, "systemd", f"/user.slice/user-1000.slice/{MANAGER}/init.scope", adj=100)
        bus = f"/user.slice/user-1000.slice/{MANAGER}/session.slice/dbus.service"
        self.member(201, "dbus-daemon", bus, adj=200)
        if managed:
            shell = f"/user.slice/user-1000.slice/{MANAGER}/session.slice/org.gnome.Shell@x11.service"
            self.member(202, "gnome-shell", shell, adj=200)
        self.file("sys/kernel/mm/lru_gen/enabled", "0x0007\n")
        self.file("sys/kernel/mm/lru_gen/min_ttl_ms", "0\n")

    def member(self, pid, comm, cgroup, *, uid=1000, adj=0):
        self.process(pid, comm, ticks=pid * 10, uid=uid)
        self.file(f"proc/{pid}/cgroup", f"0::{cgroup}\n")
        self.file(f"proc/{pid}/oom_score_adj", f"{adj}\n")

    def text(self, inside):
        with open(os.path.join(self.root, inside.lstrip("/"))) as file:
            return file.read()

    def everything(self):
        """Return every file and folder with all that --undo has to put back."""
        found = {}
        for folder, names, files in os.walk(self.root):
            for name in [*names, *files]:
                path = os.path.join(folder, name)
                about = os.lstat(path)
                content = os.readlink(path) if os.path.islink(path) else None
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        content = file.read()
                found[path] = (about.st_mode, about.st_uid, about.st_gid, content)
        return found
