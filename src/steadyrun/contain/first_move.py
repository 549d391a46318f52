"""A head start for the first move of a process between cgroups, whose wait is the longest of a start.

After a quiet time that move waits 6 to 15 ms for every CPU: it takes `cgroup_threadgroup_rwsem` for
writing, and a percpu lock that nobody wrote to lately has to call all its readers in first
(cgroup_procs_write_start in kernel/cgroup/cgroup.c; rcu_sync_enter in kernel/rcu/sync.c). A move shortly
after another one does not wait (measured on 6.18: 0.02 ms). So a child moves itself to where it is
already, which changes nothing, while its parent still reads, writes its intent and makes the cgroups. It
does so again and again: one grace period after the last move the lock is cold again, and a start takes
longer than that (with one move alone every second start waited 6 to 7 ms).
"""

from __future__ import annotations

import os
import select
from time import monotonic

from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.model.containment import ContainmentFacts


AGAIN_MS = 2
"""Pause between two moves, well below a grace period."""
AT_MOST_S = 1.0
"""How long the child moves itself: a start that takes longer (a busy journal) has lost more already."""


class FirstMove:
    """The child while it waits. Where it may not move or cannot be made, nothing is gained or lost."""

    __slots__ = ("_line", "_pid")

    def __init__(self, facts: ContainmentFacts) -> None:
        """Fork it. Like `spawn_member` only while the process has one thread."""
        file = _own_procs_file(facts)
        self._pid, self._line = (0, -1) if file is None else _fork(file)

    def made(self) -> None:
        """Have it end: the move that it prepared has taken place. Does not wait. Idempotent."""
        if self._line >= 0:
            os.close(self._line)
            self._line = -1

    def over(self) -> None:
        """Have it end, wait for that and reap it. Idempotent."""
        self.made()
        if self._pid:
            try:
                os.waitpid(self._pid, 0)
            except ChildProcessError:
                pass
            self._pid = 0


def _own_procs_file(facts: ContainmentFacts) -> str | None:
    """Name the `cgroup.procs` of our own cgroup in a hierarchy where we may make cgroups."""
    from steadyrun.contain.hierarchy import UNIFIED, visible

    own = dict(facts.own)
    for mount in facts.mounts:
        path = own.get(UNIFIED if mount.unified else "".join(mount.controllers[:1]))
        directory = visible(mount, path) if path is not None and mount.path in facts.creatable else None
        if directory is not None:
            return f"{directory}/cgroup.procs"
    return None


def _fork(file: str) -> tuple[int, int]:
    """Return the pid of a child that moves itself, and what to close to end it; (0, -1): there is none."""
    try:
        end, line = os.pipe2(os.O_CLOEXEC)
    except OSError:
        return 0, -1
    try:
        pid = os.fork()
    except OSError:
        os.close(end)
        os.close(line)
        return 0, -1
    if pid == 0:
        try:
            os.close(line)
            _move_until(end, file)
        finally:
            os._exit(0)
    os.close(end)
    return pid, line


def _move_until(end: int, file: str) -> None:
    """Move ourselves to where we are ("0" to the kernel, cgroups(7)) until the pipe's other end is closed."""
    closed = select.poll()
    closed.register(end, 0)  # POLLHUP is told in any case
    procs = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    until = monotonic() + AT_MOST_S
    while monotonic() < until:
        os.write(procs, b"0")
        if closed.poll(AGAIN_MS):
            return
