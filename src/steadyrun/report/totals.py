"""Counts and extremes over a whole run: the figures that the summaries and report.json share. Pure.

Looks only at facts in the record; never decides a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from steadyrun.model.desktop import DesktopView, Probe, ProbeName, Seen
from steadyrun.model.fate import Fate, downs_of, fate_of
from steadyrun.model.plan import LoadKind, Phase
from steadyrun.model.record import Attempt, Evidence, RunRecord, State
from steadyrun.model.verdict import Answer
from steadyrun.report.figures import highest, lowest

_DESKTOP = (ProbeName.SESSION, ProbeName.DISPLAY_MANAGER, ProbeName.DISPLAY_SERVER)


class Watched(NamedTuple):
    """What many looks at some probes come to."""

    applicable: bool | None
    """One of them was there at some look; False: the first is told to be absent; `None`: not told."""
    restarts: int
    """Looks at which one of them was another one than before, or gone."""
    looks: int
    unknown: int
    """Looks at which one of them that was there before could not be told."""


class Totals(NamedTuple):
    """A run in figures. `None`: not known."""

    phases: int
    passed: int
    """Phases of which the last attempt passed."""
    attempts: int
    desktop: Watched
    ssh: Watched
    fate: Fate
    reboots: int
    load1_before: float | None
    load1_highest: float | None
    load1_after: float | None
    mem_available_lowest: int | None
    mem_used_highest: int | None
    peak_highest: int | None
    """Most memory of one load, by the kernel's own peak."""
    tasks_highest: int | None
    gap_worst_ms: float | None
    recovery_slowest: float | None
    """Seconds, of the loads that recovered in time."""
    unrecovered: int
    """Loads after which the machine did not come back in time."""
    recovered: int
    survivors: int | None
    """Processes left behind in all; `None` when one load could not tell."""
    oom_kills_outside: int | None

    @property
    def crashes(self) -> int:
        """Attempts that took the machine down."""
        return self.fate.crashes

    @property
    def lost(self) -> int:
        """Boots that ended while the ramp was going on."""
        return self.fate.lost


def phases_of(record: RunRecord) -> tuple[Phase, ...]:
    """Return the phases of the plan, or those that were attempted where there is no plan."""
    if record.header.plan is not None and record.header.plan.phases:
        return record.header.plan.phases
    return tuple({a.phase.number: a.phase for a in record.attempts}.values())


def attempts_of(record: RunRecord, phase: Phase) -> tuple[Attempt, ...]:
    """Return all tries of one phase, in their order."""
    return tuple(a for a in record.attempts if a.phase.number == phase.number)


def has_passed(record: RunRecord, phase: Phase) -> bool:
    """Tell whether the last try of a phase passed."""
    tries = attempts_of(record, phase)
    return bool(tries) and is_passed(tries[-1])


def is_passed(attempt: Attempt) -> bool:
    """Tell whether an attempt passed, and neither of its verdicts says otherwise."""
    against = (Answer.NO, Answer.UNKNOWN)
    verdicts = (v.answer for v in (attempt.host, attempt.job) if v is not None)
    return attempt.state is State.PASSED and not any(answer in against for answer in verdicts)


def is_multiprocess(attempt: Attempt) -> bool:
    """Tell whether a load was more than one process: by its plan, for a command by its tasks."""
    spec = attempt.phase.load
    if spec.kind is not LoadKind.COMMAND:
        return spec.processes > 1
    outcome = attempt.evidence.outcome if attempt.evidence else None
    return outcome is not None and (outcome.tasks_peak or 0) > 1


