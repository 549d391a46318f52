"""A head start for the first move of a process between cgroups, whose wait is the longest of a start.

After a quiet time that move waits 6 to 15 ms for every CPU: it takes `cgroup_threadgroup_rwsem` for
writing, and a percpu lock that nobody wrote to lately has to call all its readers in first
(cgroup_procs_write_start in kernel/cgroup/cgroup.c; rcu_sync_enter in kernel/rcu/sync.c). A move shortly
after another one does not wait (measured on 6.18: 0.02 ms). So a child moves itself to where it is
already, which changes nothing, while its parent still reads, writes its intent and makes the cgroups.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.model.containment import ContainmentFacts


class FirstMove:
    """The child while it waits. Where it may not move or cannot be made, nothing is gained or lost."""

    __slots__ = ("_pid",)

    def __init__(self, facts: ContainmentFacts) -> None:
        """Fork it. Like `spawn_member` only while the process has one thread."""
        file = _own_procs_file(facts)
        self._pid = 0 if file is None else _fork(file)

    def over(self) -> None:
        """Wait for its end and reap it. Idempotent."""
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


def _fork(file: str) -> int:
    """Return the pid of a child that moves itself ("0" to the kernel, cgroups(7)); 0: none was to be had."""
    try:
        pid = os.fork()
    except OSError:
        return 0
    if pid == 0:
        try:
            os.write(os.open(file, os.O_WRONLY | os.O_CLOEXEC), b"0")
        finally:
            os._exit(0)
    return pid
