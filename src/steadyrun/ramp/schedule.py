"""What a ramp does next: which phase, under which limits, or that it is over and why.

Pure: the plan and what was tried come in, one step comes out; called with the same record it gives
the same step. Three rules hold whatever the judge says. No limit is ever above the ceiling. A crash
is followed by less, and nothing is tried again as high as what crashed. It always comes to an end.
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

from steadyrun import errors
from steadyrun.model.fate import fate_of, machine_words
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import Ending
from steadyrun.model.plan import LoadKind, Phase, Plan
from steadyrun.model.record import BROKE_OFF, SAYS_NOTHING, Attempt, State
from steadyrun.model.run import Down
from steadyrun.model.validity import why_void
from steadyrun.model.verdict import Answer, Verdict
from steadyrun.ramp.advice import end_of_tries
from steadyrun.ramp.checks_job import ended_in_words
from steadyrun.ramp.default_plan import fit_load
from steadyrun.report.ending import tasks_refused
from steadyrun.units import MIB, Bytes, format_size

RAISE_PERCENT = 150
RAISE_RAM_PERCENT = 8
"""Of effective RAM. min(x 1.5, + 8 %) lost none of 4,000 simulated machines, where doubling lost 13
to 49 % of them and x 1.5 alone 2 to 47 %. Whole percents, so that no size is a byte off by a float."""
CRASH_PERCENT = 70
"""After a crash the next try gets this share of what held last."""
CRASH_CAP_PERCENT = 90
"""Nothing that follows a crash gets more than this share of what crashed (the derating of the same
simulation)."""
VOTES = 2
"""Of three tries: so many degraded ones fail a phase, so many passed ones outvote a degraded one."""
REPEATS = 2
"""How often a try that says nothing (suspend, clock jump, others on the CPUs, interruption) is made again."""


class RunPhase(NamedTuple):
    """The next try."""

    phase: Phase
    """As planned; the load alone is cut down where `limits` hold less than was planned."""
    label: str
    """`5` for the first try of phase 5, `5.2` for the next, also of a run that goes on from another."""
    limits: Limits
    announcement: str
    """Why this try has these limits; empty when they are the plan's."""
    status: str
    """`Ready for Phase 5.2`."""


class Finish(NamedTuple):
    """The ramp is over."""

    exit_code: int
    reason: str
    passed_limits: Limits | None
    """The last limits that held; `None` when nothing did."""
    status: str


Step = RunPhase | Finish


class _Crash(NamedTuple):
    """What is known from runs that took the machine down."""

    memory: Bytes
    """The smallest memory limit that did."""
    before: Limits | None
    """What held last before the last crash."""
    since: Limits | None
    """What held last after it."""


class _Bounds(NamedTuple):
    """What no step may pass."""

    ceiling: Bytes
    """The most memory of any try from here on; below what crashed."""
    effective_ram: Bytes
    first: Bytes
    """Phase 1's memory limit: less than this is for a person to decide."""
    held: Limits | None
    """Of the last try that passed."""
    crash: _Crash | None
    tried: tuple[Attempt, ...]
    """All tries so far, those of earlier runs among them: what the labels count on from."""


def next_step(
    plan: Plan,
    attempts: tuple[Attempt, ...],
    *,
    ceiling: Bytes,
    effective_ram: Bytes,
    carried: tuple[Attempt, ...] = (),
    downs: tuple[Down, ...] = (),
) -> Step:
    """Decide what comes next.

    Args:
        plan: Phases in order; at least one.
        attempts: All tries of this run so far, each over and judged.
        ceiling: The most memory a load may be given, bytes (`room_of`).
        effective_ram: Bytes; the steps of the user's command are a share of it.
        carried: The tries of the runs that this one goes on from, oldest first.
        downs: Boots that ended in those runs while no phase was running.
    """
    bounds = _bounds(plan, (*carried, *attempts), ceiling, effective_ram)
    for phase in plan.phases:
        tries = tuple(a for a in attempts if a.phase.number == phase.number)
        earlier = _tries_before(phase, carried)
        if tries and not _has_passed(tries):
            return _again(plan, phase, tries, bounds)
        if not tries and not _has_passed(earlier):
            return _first_try(phase, earlier, bounds)
    count = len(plan.phases)
    reason = f"all {count} phases passed" if count > 1 else "the phase passed"
    words = machine_words(fate_of((*carried, *attempts), downs))
    return Finish(errors.EXIT_OK, f"{reason}, {words}", bounds.held, "All phases passed")


