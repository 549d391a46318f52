"""Single processes by pid: are they alive, where are they, end them, without hitting a stranger.

A pid is reused as soon as its process was reaped. Whoever sends a signal here takes a descriptor of
the process first (pidfd_open(2)) and looks once more whether it is the right one.
"""

from __future__ import annotations

import os

from steadyrun.kernel.cgroupfiles import parse_proc_cgroup
from steadyrun.kernel.kept import parsed, read_text
from steadyrun.kernel.processes import stat_of
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator


LOOKED_AT = 256
"""How many listed processes are looked at one by one, by choice: 6 ms of a guard's loop, 0.1 s for 4096."""


def living(listed: Collection[int]) -> tuple[int, ...]:
    """Return, in order, who of the processes listed in cgroups is alive.

    The kernel itself leaves zombies out, on legacy hierarchies too (cgroup-v2.rst, "Processes";
    css_task_iter_advance in kernel/cgroup/cgroup.c). Only who ended since the listing was begun may be in it:
    a look at each keeps such a moment from making somebody of nobody. Where more than `LOOKED_AT` are listed
    there is somebody in any case, and the next listing knows better how many.
    """
    pids = tuple(sorted(listed))
    return pids if len(pids) > LOOKED_AT else tuple(pid for pid in pids if is_alive(pid))


def is_alive(pid: int) -> bool:
    """Tell whether a process runs, sleeps or is stopped.

    A leader that ended while its other threads run is a zombie by its state, and alive: its
    directory of threads has others (proc_pid_task(5)).
    """
    stat = stat_of(pid)
    return stat is not None and (not stat.has_ended() or _has_other_threads(pid))


def _has_other_threads(pid: int) -> bool:
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def cgroups_of(pid: int) -> dict[str, str]:
    """Return the cgroup path in each hierarchy, by controller; empty when there is no such process."""
    return _cgroups(f"/proc/{pid}/cgroup")


def cgroups_of_threads(pid: int) -> Iterator[dict[str, str]]:
    """Give the cgroups of each thread of a process.

    On legacy hierarchies each thread has its own, and a leader that ended before the others reads as
    being at the top (proc_cgroup_show in kernel/cgroup/cgroup.c).
    """
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        yield _cgroups(f"/proc/{pid}/task/{thread}/cgroup")


def _cgroups(source: str) -> dict[str, str]:
    return dict(parsed(read_text(source), parse_proc_cgroup, source) or ())


def signal_verified(pid: int, number: int, is_ours: Callable[[int], bool]) -> bool:
    """Send a signal to the process if `is_ours` says so while its descriptor is held.

    Returns:
        Whether the signal was sent. Never raises for a process that is gone.
    """
    from signal import pidfd_send_signal

    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not is_ours(pid):
            return False
        pidfd_send_signal(fd, number)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
