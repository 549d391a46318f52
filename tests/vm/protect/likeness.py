"""The guest as it is, file by file and value by value, and what is different between two looks."""

import json

_LOOK = r"""
import hashlib, json, os, stat

FOLDERS = ("/etc", "/usr/lib/systemd", "/usr/lib/tmpfiles.d", "/usr/lib/sysctl.d", "/var/lib/systemd/linger",
           "/var/lib/steadyrun", "/home/desk/.config", "/home/desk/.local")
CGROUP = ("memory.max", "memory.high", "memory.low", "memory.min", "memory.swap.max", "memory.oom.group",
          "cpu.weight", "cpu.max", "io.weight", "pids.max", "cgroup.subtree_control")
VALUES = ["/sys/kernel/mm/lru_gen/min_ttl_ms", "/sys/kernel/mm/lru_gen/enabled"]

def read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return None

def files():
    found = {}
    for top in FOLDERS:
        for folder, names, inside in os.walk(top):
            for path in [folder, *(os.path.join(folder, each) for each in inside)]:
                about = os.lstat(path)
                what = None
                if stat.S_ISLNK(about.st_mode):
                    what = os.readlink(path)
                elif stat.S_ISREG(about.st_mode):
                    with open(path, "rb") as file:
                        what = hashlib.sha256(file.read()).hexdigest()
                found[path] = [about.st_mode, about.st_uid, about.st_gid, what]
    return found

def values():
    found = {path: read(path) for path in VALUES}
    for name in os.listdir("/proc/sys/vm"):
        if name not in ("stat_refresh", "compact_memory", "drop_caches"):
            found[f"/proc/sys/vm/{name}"] = read(f"/proc/sys/vm/{name}")
    for folder, _, _ in os.walk("/sys/fs/cgroup"):
        for name in CGROUP:
            found[f"{folder}/{name}"] = read(f"{folder}/{name}")
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        started = (read(f"/proc/{pid}/stat") or "").rpartition(")")[2].split()[19:20]
        if started:
            found[f"/proc/{pid} {started[0]} oom_score_adj"] = read(f"/proc/{pid}/oom_score_adj")
    return found

print(json.dumps({"files": files(), "values": values()}))
"""


def likeness(guest):
    """Return files and values of the guest, each by its path."""
    return json.loads(guest.run("python3 -", stdin=_LOOK.encode(), seconds=120).out)


def other_files(before, after):
    """Return the paths that are not the same, with what they were and are."""
    before, after = before["files"], after["files"]
    paths = sorted({*before, *after})
    return {
        path: (before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)
    }


def other_values(before, after):
    """Return the values that are not the same, of what is there both times: units come and go."""
    before, after = before["values"], after["values"]
    both = sorted({*before} & {*after})
    found = {path: (before[path], after[path]) for path in both if before[path] != after[path]}
    return {path: pair for path, pair in found.items() if None not in pair}