def left_to_do(plan: Plan, carried: tuple[Attempt, ...]) -> tuple[Phase, ...]:
    """Return the phases that did not pass in the runs that this one goes on from; all of one that begins."""
    return tuple(phase for phase in plan.phases if not _has_passed(_tries_before(phase, carried)))


def most_memory(
    plan: Plan, *, ceiling: Bytes, effective_ram: Bytes, carried: tuple[Attempt, ...] = ()
) -> Bytes:
    """Return the most memory that any try may get: the plan's limits, and those a killed command is given.

    Args:
        plan: Phases in order.
        ceiling: The most memory a load may be given, bytes.
        effective_ram: Bytes.
        carried: The tries of the runs that this one goes on from: one that broke off goes on as high.
    """
    bounds = _bounds(plan, (), ceiling, effective_ram)
    most = 0
    for phase in plan.phases:
        earlier = (a.limits for a in _tries_before(phase, carried))
        memory = Bytes(max(min(_memory(each, ceiling), ceiling) for each in (phase.limits, *earlier)))
        for _ in range(plan.tries - 1 if phase.load.kind is LoadKind.COMMAND else 0):
            memory = max(memory, _raised(memory, bounds))
        most = max(most, memory)
    return Bytes(most)


def _bounds(plan: Plan, tried: tuple[Attempt, ...], ceiling: Bytes, effective_ram: Bytes) -> _Bounds:
    first = _memory(plan.phases[0].limits, ceiling)
    held = _last_passed(tried)
    crashes = [n for n, a in enumerate(tried) if a.state is State.CRASHED]
    if not crashes:
        return _Bounds(ceiling, effective_ram, first, held, None, tried)
    smallest = min(_memory(tried[n].limits, ceiling) for n in crashes)
    crash = _Crash(smallest, _last_passed(tried[: crashes[-1]]), _last_passed(tried[crashes[-1] :]))
    lowered = Bytes(min(ceiling, smallest * CRASH_CAP_PERCENT // 100))
    return _Bounds(lowered, effective_ram, first, held, crash, tried)


def _last_passed(tried: tuple[Attempt, ...]) -> Limits | None:
    return next((a.limits for a in reversed(tried) if a.state is State.PASSED), None)


def _memory(limits: Limits, ceiling: Bytes) -> Bytes:
    """Return the memory limit in force, bytes; one that was not asked for is the ceiling."""
    return ceiling if limits.memory_max is None else limits.memory_max


def _tries_before(phase: Phase, carried: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    return tuple(a for a in carried if _is_same(a.phase, phase))


def _is_same(tried: Phase, phase: Phase) -> bool:
    """Tell whether a phase of an earlier run is this one: a changed plan is not held by an old pass."""
    ours, theirs = phase.load, tried.load
    same_load = (ours.kind, ours.argv, ours.processes) == (theirs.kind, theirs.argv, theirs.processes)
    return tried.number == phase.number and tried.limits == phase.limits and same_load


def _has_passed(tries: tuple[Attempt, ...]) -> bool:
    """Tell whether the tries under the last limits passed; a degraded one has to be outvoted 2 to 1."""
    if not tries or tries[-1].state is not State.PASSED:
        return False
    passed, degraded = _votes(tries)
    return passed >= VOTES or degraded == 0


def _votes(tries: tuple[Attempt, ...]) -> tuple[int, int]:
    """Return how many tries under the last try's limits passed, and how many were degraded."""
    states = [a.state for a in tries if a.limits == tries[-1].limits]
    return states.count(State.PASSED), states.count(State.DEGRADED)


# -- the first try of a phase ----------------------------------------------------------------------


def _first_try(phase: Phase, earlier: tuple[Attempt, ...], bounds: _Bounds) -> Step:
    """Start a phase: under the plan's limits, or where an earlier run broke off, never above."""
    if bounds.crash is not None:
        return _after_crash(phase, bounds, bounds.crash)
    if earlier and earlier[-1].state in BROKE_OFF:
        words = f"goes on where an earlier run broke off, at phase {earlier[-1].label}"
        return _run(phase, earlier[-1].limits, words, bounds)
    asked = phase.limits.memory_max
    if asked is not None and asked <= bounds.ceiling:
        return _run(phase, phase.limits, "", bounds)
    found = "no memory limit" if asked is None else format_size(asked)
    words = f"{format_size(bounds.ceiling)} instead of {found}: loads have no more here"
    return _run(phase, phase.limits, words, bounds)


def _after_crash(phase: Phase, bounds: _Bounds, crash: _Crash) -> Step:
    """Go on after a crash: 0.7 of what held; once that has held, small steps, never near the crash."""
    planned = _memory(phase.limits, bounds.ceiling)
    why = ""
    if crash.since is not None:
        memory: int = min(planned, _raised(_memory(crash.since, bounds.ceiling), bounds))
    else:
        base = None if crash.before is None else min(_memory(crash.before, bounds.ceiling), crash.memory)
        memory = 0 if base is None else min(planned, _whole_mib(base * CRASH_PERCENT // 100))
        if base is not None and memory < planned:
            why = f", {CRASH_PERCENT} % of the {format_size(base)} that held before"
    crashed = f"an earlier run took the machine down at {format_size(crash.memory)}"
    if memory < bounds.first:
        held = "nothing held before it" if crash.before is None else f"{format_size(memory)} would be next"
        reason = f"{crashed} and {held}, less than phase 1: expected a person to decide how to go on"
        return Finish(errors.EXIT_DECISION_NEEDED, reason, bounds.held, "A decision is needed")
    limits = _with_memory(phase.limits, Bytes(memory))
    return _run(phase, limits, f"{crashed}; {format_size(memory)} now{why}", bounds)


# -- another try of a phase ------------------------------------------------------------------------


def _again(plan: Plan, phase: Phase, tries: tuple[Attempt, ...], bounds: _Bounds) -> Step:
    """Go on after a try that did not settle its phase."""
    last = tries[-1]
    match last.state:
        case State.PASSED | State.DEGRADED:
            return _vote(phase, tries, bounds)
        case State.INVALID | State.INTERRUPTED | State.READY | State.RUNNING | State.RECOVERING:
            return _once_more(phase, tries, bounds)
        case State.CRASHED:
            crash = bounds.crash or _Crash(_memory(last.limits, bounds.ceiling), None, None)
            return _after_crash(phase, bounds, crash)
        case State.STOPPED:
            return Finish(errors.EXIT_INTERRUPTED, f"stopped in phase {last.label}", bounds.held, "Stopped")
        case State.FAILED | State.UNKNOWN:
            return _after_no(plan, phase, tries, bounds)
        case _:
            assert_never(last.state)


def _vote(phase: Phase, tries: tuple[Attempt, ...], bounds: _Bounds) -> Step:
    last, (passed, degraded) = tries[-1], _votes(tries)
    if degraded >= VOTES:
        return _host_gave_way(phase, last, bounds, f"was degraded {degraded} times ({_why(last.host)})")
    words = (
        f"the machine was degraded ({_why(last.host)}): the same again, 2 of 3 decide"
        if last.state is State.DEGRADED
        else f"{passed} passed, {degraded} degraded: once more, 2 of 3 decide"
    )
    return _run(phase, last.limits, words, bounds)


def _once_more(phase: Phase, tries: tuple[Attempt, ...], bounds: _Bounds) -> Step:
    last = tries[-1]
    lost = sum(a.state in SAYS_NOTHING for a in tries)
    if lost > REPEATS:
        return _host_gave_way(phase, last, bounds, f"could not be judged in {lost} tries ({_void(last)})")
    words = f"the try before says nothing about the machine ({_void(last)}): the same again"
    return _run(phase, last.limits, words, bounds)


def _after_no(plan: Plan, phase: Phase, tries: tuple[Attempt, ...], bounds: _Bounds) -> Step:
    last = tries[-1]
    if last.host is None or last.host.answer is Answer.UNKNOWN:
        return _host_gave_way(phase, last, bounds, f"could not be told to have held ({_why(last.host)})")
    if last.host.answer is Answer.NO:
        return _host_gave_way(phase, last, bounds, f"did not hold ({_why(last.host)})")
    if phase.load.kind is LoadKind.COMMAND and _killed_at_memory(last):
        return _loosen(plan, phase, tries, bounds)
    what = "the command" if phase.load.kind is LoadKind.COMMAND else "the built-in load"
    untold = last.job is not None and last.job.answer is Answer.UNKNOWN
    did = f"whether {what} did its work is not known" if untold else f"{what} did not do its work"
    return _job_failed(phase, last, bounds, f"{did}: {_job_words(last)}")


def _loosen(plan: Plan, phase: Phase, tries: tuple[Attempt, ...], bounds: _Bounds) -> Step:
    """Give the user's command more memory, while there are tries and there is memory."""
    last = tries[-1]
    memory = _memory(last.limits, bounds.ceiling)
    killed = sum(_killed_at_memory(a) for a in tries)
    more = _raised(memory, bounds)
    if more <= memory or killed >= plan.tries:
        outcome = None if last.evidence is None else last.evidence.outcome
        words = end_of_tries(outcome, memory=memory, ceiling=bounds.ceiling, tries=killed)
        return _job_failed(phase, last, bounds, words)
    words = (
        f"the command was killed at {format_size(memory)} and the machine held: "
        f"again with {format_size(more)} (at most {format_size(bounds.ceiling)})"
    )
    return _run(phase, _with_memory(last.limits, more), words, bounds)


def _killed_at_memory(attempt: Attempt) -> bool:
    outcome = None if attempt.evidence is None else attempt.evidence.outcome
    if outcome is None or attempt.state is not State.FAILED:
        return False
    killed_inside = outcome.ending is Ending.EXITED and bool(outcome.kills_at_limit)
    return outcome.ending is Ending.MEMORY_LIMIT or killed_inside


def _raised(memory: Bytes, bounds: _Bounds) -> Bytes:
    """Return the next larger memory limit, bytes; at the ceiling it is the same or the ceiling."""
    step = min(memory * RAISE_PERCENT, memory * 100 + bounds.effective_ram * RAISE_RAM_PERCENT) // 100
    return Bytes(min(_whole_mib(step), bounds.ceiling))


# -- making steps ----------------------------------------------------------------------------------


def _run(phase: Phase, limits: Limits, words: str, bounds: _Bounds) -> RunPhase:
    """Make the step; every limit and every load passes here and is held below the ceiling."""
    before = sum(a.phase.number == phase.number for a in bounds.tried)
    label = f"{phase.number}.{before + 1}" if before else str(phase.number)
    memory = Bytes(min(_memory(limits, bounds.ceiling), bounds.ceiling))
    if memory < _memory(phase.limits, bounds.ceiling) or phase.limits.memory_max is None:
        load = fit_load(phase.load, memory)
        if load != phase.load:
            phase = phase._replace(load=load, scaled=f"scaled to fit {format_size(memory)}: {words}")
    return RunPhase(phase, label, _with_memory(limits, memory), words, f"Ready for Phase {label}")


def _with_memory(limits: Limits, memory: Bytes) -> Limits:
    """Return the limits with another hard limit; the throttle limit keeps its share of it."""
    old, high = limits.memory_max, limits.memory_high
    if high is not None and old != memory:
        high = Bytes(min(high, memory) if old is None else high * memory // old)
    return limits._replace(memory_max=memory, memory_high=high)


def _whole_mib(size: int) -> Bytes:
    return Bytes(size // MIB * MIB)


def _host_gave_way(phase: Phase, last: Attempt, bounds: _Bounds, words: str) -> Finish:
    back = (
        "nothing held before"
        if bounds.held is None
        else f"back to the last limits that held, {format_size(bounds.held.memory_max)}"
    )
    reason = f"phase {last.label} ({phase.name}): the machine {words}; {back}"
    return Finish(errors.EXIT_HOST_FAILED, reason, bounds.held, f"Ended at Phase {last.label}: host")


def _job_failed(phase: Phase, last: Attempt, bounds: _Bounds, words: str) -> Finish:
    reason = f"phase {last.label} ({phase.name}): {words}; the machine held"
    return Finish(errors.EXIT_JOB_FAILED, reason, bounds.held, f"Ended at Phase {last.label}: job")


def _void(attempt: Attempt) -> str:
    """Say why a try says nothing."""
    why = None if attempt.evidence is None else why_void(attempt.evidence)
    return why if why and attempt.state is State.INVALID else attempt.state.value.lower()


def _why(verdict: Verdict | None) -> str:
    """Name the first check that kept the verdict from being yes, with what it found."""
    failed = () if verdict is None else verdict.failed()
    if not failed:
        return "no verdict"
    found = failed[0].worst or failed[0].after
    return f"{failed[0].name}: {found}" if found else f"{failed[0].name}: {failed[0].why}"


def _job_words(attempt: Attempt) -> str:
    outcome = None if attempt.evidence is None else attempt.evidence.outcome
    failed = () if attempt.job is None else attempt.job.failed()
    ended = "how it ended is unknown" if outcome is None else ended_in_words(outcome)
    others = "; ".join(f"{c.name}: {c.after}" for c in failed if c.after != ended)
    if outcome is not None and outcome.forks_refused:
        others = "; ".join(filter(None, (others, tasks_refused(outcome, attempt.limits))))
    return f"{ended} ({others})" if others else ended
