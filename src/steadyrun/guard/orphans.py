"""Processes of a load that left its containment: given to the guard when their parents end.

A load of root's can write itself into any cgroup. What it started stays its descendant, and the guard of
a ramp is where orphaned descendants go (prctl(2), PR_SET_CHILD_SUBREAPER). That guard has no child but
its members and its keeper, so every other one came from the load. Work that the load handed to somebody
else (a container daemon, `systemd-run`) is nobody's descendant here and is not found.
"""

from __future__ import annotations

import os
import signal

from steadyrun.contain.poll import become_subreaper
from steadyrun.contain.processes import is_alive, signal_verified
from steadyrun.kernel.processes import stat_of
from steadyrun.kernel.reader import read_text
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class Orphans:
    """What this process was given. To be made by one that has no child, before it makes any."""

    def __init__(self) -> None:
        """Become the one that orphans are given to.

        Raises:
            ContainmentFailedError: The kernel refuses.
        """
        become_subreaper()

    def living(self, own: Collection[int], inside: Collection[int]) -> set[int]:
        """Reap what ended; name what descends from us and is not where it is to be.

        Looks at each process of the machine that is neither `own` nor `inside`, not at each of the load's: a
        fork bomb has thousands, and the guard has other things to do.

        Args:
            own: Children that somebody else here looks after.
            inside: What lives in the containment.
        """
        for pid in _children():
            if pid not in own:
                _reap(pid)
        known = {os.getpid(): True}
        elsewhere = {int(name) for name in os.listdir("/proc") if name.isdecimal()} - {*own, *inside, *known}
        return {pid for pid in elsewhere if _descends(pid, known) and is_alive(pid)}

    def kill(self, pids: Collection[int]) -> None:
        """Send SIGKILL to processes that were just found, each looked at again while it is held."""
        known = {os.getpid(): True}

        def is_ours(pid: int) -> bool:
            stat = stat_of(pid)
            return stat is not None and _descends(stat.ppid, known)

        for pid in pids:
            signal_verified(pid, signal.SIGKILL, is_ours)


def _descends(pid: int, known: dict[int, bool]) -> bool:
    """Tell whether a process descends from one that is known to, and remember it of all on the way.

    Not by recursion: a load can make a chain of as many processes as it may have.
    """
    way = []
    while pid not in known:
        way.append(pid)
        stat = stat_of(pid)
        if stat is None or stat.ppid == 0:
            break
        pid = stat.ppid
    answer = known.get(pid, False)
    known.update(dict.fromkeys(way, answer))
    return answer


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def _children() -> list[int]:
    """Return our children, of all threads (proc_pid_task_children(5); CONFIG_PROC_CHILDREN, else none)."""
    threads = os.listdir("/proc/self/task")
    texts = (read_text(f"/proc/self/task/{thread}/children") or "" for thread in threads)
    return [int(word) for text in texts for word in text.split()]
