"""Did the load do its work inside its limits: the checks of the job verdict.

Pure. Never looks at how the machine was meanwhile: that is the host verdict's.
"""

from __future__ import annotations

from typing import assert_never

from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.outcome import Ending, LoadOutcome
from steadyrun.model.plan import LoadKind, Phase
from steadyrun.model.record import Evidence
from steadyrun.model.validity import STARVED, CpuShare, cpu_share
from steadyrun.model.verdict import Answer, Check, Scope
from steadyrun.units import format_duration, format_size

EXIT = "exit status"
MEMORY_LIMIT = "not killed at the memory limit"
WALL_TIME = "within its wall time"
WORK = "finished its work"
PEAK = "peak within the hard limit"
SURVIVORS = "no process left"
REMOVED = "containment removed"
APPLIED = "limits applied"

SOFT = frozenset({"memory_high", "cpu_weight", "io_weight"})
"""Limits that shape a load and hold nothing: one that was not applied is a finding, not a verdict."""


def job_checks(phase: Phase, limits: Limits, evidence: Evidence, *, weak: bool) -> tuple[Check, ...]:
    """Return every check of the job verdict, in the order a person reads them.

    Args:
        phase: What the load was.
        limits: What it was given; of a repeated phase more than `phase.limits`.
        evidence: With an `outcome` of `None` everything about the load is unknown.
        weak: The containment is not guaranteed by the kernel, and the user accepted that.
    """
    outcome = evidence.outcome
    if outcome is None:
        return (_check(EXIT, Answer.UNKNOWN, "unknown", "the guard never told how the load ended"),)
    return (
        _exit(outcome, phase.load.ok_exits),
        _memory_limit(outcome, limits, weak=weak),
        _wall_time(outcome, limits),
        _work(phase, limits, evidence, outcome, weak=weak),
        _peak(outcome, limits, weak=weak),
        _survivors(outcome),
        _removed(outcome),
        _applied(evidence, weak=weak),
    )


def not_held(evidence: Evidence) -> tuple[ReadBack, ...]:
    """Return the limits that were asked for and are not enforced.

    A swap limit on a machine without swap holds by itself: there is nothing to swap to.
    """
    no_swap = evidence.before.host.swap_total == 0
    return tuple(r for r in evidence.readback if not r.held and not (no_swap and r.name == "swap_max"))


def ended_in_words(outcome: LoadOutcome) -> str:
    """Say how the load ended: `exit code 1`, `signal 9`, `wall-time`."""
    if outcome.ending is Ending.NOT_STARTED:
        return f"not started: {outcome.start_error or 'no reason was given'}"
    if outcome.ending is not Ending.EXITED:
        return str(outcome.ending.value)
    if outcome.signal is not None:
        return f"signal {outcome.signal}"
    return "unknown" if outcome.exit_code is None else f"exit code {outcome.exit_code}"


def time_on_cpus(share: CpuShare) -> str:
    """Say what a load had of the CPUs: `1.7 s of CPU in 60 s, waiting for one 97 % of the time`."""
    waited = "how long it waited for one is not known"
    if share.waited is not None and share.ran > 0:
        waited = f"waiting for one {share.waited / share.ran:.0%} of the time"
    return f"{format_duration(share.had)} of CPU in {format_duration(share.ran)}, {waited}"


def _check(name: str, answer: Answer, found: str, why: str) -> Check:
    return Check(name, Scope.JOB, answer, before="", worst="", after=found, why=why)


def _exit(outcome: LoadOutcome, ok_exits: tuple[int, ...]) -> Check:
    answer, why = _exit_answer(outcome, ok_exits)
    return _check(EXIT, answer, ended_in_words(outcome), why)


def _exit_answer(outcome: LoadOutcome, ok_exits: tuple[int, ...]) -> tuple[Answer, str]:
    wanted = "exit code " + " or ".join(map(str, ok_exits))
    match outcome.ending:
        case Ending.EXITED:
            if outcome.signal is None and outcome.exit_code is None:
                return Answer.UNKNOWN, "it ended by itself, how could not be told"
            return Answer.of(outcome.signal is None and outcome.exit_code in ok_exits), wanted
        case Ending.UNKNOWN | Ending.STOPPED | Ending.GUARD_GONE | Ending.CONDUCTOR_GONE:
            return Answer.UNKNOWN, "it did not come to its end"
        case (
            Ending.MEMORY_LIMIT
            | Ending.WALL_TIME
            | Ending.HOST_MEMORY
            | Ending.HOST_PRESSURE
            | Ending.CONTAINMENT_GONE
            | Ending.NOT_STARTED
        ):
            return Answer.NO, f"it was to end by itself with {wanted}"
        case _:
            assert_never(outcome.ending)


