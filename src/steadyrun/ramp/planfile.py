"""Plans as TOML files: read, checked against the machine, printed again.

Every message names the file, the path of the key and what is allowed there; `phase[2]` is the
second `[[phase]]` table of the file. Pure: text in and out, whoever calls it opens the file.
`read_plan(print_plan(plan)) == plan` for every plan.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from steadyrun.errors import PlanError, UsageError
from steadyrun.model.limits import Limits
from steadyrun.model.plan import LoadKind, LoadSpec, Phase, Plan
from steadyrun.ramp.default_plan import HOG_HOLD, STORM_HOLD, STORM_PROCESSES
from steadyrun.ramp.plancheck import HINT, check_plan, with_command
from steadyrun.ramp.planprint import UNLIMITED, print_plan
from steadyrun.units import Bytes, Seconds, parse_cores, parse_duration, parse_size

__all__ = ["check_plan", "print_plan", "read_plan", "with_command"]

T = TypeVar("T", bound=msgspec.Struct)
V = TypeVar("V")

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Weight = Annotated[int, msgspec.Meta(ge=1, le=10000)]
_ExitCode = Annotated[int, msgspec.Meta(ge=0, le=255)]


class _PlanFile(msgspec.Struct, forbid_unknown_fields=True):
    """The top of a plan file."""

    phase: list[dict[str, Any]]
    name: str = "plan"
    baseline: str = "10s"
    problem: str | None = None
    goal: str | None = None
    tries: _Count = 4


class _PhaseFile(msgspec.Struct, forbid_unknown_fields=True):
    """One `[[phase]]` table, the order of its keys the order they are printed in."""

    load: LoadKind
    number: _Count | None = None
    name: str | None = None
    summary: str = ""
    goal: str = ""
    method: str = ""
    expected: str = ""
    processes: _Count | None = None
    memory: str | None = None
    hold: str | None = None
    command: list[str] | None = None
    ok_exit: list[_ExitCode] | None = None
    memory_max: str | None = None
    memory_high: str | None = None
    swap_max: str = "0"
    cpu_max: str | float | int | None = None
    cpu_weight: _Weight | None = None
    tasks_max: _Count | None = None
    io_read_bps: str | None = None
    io_write_bps: str | None = None
    io_weight: _Weight | None = None
    wall_time: str | None = None
    output_max: str | None = None
    scaled: str | None = None


class _Where(NamedTuple):
    """A place in a plan file, for messages."""

    source: str
    table: str = ""
    """`phase[2].`, empty at the top."""

    def key(self, name: str) -> str:
        return f"{self.source}: {self.table}{name}"


def read_plan(text: str, *, source: str) -> Plan:
    """Read a plan file. Whether it fits the machine is for `check_plan`.

    Args:
        text: TOML.
        source: The file's name, for messages.

    Raises:
        PlanError: Not TOML, an unknown key, a wrong type, or a value without meaning.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{source}: expected TOML, found an error: {error}", hint=HINT) from None
    top = _Where(source)
    file = _convert(data, _PlanFile, top)
    phases = tuple(_phase(table, n, source) for n, table in enumerate(file.phase, 1))
    baseline = _quantity(parse_duration, file.baseline, top.key("baseline"))
    return Plan(file.name, baseline, phases, file.problem, file.goal, file.tries)


def _convert(data: Mapping[str, Any], cls: type[T], where: _Where) -> T:
    """Turn a table into its type, with the key, what is allowed and what was found in the message."""
    fields = msgspec.structs.fields(cls)
    allowed = [field.name for field in fields]
    for key in data:
        if key not in allowed:
            raise PlanError(f"{where.key(key)}: expected {_one_of(allowed, key)}", hint=HINT)
    for field in fields:
        if field.required and field.name not in data:
            raise PlanError(
                f"{where.key(field.name)}: expected {_allowed(field.name, field.type)}, found nothing",
                hint=HINT,
            )
    try:
        return msgspec.convert(data, cls, strict=True)
    except msgspec.ValidationError as error:
        raise _wrong_value(str(error), data, {f.name: f.type for f in fields}, where) from None


def _one_of(allowed: list[str], found: str) -> str:
    near = difflib.get_close_matches(found, allowed, n=2)
    meant = f" - did you mean {' or '.join(near)}?" if near else ""
    return f"one of {', '.join(allowed)}, found {found!r}{meant}"


def _wrong_value(message: str, data: Mapping[str, Any], types: dict[str, Any], where: _Where) -> PlanError:
    # msgspec: "Expected `int`, got `str` - at `$.processes`", with [...] for a place in a list.
    match = re.search(r"at `\$\.(\w+)", message)
    if match is None:
        return PlanError(f"{where.source}: {message}", hint=HINT)
    name = match[1]
    return PlanError(
        f"{where.key(name)}: expected {_allowed(name, types[name])}, found {_shortened(data[name])}",
        hint=HINT,
    )


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_DURATIONS = frozenset({"baseline", "hold", "wall_time"})
_SIZES = frozenset(
    {"memory", "memory_max", "memory_high", "swap_max", "io_read_bps", "io_write_bps", "output_max"}
)


