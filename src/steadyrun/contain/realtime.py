"""The processor for whoever must not wait for it: real time where that is granted, else the best nice value.

Knows nothing of cgroups; touches the calling thread alone.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEST_NICE = -20


def take_realtime() -> bool:
    """Take SCHED_FIFO 1, or nice -20 where that is refused; tell whether it is real time (sched(7)).

    SCHED_RESET_ON_FORK keeps children out of it. Where RT_GROUP_SCHED is on, SCHED_FIFO is EPERM
    inside a child of a v1 cpu cgroup (Documentation/scheduler/sched-rt-group.rst).
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        return True
    except OSError:
        pass
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _BEST_NICE)
    except OSError:
        pass
    return False


@contextmanager
def ahead_of_others() -> Iterator[None]:
    """Run a block with the processor for itself; a caller that has a policy of its own keeps it."""
    policy = os.sched_getscheduler(0)
    if policy & ~os.SCHED_RESET_ON_FORK != os.SCHED_OTHER:
        yield
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    take_realtime()
    try:
        yield
    finally:
        _give_back(policy, nice)


def _give_back(policy: int, nice: int) -> None:
    # Only a privileged process may end SCHED_RESET_ON_FORK again (sched(7)).
    for given in (policy, policy | os.SCHED_RESET_ON_FORK):
        try:
            os.sched_setscheduler(0, given, os.sched_param(0))
            break
        except OSError:
            continue
    os.setpriority(os.PRIO_PROCESS, 0, nice)