def totals(record: RunRecord, phases: Sequence[Phase] | None = None) -> Totals:
    """Return the figures of a run, or of some of its phases."""
    chosen = phases_of(record) if phases is None else tuple(phases)
    numbers = {p.number for p in chosen}
    attempts = tuple(a for a in record.attempts if a.phase.number in numbers)
    seen = tuple(a.evidence for a in attempts if a.evidence is not None)
    last = tuple(a.crash.last for a in attempts if a.crash is not None and a.crash.last is not None)
    outcomes = tuple(e.outcome for e in seen if e.outcome is not None)
    views = tuple(_views(record, attempts))
    fate = fate_of(attempts, downs_of(record))
    known_survivors = [o.survivors for o in outcomes]
    outside = [e.oom_kills_outside for e in seen]
    return Totals(
        phases=len(chosen),
        passed=sum(has_passed(record, p) for p in chosen),
        attempts=len(attempts),
        desktop=watched(views, _DESKTOP),
        ssh=watched(views, (ProbeName.SSH,)),
        fate=fate,
        reboots=max(fate.lost, _boot_changes(record, attempts)),
        load1_before=seen[0].before.host.load1 if seen else None,
        load1_highest=highest((*(v for e in seen for v in _loads(e)), *(c.load1 for c in last))),
        load1_after=seen[-1].after.host.load1 if seen else None,
        mem_available_lowest=_whole(
            lowest((*(v for e in seen for v in _available(e)), *(c.mem_available_lowest for c in last)))
        ),
        mem_used_highest=_whole(highest(e.worst.mem_used for e in seen)),
        peak_highest=_whole(highest(o.memory_peak for o in outcomes)),
        tasks_highest=_whole(highest(o.tasks_peak for o in outcomes)),
        gap_worst_ms=highest(e.worst.frames_gap_ms for e in seen),
        recovery_slowest=highest(e.recovery for e in seen),
        unrecovered=sum(e.recovery is None and e.recovery_awaited for e in seen),
        recovered=sum(e.recovery is not None for e in seen),
        survivors=_sum_or_unknown(known_survivors) if known_survivors else None,
        oom_kills_outside=_sum_or_unknown(outside) if outside else None,
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _sum_or_unknown(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if None in known else sum(v for v in known if v is not None)


def _loads(evidence: Evidence) -> tuple[float | None, ...]:
    return evidence.before.host.load1, evidence.worst.load1, evidence.after.host.load1


def _available(evidence: Evidence) -> tuple[int | None, ...]:
    return evidence.worst.mem_available, evidence.after.host.mem_available


def is_carried(attempt: Attempt, record: RunRecord) -> bool:
    """Tell whether an attempt is one of the ramp that this one goes on from."""
    return attempt.started_wall is not None and attempt.started_wall < record.header.started_wall


def _views(record: RunRecord, attempts: Sequence[Attempt]) -> Iterator[tuple[str, DesktopView]]:
    """Yield every look at the desktop with its boot, in the order they were taken.

    The baseline is this run's: what it goes on from was looked at before.
    """
    base = record.baseline
    yield from _views_of([a for a in attempts if is_carried(a, record)])
    if base is not None:
        yield record.header.boot_id, base.desktop
    yield from _views_of([a for a in attempts if not is_carried(a, record)])


def _views_of(attempts: Iterable[Attempt]) -> Iterator[tuple[str, DesktopView]]:
    for attempt in attempts:
        if attempt.evidence is not None:
            yield attempt.evidence.before.boot_id, attempt.evidence.before.desktop
            for view in attempt.evidence.during:
                yield attempt.boot_id, view
            yield attempt.evidence.after.boot_id, attempt.evidence.after.desktop


def watched(views: Iterable[tuple[str, DesktopView]], names: Sequence[ProbeName]) -> Watched:
    """Return how often one of the probed things was another one, or gone, from look to look.

    Identities of different boots are not compared: a reboot is counted as one, elsewhere.
    """
    known: dict[ProbeName, Probe] = {}
    boot: str | None = None
    restarts = looks = unknown = 0
    applicable: bool | None = None
    for view_boot, view in views:
        if view_boot != boot:
            known, boot = {}, view_boot
        probes = [p for name in names if (p := view.probe(name)) is not None]
        looks += 1
        unknown += any(p.seen is Seen.UNKNOWN and p.name in known for p in probes)
        restarts += any(_is_other(known.get(p.name), p) for p in probes)
        applicable = _is_applicable(applicable, view.probe(names[0]), probes)
        known = {**known, **{p.name: p for p in probes if p.seen is Seen.PRESENT}}
        known = {n: p for n, p in known.items() if not _is_absent(view, n)}
    return Watched(applicable, restarts, looks, unknown)


def _is_applicable(so_far: bool | None, first: Probe | None, probes: Sequence[Probe]) -> bool | None:
    if so_far or any(p.seen is Seen.PRESENT for p in probes):
        return True
    return False if first is not None and first.seen is Seen.ABSENT else so_far


def _is_absent(view: DesktopView, name: ProbeName) -> bool:
    probe = view.probe(name)
    return probe is not None and probe.seen is Seen.ABSENT


def _is_other(before: Probe | None, now: Probe) -> bool:
    if before is None or now.seen is Seen.UNKNOWN:
        return False
    if now.seen is Seen.ABSENT:
        return True
    return before.identity is not None and now.identity is not None and before.identity != now.identity


def _boot_changes(record: RunRecord, attempts: Sequence[Attempt]) -> int:
    """Return how often the boot id changed, in the order of time."""
    moments = [(record.header.started_wall, record.header.boot_id)]
    for attempt in attempts:
        if attempt.started_wall is not None:
            moments.append((attempt.started_wall, attempt.boot_id))
        if attempt.evidence is not None:
            moments.append((attempt.evidence.after.host.wall, attempt.evidence.after.boot_id))
    boots = [boot for _, boot in sorted(moments, key=lambda m: m[0])]
    return sum(one != other for one, other in pairwise(boots))