def _allowed(name: str, kind: Any) -> str:
    """Say in words what a key may hold."""
    if name in _SIZES:
        return "a size in quotes such as '500M' or '500MB'"
    if name in _DURATIONS:
        return "a duration in quotes such as '90s' or '10m'"
    if kind is LoadKind:
        return "one of " + ", ".join(repr(k.value) for k in LoadKind)
    words = (
        (_Weight, "a whole number from 1 to 10000"),
        (_Weight | None, "a whole number from 1 to 10000"),
        (_Count, "a whole number of at least 1"),
        (_Count | None, "a whole number of at least 1"),
        (list[str] | None, "a list of texts, the command and its arguments"),
        (list[dict[str, Any]], "at least one [[phase]] table"),
        (str | float | int | None, "a number of cores such as 1.5, or '150%'"),
    )
    return next((said for known, said in words if kind == known), "a text in quotes")


def _quantity(parse: Callable[..., V], text: str, source: str) -> V:
    try:
        return parse(text, source=source)
    except UsageError as error:
        raise PlanError(error.message, hint=error.hint) from None


def _size(text: str | None, source: str) -> Bytes | None:
    return None if text in (None, UNLIMITED) else _quantity(parse_size, text or "", source)


def _time(text: str | None, source: str) -> Seconds | None:
    return None if text in (None, UNLIMITED) else _quantity(parse_duration, text or "", source)


def _phase(table: dict[str, Any], position: int, source: str) -> Phase:
    where = _Where(source, f"phase[{position}].")
    file = _convert(table, _PhaseFile, where)
    return Phase(
        number=file.number or position,
        name=_NAME_OF_LOAD[file.load] if file.name is None else file.name,
        summary=file.summary,
        goal=file.goal,
        method=file.method,
        expected=file.expected,
        load=_load(file, where),
        limits=_limits(file, where),
        scaled=file.scaled,
    )


_NAME_OF_LOAD = {LoadKind.HOG: "Memory", LoadKind.STORM: "Storm", LoadKind.COMMAND: "Command"}
"""What a phase is called that has no name of its own."""
_KEYS_OF_LOAD = {
    LoadKind.HOG: frozenset({"processes", "memory", "hold"}),
    LoadKind.STORM: frozenset({"processes", "memory", "hold"}),
    LoadKind.COMMAND: frozenset({"command", "ok_exit"}),
}


def _load(file: _PhaseFile, where: _Where) -> LoadSpec:
    for key, given in (
        ("processes", file.processes is not None),
        ("memory", file.memory is not None),
        ("hold", file.hold is not None),
        ("command", file.command is not None),
        ("ok_exit", file.ok_exit is not None),
    ):
        if given and key not in _KEYS_OF_LOAD[file.load]:
            raise PlanError(
                f"{where.key(key)}: expected nothing for load = {file.load.value!r}, found a value"
            )
    if file.load is LoadKind.COMMAND:
        ok_exits = tuple(file.ok_exit) if file.ok_exit else (0,)
        return LoadSpec(LoadKind.COMMAND, argv=tuple(file.command or ()), ok_exits=ok_exits)
    if file.memory is None:
        raise PlanError(f"{where.key('memory')}: expected a size such as '500MB', found nothing", hint=HINT)
    memory = _size(file.memory, where.key("memory"))
    hold = _time(file.hold, where.key("hold"))
    storm = file.load is LoadKind.STORM
    return LoadSpec(
        file.load,
        file.processes or (STORM_PROCESSES if storm else 1),
        memory,
        hold or (STORM_HOLD if storm else HOG_HOLD),
    )


def _limits(file: _PhaseFile, where: _Where) -> Limits:
    cores = None if file.cpu_max in (None, UNLIMITED) else str(file.cpu_max)
    return Limits(
        memory_max=_size(file.memory_max, where.key("memory_max")),
        memory_high=_size(file.memory_high, where.key("memory_high")),
        swap_max=_size(file.swap_max, where.key("swap_max")),
        cpu_max=None if cores is None else _quantity(parse_cores, cores, where.key("cpu_max")),
        cpu_weight=file.cpu_weight,
        tasks_max=file.tasks_max,
        io_read_bps=_size(file.io_read_bps, where.key("io_read_bps")),
        io_write_bps=_size(file.io_write_bps, where.key("io_write_bps")),
        io_weight=file.io_weight,
        wall_time=_time(file.wall_time, where.key("wall_time")),
        output_max=_size(file.output_max, where.key("output_max")),
    )
