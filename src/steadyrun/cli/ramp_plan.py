"""The plan of a ramp: from a file or the default, checked against the machine, shown before it runs."""

from __future__ import annotations

import argparse
import json
import os
import shlex

from steadyrun.cli.identity import owner_of
from steadyrun.cli.settings import Settings
from steadyrun.contain.choose import choose
from steadyrun.contain.facts import read_facts
from steadyrun.contain.open import open_backend
from steadyrun.contain.promises import left_by_others
from steadyrun.errors import EXIT_OK, SteadyrunError, UsageError
from steadyrun.kernel.reader import available_memory
from steadyrun.model.argv import shell_hint
from steadyrun.model.containment import Choice
from steadyrun.model.machine import MachineFacts, Reserve, reserve_for
from steadyrun.model.plan import LoadKind, Phase, Plan, RunAs
from steadyrun.model.record import Attempt, RunRecord
from steadyrun.ramp.default_plan import default_plan
from steadyrun.ramp.plancheck import check_plan, with_command, with_ok_exits
from steadyrun.ramp.planfile import read_plan
from steadyrun.ramp.recovery import RECOVERY_LIMIT
from steadyrun.ramp.schedule import Finish, RunPhase, Step, left_to_do, most_memory, next_step
from steadyrun.report.others import other_lines
from steadyrun.report.rights import rights_of
from steadyrun.run.allowance import beyond_cores
from steadyrun.units import Bytes, Seconds, format_duration, format_size, parse_count, parse_exit_codes

DEFAULT_TRIES = 4
USUAL_RECOVERY = Seconds(3.0)
FILL_RATE = 10**9
"""Bytes a second a hog fills at least, for the estimate alone."""


def plan_for(
    args: argparse.Namespace,
    settings: Settings,
    machine: MachineFacts,
    user: RunAs | None,
    *,
    earlier: Plan | None,
) -> Plan:
    """Return the checked plan: of the file, else the one of the ramp to go on from, else the default.

    Raises:
        UsageError: The command does not exist, or an option has no meaning.
        PlanError: The plan file cannot be carried out here.
    """
    ram = machine.effective_ram or Bytes(0)
    reserve = reserve_for(machine, ram)
    tries = args.tries or settings.text("tries")
    if args.plan:
        plan = read_plan(_read(args.plan, user), source=args.plan)
        plan = with_command(plan, args.argv, source=args.plan) if args.argv else plan
    elif earlier is not None:
        plan = with_command(earlier, args.argv, source="the earlier plan") if args.argv else earlier
    else:
        plan = default_plan(
            effective_ram=ram,
            reserve=reserve,
            available=_left(),
            argv=args.argv,
            problem=None,
            goal=None,
            tries=DEFAULT_TRIES,
        )
    plan = plan._replace(
        problem=args.problem or settings.text("problem") or plan.problem,
        goal=args.goal or settings.text("goal") or plan.goal,
        tries=parse_count(tries, source="--tries") if tries else plan.tries,
    )
    if args.ok_exit:
        plan = with_ok_exits(plan, parse_exit_codes(args.ok_exit, source="--ok-exit"))
    if args.accept_weak:
        plan = plan._replace(phases=tuple(p for p in plan.phases if p.load.kind is not LoadKind.STORM))
    check_plan(plan, effective_ram=ram, reserve=reserve, source=args.plan or "plan")
    for number, phase in enumerate(plan.phases, 1):
        if phase.load.kind is LoadKind.COMMAND:
            expect_command(phase.load.argv, source=_said_in(args, number))
    return plan


def _said_in(args: argparse.Namespace, number: int) -> str:
    """Say where the command of a phase is written down; empty: a person has just typed it."""
    return f"{args.plan}: phase[{number}].command: " if args.plan and not args.argv else ""


def _left() -> Bytes | None:
    """Return what is available less what the loads that run now were promised, in bytes."""
    available = available_memory()
    facts = read_facts()
    try:
        return left_by_others(available, open_backend(choose(facts).backend, facts))
    except SteadyrunError:  # there is no containment: said by whoever needs one
        return available


def _read(path: str, user: RunAs | None) -> str:
    try:
        with rights_of(owner_of(user)), open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "text that is not UTF-8"
        raise UsageError(
            f"{path}: expected a plan, found: {reason}",
            hint="`steadyrun ramp --print-plan > plan.toml` writes one; "
            f"a command goes after --: steadyrun ramp -- {path}",
        ) from None


def expect_command(argv: tuple[str, ...], *, source: str = "") -> None:
    """Refuse a command that cannot be executed, before anything runs.

    Args:
        argv: The command.
        source: Where it is written down, before the message.

    Raises:
        UsageError: There is none of that name, or it is not executable.
    """
    name = argv[0]
    folders = [""] if "/" in name else os.environ.get("PATH", os.defpath).split(":")
    found = [os.path.join(folder, name) for folder in folders if os.path.isfile(os.path.join(folder, name))]
    if not found:
        apart = _words_apart(argv) if source else ""
        raise UsageError(
            f"{source}{name}: expected a command, found none of that name",
            hint=apart or shell_hint(argv) or "check its spelling and PATH",
        )
    if not any(os.access(path, os.X_OK) for path in found):
        raise UsageError(
            f"{source}{found[0]}: expected a command, found a file that is not executable",
            hint=f"chmod +x {found[0]}",
        )


def _words_apart(argv: tuple[str, ...]) -> str:
    """Return how a plan writes a command whose first string holds several words; empty: it does not."""
    words = argv[0].split()
    if len(words) == 1 or any(shlex.quote(word) != word for word in words):
        return ""
    return f"each word is a string of its own: command = {json.dumps([*words, *argv[1:]])}"


