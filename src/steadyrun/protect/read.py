"""Reads what a plan is made of: the machine, its units, its desktops, its neighbours. Changes nothing."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence

from steadyrun.contain.disks import disks_that_weigh
from steadyrun.desktop.facts import cgroup_mode
from steadyrun.desktop.managers import display_manager_name
from steadyrun.desktop.others import NAMES as OTHER_GUARDS
from steadyrun.desktop.processes import Found, processes_named
from steadyrun.desktop.session import COMPOSITORS, read_sessions
from steadyrun.errors import BusError
from steadyrun.kernel.cgroupfiles import parse_limit
from steadyrun.kernel.kept import parsed
from steadyrun.kernel.meminfo import MemInfo
from steadyrun.kernel.mountinfo import parse_cgroup_mounts
from steadyrun.kernel.processes import stat_of
from steadyrun.kernel.reader import read_meminfo, read_text
from steadyrun.protect.disk import Disk
from steadyrun.protect.facts import Desktop, Facts, Layout, Mglru, Running, UnitFacts, Whose
from steadyrun.protect.unitfile import MARK, NAME
from steadyrun.protect.units import own_path, read_unit
from steadyrun.protect.use import read_uses
from steadyrun.protect.wanted import BUSES, MANAGER, SSH
from steadyrun.protect.wanted import COMPOSITORS as DRAWING
from steadyrun.units import KIB, Bytes

BOOTED = "/run/systemd/system"
"""Is there where systemd is the first process (sd_booted(3))."""
MACHINE_WIDE = f"/etc/systemd/system/user-.slice.d/{NAME}"
"""A file that every plan of root's has; its record is for root alone to read."""
MGLRU = "/sys/kernel/mm/lru_gen"
ANSWER_WITHIN_S = 5.0
ENGINES = ("dockerd", "containerd", "crio", "k3s-server", "kubelet")
"""Names in /proc/PID/comm of container engines, whose containers are below system.slice or beside it."""
_SYSTEM = ("user.slice", "user-.slice", "session-.scope", "system.slice", "steadyrun.slice", MANAGER)
_USER = ("session.slice", "app.slice", "steadyrun.slice", "scope")
_MANAGERS_AND_BUSES = frozenset({"systemd", "dbus-daemon", "dbus-broker-lau", "dbus-broker"})
"""As in `comm`, 15 characters at most."""
_LOOKED_FOR = _MANAGERS_AND_BUSES | COMPOSITORS | {*OTHER_GUARDS, *ENGINES}
_INSTALLED = re.compile(r"libsystemd-shared-([0-9]+)(?:[.~-].*)?\.so")
_LIBRARIES = ("/usr/lib/systemd", "/usr/lib64/systemd", "/lib/systemd")


def read_facts(*, root: str = "/", env: Mapping[str, str], euid: int, program: Sequence[str] = ()) -> Facts:
    """Read everything.

    Args:
        root: Where files are looked for; tests give a tree of their own, and no bus is asked then.
        env: For the user's own folders.
        euid: Root plans for the machine, anybody else for themselves.
        program: The Python that has this steadyrun, with its options.
    """
    before = root.rstrip("/")
    memory = read_meminfo(root)
    there = processes_named(_LOOKED_FOR, root)
    users = _users(root)
    top = _unified(before)
    home = _home(env)
    manager = display_manager_name(root)
    booted = os.path.isdir(before + BOOTED)
    return Facts(
        euid=euid,
        booted=booted,
        version=_version(before, euid) if booted else None,
        mode=cgroup_mode(root),
        controllers=tuple((read_text(f"{before}{top}/cgroup.controllers") or "").split()),
        ram=_ram(before, memory, top),
        swap=memory.swap_total,
        shm=_shm(before, memory),
        home=home,
        desktops=_desktops(there, users, root),
        display_manager=f"{manager}.service" if manager else None,
        units=_units(root, manager, euid, home, env),
        running=_running(there, users, root),
        mglru=_mglru(before),
        weighs=bool(disks_that_weigh(top, before)),
        guards=_named(OTHER_GUARDS, there),
        machine_wide=(read_text(f"{before}{MACHINE_WIDE}") or "").startswith(MARK),
        engines=_named(ENGINES, there),
        program=tuple(program) if before or euid != 0 or _all_can_read(program) else (),
        uses=read_uses(Disk(root), euid),
    )


