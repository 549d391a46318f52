"""Processes of /proc by their names: who they are, whose, since when. Never signals or waits.

The name is the kernel's `comm`: at most 15 bytes, as in proc_pid_comm(5).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import NamedTuple

from steadyrun.kernel.kept import parsed, read_text
from steadyrun.kernel.proc import parse_stat_btime
from steadyrun.kernel.processes import stat_of
from steadyrun.units import Seconds


class Found(NamedTuple):
    """One living process."""

    pid: int
    comm: str
    uid: int | None
    """Real user id; `None`: could not be read."""
    start_ticks: int
    """Clock ticks since boot: with the pid its identity."""

    def identity(self) -> str:
        """Return what differs once another process has taken its place."""
        return f"pid {self.pid} started {self.start_ticks}"


def process(pid: int, root: str = "/") -> Found | None:
    """Return a living process; `None` when there is none, or it is hidden from us."""
    stat = stat_of(pid, root)
    if stat is None or stat.has_ended():
        return None
    return Found(pid, stat.comm, _uid(f"{root.rstrip('/')}/proc/{pid}/status"), stat.start_ticks)


def processes_named(names: frozenset[str], root: str = "/") -> tuple[Found, ...]:
    """Return the living processes with one of these names, the longest running first."""
    named = pids_named(names, root) or ()
    found = [one for pid, _ in named if (one := process(pid, root)) is not None]
    return tuple(sorted(found, key=lambda one: (one.start_ticks, one.pid)))


def pids_named(names: Collection[str], root: str = "/") -> list[tuple[int, str]] | None:
    """Return (pid, name) of what has one of these names, by number; `None`: processes cannot be listed."""
    proc = f"{root.rstrip('/')}/proc"
    try:
        pids = sorted(int(entry) for entry in os.listdir(proc) if entry.isdecimal())
    except OSError:
        return None
    named = ((pid, (read_text(f"{proc}/{pid}/comm") or "").rstrip("\n")) for pid in pids)
    return [each for each in named if each[1] in names]


def sees_all(root: str = "/") -> bool:
    """Tell whether other users' processes show: /proc may be mounted with `hidepid` (proc(5))."""
    return read_text(f"{root.rstrip('/')}/proc/1/stat") is not None


def started_wall(start_ticks: int | None, root: str = "/") -> Seconds | None:
    """Return the Unix time of a start in clock ticks since boot; `None`: unknown, or no boot time."""
    if start_ticks is None:
        return None
    path = f"{root.rstrip('/')}/proc/stat"
    boot = parsed(read_text(path), parse_stat_btime, path)
    return None if boot is None else Seconds(boot + start_ticks / os.sysconf("SC_CLK_TCK"))


def _uid(path: str) -> int | None:
    """Return the real user id of a /proc/PID/status (proc_pid_status(5), `Uid`)."""
    for line in (read_text(path) or "").split("\n"):
        if line.startswith("Uid:"):
            word = line.split()[1:2]
            return int(word[0]) if word and word[0].isdecimal() else None
    return None
