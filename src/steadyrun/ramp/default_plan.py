"""The plan of a ramp that nobody wrote a plan for: five phases, each about twice the one before.

The phases and their words are those of a ramp that was once done and written down by hand. Pure:
it never reads the machine; effective RAM and reserve come in, and what does not fit them is scaled.
"""

from __future__ import annotations

import shlex
from typing import NamedTuple, assert_never

from steadyrun.errors import CannotContainError
from steadyrun.model.limits import CPU_WEIGHT_LOWEST, Limits
from steadyrun.model.machine import Reserve, reserve_of, room_of
from steadyrun.model.plan import LoadKind, LoadSpec, Phase, Plan
from steadyrun.units import MIB, Bytes, Seconds, format_size

MB = 10**6
GB = 10**9

BASELINE = Seconds(10.0)
HOG_HOLD = Seconds(3.0)
STORM_HOLD = Seconds(30.0)
"""The 1-minute load average passes 36 within this time with STORM_PROCESSES runnable."""
STORM_PROCESSES = 96
"""The kernel takes 8 % of the distance to the runnable processes every 5 s, so n of them come to 0.394 n
in 30 s: 90 to 35.4, 96 to 37.8 (measured: 37.95 from 0.1)."""
STORM_MEMORY = Bytes(6 * GB)
HOG_WALL_TIME = Seconds(60.0)
"""20 times HOG_HOLD: filling 4 GB took under 3 s at 2.1 GB/s (measured), an old machine takes longer."""
STORM_WALL_TIME = Seconds(120.0)
OUTPUT_MAX = Bytes(64 * MIB)
"""More than a test suite writes, little enough for every attempt of a ramp to be kept."""
TASKS_MAX = 4096
"""An eighth of the kernel's usual pid_max (32768, proc(5)): a fork bomb ends there with room for the
desktop, and no test suite or build of one workstation comes near it."""

HOG_OVERHEAD = Bytes(14 * MIB)
"""What a hog needs beside its memory: 512.3 MB peak for 500 MB, and 2.2 MB of the kernel's (measured)."""
STORM_OVERHEAD = Bytes(STORM_PROCESSES * 2 * MIB)
"""What the processes of the storm need beside its memory: forked interpreters share most of theirs
(measured: 60 MB for 96, taken three times)."""
SMALLEST_LOAD = Bytes(MIB)

FINAL_LIMIT = Bytes(8000 * MIB)
MINIMUM_RAM = Bytes(512 * MIB)
"""Below this, eight interpreters leave nothing to ramp with."""
LEAST_ROOM = Bytes(MINIMUM_RAM - reserve_of(MINIMUM_RAM).reserve)
"""The plan is made for so much at least. Where less is available the baseline refuses to begin."""
SMALLEST_STEP = 1.1
"""Limits of neighbouring phases differ by at least this factor, else loosening proves nothing."""


class _Row(NamedTuple):
    name: str
    processes: int
    memory: int
    limit: int
    goal: str
    expected: str


_HOGS = (
    _Row(
        "Ultra-Conservative", 1, 500 * MB, 500 * MIB, "Test basic containment", "System should handle easily"
    ),
    _Row("Conservative", 1, GB, 1000 * MIB, "Test higher memory limit", "Should still handle well"),
    _Row(
        "Moderate",
        4,
        500 * MB,
        2000 * MIB,
        "Test multi-process containment",
        "Should handle with some load",
    ),
    _Row(
        "Progressive",
        8,
        500 * MB,
        4000 * MIB,
        "Test higher parallelization",
        "May see load but should stay stable",
    ),
)


def default_plan(
    *,
    effective_ram: Bytes,
    reserve: Reserve,
    available: Bytes | None = None,
    argv: tuple[str, ...] = (),
    problem: str | None = None,
    goal: str | None = None,
    tries: int = 4,
) -> Plan:
    """Make the five phases for a machine of this size.

    Args:
        effective_ram: Bytes; with `reserve` it gives the most a load may have.
        reserve: What a load never gets.
        available: What others leave now, bytes: available, and promised to no other load. `None`: not known.
        argv: The user's command for the last phase; empty takes the built-in storm.
        problem: What brings the machine down, in the user's words; for the log.
        goal: What the ramp is to reach, in the user's words; for the log.
        tries: How often the user's command is tried with more memory.

    Raises:
        CannotContainError: The machine is too small for any ramp.
    """
    if effective_ram < MINIMUM_RAM:
        raise CannotContainError(
            f"effective RAM: expected at least {format_size(MINIMUM_RAM)} for a ramp, "
            f"found {format_size(effective_ram)}",
            hint="steadyrun run --memory 64M -- COMMAND",
        )
    most = Bytes(effective_ram - reserve.reserve)
    ceiling = max(room_of(effective_ram, available, reserve), LEAST_ROOM)
    limits = phase_limits(ceiling)
    there = f"effective RAM {format_size(effective_ram)}"
    if ceiling < most:
        there = f"{format_size(available)} that others leave"
    room = f"{there} less the reserve {format_size(reserve.reserve)}"
    hogs = tuple(
        _hog_phase(n, row, limit, room) for n, (row, limit) in enumerate(zip(_HOGS, limits, strict=False), 1)
    )
    return Plan("default", BASELINE, (*hogs, _last_phase(argv, limits[-1], room)), problem, goal, tries)


