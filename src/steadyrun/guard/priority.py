"""Making the guard come first: real time, memory lock, OOM score. Each is tried, none is needed."""

from __future__ import annotations

import os

from steadyrun.contain.realtime import take_realtime
from steadyrun.model.means import Priority


def come_first(*, lock: bool) -> Priority:
    """Take the best scheduling and protection this process may have.

    Memory is locked only where the whole of it may be (CAP_IPC_LOCK or no limit): with a
    small RLIMIT_MEMLOCK later allocations would fail instead (mlockall(2)).
    """
    realtime = take_realtime()
    locked = _lock_memory() if lock else False
    return Priority(realtime, locked, _lower_oom_score(), os.getpriority(os.PRIO_PROCESS, 0))


def _lock_memory() -> bool:
    import ctypes
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if os.geteuid() != 0 and limit != resource.RLIM_INFINITY:
        return False
    mcl_current, mcl_future, mcl_onfault = 1, 2, 4
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mlockall(mcl_current | mcl_future | mcl_onfault) == 0)


def _lower_oom_score() -> int | None:
    """Ask for -900: below every ordinary process, still above what the administrator exempted."""
    for score in (-900, 0):
        try:
            fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, str(score).encode())
            finally:
                os.close(fd)
            return score
        except OSError:
            continue
    return None
