"""Processes of a load that left its containment: given to the guard when their parents end.

A load of root's can write itself into any cgroup. What it started stays its descendant, and the guard of
a ramp is where orphaned descendants go (prctl(2), PR_SET_CHILD_SUBREAPER). That guard has no child but
its members and its keeper, so every other one came from the load. Work that the load handed to somebody
else (a container daemon, `systemd-run`) is nobody's descendant here and is not found.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from steadyrun.contain.poll import become_subreaper
from steadyrun.contain.processes import is_alive, signal_verified
from steadyrun.kernel.processes import stat_of
from steadyrun.kernel.reader import read_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


class Orphans:
    """What this process was given. To be made by one that has no child, before it makes any."""

    def __init__(self) -> None:
        """Become the one that orphans are given to.

        Raises:
            ContainmentFailedError: The kernel refuses.
        """
        become_subreaper()

    def living(self, own: Collection[int]) -> set[int]:
        """Reap what ended; name the others and what comes of them.

        Args:
            own: Children that somebody else here looks after.
        """
        found: set[int] = set()
        for pid in _children(os.getpid()):
            if pid not in own and not _reaped(pid):
                found.update(_with_descendants(pid))
        return {pid for pid in found if is_alive(pid)}

    def kill(self, pids: Collection[int]) -> None:
        """Send SIGKILL to processes that were just found, each looked at again while it is held."""
        for pid in pids:
            signal_verified(pid, signal.SIGKILL, _descends_from_us)


def _descends_from_us(pid: int) -> bool:
    while (stat := stat_of(pid)) is not None:
        if stat.ppid == os.getpid():
            return True
        pid = stat.ppid
    return False


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _with_descendants(pid: int) -> Iterator[int]:
    yield pid
    for child in _children(pid):
        yield from _with_descendants(child)


def _children(pid: int) -> list[int]:
    """Return the children of all threads (proc_pid_task_children(5); CONFIG_PROC_CHILDREN, else none)."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    texts = (read_text(f"/proc/{pid}/task/{thread}/children") or "" for thread in threads)
    return [int(word) for text in texts for word in text.split()]
