"""One plain line per event, for CI, pipes and dumb terminals: what changed between two records. Pure."""

from __future__ import annotations

from steadyrun.model.finding import Finding, Severity
from steadyrun.model.plan import LoadKind
from steadyrun.model.record import Attempt, RunRecord, State
from steadyrun.model.validity import why_void
from steadyrun.model.verdict import Answer
from steadyrun.report.escape import one_line, visible
from steadyrun.report.figures import Clock, lasted, load, memory_size, millis, plural
from steadyrun.report.judged import ending_words, peak_words
from steadyrun.report.lines import WEAK, clock_of, with_word
from steadyrun.report.totals import is_carried
from steadyrun.units import format_size

_STATE_WORDS = {
    State.READY: "ready",
    State.RUNNING: "started",
    State.RECOVERING: "load is over, waiting for the machine to settle",
    State.PASSED: "passed",
    State.FAILED: "FAILED",
    State.DEGRADED: "DEGRADED",
    State.UNKNOWN: "UNKNOWN",
    State.INVALID: "INVALID",
    State.CRASHED: "CRASHED the machine",
    State.INTERRUPTED: "INTERRUPTED",
    State.STOPPED: "stopped",
}
_SEVERITY = {Severity.NOTE: "note", Severity.WARNING: "warning", Severity.PROBLEM: "PROBLEM"}


def line_for(before: RunRecord | None, after: RunRecord) -> list[str]:
    """Return the lines that tell a reader what happened between two records of one run.

    Args:
        before: The record shown last; `None` when nothing was shown yet.
        after: The record now.

    Returns:
        Lines without a newline at the end, oldest first; empty when nothing worth a line changed.
        Their times are those in the record, in the zone of the machine.
    """
    clock = clock_of(after)
    lines = [] if before is not None else [*_opening(after, clock), *_gone_on_from(after)]
    lines += _baseline(before, after, clock)
    lines += [
        f"{clock.time(None if after.baseline is None else after.baseline.ended_wall, zoned=False)} "
        f"proof {one_line(p.name)}: {p.answer.value} in {lasted(p.took)}: {one_line(p.evidence)}"
        for p in after.proofs[len(before.proofs) if before else 0 :]
    ]
    known = {a.serial: a for a in before.attempts} if before else {}
    for attempt in after.attempts:
        if before is None and is_carried(attempt, after):
            continue  # the ramp it is of has told it
        lines += _attempt(known.get(attempt.serial), attempt, after, clock)
    lines += [_finding(f, "run") for f in after.findings[len(before.findings) if before else 0 :]]
    return lines + _end(before, after, clock)


def _opening(record: RunRecord, clock: Clock) -> list[str]:
    header = record.header
    held = with_word(header.backend.value, WEAK if header.weak else "")
    phases = plural(len(header.plan.phases), "phase") if header.plan else "no plan"
    return [
        f"{clock.time(header.started_wall)} run {one_line(header.run_id)}: {phases}, "
        f"contained by {held}, {plural(header.machine.cores, 'core')}, "
        f"{format_size(header.machine.effective_ram)} effective RAM"
    ]


def _gone_on_from(record: RunRecord) -> list[str]:
    """Say what came of the ramp that this one goes on from; nothing where it goes on from none."""
    header = record.header
    if header.resumed_from is None:
        return []
    told = [
        f"phase {one_line(attempt.label)} {one_line(attempt.phase.name)} {_STATE_WORDS[attempt.state]}"
        for attempt in record.attempts
        if is_carried(attempt, record)
    ]
    return [f"it goes on from run {one_line(header.resumed_from)}: {', '.join(told) or 'nothing had begun'}"]


def _baseline(before: RunRecord | None, after: RunRecord, clock: Clock) -> list[str]:
    base = after.baseline
    if base is None or (before is not None and before.baseline is not None):
        return []
    healthy = {Answer.YES: "healthy", Answer.NO: "NOT healthy"}.get(base.healthy, "health unknown")
    p99 = millis(base.frames.p99_ms if base.frames else None)
    return [
        f"{clock.time(base.ended_wall, zoned=False)} phase 0 Baseline: {healthy}: load {load(base.load1)}, "
        f"{load(base.cpu_idle)} cores idle, "
        f"{format_size(base.mem_available)} available, canary p99 {p99}"
    ]


def _attempt(before: Attempt | None, now: Attempt, record: RunRecord, clock: Clock) -> list[str]:
    name = f"phase {one_line(now.label)} {one_line(now.phase.name)}"
    lines = []
    if before is None and now.announcement:
        lines.append(f"next: {name}: {one_line(now.announcement)}")
    if (before is None or before.started_wall is None) and now.started_wall is not None:
        lines.append(f"{clock.time(now.started_wall, zoned=False)} {name}: started, {_limit(now)}")
    if (before is None or before.state is not now.state) and now.state is not State.RUNNING:
        settled = now.state not in (State.READY, State.RECOVERING)
        when = clock.time(now.ended_wall if now.ended_wall is not None else now.started_wall, zoned=False)
        became = with_word(_STATE_WORDS[now.state], WEAK if record.header.weak and settled else "")
        if now.state is not State.READY:
            lines.append(f"{when} {name}: {became}{_figures(now) if settled else ''}")
    lines += [_finding(f, name) for f in now.findings[len(before.findings) if before else 0 :]]
    return lines


def _limit(attempt: Attempt) -> str:
    limit = attempt.limits.memory_max
    return f"limit {memory_size(limit)}" if limit is not None else "no memory limit"


def _figures(attempt: Attempt) -> str:
    seen = attempt.evidence
    if seen is None:
        return ""
    took = f" in {lasted(seen.outcome.wall)}" if seen.outcome else ""
    loads = (seen.before.host.load1, seen.worst.load1, seen.after.host.load1)
    parts = [
        f"peak {peak_words(attempt, seen.outcome)}",
        f"load {' -> '.join(load(v) for v in loads)}",
        f"worst gap {millis(seen.worst.frames_gap_ms)}",
    ]
    if attempt.state is not State.PASSED or attempt.phase.load.kind is LoadKind.COMMAND:
        parts += (
            [one_line(ending_words(attempt, seen.outcome))] if seen.outcome else ["end of the load unknown"]
        )
    failed = attempt.host.failed() if attempt.host else ()
    parts += [f"host: {', '.join(one_line(c.name) for c in failed)}"] if failed else []
    void = why_void(seen) if attempt.state is State.INVALID else None
    parts += [f"says nothing: {void}"] if void else []
    return f"{took}: {', '.join(parts)}"


def _finding(finding: Finding, where: str) -> str:
    remedy = f"; what to do: {one_line(finding.remedy)}" if finding.remedy else ""
    evidence = f" ({one_line(finding.evidence)})" if finding.evidence else ""
    return f"{_SEVERITY[finding.severity]}: {where}: {one_line(finding.title)}{evidence}{remedy}"


def _end(before: RunRecord | None, after: RunRecord, clock: Clock) -> list[str]:
    end = after.end
    if end is None or (before is not None and before.end is not None):
        return []
    reason = with_word(one_line(end.reason), WEAK if after.header.weak else "")
    lines = [f"{clock.time(end.wall)} ended, exit code {end.exit_code}: {reason}"]
    # An argument may hold a newline: the command stays as it is, its lines are lines here.
    return (
        lines + [visible(line) for line in f"tomorrow: {after.tomorrow}".split("\n")]
        if after.tomorrow
        else lines
    )
