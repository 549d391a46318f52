"""Did the machine stay well: the checks of the host verdict, each from plain data to one `Check`.

Pure. What was absent at the baseline is not applicable; what was there and could not be read later
is unknown. Never looks at whether the load did its work.
"""

from __future__ import annotations

from typing import assert_never

from steadyrun.guard.canary import PERIOD_NS
from steadyrun.model.desktop import Probe, ProbeName, Seen
from steadyrun.model.machine import Reserve
from steadyrun.model.outcome import Ending, LoadOutcome
from steadyrun.model.record import Baseline, Evidence
from steadyrun.model.verdict import Answer, Check, Scope
from steadyrun.units import Seconds, format_duration, format_millis, format_size

FRAMES_P99_MS = 33.0
"""Two frames of 60 Hz: one in a hundred frames may be this late, or twice as late as without a load."""
FRAMES_FACTOR = 2.0
FRAMES_GAP_MS = 250.0
"""A quarter of a second is where a person stops calling the desktop slow and calls it stuck."""
FRAME_MS = PERIOD_NS / 1e6
"""So much silence is no lateness."""

SESSION_ENDED = "graphical session ended"
"""How the reason begins where the session of the baseline is gone."""

BOOT = "same boot"
FRAMES_LATE = "canary p99"
FRAMES_GAP = "worst frame gap"
OOM_OUTSIDE = "no OOM kill outside"
RESERVE = "available memory over the reserve"
RECOVERY = "recovered in time"
GUARDED = "not ended for the machine's sake"


def host_checks(baseline: Baseline, evidence: Evidence, reserve: Reserve) -> tuple[Check, ...]:
    """Return every check of the host verdict, in the order a person reads them."""
    return (
        _boot(evidence),
        *(_probe(name, baseline, evidence) for name in ProbeName),
        _frames_p99(baseline, evidence),
        _frames_gap(baseline, evidence),
        _oom_outside(evidence),
        _memory(baseline, evidence, reserve),
        _recovery(evidence),
        _guarded(evidence.outcome),
    )


def _check(
    name: str,
    answer: Answer,
    figures: tuple[str, str, str],
    why: str,
    *,
    degraded: bool = False,
) -> Check:
    before, worst, after = figures
    return Check(name, Scope.HOST, answer, before, worst, after, why, degraded and answer is Answer.NO)


def _boot(evidence: Evidence) -> Check:
    before, after = evidence.before.boot_id, evidence.after.boot_id
    answer = Answer.of(before == after) if before and after else Answer.UNKNOWN
    return _check(BOOT, answer, (before[:8], "", after[:8]), "the machine did not restart")


def _probe(name: ProbeName, baseline: Baseline, evidence: Evidence) -> Check:
    normal = baseline.desktop.probe(name)
    if normal is None or normal.seen is Seen.ABSENT:
        return _check(name.value, Answer.NOT_APPLICABLE, ("absent", "", ""), "absent at the baseline")
    looks = [
        probe
        for view in (evidence.before.desktop, *evidence.during)
        if (probe := view.probe(name)) is not None
    ]
    last = evidence.after.desktop.probe(name)
    answer, why = _same(normal, (*looks, last))
    worst = _worst_look(normal, tuple(looks))
    figures = (_described(normal), worst, "not looked at" if last is None else _described(last))
    return _check(name.value, answer, figures, why)


def _same(normal: Probe, looks: tuple[Probe | None, ...]) -> tuple[Answer, str]:
    """Compare every look with the baseline's; a look that is `None` should have been taken."""
    for look in looks:
        if look is not None and look.seen is Seen.ABSENT:
            return Answer.NO, f"{_gone(look.name)}: {look.evidence}"
        if look is not None and look.identity is not None and normal.identity not in (None, look.identity):
            return Answer.NO, f"it is another one than at the baseline: {look.evidence}"
    for look in (normal, *looks):
        if look is None:
            return Answer.UNKNOWN, "it was not looked at after the load"
        if look.seen is Seen.UNKNOWN:
            return Answer.UNKNOWN, f"it could not be told: {look.evidence}"
        if look.identity is None and normal.identity is not None:
            return (
                Answer.UNKNOWN,
                f"it answers, and it could not be told whether it is the same: {look.evidence}",
            )
    return Answer.YES, "the same one as at the baseline, answering"


def _gone(name: ProbeName) -> str:
    return SESSION_ENDED if name is ProbeName.SESSION else "it was there at the baseline and is gone"


def _described(probe: Probe) -> str:
    match probe.seen:
        case Seen.PRESENT:
            latency = "" if probe.latency_ms is None else f", {probe.latency_ms:.0f} ms"
            return f"{probe.label or 'there'}{latency}"
        case Seen.ABSENT:
            return "gone"
        case Seen.UNKNOWN:
            return "unknown"
        case _:
            assert_never(probe.seen)


