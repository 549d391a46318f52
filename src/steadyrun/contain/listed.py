"""Ending what is found by listing alone: processes of a load that left what ends all of it at once.

A listing is old when it has been read. A load that forks for its life is ended by it all the same as
long as this process gets the processor: a process that was sent SIGKILL forks no more (copy_process in
kernel/fork.c looks for a pending signal under the lock that a new child is made visible by), so once a
listing holds nobody who was not sent one, nobody is left that could be missed.
"""

from __future__ import annotations

import os
from time import monotonic

from steadyrun.contain.realtime import ahead_of_others
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Callable

_SIGKILL = 9
KILL_FOR = Seconds(1.0)
"""How long one kill lists again, well below the keeper's silence.

A pass over 250 forking processes takes 2 ms (2 cores, 6.18), and 0.2 s in an emulated machine, where
what is left would grow again until the next kill."""
_AT_ONCE = 64
"""How many descriptors of processes are held at a time; a process may often have 1024 (RLIMIT_NOFILE)."""


def kill_listed(listed: Callable[[], set[int]]) -> set[int]:
    """Send SIGKILL until a listing shows nobody new, for at most KILL_FOR and one pass; return who got it.

    At the best priority this process may have: at an ordinary one 250 forking processes kept the
    killer from the processor for seconds within one kill, and it lost (measured on 2 cores).

    Args:
        listed: Name the processes there are now.
    """
    with ahead_of_others():
        until = monotonic() + KILL_FOR
        told: set[int] = set()
        found = listed()
        while found:
            told |= _kill(sorted(found), listed)
            found = listed() - told
            if monotonic() >= until:
                break
        return told


def _kill(pids: list[int], listed: Callable[[], set[int]]) -> set[int]:
    """Kill those that are still listed once a descriptor of them is held; return them.

    A descriptor never comes to mean another process (pidfd_open(2)): whoever is listed under that
    number afterwards is the one it is of, or that one is gone and the signal reaches nobody.
    """
    told: set[int] = set()
    for begin in range(0, len(pids), _AT_ONCE):
        held = _open(pids[begin : begin + _AT_ONCE])
        still = listed()
        for pid, fd in held.items():
            if pid in still and _signal(fd):
                told.add(pid)
            os.close(fd)
    return told


def _open(pids: list[int]) -> dict[int, int]:
    held: dict[int, int] = {}
    for pid in pids:
        try:
            held[pid] = os.pidfd_open(pid)
        except OSError:  # it is gone
            continue
    return held


def _signal(fd: int) -> bool:
    from signal import pidfd_send_signal

    try:
        pidfd_send_signal(fd, _SIGKILL)
    except OSError:
        return False
    return True
