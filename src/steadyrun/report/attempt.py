"""One attempt's section: what was tried, what was measured, how it was judged, what comes next. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from steadyrun.model.action import Action
from steadyrun.model.desktop import DesktopView, ProbeName
from steadyrun.model.event import Acted
from steadyrun.model.outcome import LoadOutcome
from steadyrun.model.plan import LoadKind, Phase
from steadyrun.model.record import Attempt, Evidence, RunRecord, State
from steadyrun.report import words
from steadyrun.report.crash import crash_lines
from steadyrun.report.escape import Md, code, fenced, fill, prose, tail
from steadyrun.report.figures import (
    UNKNOWN,
    Clock,
    chain,
    count,
    lasted,
    limit_words,
    load,
    load_words,
    memory_size,
    millis,
    plural,
    share,
)
from steadyrun.report.judged import completed_words, peak_words, recovery_words, state_heading, status_words
from steadyrun.report.lines import (
    TO_BE_FILLED,
    Line,
    Row,
    clock_of,
    finding_lines,
    probe_words,
    rows_of,
    weakened,
    with_word,
)
from steadyrun.report.means import lack_words
from steadyrun.report.opening import phase_title
from steadyrun.report.totals import phases_of
from steadyrun.units import Seconds, format_size

SLEPT_LEAST = Seconds(0.1)
"""Less is the time between reading two clocks one after the other."""
ACTIONS_SHOWN = 8
"""Deeds of the guard that a section lists one by one; the rest are counted. By choice: half a screen."""

OPEN = (State.READY, State.RUNNING, State.RECOVERING)
"""States that are not a result yet."""


class VerdictView(NamedTuple):
    """One verdict with its checks."""

    name: str
    answer: str
    rows: tuple[Row, ...]


class Section(NamedTuple):
    """What the template writes for one attempt, or for a phase that was not attempted (no lines)."""

    heading: str
    lines: tuple[Line, ...]
    verdicts: tuple[VerdictView, ...]
    output: Md | None
    instead: str
    log: str = ""
    """Name of the file that has all of its output."""


def untried(record: RunRecord, phase: Phase) -> Section:
    """Return the section of a phase that nothing was attempted of."""
    instead = TO_BE_FILLED if record.end is None else "Not run."
    return Section(phase_title(phase), (), (), None, instead)


def section(record: RunRecord, attempt: Attempt) -> Section:
    """Return the section of one attempt."""
    return Section(
        f"{phase_title(attempt.phase, attempt.label)} - {state_heading(attempt)}",
        _lines(record, attempt),
        tuple(
            VerdictView(name, weakened(words.ANSWER_WORD[verdict.answer], record), rows_of(verdict.checks))
            for name, verdict in (("Host verdict", attempt.host), ("Job verdict", attempt.job))
            if verdict is not None
        ),
        _output(attempt),
        "",
        attempt.log_name,
    )


def _lines(record: RunRecord, attempt: Attempt) -> tuple[Line, ...]:
    why = (Line("Why these limits", attempt.announcement),) if attempt.announcement else ()
    open_end = end_words(record, attempt)
    observation = (Line("Observation", attempt.observation),) if attempt.observation else ()
    return (
        Line("Time", clock_of(record).span(attempt.started_wall, attempt.ended_wall, open_end=open_end)),
        Line("Test", _test_words(record, attempt)),
        Line("Limits", limit_words(attempt.limits)),
        *why,
        _results(record, attempt),
        Line("Status", weakened(status_words(attempt), record)),
        _issues(attempt),
        _solutions(record, attempt),
        *observation,
        Line("Next", _next_words(record, attempt)),
    )


def end_words(record: RunRecord, attempt: Attempt) -> str:
    """Return what stands in place of the time at which an attempt ended."""
    if attempt.state in OPEN:
        return "not ended yet"
    if attempt.state is not State.CRASHED:
        return "end not recorded"
    last = attempt.crash.last if attempt.crash else None
    seen = f", last seen {clock_of(record).time(last.wall)}" if last else ""
    return f"the machine went down{seen}"


def _test_words(record: RunRecord, attempt: Attempt) -> str:
    spec = attempt.phase.load
    if spec.kind is LoadKind.COMMAND:
        return fill("the command {}", code(shlex.join(spec.argv or record.header.argv)))
    return load_words(spec)


def _results(record: RunRecord, attempt: Attempt) -> Line:
    if attempt.evidence is None:
        if attempt.state is State.READY and (record.end is not None or attempt is not record.attempts[-1]):
            return Line("Results", "none: nothing was started")
        if attempt.state in OPEN:
            return Line("Results", TO_BE_FILLED)
        if attempt.crash is not None:
            return _named_below("Results", crash_lines(record, attempt, attempt.crash))
        return Line("Results", "unknown: nothing was recorded after the load was started")
    return _named_below("Results", _result_lines(record, attempt, attempt.evidence))


def _named_below(name: str, lines: Sequence[Line]) -> Line:
    return Line(name, "", tuple(fill("{}: {}", line.name, line.text) for line in lines))


def _result_lines(record: RunRecord, attempt: Attempt, seen: Evidence) -> tuple[Line, ...]:
    return (
        *_machine_results(record, seen),
        Line("Peak memory of the load", peak_words(attempt, seen.outcome)),
        *_feel_results(seen),
        *_desktop_results(record, attempt, seen),
        Line("OOM kills outside the load", count(seen.oom_kills_outside)),
        Line("Recovery", recovery_words(seen)),
        *_oddities(seen),
        Line("Test completed", completed_words(attempt)),
    )


def _machine_results(record: RunRecord, seen: Evidence) -> tuple[Line, ...]:
    before, after, worst = seen.before.host, seen.after.host, seen.worst
    machine = record.header.machine
    load_word = words.load_word(before.load1, worst.load1, after.load1, machine.cores)
    memory_word = words.memory_word(
        before.mem_available, after.mem_available, worst.mem_available, machine.effective_ram
    )
    used = chain(
        format_size,
        _less(before.mem_total, before.mem_available),
        worst.mem_used,
        _less(after.mem_total, after.mem_available),
    )
    available = chain(format_size, before.mem_available, worst.mem_available, after.mem_available)
    swap = (
        (Line("Swap used (highest)", format_size(worst.swap_used)),) if worst.swap_used else ()
    )  # unknown swap is said once, at the baseline
    return (
        Line(
            "Load (before → peak → after)",
            with_word(chain(load, before.load1, worst.load1, after.load1), load_word),
        ),
        Line("Memory used (before → peak → after)", used),
        Line("Memory available (before → lowest → after)", with_word(available, memory_word)),
        *swap,
    )


def _less(total: int | None, available: int | None) -> int | None:
    return None if total is None or available is None else total - available


def _feel_results(seen: Evidence) -> tuple[Line, ...]:
    worst = seen.worst
    pressure = (
        f"memory some {share(worst.psi_memory_some)}, memory full {share(worst.psi_memory_full)}, "
        f"I/O full {share(worst.psi_io_full)}, CPU some {share(worst.psi_cpu_some)}"
    )
    of = "" if worst.frames_shown is None else f" of {worst.frames_shown} frames"
    canary = f"worst gap {millis(worst.frames_gap_ms)}, p99{of} {millis(worst.frames_p99_ms)}"
    if worst.frames_gap_ms is None and worst.frames_p99_ms is None:
        canary = UNKNOWN
    return (
        Line("PSI of the machine in its worst second", pressure),
        *_stalls_of_load(seen.outcome),
        Line("Canary lateness", with_word(canary, words.frames_word(worst.frames_gap_ms))),
    )


def _stalls_of_load(outcome: LoadOutcome | None) -> tuple[Line, ...]:
    """Say how long the load itself waited, where its containment has pressure files."""
    if outcome is None or outcome.psi_memory_some is None:
        return ()
    told = (
        f"on memory {lasted(outcome.psi_memory_some)} (wholly {lasted(outcome.psi_memory_full)}), "
        f"on I/O wholly {lasted(outcome.psi_io_full)}, for a CPU {lasted(outcome.psi_cpu_some)}"
    )
    return (Line("Stalls of the load itself (PSI)", told),)


def _desktop_results(record: RunRecord, attempt: Attempt, seen: Evidence) -> tuple[Line, ...]:
    views: list[tuple[str, DesktopView]] = [
        (seen.before.boot_id, seen.before.desktop),
        *((attempt.boot_id, view) for view in seen.during),
        (seen.after.boot_id, seen.after.desktop),
    ]
    clock = clock_of(record)
    return (
        Line("Desktop", probe_words(views, ProbeName.SESSION, clock)),
        Line("Display manager", probe_words(views, ProbeName.DISPLAY_MANAGER, clock)),
        Line("SSH", probe_words(views, ProbeName.SSH, clock)),
    )


def _oddities(seen: Evidence) -> tuple[Line, ...]:
    """Return what is worth a line only when it happened."""
    outcome, worst = seen.outcome, seen.worst
    frozen = outcome.frozen if outcome else 0
    kept = f"{plural(worst.samples, 'sample')}"
    if worst.dropped:
        kept += f", {worst.dropped} more not kept"
    missed = [r for r in seen.readback if not r.held]
    lacking = lack_words(outcome.means) if outcome and outcome.means else ""
    return (
        *((Line("Frozen by the guard", lasted(frozen)),) if frozen else ()),
        *((Line("Slept", lasted(seen.suspended)),) if seen.suspended >= SLEPT_LEAST else ()),
        *((Line("Clock set", f"by {seen.clock_jump:+.1f} s"),) if abs(seen.clock_jump) >= 0.05 else ()),
        *(
            Line(
                "Limit not applied",
                f"{r.name}: asked {r.asked}, {r.source} says {r.found or 'nothing readable'}",
            )
            for r in missed
        ),
        Line("Watched with", f"{kept}; the guard used {share(seen.guard_cpu)} of a core"),
        *((Line("Unknown to the guard", lacking),) if lacking else ()),
    )


def _issues(attempt: Attempt) -> Line:
    if attempt.findings:
        return Line("Issues Found", plural(len(attempt.findings), "finding"), finding_lines(attempt.findings))
    if attempt.state in OPEN:
        return Line("Issues Found", "none so far")
    return Line(
        "Issues Found", "none" if attempt.state is State.PASSED else "none recorded beside the status above"
    )


def _solutions(record: RunRecord, attempt: Attempt) -> Line:
    done = [prose(f.done) for f in attempt.findings if f.done]
    done += [fill("{}", words) for words in went_on(record, attempt)]
    actions = attempt.evidence.actions if attempt.evidence else ()
    deeds = action_lines(actions, clock_of(record))
    if not done and not deeds:
        return Line(
            "Solutions Applied",
            "none so far"
            if attempt.state in OPEN
            else "none needed"
            if attempt.state is State.PASSED
            else "none",
        )
    return Line("Solutions Applied", "", (*done, *deeds))


def went_on(record: RunRecord, attempt: Attempt) -> tuple[str, ...]:
    """Return what was done after an attempt that the machine did not survive; empty: nothing yet."""
    later = [a for a in record.attempts if a.serial > attempt.serial]
    if attempt.state is not State.CRASHED or not later:
        return ()
    less = memory_size(later[0].limits.memory_max)
    return (f"went on after the boot as Phase {later[0].label}, with {less} of memory",)


def action_lines(actions: Sequence[Acted], clock: Clock) -> tuple[Md, ...]:
    """Return the guard's deeds with the reading that made each; the first ones, the rest counted.

    Taking the last counters of a load that ended by itself is no deed worth a line.
    """
    told = [a for a in actions if a.action is not Action.FINISH]
    lines = tuple(
        fill(
            "{} guard: {}, because {} ({} {})",
            clock.time(a.wall),
            a.action.value,
            a.cause or "of no reading",
            "took" if a.confirmed else "not seen done within",
            millis(a.took * 1000),
        )
        for a in told[:ACTIONS_SHOWN]
    )
    more = len(told) - len(lines)
    return (*lines, fill("{}", f"... and {more} more; report.json has them all")) if more > 0 else lines


def _next_words(record: RunRecord, attempt: Attempt) -> str:
    later = [a for a in record.attempts if a.serial > attempt.serial]
    if later:
        following = later[0]
        if following.phase.number == attempt.phase.number:
            return f"Phase {following.label}, the same test again" + (
                f" with {memory_size(following.limits.memory_max)}"
                if following.limits.memory_max != attempt.limits.memory_max
                else ""
            )
        return f"Ready for Phase {following.label} ({following.phase.name})"
    if attempt.state in OPEN:
        return TO_BE_FILLED
    upcoming = [p for p in phases_of(record) if p.number > attempt.phase.number]
    if record.end is None:
        return record.status or TO_BE_FILLED
    if attempt.state is State.PASSED and not upcoming:
        return "nothing: this was the last phase, see Final Results"
    return f"none: the ramp ended here ({record.end.reason or 'no reason recorded'})"


def _output(attempt: Attempt) -> Md | None:
    """Return the end of the load's output: always of a command, of a built-in load when it failed."""
    seen = attempt.evidence
    text = tail(seen.output_tail) if seen else ""
    wanted = attempt.phase.load.kind is LoadKind.COMMAND or attempt.state is not State.PASSED
    if not wanted or not text.strip() or seen is None:
        return None
    return fenced(text)
