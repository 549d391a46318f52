"""Judges one attempt: did the machine stay well, did the load do its work. Two answers, never mixed.

Pure: baseline and evidence in, verdicts, findings and a state out; the same evidence, read again
from the journal, gives the same judgement. It decides nothing about what comes next: that is
`schedule.py`, which reads the verdicts.
"""

from __future__ import annotations

from typing import NamedTuple

from steadyrun.model.finding import Finding
from steadyrun.model.limits import Limits
from steadyrun.model.machine import Reserve
from steadyrun.model.outcome import Ending
from steadyrun.model.plan import Phase
from steadyrun.model.record import Baseline, Evidence, State
from steadyrun.model.validity import clocks_broke, ran_out_of_time
from steadyrun.model.verdict import Answer, Check, Scope, Verdict, combine
from steadyrun.ramp.checks_host import host_checks
from steadyrun.ramp.checks_job import job_checks
from steadyrun.ramp.findings import findings_of
from steadyrun.units import format_duration, format_millis, format_size

WEAK = "containment guaranteed"


class Judged(NamedTuple):
    """What an attempt comes to."""

    state: State
    host: Verdict
    job: Verdict
    findings: tuple[Finding, ...]
    observation: str
    """One sentence about the figures."""


def judge(
    baseline: Baseline,
    phase: Phase,
    limits: Limits,
    evidence: Evidence,
    reserve: Reserve,
    *,
    weak: bool,
    troubles: tuple[Finding, ...] = (),
    told: frozenset[str] = frozenset(),
    run_id: str = "",
) -> Judged:
    """Judge one attempt that is over.

    Args:
        baseline: The machine before any load; what was absent there is not applicable.
        phase: What was run.
        limits: What it was given, of a repeated phase more than `phase.limits`.
        evidence: All that was seen.
        reserve: What a load never gets.
        weak: The containment is not guaranteed by the kernel, and the user accepted that: every
            verdict says so, and stands.
        troubles: Findings the guard and the conductor made while it ran.
        told: What the run has told already and tells once (`findings.told_once`).
        run_id: The ramp, for commands that go on with it.
    """
    host = _verdict(host_checks(baseline, evidence, reserve), Scope.HOST, weak=weak)
    job = _verdict(job_checks(phase, limits, evidence, weak=weak), Scope.JOB, weak=weak)
    findings = findings_of(
        phase.load, limits, evidence, host, weak=weak, troubles=troubles, told=told, run_id=run_id
    )
    return Judged(state_of(evidence, host, job), host, job, findings, observe(evidence, limits))


def state_of(evidence: Evidence, host: Verdict, job: Verdict) -> State:
    """Return where an attempt stands; what the user or a suspend did to it comes before any verdict.

    A host that is worse than it should be only in checks worth a second try is DEGRADED. A load that had
    no time because others had the CPUs says nothing, unless it says that the machine did not hold.
    """
    if evidence.outcome is not None and evidence.outcome.ending is Ending.STOPPED:
        return State.STOPPED
    if clocks_broke(evidence):
        return State.INVALID
    if host.answer is Answer.NO:
        return _host_failed(host)
    if host.answer is Answer.YES and ran_out_of_time(evidence):
        return State.INVALID
    if Answer.NO in (host.answer, job.answer):
        return State.FAILED
    if host.answer is Answer.YES and job.answer is Answer.YES:
        return State.PASSED
    return State.UNKNOWN


def _host_failed(host: Verdict) -> State:
    kept = host.failed()
    if any(check.answer is Answer.NO and not check.degraded for check in kept):
        return State.FAILED
    return State.UNKNOWN if any(check.answer is Answer.UNKNOWN for check in kept) else State.DEGRADED


def _verdict(checks: tuple[Check, ...], scope: Scope, *, weak: bool) -> Verdict:
    answer = combine(tuple(check.answer for check in checks))
    if weak:
        why = "containment not guaranteed: without a cgroup the kernel holds no limit of the load as a whole"
        checks = (*checks, Check(WEAK, scope, Answer.NOT_APPLICABLE, "", "", "", why))
    return Verdict(answer, checks)


def observe(evidence: Evidence, limits: Limits) -> str:
    """Say in one sentence what the figures were; figures that are not known are left out."""
    parts = (_load(evidence), _memory(evidence, limits), _frames(evidence), _back(evidence))
    said = [part for part in parts if part]
    if not said:
        return ""
    text = ", ".join(said)
    return text[0].upper() + text[1:]


def _load(evidence: Evidence) -> str:
    before, worst, after = evidence.before.host.load1, evidence.worst.load1, evidence.after.host.load1
    if before is None or worst is None or after is None:
        return ""
    if f"{max(worst, after):.2f}" == f"{before:.2f}" == f"{after:.2f}":
        return f"load stayed at {before:.2f}"
    if max(worst, after) <= before:
        return f"load decreased from {before:.2f} to {after:.2f}"
    return f"load went from {before:.2f} to {max(worst, after):.2f} and was {after:.2f} at the end"


def _memory(evidence: Evidence, limits: Limits) -> str:
    peak = None if evidence.outcome is None else evidence.outcome.memory_peak
    if peak is None:
        return ""
    of = "" if limits.memory_max is None else f" of {format_size(limits.memory_max)}"
    left = evidence.worst.mem_available
    return f"memory peaked at {format_size(peak)}{of}" + (
        "" if left is None else f" with {format_size(left)} left on the machine"
    )


def _frames(evidence: Evidence) -> str:
    late = evidence.worst.frames_p99_ms
    return "" if late is None else f"99 of 100 frames were at most {format_millis(late)} late"


def _back(evidence: Evidence) -> str:
    if evidence.recovery is None and not evidence.recovery_awaited:
        return "nobody waited for the machine to be back near its baseline"
    if evidence.recovery is None:
        return f"the machine was not back near its baseline within {format_duration(evidence.recovery_limit)}"
    return f"the machine was back near its baseline after {format_duration(evidence.recovery)}"
