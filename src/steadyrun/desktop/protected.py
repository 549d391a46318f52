"""The groups whose waiting counts: sessions, sshd, the display manager; their `memory.pressure`, kept open.

They are found where systemd puts them in the unified hierarchy (systemd.special(7); pam_systemd(8)), which
on a hybrid machine is mounted as well and has pressure files, whatever its controllers. A group that the
load is in, and the root cgroup, cannot be told apart from the load: they are left out, and unknown. Where
nothing is found nothing is known, and nothing fires. Never writes.
"""

from __future__ import annotations

import os

from steadyrun.desktop.login_screens import DISPLAY_MANAGERS
from steadyrun.kernel.cgroupfiles import parse_proc_cgroup
from steadyrun.kernel.kept import KeptFile, parsed, read_text
from steadyrun.kernel.mountinfo import parse_cgroup_mounts
from steadyrun.kernel.psi import parse_psi, parse_psi_avg60
from steadyrun.model.sample import ProtectedSample
from steadyrun.model.thresholds import Usual
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = frozenset(f"{name}.service" for name in ("ssh", "sshd", "display-manager", *DISPLAY_MANAGERS))
"""Of `system.slice`: who lets people in, and the display servers that run in the manager's own unit.
The cgroup has the unit's own name, never an alias; NixOS calls the unit itself display-manager."""
MOST = 8
"""More would cost the guard more than they tell."""
LOOK_EVERY = 100
"""Samples between two looks for groups that came or went: 10 s at 10 Hz."""


class Group(NamedTuple):
    """One protected group."""

    name: str
    directory: str


def find_groups(load_pid: int, root: str = "/") -> tuple[Group, ...]:
    """Return the groups that can be told apart from the load, sshd and the display manager first.

    Args:
        load_pid: A process of the load, which tells where the load is.
        root: Where `/proc` and the mounts are looked for; tests give a tree of their own.
    """
    before = root.rstrip("/")
    mount = _unified(before)
    if mount is None:
        return ()
    load = _unified_path(f"{before}/proc/{load_pid}/cgroup")
    found = []
    for path in _candidates(f"{before}{mount}"):
        group = path[len(before) + len(mount) :]
        if load is None or f"{load}/".startswith(f"{group}/"):
            continue
        found.append(Group(_name(group), path))
    return tuple(found[:MOST])


def _unified(before: str) -> str | None:
    """Return the mount point of the whole unified hierarchy; a part of it shows no systemd's tree."""
    source = f"{before}/proc/self/mountinfo"
    mounts = parsed(read_text(source), parse_cgroup_mounts, source) or ()
    return next((m.path for m in mounts if m.unified and m.root == "/"), None)


def _unified_path(path: str) -> str | None:
    return dict(parsed(read_text(path), parse_proc_cgroup, path) or ()).get("")


def _candidates(top: str) -> Iterator[str]:
    for name in _listed(f"{top}/system.slice"):
        if name in SERVICES:
            yield f"{top}/system.slice/{name}"
    for user in _listed(f"{top}/user.slice"):
        if not user.startswith("user-"):
            continue
        for name in _listed(f"{top}/user.slice/{user}"):
            if name.startswith("session-") and name.endswith(".scope"):
                yield f"{top}/user.slice/{user}/{name}"
            elif name.startswith("user@"):
                session = f"{top}/user.slice/{user}/{name}/session.slice"
                if os.path.isdir(session):
                    yield session


def _listed(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _name(group: str) -> str:
    parts = group.strip("/").split("/")
    return f"{parts[-1]} of {parts[-2]}" if parts[-1] == "session.slice" else parts[-1]


class ProtectedReader:
    """Samples of the protected groups, cheap enough for each tick: 8 us a group (pread and parse)."""

    __slots__ = ("_files", "_load_pid", "_root", "_until_look")

    def __init__(self, load_pid: int, root: str = "/") -> None:
        """Find the groups; `load_pid` is a process of the load."""
        self._load_pid, self._root = load_pid, root
        self._files: dict[Group, KeptFile] = {}
        self._until_look = 0
        self._look()

    def sample(self) -> tuple[ProtectedSample, ...]:
        """Read each group now; one that cannot be read is left out."""
        self._until_look -= 1
        if self._until_look <= 0:
            self._look()
        found = []
        for group, file in self._files.items():
            psi = parsed(file.read(), parse_psi, file.path)
            if psi is not None and psi.full_total is not None:
                found.append(ProtectedSample(group.name, psi.some_total, psi.full_total))
        return tuple(found)

    def usual(self, usual: Usual) -> Usual:
        """Fill in what is usual here by the minute that is over: `avg60`, of the group that waits most."""
        averages = [
            average
            for file in self._files.values()
            if (average := parsed(file.read(), parse_psi_avg60, file.path)) is not None
        ]
        host = f"{self._root.rstrip('/')}/proc/pressure/memory"
        whole = parsed(read_text(host), parse_psi_avg60, host)
        return usual._replace(
            protected_some=max((some for some, _ in averages), default=None),
            protected_full=max((full for _, full in averages if full is not None), default=None),
            host_full=None if whole is None else whole[1],
        )

    def close(self) -> None:
        """Close the kept descriptors."""
        for file in self._files.values():
            file.close()
        self._files = {}

    def _look(self) -> None:
        self._until_look = LOOK_EVERY
        groups = find_groups(self._load_pid, self._root)
        for gone in self._files.keys() - set(groups):
            self._files.pop(gone).close()
        for group in groups:
            if group not in self._files:
                self._files[group] = KeptFile(f"{group.directory}/memory.pressure", one_record=True)
