"""Prints a plan as TOML to edit: every value exactly as `planfile.read_plan` reads it again. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

from steadyrun.errors import PlanError
from steadyrun.model.limits import Limits
from steadyrun.model.plan import LoadKind, LoadSpec, Phase, Plan
from steadyrun.units import KIB, size_argument

UNLIMITED = "max"
"""The word for "no limit of this kind", as the kernel writes it in `memory.max`."""

_HEADER = """\
# A plan of steadyrun: phases in order, from most restrictive to loosest.
# Check it:      steadyrun ramp --dry-run THIS_FILE
# Carry it out:  steadyrun ramp THIS_FILE
# Sizes: 500M = 500MiB = 500 * 2^20 bytes, 500MB = 500 * 10^6 bytes. Durations: 90s, 10m, 1h30m.
"""

_COMMENTS = {
    "baseline": "how long the machine is watched before any load",
    "tries": "how often the command is tried with more memory after a kill at its limit",
    "ok_exit": "exit codes that say its work is done",
    "memory_max": "hard limit: the load is killed there",
    "memory_high": "throttle limit: the load is slowed down there, never killed",
    "swap_max": 'swap on top of memory_max; "max" leaves it free',
    "cpu_max": "cores; leave it out for no quota",
    "cpu_weight": "1 to 10000, an ordinary program has 100",
    "wall_time": "time frozen not counted",
    "output_max": "of standard output and error; the rest is dropped",
    "scaled": "why this phase is smaller here, for the log",
}


def print_plan(plan: Plan) -> str:
    """Return the plan as TOML with comments.

    Raises:
        PlanError: A text of the plan is not Unicode (an argument of raw bytes): TOML cannot hold it.
    """
    lines = [_HEADER, *_top(plan)]
    for phase in plan.phases:
        lines += ["", "[[phase]]", *_phase(phase)]
    return "\n".join(lines) + "\n"


def size_text(size: int) -> str:
    """Print bytes exactly, in the shortest unit a person would use: `500M`, `500MB`, `0`."""
    if size == 0:
        return "0"
    if size % KIB == 0 and size % (2**20) == 0:
        return size_argument(size)
    for unit, suffix in ((10**9, "GB"), (10**6, "MB")):
        if size % unit == 0:
            return f"{size // unit}{suffix}"
    return size_argument(size)


def _top(plan: Plan) -> Iterator[str]:
    yield _line("name", plan.name)
    if plan.problem is not None:
        yield _line("problem", plan.problem)
    if plan.goal is not None:
        yield _line("goal", plan.goal)
    yield _line("baseline", _duration(plan.baseline))
    yield _line("tries", plan.tries)


def _phase(phase: Phase) -> Iterator[str]:
    yield _line("number", phase.number)
    for key in ("name", "summary", "goal", "method", "expected"):
        yield _line(key, getattr(phase, key))
    yield from _load(phase.load)
    yield from _limits(phase.limits)
    if phase.scaled is not None:
        yield _line("scaled", phase.scaled)


def _load(load: LoadSpec) -> Iterator[str]:
    yield _line("load", load.kind.value)
    if load.kind is LoadKind.COMMAND:
        yield _line("command", list(load.argv))
        if load.ok_exits != (0,):
            yield _line("ok_exit", list(load.ok_exits))
        return
    each = "each of them" if load.kind is LoadKind.HOG else "in all"
    yield _line("processes", load.processes)
    if load.memory is not None:
        yield _line("memory", size_text(load.memory), each)
    yield _line("hold", _duration(load.hold))


def _limits(limits: Limits) -> Iterator[str]:
    for key in ("memory_max", "memory_high"):
        if (size := getattr(limits, key)) is not None:
            yield _line(key, size_text(size))
    yield _line("swap_max", UNLIMITED if limits.swap_max is None else size_text(limits.swap_max))
    if limits.cpu_max is not None:
        yield _line("cpu_max", _decimal(limits.cpu_max))
    for key in ("cpu_weight", "tasks_max", "io_weight"):
        if (number := getattr(limits, key)) is not None:
            yield _line(key, number)
    for key in ("io_read_bps", "io_write_bps", "output_max"):
        if (size := getattr(limits, key)) is not None:
            yield _line(key, size_text(size))
    if limits.wall_time is not None:
        yield _line("wall_time", _duration(limits.wall_time))


def _line(key: str, value: str | int | list[str] | list[int], comment: str = "") -> str:
    said = comment or _COMMENTS.get(key, "")
    return f"{key} = {_toml(value, key)}" + (f"  # {said}" if said else "")


def _toml(value: str | int | list[str] | list[int], key: str) -> str:
    # A JSON string is a TOML basic string but for DEL, which TOML wants escaped (toml.io, v1.0.0).
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PlanError(f"{key}: expected text that a TOML file can hold, found {value!r}") from None
    return text


def _duration(seconds: float) -> str:
    return f"{_decimal(seconds)}s"


def _decimal(number: float) -> str:
    """Print a number exactly and without an exponent."""
    text = format(Decimal(repr(float(number))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
