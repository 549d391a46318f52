"""How much memory a new load may be promised: what is available, less the reserve, less promises.

Limits for each of several runs are no limit for all of them together (four capped runs still
livelocked a machine): the sum of all hard limits given out never exceeds available memory less the
reserve. Pure.
"""

from __future__ import annotations

from steadyrun.errors import UsageError
from steadyrun.model.envelope import Envelope
from steadyrun.model.limits import CPU_WEIGHT_LOWEST, Limits
from steadyrun.model.machine import Promise, Reserve
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import MIB, Bytes, Cores, format_size, size_argument

if TYPE_CHECKING:
    from typing import NoReturn

DEFAULT_TASKS = 4096
"""Stops a fork bomb long before the machine's own limit of tasks; far above what builds use."""


DEFAULT_PERCENT = 75
"""Of what may be promised now, for a run that asked for nothing and has nothing proven: the rest is for
the next one. A shell that is contained all day must not keep every other run from starting."""


def room_for_new(available: Bytes, reserve: Reserve, promises: tuple[Promise, ...]) -> Bytes:
    """Return what may be promised now, in bytes, rounded down to MiB; 0 when nothing may."""
    promised = sum(promise.left() for promise in promises)
    return Bytes(max(0, available - reserve.reserve - promised) // MIB * MIB)


def beyond_cores(cpu_max: Cores | None, cores: int) -> str:
    """Say that a CPU quota is more than there is; empty: it limits something, or nothing was asked for."""
    if cpu_max is None or cpu_max <= cores:
        return ""
    there = "there is 1 core" if cores == 1 else f"there are {cores} cores"
    return f"{cpu_max:g} limits nothing here: {there}"


class Chosen(NamedTuple):
    """Limits for a `run`, and where they came from, in words."""

    limits: Limits
    why: str
    """Empty when all of it was asked for."""


def choose_limits(
    asked: Limits,
    envelope: Envelope | None,
    *,
    room: Bytes,
    ceiling: Bytes,
    source: str = "--memory",
) -> Chosen:
    """Fill in what was not asked for: from the envelope, else from the machine.

    Args:
        asked: From the command line and the settings.
        envelope: The newest that fits this machine and kind of load.
        room: What may be promised now.
        ceiling: Effective RAM less the reserve: what may ever be promised here.
        source: Where the hard memory limit was asked for.

    Raises:
        UsageError: More memory was asked for than there is, or there is no room now.
    """
    if asked.memory_max is not None and asked.memory_max > ceiling:
        _refuse_more_than_the_machine(asked.memory_max, ceiling, source)
    if room < MIB:
        raise UsageError(
            "memory: expected some to be free, found all of it in use or promised to other runs",
            hint="end something first: `steadyrun history` shows your runs, `steadyrun stop` ends one",
        )
    if asked.memory_max is not None:
        _check(asked.memory_max, room, source)
        return Chosen(_filled(asked, asked.memory_max), "")
    if envelope is not None and envelope.limits.memory_max is not None:
        proven = envelope.limits
        memory = Bytes(min(proven.memory_max or room, room))
        why = f"{format_size(memory)} of memory, proven by ramp {envelope.run_id} with {envelope.kind}"
        if memory < (proven.memory_max or memory):
            why = (
                f"{format_size(memory)} of memory: less than ramp {envelope.run_id} proved, more is not free"
            )
        return Chosen(_filled(_prefer(asked, proven), memory), why)
    memory = Bytes(max(MIB, room * DEFAULT_PERCENT // 100 // MIB * MIB))
    why = (
        f"{format_size(memory)} of memory, three quarters of what is free less the machine's reserve; "
        "no ramp has passed on this machine as it is with this command or the built-in storm"
        " (--memory sets another limit)"
    )
    return Chosen(_filled(asked, memory), why)


def _refuse_more_than_the_machine(memory: Bytes, ceiling: Bytes, source: str) -> NoReturn:
    raise UsageError(
        f"{source}: expected at most {format_size(ceiling)} (this machine less its reserve), "
        f"found {format_size(memory)}",
        hint=f"use --memory {size_argument(ceiling // MIB * MIB)} or less",
    )


def _check(memory: Bytes, room: Bytes, source: str) -> None:
    if memory > room:
        raise UsageError(
            f"{source}: expected at most the {format_size(room)} that are free now and not promised to "
            f"another run, found {format_size(memory)}",
            hint=f"close something, or use --memory {size_argument(room)}",
        )


def _prefer(asked: Limits, proven: Limits) -> Limits:
    """Take every limit that was asked for, else the proven one; wall time is the user's alone.

    No swap is what is asked for by who says nothing of it.
    """
    given = {name: value for name, value in asked._asdict().items() if value is not None}
    given["swap_max"] = proven.swap_max if asked.swap_max == 0 else asked.swap_max
    return proven._replace(**{**given, "wall_time": asked.wall_time, "output_max": None})


def _filled(limits: Limits, memory: Bytes) -> Limits:
    return limits._replace(
        memory_max=memory,
        cpu_weight=CPU_WEIGHT_LOWEST if limits.cpu_weight is None else limits.cpu_weight,
        tasks_max=DEFAULT_TASKS if limits.tasks_max is None else limits.tasks_max,
    )