def describe(
    plan: Plan,
    machine: MachineFacts,
    choice: Choice,
    user: RunAs | None,
    *,
    lasts: tuple[str, ...] = (),
    carried: tuple[Attempt, ...] = (),
) -> str:
    """Say what will be done, before anything runs: the most memory and time, what stays, how to stop.

    `lasts` are lines about what becomes of it when the session ends or the machine crashes, `carried` the
    tries of the ramp it goes on from.
    """
    ram = machine.effective_ram or Bytes(0)
    reserve = reserve_for(machine, ram)
    left = plan._replace(phases=left_to_do(plan, carried))
    lines = [
        f"steadyrun ramp on {machine.hostname}: {machine.cores} cores, {format_size(ram)} of RAM, "
        f"containment {choice.backend.value}",
        f"{_how_much(left, ram, reserve, carried)}; {format_size(reserve.reserve)} "
        "of RAM stay out of their reach.",
        *other_lines(machine, reserve),
        f"It takes {_how_long(left)}.",
        "Nothing lasting is changed, nothing is installed. "
        "Ctrl-C stops it, or `steadyrun stop` from elsewhere.",
        *lasts,
    ]
    if choice.backend.is_weak:
        lines.append(
            "CONTAINMENT NOT GUARANTEED: no cgroup is to be had here, limits are polled, not enforced."
        )
    if user is not None:
        lines.append(f"The loads run as {user.name}.")
    lines += [
        "",
        f"Phase 0: Baseline: the machine is watched for {format_duration(plan.baseline)}, then the",
        "containment is proved with loads of a few MiB.",
    ]
    for phase in plan.phases:
        is_left = phase in left.phases
        lines += ["", *(_phase(phase, machine.cores) if is_left else (f"{_title(phase)}: has passed",))]
    return "\n".join(lines) + "\n\n"


def goes_on_words(plan: Plan, machine: MachineFacts, earlier: RunRecord | None) -> tuple[str, ...]:
    """Say where a ramp that goes on begins; nothing of one that begins."""
    if earlier is None:
        return ()
    step = _next(plan, machine, earlier)
    after = f"It goes on from run {earlier.header.run_id}"
    if isinstance(step, RunPhase):
        return (f"{after} at phase {step.label} ({step.phase.name}); what passed is not done again.",)
    if step.exit_code == EXIT_OK:
        return (f"{after}, where every phase passed: only the baseline and the proofs are done again.",)
    return (f"{after}, and comes no further: {step.reason}",)


def has_all_passed(plan: Plan, machine: MachineFacts, earlier: RunRecord) -> bool:
    """Tell whether an earlier ramp has left nothing of this plan to be done."""
    step = _next(plan, machine, earlier)
    return isinstance(step, Finish) and step.exit_code == EXIT_OK


def _next(plan: Plan, machine: MachineFacts, earlier: RunRecord) -> Step:
    ram = machine.effective_ram or Bytes(0)
    ceiling = Bytes(ram - reserve_for(machine, ram).reserve)
    return next_step(plan, (), ceiling=ceiling, effective_ram=ram, carried=earlier.attempts)


def _title(phase: Phase) -> str:
    summary = f" ({phase.summary})" if phase.summary else ""
    return f"Phase {phase.number}: {phase.name}{summary}"


def _phase(phase: Phase, cores: int) -> list[str]:
    limits = phase.limits
    told = (("Goal", phase.goal), ("Method", phase.method), ("Expected", phase.expected))
    lines = [f"{_title(phase)}, hard limit {format_size(limits.memory_max)}"]
    lines += [f"  {what}: {words}" for what, words in told if words]
    if phase.scaled:
        lines.append(f"  Scaled: {phase.scaled}")
    if words := beyond_cores(limits.cpu_max, cores):
        lines.append(f"  cpu_max {words}")
    if phase.load.kind is LoadKind.COMMAND:
        lines.append(f"  Command: {shlex.join(phase.load.argv)}")
    return lines


def _how_much(plan: Plan, ram: Bytes, reserve: Reserve, carried: tuple[Attempt, ...]) -> str:
    if not plan.phases:
        return "No load is run but the proofs'"
    planned = Bytes(max(phase.limits.memory_max or 0 for phase in plan.phases))
    ceiling = Bytes(ram - reserve.reserve)
    most = most_memory(plan, ceiling=ceiling, effective_ram=ram, carried=carried)
    words = f"The loads get at most {format_size(most)}"
    if most > planned:
        words += f" ({format_size(planned)}, and more where the command is killed at its limit)"
    return words


def _how_long(plan: Plan) -> str:
    usual = float(plan.baseline) + 5.0
    longest: float | None = usual
    for phase in plan.phases:
        load, wall = phase.load, phase.limits.wall_time
        command = load.kind is LoadKind.COMMAND
        if not command:
            lasts = load.hold + load.memory_in_all / FILL_RATE
            usual += USUAL_RECOVERY + (lasts if wall is None else min(lasts, wall))
        tries = plan.tries if command else 1
        longest = None if longest is None or wall is None else longest + (wall + RECOVERY_LIMIT) * tries
    commands = any(p.load.kind is LoadKind.COMMAND for p in plan.phases)
    words = f"about {format_duration(usual)}" + (" and the time of your command" if commands else "")
    if longest is None:
        return words
    return f"{words}, at most {format_duration(longest)} unless a phase has to be repeated"
