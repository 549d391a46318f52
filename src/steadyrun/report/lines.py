"""The smallest pieces of the page, and what several sections say in the same words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from steadyrun.model.desktop import DesktopView, Probe, ProbeName, Seen
from steadyrun.model.fate import times
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.record import RunRecord
from steadyrun.model.sample import Frames
from steadyrun.model.verdict import Check
from steadyrun.report import words
from steadyrun.report.escape import Md, fill, prose
from steadyrun.report.figures import Clock, highest, millis, plural, zone_of
from steadyrun.report.totals import watched

TO_BE_FILLED = "(to be filled)"
WEAK = "containment not guaranteed"
SEVERITY = {Severity.NOTE: "Note", Severity.WARNING: "⚠️ Warning", Severity.PROBLEM: "❌ Problem"}


class Line(NamedTuple):
    """`- **name**: text`, with lines below it. A `str` is made safe by the template, an `Md` is not."""

    name: str
    text: str
    below: tuple[str, ...] = ()


class Row(NamedTuple):
    """One row of a checks table."""

    name: str
    before: str
    worst: str
    after: str
    answer: str
    why: str


def clock_of(record: RunRecord) -> Clock:
    """Return the clock of the record's machine."""
    return Clock(zone_of(record.header.machine.timezone), record.header.started_wall)


def with_word(figures: str, word: str) -> str:
    """Return `figures (word)`, or the figures alone when there is no word."""
    return f"{figures} ({word})" if word else figures


def weakened(text: str, record: RunRecord) -> str:
    """Return a verdict's words, with the reservation of a containment that the kernel does not hold."""
    return f"{text} - {WEAK}" if record.header.weak else text


def rows_of(checks: Iterable[Check]) -> tuple[Row, ...]:
    """Return checks as rows; an empty cell reads `-`."""
    return tuple(
        Row(
            c.name, c.before or "-", c.worst or "-", c.after or "-", words.ANSWER_WORD[c.answer], c.why or "-"
        )
        for c in checks
    )


def finding_lines(findings: Sequence[Finding]) -> tuple[Md, ...]:
    """Return each finding with its evidence and its remedy, on one line."""
    return tuple(_finding_line(f) for f in findings)


def _finding_line(finding: Finding) -> Md:
    text = fill("{}: {}", SEVERITY[finding.severity], prose(_sentence(finding.title)))
    if finding.evidence:
        text = fill("{} Evidence: {}", text, prose(_sentence(finding.evidence)))
    if finding.remedy:
        text = fill("{} What to do: {}", text, prose(finding.remedy))
    return text


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?:" else f"{text}."


def frames_words(frames: Frames | None) -> str:
    """Return a window of the canary's frames in figures."""
    if frames is None:
        return "unknown (no canary to read)"
    if frames.p99_ms is None and frames.worst_ms is None:
        return f"unknown ({plural(frames.shown, 'frame')} in the window)"
    return f"frames p99 {millis(frames.p99_ms)} late, worst gap {millis(frames.worst_ms)} late"


def probe_words(views: Sequence[tuple[str, DesktopView]], name: ProbeName, clock: Clock) -> str:
    """Return how one probed thing fared over many looks, each with the boot it was taken in."""
    probes = [p for _, view in views if (p := view.probe(name)) is not None]
    if not probes:
        return "unknown (not looked at)"
    first = probes[0]
    if first.seen is Seen.ABSENT:
        return _absent_words(name)
    if first.seen is Seen.UNKNOWN:
        return fill("unknown ({})", first.evidence or "it could not be told")
    seen = watched(views, (name,))
    looks = plural(len(probes), "look")
    if seen.restarts:
        when, ended = _loss(views, name, clock)
        what = "session ended" if ended and name is ProbeName.SESSION else "restarted or lost"
        return f"❌ {what}: {times(seen.restarts)} in {looks}, {when}"
    if seen.unknown:
        return f"⚠️ could not be told at {seen.unknown} of {looks}; the same in the others"
    return _held_words(name, first.label, clock.time(first.since) if first.since is not None else None) + (
        _latency_words([p.latency_ms for p in probes], looks)
    )


def _loss(views: Sequence[tuple[str, DesktopView]], name: ProbeName, clock: Clock) -> tuple[str, bool]:
    """Return between which two looks it was first another one or gone, and whether it was gone."""
    good: tuple[Probe, float] | None = None
    for _, view in views:
        probe = view.probe(name)
        if probe is None or probe.seen is Seen.UNKNOWN:
            continue
        if good is not None and (probe.seen is Seen.ABSENT or probe.identity != good[0].identity):
            between = f"between {clock.time(good[1], zoned=False)} and {clock.time(view.wall)}"
            return between, probe.seen is Seen.ABSENT
        good = (probe, view.wall)
    return "at a time that is not known", False


def _absent_words(name: ProbeName) -> str:
    if name is ProbeName.SESSION:
        return "no desktop on this machine: not applicable"
    return f"no {name.value} on this machine: not applicable"


def _held_words(name: ProbeName, label: str, since: str | None) -> str:
    started = f" since {since}" if since else ""
    if name is ProbeName.SESSION:
        return f"session stable{started}" + (f" ({label})" if label else "")
    if name is ProbeName.SSH:
        return f"answered{f' ({label})' if label else ''}"
    return f"{label or name.value} active{started}"


def _latency_words(latencies: Sequence[float | None], looks: str) -> str:
    slowest = highest(latencies)
    return f", {looks}" + (f", slowest {millis(slowest)}" if slowest is not None else "")