def _all_can_read(program: Sequence[str]) -> bool:
    """Tell whether every user can run a Python, by its name and where that leads to, and read our package."""
    python = program[:1]
    return all(map(_is_open, (*python, *map(os.path.realpath, python), __file__)))


def _is_open(path: str) -> bool:
    """Tell whether all may read a file and look into each folder above it."""
    try:
        if not os.stat(path).st_mode & stat.S_IROTH:
            return False
        while (above := os.path.dirname(path)) != path:
            path = above
            if not os.stat(path).st_mode & stat.S_IXOTH:
                return False
    except OSError:
        return False
    return True


def _unified(before: str) -> str:
    source = f"{before}/proc/self/mountinfo"
    mounts = parsed(read_text(source), parse_cgroup_mounts, source) or ()
    return next((mount.path for mount in mounts if mount.unified), "/sys/fs/cgroup")


def effective_ram(root: str = "/") -> Bytes | None:
    """Return what systemd takes percentages of; `None`: it cannot be read."""
    before = root.rstrip("/")
    return _ram(before, read_meminfo(root), _unified(before))


def _ram(before: str, memory: MemInfo, top: str) -> Bytes | None:
    """Return what systemd takes percentages of: the memory, or the limit of the container it is the first in.

    Not a limit further down: our own walls are such (physical_memory() in systemd/systemd
    src/basic/limits-util.c looks at the root of its cgroups alone).
    """
    if memory.total is None:
        return None
    source = f"{before}{top}/memory.max"
    limit = parsed(read_text(source), parse_limit, source)
    return memory.total if limit is None else Bytes(min(memory.total, limit))


