"""Single processes by what /proc/PID/stat says: who they are, since when, whether they are over.

A pid alone is another process's soon; with its start time it is an identity for this boot. Never
signals, never waits, and never raises because of what a file holds.
"""

from __future__ import annotations

from steadyrun.kernel.kept import parsed, read_text
from steadyrun.kernel.proc import parse_pid_stat
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.kernel.proc import PidStat


def stat_of(pid: int, root: str = "/") -> PidStat | None:
    """Return what /proc/PID/stat says; `None`: there is no such process, or it cannot be read."""
    path = f"{root.rstrip('/')}/proc/{pid}/stat"
    return parsed(read_text(path), parse_pid_stat, path)


def pid_started(pid: int, root: str = "/") -> int | None:
    """Return when a process started, in clock ticks since boot; `None` when there is none to be read."""
    stat = stat_of(pid, root)
    return None if stat is None else stat.start_ticks


def pid_alive(pid: int, started: int, root: str = "/") -> bool:
    """Tell whether that very process still runs: same start, and its main thread has not ended.

    For processes of ours, which are over with their main thread, though another one may wait for a disk
    yet. Of a load every thread counts: `contain.processes.is_alive`.
    """
    stat = stat_of(pid, root)
    return stat is not None and stat.start_ticks == started and not stat.has_ended()