def phase_limits(ceiling: Bytes) -> tuple[Bytes, ...]:
    """Return the memory limits of the five phases, strictly increasing, none above `ceiling`.

    Phases that leave room for those after them keep their size; the rest are spread in equal
    ratios from the last that fits to the ceiling.
    """
    nominal = [row.limit for row in _HOGS]
    fits = 0
    while fits < len(nominal) and nominal[fits] * SMALLEST_STEP ** (len(nominal) - fits) <= ceiling:
        fits += 1
    last = min(FINAL_LIMIT, ceiling)
    start = nominal[fits - 1] if fits else last // 4
    steps = len(nominal) + 1 - fits
    spread = [start * (last / start) ** (i / steps) for i in range(1, steps)]
    return tuple(Bytes(_whole_mib(v)) for v in (*nominal[:fits], *spread, last))


def fit_load(load: LoadSpec, memory_max: Bytes) -> LoadSpec:
    """Return the load with its memory cut down to what `memory_max` holds; processes stay.

    A user's command comes back as it is: nobody can scale it.
    """
    match load.kind:
        case LoadKind.COMMAND:
            return load
        case LoadKind.HOG:
            room = memory_max // load.processes - HOG_OVERHEAD
        case LoadKind.STORM:
            room = min(memory_max - STORM_OVERHEAD, memory_max * STORM_MEMORY // FINAL_LIMIT)
        case _:
            assert_never(load.kind)
    if load.memory is None or load.memory <= room:
        return load
    return load._replace(memory=Bytes(max(SMALLEST_LOAD, _whole_mib(room))))


def decimal_size(size: int) -> str:
    """Print bytes in the decimal units of the hogs: `500MB`, `1GB`, `2.4GB`."""
    if size < GB:
        return f"{size / MB:.0f}MB"
    return f"{size / GB:.0f}GB" if size % GB == 0 else f"{size / GB:.1f}GB"


def _whole_mib(size: float) -> int:
    return int(size // MIB) * MIB


def _limits(memory_max: Bytes, wall_time: Seconds | None) -> Limits:
    # No memory_high: without swap a throttle limit below the working set livelocks the load.
    return Limits(
        memory_max=memory_max,
        cpu_weight=CPU_WEIGHT_LOWEST,
        tasks_max=TASKS_MAX,
        wall_time=wall_time,
        output_max=OUTPUT_MAX,
    )


def _scaled(limit: int, nominal: int, room: str) -> str | None:
    if limit >= nominal:
        return None
    return f"scaled from {format_size(nominal)} to {format_size(limit)}: loads get {room}"


def _hog_phase(number: int, row: _Row, limit: Bytes, room: str) -> Phase:
    load = LoadSpec(LoadKind.HOG, row.processes, Bytes(row.memory), HOG_HOLD)
    load = fit_load(load, limit)
    each = load.memory or 0
    total = decimal_size(each * row.processes)
    single = row.processes == 1
    return Phase(
        number=number,
        name=row.name,
        summary=f"Single Process, {total}" if single else f"{row.processes} Processes, {total} total",
        goal=row.goal,
        method=f"Single python process, {total} limit"
        if single
        else f"{row.processes} parallel processes, {decimal_size(each)} each",
        expected=row.expected,
        load=load,
        limits=_limits(limit, HOG_WALL_TIME),
        scaled=_scaled(limit, row.limit, room),
    )


def _last_phase(argv: tuple[str, ...], limit: Bytes, room: str) -> Phase:
    if argv:
        load = LoadSpec(LoadKind.COMMAND, argv=argv)
        what, summary = shlex.join(argv), "Original Test with Limits"
    else:
        load = fit_load(LoadSpec(LoadKind.STORM, STORM_PROCESSES, STORM_MEMORY, STORM_HOLD), limit)
        grows = decimal_size(load.memory or 0)
        what = f"built-in storm ({STORM_PROCESSES} runnable processes, memory growing to {grows})"
        summary = "Built-in Storm with Limits"
    return Phase(
        number=len(_HOGS) + 1,
        name="Advanced",
        summary=summary,
        goal="Test the original crash scenario",
        method=f"{what} with conservative limits",
        expected="Should complete without system crash",
        load=load,
        limits=_limits(limit, None if argv else STORM_WALL_TIME),
        scaled=_scaled(limit, FINAL_LIMIT, room),
    )
