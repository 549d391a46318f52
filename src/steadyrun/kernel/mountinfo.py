"""The cgroup hierarchies that are mounted, from /proc/PID/mountinfo.

Form: proc_pid_mountinfo(5) and kernel, Documentation/filesystems/proc.rst, "3.5
/proc/<pid>/mountinfo". Pure: whether something can be created there is for others to try.
"""

from __future__ import annotations

from steadyrun.kernel.text import unexpected
from steadyrun.model.containment import CgroupMount

_LINE = "a line such as '36 35 98:0 / /mnt rw,noatime shared:1 - ext3 /dev/root rw'"
_V1_CONTROLLERS = frozenset(
    {
        *("cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "net_cls", "net_prio"),
        *("perf_event", "hugetlb", "pids", "rdma", "misc", "dmem", "debug"),
    }
)
"""Every controller that a v1 hierarchy can have (kernel, include/linux/cgroup_subsys.h)."""
_OCTAL_DIGITS = 3


def parse_cgroup_mounts(text: str, *, source: str = "/proc/self/mountinfo") -> tuple[CgroupMount, ...]:
    """Return the cgroup mounts in the order of the file; mounts of other kinds are passed over.

    A v1 hierarchy names its controllers, and `name=...` where it has a name, as /proc/PID/cgroup
    does. A v2 mount has `controllers=()`: mountinfo does not tell them, the caller reads
    `cgroup.controllers` there. `writable` says how it is mounted, not what permissions allow.

    Raises:
        FormatError: A line is not of the documented form.
    """
    found = (_cgroup_mount(line, source) for line in text.split("\n") if line)
    return tuple(mount for mount in found if mount is not None)


def _cgroup_mount(line: str, source: str) -> CgroupMount | None:
    """Read one line; `None` when it is not a cgroup mount."""
    before, separator, after = line.partition(" - ")
    fields, tail = before.split(" "), after.split(" ")
    if not separator or len(fields) < 6 or len(tail) < 3:
        raise unexpected(source, _LINE, line)
    kind, options = tail[0], tail[-1].split(",")
    if kind not in {"cgroup", "cgroup2"}:
        return None
    return CgroupMount(
        path=_unescape(fields[4]),
        root=_unescape(fields[3]),
        controllers=tuple(_unescape(o) for o in options if o in _V1_CONTROLLERS or o.startswith("name=")),
        unified=kind == "cgroup2",
        writable="rw" in fields[5].split(",") and "ro" not in options,
    )


def _unescape(text: str) -> str:
    r"""Replace `\040` and the like: mangle_path() of the kernel writes blank, tab, newline, `\` in octal."""
    head, *parts = text.split("\\")
    found = [head]
    for part in parts:
        digits = part[:_OCTAL_DIGITS]
        if len(digits) == _OCTAL_DIGITS and all(d in "01234567" for d in digits):
            found.append(chr(int(digits, 8)) + part[_OCTAL_DIGITS:])
        else:
            found.append("\\" + part)
    return "".join(found)
