"""How a single `run` ended, for the person who waited for it, and what to try next. Pure.

Said on standard error at its end, and again by `steadyrun report`. Nothing is said of a plain exit.
"""

from __future__ import annotations

from typing import assert_never

from steadyrun.model.argv import shell_hint
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import NO_SUCH_COMMAND, Ending, LoadOutcome
from steadyrun.units import (
    GIB,
    MIB,
    Bytes,
    Seconds,
    format_duration,
    format_oom_kills,
    format_size,
    size_argument,
)

_SIGKILL = 9


def explain(
    outcome: LoadOutcome, limits: Limits, argv: tuple[str, ...], *, ceiling: Bytes | None
) -> list[str]:
    """Return what the person should read about the end, a line each.

    Args:
        outcome: How it ended.
        limits: Those it ran under.
        argv: The command.
        ceiling: The most memory a load may have on this machine, bytes; `None`: not known.
    """
    lines = [_ending(outcome, limits, argv, ceiling)] if outcome.ending is not Ending.EXITED else []
    if outcome.ending is Ending.EXITED and outcome.left_behind:
        left = outcome.left_behind
        were = "1 process behind; it was" if left == 1 else f"{left} processes behind; they were"
        lines.append(f"the command left {were} ended")
    killed = outcome.ending is Ending.EXITED and outcome.signal == _SIGKILL
    if killed and outcome.oom_kills and not outcome.kills_at_limit:
        lines.append(f"{format_oom_kills(outcome.oom_kills)} in it, none at its own memory limit")
    if outcome.forks_refused:
        lines.append(f"{tasks_refused(outcome, limits)}; {_more_tasks(limits)}")
    if outcome.survivors:
        were = "1 process" if outcome.survivors == 1 else f"{outcome.survivors} processes"
        lines.append(f"{were} could not be killed: not before what they wait for in the kernel is over")
    if not outcome.removed:
        lines.append("its containment could not be removed; `steadyrun recover` tries again")
    return lines


def tasks_refused(outcome: LoadOutcome, limits: Limits) -> str:
    """Say how often the load met its task limit, which it did at least once."""
    times = "once" if outcome.forks_refused == 1 else f"{outcome.forks_refused} times"
    limit = "" if limits.tasks_max is None else f", {limits.tasks_max}"
    return f"a new process or thread was refused {times} at its task limit{limit}"


def _more_tasks(limits: Limits) -> str:
    more = "a higher --tasks" if limits.tasks_max is None else f"--tasks {limits.tasks_max * 2}"
    return f"try {more}, or fewer workers"


def _ending(outcome: LoadOutcome, limits: Limits, argv: tuple[str, ...], ceiling: Bytes | None) -> str:
    match outcome.ending:
        case Ending.EXITED:
            return "ended by itself"
        case Ending.MEMORY_LIMIT:
            return (
                f"killed at its memory limit, {format_size(limits.memory_max or 0)}: "
                f"peak {format_size(outcome.memory_peak)}, {format_oom_kills(outcome.oom_kills)}; "
                f"{_after_memory_kill(outcome, limits, ceiling)}"
            )
        case Ending.WALL_TIME:
            longer = format_duration(longer_wall_time(limits)).replace(" ", "")
            return f"ended: {outcome.cause}; try --timeout {longer}"
        case Ending.HOST_MEMORY | Ending.HOST_PRESSURE:
            return (
                f"killed to keep the machine steady: {outcome.cause}; its peak was "
                f"{format_size(outcome.memory_peak)}; try a lower --memory, or close something else"
            )
        case Ending.STOPPED:
            return f"stopped: {outcome.cause}"
        case Ending.NOT_STARTED:
            return f"{argv[0] or repr('')}: {outcome.start_error}{_how_to_start(outcome, argv)}"
        case Ending.CONTAINMENT_GONE | Ending.CONDUCTOR_GONE | Ending.GUARD_GONE | Ending.UNKNOWN:
            return f"ended without being asked: {outcome.cause or 'reason unknown'}"
        case _:
            assert_never(outcome.ending)


def _how_to_start(outcome: LoadOutcome, argv: tuple[str, ...]) -> str:
    """Return what to try with a command that is not there; empty: what is wrong says it."""
    if outcome.start_error != NO_SUCH_COMMAND:
        return ""
    return f"; {shell_hint(argv) or 'check its spelling and PATH'}"


def _after_memory_kill(outcome: LoadOutcome, limits: Limits, ceiling: Bytes | None) -> str:
    more = more_memory(limits, ceiling, outcome.memory_peak)
    if more is None:
        least = "" if ceiling is None else f"a load may have {format_size(ceiling)} here at most: "
        return least + what_would_fit(outcome)
    return f"try --memory {size_argument(more)}, or fewer workers"


def more_memory(limits: Limits, ceiling: Bytes | None, peak: Bytes | None) -> Bytes | None:
    """Return a memory limit worth trying after a kill at this one, bytes.

    Half as much again, in whole 100 MiB (GiB from 4 GiB on), and never over the ceiling. `None`:
    it has all that the machine gives, or how much that is is not known. A polled limit may have been
    passed by then: its peak is what counts.
    """
    if limits.memory_max is None or ceiling is None:
        return None
    had = max(limits.memory_max, peak or 0)
    step = GIB if had >= 4 * GIB else 100 * MIB
    more = min(-(-int(had * 1.5) // step) * step, ceiling // MIB * MIB)
    return Bytes(more) if more > had else None


def longer_wall_time(limits: Limits) -> Seconds:
    """Return a wall time worth trying after this one: twice as long."""
    return Seconds((limits.wall_time or 1.0) * 2)


def what_would_fit(outcome: LoadOutcome | None) -> str:
    """Name the peak of each task and how many to start with: tasks are processes and threads."""
    if outcome is None or not outcome.tasks_peak or outcome.memory_peak is None:
        return "to make it fit, run it with fewer workers"
    tasks, peak = outcome.tasks_peak, outcome.memory_peak
    if tasks == 1:
        return f"one task alone used {format_size(peak)}: make its input smaller, or add memory"
    each = format_size(peak // tasks)
    return (
        f"to make it fit, run it with fewer workers: {tasks} tasks peaked at {format_size(peak)}, "
        f"about {each} each, so start with {max(1, tasks // 2)}"
    )