def _memory_limit(outcome: LoadOutcome, limits: Limits, *, weak: bool) -> Check:
    # Also when it exited 0: a killed worker can leave its parent's exit code alone.
    kills = outcome.kills_at_limit
    why = f"OOM kills at {format_size(limits.memory_max)}: 0" if limits.memory_max else "no memory limit"
    if outcome.ending is Ending.MEMORY_LIMIT or kills:
        return _check(MEMORY_LIMIT, Answer.NO, "killed" if kills is None else f"{kills} killed", why)
    if kills is None and weak:
        return _check(MEMORY_LIMIT, Answer.NOT_APPLICABLE, "", "OOM kills are counted by a cgroup alone")
    if kills is None:
        return _check(MEMORY_LIMIT, Answer.UNKNOWN, "unknown", "OOM kills inside could not be read")
    return _check(MEMORY_LIMIT, Answer.YES, "0 killed", why)


def _wall_time(outcome: LoadOutcome, limits: Limits) -> Check:
    if limits.wall_time is None:
        return _check(WALL_TIME, Answer.NOT_APPLICABLE, format_duration(outcome.wall), "no limit was set")
    answer = Answer.of(outcome.ending is not Ending.WALL_TIME)
    why = f"at most {format_duration(limits.wall_time)}, time frozen not counted"
    share = cpu_share(outcome)
    if answer is Answer.NO and share is not None and share.is_starved:
        why += f"; {STARVED}: {time_on_cpus(share)}"
    return _check(WALL_TIME, answer, format_duration(outcome.wall), why)


def _work(phase: Phase, limits: Limits, evidence: Evidence, outcome: LoadOutcome, *, weak: bool) -> Check:
    if phase.load.kind is LoadKind.COMMAND:
        return _check(WORK, Answer.NOT_APPLICABLE, "", "a command says so by its exit status")
    found = evidence.work or "it said nothing"
    why = "the built-in load reached what it was to reach"
    if evidence.work_done is None:
        return _check(WORK, Answer.UNKNOWN, found, why)
    asked, peak = phase.load.memory_in_all, outcome.memory_peak
    # Without swap, and where the kernel itself keeps the peak, what was held at once is in it.
    if evidence.work_done and peak is not None and peak < asked and limits.swap_max == 0 and not weak:
        return _check(
            WORK, Answer.NO, found, f"{why}; never at once: peak {format_size(peak)} of {format_size(asked)}"
        )
    return _check(WORK, Answer.of(evidence.work_done), found, why)


def _peak(outcome: LoadOutcome, limits: Limits, *, weak: bool) -> Check:
    found = format_size(outcome.memory_peak)
    if limits.memory_max is None:
        return _check(PEAK, Answer.NOT_APPLICABLE, found, "no limit was set")
    why = f"at most {format_size(limits.memory_max)}"
    if outcome.memory_peak is None and weak:
        return _check(PEAK, Answer.NOT_APPLICABLE, found, f"{why}; no poll saw it run")
    if outcome.memory_peak is None:
        return _check(PEAK, Answer.UNKNOWN, found, f"{why}; the peak could not be read")
    return _check(PEAK, Answer.of(outcome.memory_peak <= limits.memory_max), found, why)


def _survivors(outcome: LoadOutcome) -> Check:
    left = outcome.survivors
    answer = Answer.UNKNOWN if left is None else Answer.of(left == 0)
    found = "unknown" if left is None else str(left)
    return _check(SURVIVORS, answer, found, "processes alive after the end: 0")


def _removed(outcome: LoadOutcome) -> Check:
    found = "removed" if outcome.removed else "still there"
    return _check(REMOVED, Answer.of(outcome.removed), found, "nothing is left behind")


def _applied(evidence: Evidence, *, weak: bool) -> Check:
    if not evidence.readback:
        return _check(APPLIED, Answer.UNKNOWN, "unknown", "no limit was read back")
    missing = tuple(r for r in not_held(evidence) if r.name not in SOFT)
    found = "; ".join(f"{r.name} asked {r.asked}, found {r.found or 'unreadable'}" for r in missing)
    if not missing:
        return _check(APPLIED, Answer.YES, "all", "every limit read back as asked")
    if weak:
        return _check(APPLIED, Answer.NOT_APPLICABLE, found, "containment not guaranteed, as was accepted")
    return _check(APPLIED, Answer.NO, found, "every limit read back as asked")