def _shm(before: str, memory: MemInfo) -> Bytes | None:
    """Return the size of /dev/shm: of its mount, else half of the memory (tmpfs(5))."""
    for line in (read_text(f"{before}/proc/self/mountinfo") or "").splitlines():
        head, _, tail = line.partition(" - ")
        if head.split(" ")[4:5] == ["/dev/shm"]:
            sizes = re.findall(r"\bsize=([0-9]{1,15})k\b", tail)
            if sizes:
                return Bytes(int(sizes[-1]) * KIB)
    return None if memory.total is None else Bytes(memory.total // 2)


def _home(env: Mapping[str, str]) -> str:
    """Return the folder of the user's own units (systemd.unit(5), XDG Base Directory Specification)."""
    base = env.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(env.get("HOME") or os.path.expanduser("~"), ".config")
    return f"{base}/systemd/user"


def _version(before: str, euid: int) -> int | None:
    """Return the version of the systemd that runs, as it says; else of the one that is installed."""
    if not before:
        from steadyrun.bus.address import Bus
        from steadyrun.bus.connection import within
        from steadyrun.bus.units import Manager

        until = within(ANSWER_WITHIN_S)
        try:
            with Manager.open(Bus.SYSTEM if euid == 0 else Bus.USER, until=until) as manager:
                return manager.version(until=until)
        except BusError:
            pass
    for folder in (*_LIBRARIES, *(f"/usr/lib/{each}/systemd" for each in _names(f"{before}/usr/lib"))):
        for name in _names(before + folder):
            if (match := _INSTALLED.fullmatch(name)) is not None:
                return int(match[1])
    return None


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _units(
    root: str, manager: str | None, euid: int, home: str, env: Mapping[str, str]
) -> tuple[UnitFacts, ...]:
    own: tuple[str, ...] = ()
    found = []
    if euid == 0:
        services = (*SSH, *BUSES, "systemd-logind.service", *((f"{manager}.service",) if manager else ()))
        found = [read_unit(name, Whose.SYSTEM, root=root) for name in (*_SYSTEM, *services)]
    else:
        own = own_path(home, env.get("XDG_RUNTIME_DIR") or f"/run/user/{euid}")
    names = (*_USER, *(("user.conf", *BUSES, *DRAWING) if euid == 0 else ()))
    return (*found, *(read_unit(name, Whose.USER, root=root, own=own) for name in names))


def _desktops(there: tuple[Found, ...], users: dict[int, str], root: str) -> tuple[Desktop, ...] | None:
    """Return the graphical sessions of persons; `None`: it could not be told, or nobody is logged in."""
    sessions = read_sessions(root)
    found = []
    for each in sessions.found:
        if each.uid is not None and each.on_screen() and each.session_class.startswith("user"):
            layout = _layout(each.uid, there, root)
            name = users.get(each.uid, f"uid {each.uid}")
            found.append(Desktop(name, f"session-{each.id}.scope", layout, each.uid))
    return tuple(found) or None


def _layout(uid: int, there: tuple[Found, ...], root: str) -> Layout:
    """Tell by the compositor: in the user manager's part of the tree, or in the login's."""
    for one in there:
        if one.comm in COMPOSITORS and one.uid == uid and f"/user@{uid}.service/" in _cgroup(one, root):
            return Layout.MANAGED
    return Layout.SCOPE


def _users(root: str) -> dict[int, str]:
    """Return names by uid, of /etc/passwd: a name is for people alone."""
    rows = (line.split(":") for line in (read_text(f"{root.rstrip('/')}/etc/passwd") or "").splitlines())
    return {int(row[2]): row[0] for row in rows if len(row) > 2 and row[2].isdecimal()}


def is_users_manager(one: Found, root: str = "/") -> bool:
    """Tell whether a process called systemd is its user's manager; not the system's own, nor a container's.

    The system's manager has started it, and nobody else in that place can be its child: a user's orphans are
    given to their own manager (PR_SET_CHILD_SUBREAPER, set by systemd).
    """
    about = stat_of(one.pid, root)
    return about is not None and about.ppid == 1 and _below_manager(one, r"(init\.scope)", root) is not None


def _users_bus(one: Found, root: str) -> str | None:
    """Return the unit of a user's bus; `None`: it is no such bus."""
    return _below_manager(one, r"(?:[^/]+\.slice/)?(dbus(?:-broker)?\.service)", root)


def _below_manager(one: Found, place: str, root: str) -> str | None:
    """Return what the group in `place` matched; `None`: it is in no such cgroup of its user's manager.

    The whole path: a rootless container has a systemd and a bus of its own further down.
    """
    found = re.search(rf"/user@{one.uid}\.service/{place}$", _cgroup(one, root), re.M)
    return None if found is None else found[1]


def _running(there: tuple[Found, ...], users: dict[int, str], root: str) -> tuple[Running, ...]:
    """Return the managers and buses of users that run now."""
    found = []
    for one in there:
        if one.comm not in _MANAGERS_AND_BUSES:
            continue
        unit = _unit_of(one, root) if one.uid else None
        if unit is None:
            continue
        what = "user manager" if unit == MANAGER else "bus"
        whose = users.get(one.uid or 0, f"uid {one.uid}")
        score = _whole(read_text(f"{root.rstrip('/')}/proc/{one.pid}/oom_score_adj"))
        found.append(Running(f"{what} of {whose}", unit, one.pid, one.start_ticks, score))
    return tuple(found)


def _unit_of(one: Found, root: str) -> str | None:
    """Return the unit of a user's manager or bus; `None`: it is neither."""
    if one.comm == "systemd":
        return MANAGER if is_users_manager(one, root) else None
    return _users_bus(one, root)


def _cgroup(one: Found, root: str) -> str:
    return read_text(f"{root.rstrip('/')}/proc/{one.pid}/cgroup") or ""


def _mglru(before: str) -> Mglru | None:
    if not os.path.isdir(before + MGLRU):
        return None
    enabled = (read_text(f"{before}{MGLRU}/enabled") or "").strip()
    bits = int(enabled, 16) if re.fullmatch(r"0x[0-9a-f]{1,8}", enabled) else None
    return Mglru(bits, _whole(read_text(f"{before}{MGLRU}/min_ttl_ms")))


def _named(names: tuple[str, ...], there: tuple[Found, ...]) -> tuple[str, ...]:
    running = {one.comm for one in there}
    return tuple(name for name in names if name in running)


def _whole(text: str | None) -> int | None:
    word = (text or "").strip()
    return int(word) if re.fullmatch(r"-?[0-9]{1,18}", word) else None
