"""A kill under way: what is worth a record of it, and a word about those that do not die.

The kill itself is repeated at every look, since a process may have been forked in between; a record
of each would be some twenty a second for as long as a process waits uninterruptibly: on a frozen
disk or a dead NFS server, without end (signal(7), "uninterruptible"; proc_pid_stat(5), state D).
"""

from __future__ import annotations

import os

from steadyrun.kernel.processes import stat_of
from steadyrun.model.finding import Finding, Severity
from steadyrun.units import Seconds, format_duration

NEWS_EVERY = Seconds(1.0)
"""At most one more record in this long, and only when another number is left."""
STUCK_AFTER = Seconds(10.0)
"""Chosen: a sixth of `kill_max`. Whoever waits hears why while there is time to do something about it."""
NAMED_AT_MOST = 5


class Killing:
    """What was told about one kill."""

    __slots__ = ("_began", "_left", "_told_at", "_told_left", "_told_stuck")

    def __init__(self) -> None:
        self._began: Seconds | None = None
        self._told_at = Seconds(0.0)
        self._left = self._told_left = -1
        self._told_stuck = False

    def news(self, now: Seconds) -> bool:
        """Tell whether a kill at this moment is to be recorded: the first, later ones only on a change."""
        if self._began is None:
            self._began = self._told_at = now
            return True
        if self._told_left < 0:  # the count after the first kill is no change
            self._told_left = self._left
        if self._left == self._told_left or now - self._told_at < NEWS_EVERY:
            return False
        self._told_at, self._told_left = now, self._left
        return True

    def look(self, now: Seconds, pids: tuple[int, ...]) -> Finding | None:
        """Take what is left after a kill; once, after STUCK_AFTER, say who it is."""
        self._left = len(pids)
        began = self._began
        if self._told_stuck or not pids or began is None or now - began < STUCK_AFTER:
            return None
        self._told_stuck = True
        return stuck(pids, Seconds(now - began))


def stuck(pids: tuple[int, ...], after: Seconds) -> Finding:
    """Name the processes that a kill did not end, with their states."""
    states = {pid: _state(pid) for pid in pids}
    first = sorted(pids, key=lambda pid: not states[pid].startswith("D"))[:NAMED_AT_MOST]
    named = ", ".join(f"{pid} ({states[pid]})" for pid in first)
    more = f" and {len(pids) - len(first)} more" if len(pids) > len(first) else ""
    return Finding(
        "kill-stuck",
        Severity.WARNING,
        f"Killed {format_duration(after)} ago and still there: {named}{more}; state D waits for a disk, "
        "a file server or a driver and ends only with that",
        f"processes and states: {named}{more}",
        "`ps -o pid,stat,wchan:32,args -p PID` says what it waits for",
        "",
    )


def _state(pid: int) -> str:
    """Return `D, dd`: state and name, from a file that never waits for the process (not `cmdline`)."""
    stat = stat_of(pid)
    if stat is None:
        return "unknown"
    return f"{stat.state}, {stat.comm}" + (", not ours to kill" if _is_refused(pid) else "")


def _is_refused(pid: int) -> bool:
    """Tell whether it is another user's, so that the kernel does not let us signal it (kill(2), EPERM)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False
