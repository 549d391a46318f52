"""The end of a load as a value, from the machine's last state and the last counters. Pure."""

from __future__ import annotations

import errno as errnos
from errno import errorcode

from steadyrun.guard.held import Held
from steadyrun.model.means import Means
from steadyrun.model.outcome import NO_SUCH_COMMAND, Ending, LoadOutcome, MemberExit, StartError
from steadyrun.model.sample import CgroupSample, Psi
from steadyrun.units import Seconds

_WORDS = {
    errnos.ENOENT: NO_SUCH_COMMAND,
    errnos.EACCES: "not executable",
    errnos.ENOTDIR: "a part of its path is not a folder",
    errnos.E2BIG: "its arguments and environment are too long",
    errnos.ENOMEM: "no memory to start it",
}


def outcome_of(
    held: Held,
    ended: Seconds,
    last: CgroupSample,
    *,
    cpu_of_members: Seconds,
    start_failed: StartError | None,
    survivors: int,
    left_behind: int,
    removed: bool,
    means: Means | None = None,
) -> LoadOutcome:
    """Put together how the load ended. `ended` and the times in `held` are CLOCK_MONOTONIC."""
    ending = held.ending or Ending.UNKNOWN
    if start_failed is not None:
        ending = Ending.NOT_STARTED
    code, signal = _status(held.exits)
    wall = 0.0 if held.released is None else ended - held.released
    memory, io, cpu = last.psi_memory, last.psi_io, last.psi_cpu
    return LoadOutcome(
        ending=ending,
        exit_code=None if start_failed is not None else code,
        signal=signal,
        members=held.exits,
        start_error=None if start_failed is None else start_error(start_failed),
        start_errno=None if start_failed is None else start_failed.errno,
        wall=Seconds(wall),
        frozen=held.frozen_total,
        cpu=cpu_of_members if last.cpu_time is None else Seconds(last.cpu_time / 1e6),
        memory_peak=last.memory_peak,
        oom_kills=last.oom_kills,
        tasks_peak=last.tasks_peak,
        io_read=last.io_read,
        io_write=last.io_write,
        psi_memory_some=_some(memory),
        psi_memory_full=_full(memory),
        psi_io_full=_full(io),
        psi_cpu_some=_some(cpu),
        survivors=survivors,
        removed=removed,
        last=last,
        cause=held.cause,
        left_behind=left_behind,
        limit_kills=last.limit_kills,
        means=means,
        forks_refused=last.forks_refused,
    )


def start_error(failed: StartError) -> str:
    """Say why a command could not be executed, and what was in the way where that is known."""
    number = failed.errno
    words = _WORDS.get(number, errorcode.get(number, f"error {number}"))
    if failed.doing != "exec":
        return failed.why or words
    return f"{words}: {failed.why}" if failed.why else words


def _status(exits: tuple[MemberExit, ...]) -> tuple[int | None, int | None]:
    """Return (exit code, signal) of the first member that did not exit 0."""
    for member in exits:
        if member.exit_code != 0:
            return member.exit_code, member.signal
    return (0, None) if exits else (None, None)


def _some(psi: Psi | None) -> Seconds | None:
    return None if psi is None else Seconds(psi.some_total / 1e6)


def _full(psi: Psi | None) -> Seconds | None:
    return None if psi is None or psi.full_total is None else Seconds(psi.full_total / 1e6)
