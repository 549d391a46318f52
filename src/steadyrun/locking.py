"""A lock that one process of the machine has at a time, on a file or a folder (flock(2)). Judges nothing.

flock, not fcntl: SQLite's own locks are of the other kind. It ends with its holder.
"""

from __future__ import annotations

import fcntl
import time

RETRY_S = 0.002


def try_lock(descriptor: int) -> bool:
    """Take the lock if it is free.

    Raises:
        OSError: There are no locks to be had there.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_within(descriptor: int, seconds: float) -> bool:
    """Take the lock as soon as it is free; tell whether that came about in time.

    Raises:
        OSError: There are no locks to be had there.
    """
    until = time.monotonic() + seconds
    while not try_lock(descriptor):
        if time.monotonic() > until:
            return False
        time.sleep(RETRY_S)
    return True