def _worst_look(normal: Probe, looks: tuple[Probe, ...]) -> str:
    """Describe the look that differs from the baseline, else the slowest; empty without a look."""
    for look in looks:
        if look.seen is not Seen.PRESENT or look.identity != normal.identity:
            return _described(look)
    slowest = max(looks, key=lambda look: look.latency_ms or 0.0, default=None)
    return "" if slowest is None else _described(slowest)


def _frames_p99(baseline: Baseline, evidence: Evidence) -> Check:
    normal = baseline.frames
    if normal is None:
        return _check(FRAMES_LATE, Answer.NOT_APPLICABLE, ("", "", ""), "no canary at the baseline")
    limit = max(FRAMES_P99_MS, FRAMES_FACTOR * (normal.p99_ms or 0.0))
    worst = evidence.worst.frames_p99_ms
    answer = Answer.UNKNOWN if worst is None else Answer.of(worst <= limit)
    after = evidence.after.frames
    figures = (
        format_millis(normal.p99_ms),
        format_millis(worst),
        format_millis(None if after is None else after.p99_ms),
    )
    why = f"at most {limit:.0f} ms late: max({FRAMES_P99_MS:.0f} ms, {FRAMES_FACTOR:.0f} x baseline)"
    return _check(FRAMES_LATE, answer, figures, why, degraded=True)


def _frames_gap(baseline: Baseline, evidence: Evidence) -> Check:
    normal = baseline.frames
    if normal is None:
        return _check(FRAMES_GAP, Answer.NOT_APPLICABLE, ("", "", ""), "no canary at the baseline")
    worst = _longest_gap(evidence.worst.frames_gap_ms, evidence.worst.frames_silent)
    answer = Answer.UNKNOWN if worst is None else Answer.of(worst <= FRAMES_GAP_MS)
    after = evidence.after.frames
    figures = (
        format_millis(normal.worst_ms),
        format_millis(worst),
        format_millis(None if after is None else after.worst_ms),
    )
    return _check(FRAMES_GAP, answer, figures, f"at most {FRAMES_GAP_MS:.0f} ms", degraded=True)


def _longest_gap(gap_ms: float | None, silent: Seconds | None) -> float | None:
    """Return the longest wait for a frame, also one that never came, in ms; `None` when unknown."""
    waits = [] if gap_ms is None else [gap_ms]
    if silent is not None:
        waits.append(max(0.0, silent * 1000 - FRAME_MS))
    return max(waits, default=None)


def _oom_outside(evidence: Evidence) -> Check:
    kills = evidence.oom_kills_outside
    answer = Answer.UNKNOWN if kills is None else Answer.of(kills == 0)
    found = "unknown" if kills is None else str(kills)
    return _check(OOM_OUTSIDE, answer, ("", found, ""), "kills of the kernel outside the containment: 0")


def _memory(baseline: Baseline, evidence: Evidence, reserve: Reserve) -> Check:
    worst, after = evidence.worst, evidence.after.host.mem_available
    if worst.samples == 0 or worst.mem_available is None:
        answer = Answer.UNKNOWN
    else:
        lowest = worst.mem_available if after is None else min(worst.mem_available, after)
        answer = Answer.of(lowest >= reserve.reserve)
    figures = (format_size(baseline.mem_available), format_size(worst.mem_available), format_size(after))
    return _check(RESERVE, answer, figures, f"never under {format_size(reserve.reserve)}")


def _recovery(evidence: Evidence) -> Check:
    took, limit = evidence.recovery, evidence.recovery_limit
    if took is None and not evidence.recovery_awaited:
        return _check(RECOVERY, Answer.UNKNOWN, ("", "", "not waited for"), "a second stop ended the wait")
    answer = Answer.of(took is not None and took <= limit)
    found = "not yet" if took is None else format_duration(took)
    return _check(RECOVERY, answer, ("", "", found), f"within {format_duration(limit)}")


def _guarded(outcome: LoadOutcome | None) -> Check:
    if outcome is None:
        return _check(GUARDED, Answer.UNKNOWN, ("", "", ""), "the guard never told how the load ended")
    answer, why = _guard_answer(outcome.ending)
    return _check(GUARDED, answer, ("", outcome.ending.value, ""), why)


def _guard_answer(ending: Ending) -> tuple[Answer, str]:
    match ending:
        case Ending.HOST_MEMORY:
            return Answer.NO, "the guard ended it: the machine's available memory fell too low"
        case Ending.HOST_PRESSURE:
            return Answer.NO, "the guard ended it for the desktop's sake"
        case Ending.GUARD_GONE | Ending.CONDUCTOR_GONE | Ending.UNKNOWN:
            return Answer.UNKNOWN, "nobody watched the machine to the load's end"
        case (
            Ending.EXITED
            | Ending.MEMORY_LIMIT
            | Ending.WALL_TIME
            | Ending.STOPPED
            | Ending.CONTAINMENT_GONE
            | Ending.NOT_STARTED
        ):
            return Answer.YES, "watched to its end"
        case _:
            assert_never(ending)
