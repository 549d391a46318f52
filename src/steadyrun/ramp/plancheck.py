"""Refuses a plan that cannot or should not be carried out on this machine, with the key to edit.

Pure. A plan goes from most restrictive to loosest, every phase holds its load with a memory limit,
and nothing gets what the machine keeps for itself.
"""

from __future__ import annotations

import math
import shlex

from steadyrun.errors import PlanError
from steadyrun.model.limits import Limits
from steadyrun.model.machine import Reserve
from steadyrun.model.plan import LoadKind, Phase, Plan
from steadyrun.ramp.default_plan import fit_load
from steadyrun.units import MIB, Bytes, format_duration, format_size, size_argument

HINT = "`steadyrun ramp --print-plan` writes one to begin with"
"""Of every error of a plan that has no better one."""
SMALLEST_LIMIT = Bytes(4 * MIB)
"""No interpreter starts below this: the kernel would kill it before its first instruction is through."""


def check_plan(plan: Plan, *, effective_ram: Bytes, reserve: Reserve, source: str = "plan") -> None:
    """Check a plan against the machine and against itself.

    Args:
        plan: As read or as made.
        effective_ram: Bytes.
        reserve: What a load never gets.
        source: The file's name, for messages.

    Raises:
        PlanError: With the path of the first key that is wrong, and what is allowed there.
    """
    if not plan.phases:
        raise PlanError(f"{source}: phase: expected at least one [[phase]] table, found none", hint=HINT)
    _numbers(plan.phases, source)
    ceiling = Bytes(effective_ram - reserve.reserve)
    for position, phase in enumerate(plan.phases, 1):
        where = f"{source}: phase[{position}]"
        _memory(phase.limits, where, ceiling, effective_ram, reserve)
        _load(phase, where)
        if position > 1:
            _not_tighter(plan.phases[position - 2].limits, phase.limits, where, position)


def with_command(plan: Plan, argv: tuple[str, ...], *, source: str = "plan") -> Plan:
    """Return the plan with the user's command in its phases of load `command`.

    Those that name no command of their own get it; where all do, the last one gets it instead.

    Raises:
        PlanError: The plan has no phase that runs a command.
    """
    commands = [n for n, p in enumerate(plan.phases) if p.load.kind is LoadKind.COMMAND]
    if not commands:
        raise PlanError(
            f"{source}: phase: expected one with load = 'command' to run {argv[0]!r} in, found none",
            hint=f"one with such a phase: steadyrun ramp --print-plan -- {shlex.join(argv)} > plan.toml",
        )
    empty = [n for n in commands if not plan.phases[n].load.argv] or commands[-1:]
    phases = tuple(_running(p, argv) if n in empty else p for n, p in enumerate(plan.phases))
    return plan._replace(phases=phases)


def _running(phase: Phase, argv: tuple[str, ...]) -> Phase:
    """Return a phase with another command, also in the words that name the one before."""
    before = shlex.join(phase.load.argv)
    method = phase.method.replace(before, shlex.join(argv)) if before else phase.method
    return phase._replace(load=phase.load._replace(argv=argv), method=method)


def with_ok_exits(plan: Plan, codes: tuple[int, ...]) -> Plan:
    """Return the plan whose commands may also end with these exit codes; 0 always counts."""
    ok_exits = tuple(dict.fromkeys((0, *codes)))
    phases = tuple(
        p._replace(load=p.load._replace(ok_exits=ok_exits)) if p.load.kind is LoadKind.COMMAND else p
        for p in plan.phases
    )
    return plan._replace(phases=phases)


def _numbers(phases: tuple[Phase, ...], source: str) -> None:
    seen: dict[int, int] = {}
    for position, phase in enumerate(phases, 1):
        if phase.number in seen:
            raise PlanError(
                f"{source}: phase[{position}].number: expected a number of its own, "
                f"found {phase.number}, which phase[{seen[phase.number]}] has"
            )
        seen[phase.number] = position


def _memory(limits: Limits, where: str, ceiling: Bytes, effective_ram: Bytes, reserve: Reserve) -> None:
    most = size_argument(ceiling // MIB * MIB)
    if limits.memory_max is None:
        raise PlanError(f"{where}.memory_max: expected a limit of at most {most}, found none")
    if limits.memory_max > ceiling:
        raise PlanError(
            f"{where}.memory_max: expected at most {most} (effective RAM {format_size(effective_ram)} less "
            f"the reserve {format_size(reserve.reserve)}), found {format_size(limits.memory_max)}",
            hint=f'memory_max = "{most}"',
        )
    if limits.memory_max < SMALLEST_LIMIT:
        least = size_argument(SMALLEST_LIMIT)
        raise PlanError(
            f"{where}.memory_max: expected at least {least}, found {format_size(limits.memory_max)}"
        )
    if limits.memory_high is not None and limits.memory_high > limits.memory_max:
        raise PlanError(
            f"{where}.memory_high: expected at most memory_max, {format_size(limits.memory_max)}, "
            f"found {format_size(limits.memory_high)}"
        )


def _load(phase: Phase, where: str) -> None:
    if phase.load.kind is LoadKind.COMMAND and not (phase.load.argv and phase.load.argv[0]):
        raise PlanError(
            f"{where}.command: expected a command and its arguments, found nothing",
            hint="steadyrun ramp PLAN -- COMMAND",
        )
    if phase.load.kind is not LoadKind.COMMAND:
        _built_in(phase, where)


def _built_in(phase: Phase, where: str) -> None:
    """Refuse a built-in load that cannot but be killed at its own limits."""
    load, limits = phase.load, phase.limits
    if not load.memory:
        raise PlanError(f"{where}.memory: expected at least one byte, found nothing")
    asked = load.memory_in_all
    if limits.memory_max is not None and limits.swap_max is not None:
        room = Bytes(limits.memory_max + limits.swap_max)
        if asked >= room:
            fits = size_argument(fit_load(load, room).memory or MIB)
            raise PlanError(
                f"{where}.memory: expected less than memory_max and swap_max hold, {format_size(room)}, for "
                f"all its processes together, found {format_size(asked)}: the kernel would kill it there",
                hint=f'memory = "{fits}", or a larger memory_max',
            )
    if limits.wall_time is not None and load.hold >= limits.wall_time:
        raise PlanError(
            f"{where}.hold: expected less than wall_time, {format_duration(limits.wall_time)}, "
            f"found {format_duration(load.hold)}"
        )


def _not_tighter(before: Limits, after: Limits, where: str, position: int) -> None:
    """Refuse a phase that is tighter than the one before it; no limit at all is the loosest."""
    for name in ("memory_max", "swap_max", "cpu_max"):
        earlier, later = getattr(before, name), getattr(after, name)
        if later is not None and (math.inf if earlier is None else earlier) > later:
            least, found = _shown(name, earlier), _shown(name, later)
            raise PlanError(
                f"{where}.{name}: expected {least}, as phase[{position - 1}] has, or looser, found {found} "
                "(phases go from most restrictive to loosest)",
                hint=_looser_hint(name, earlier, later, position),
            )


def _looser_hint(name: str, earlier: float | None, later: float, position: int) -> str:
    before = f"give phase[{position - 1}] and those before it {name} = {_written(name, later)} or less"
    return f"{before}, or {'leave it out' if earlier is None else 'raise it'} here"


def _written(name: str, value: float) -> str:
    return f"{value:g}" if name == "cpu_max" else f'"{size_argument(int(value))}"'


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "no limit"
    return f"{value:g} cores" if name == "cpu_max" else format_size(int(value))
