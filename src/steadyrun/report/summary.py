"""What the whole run shows so far, and the progress summary: no praise without its figure. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from steadyrun.model.action import Action
from steadyrun.model.fate import down_words
from steadyrun.model.plan import Phase
from steadyrun.model.record import BROKE_OFF, Attempt, RunRecord, State
from steadyrun.report import words
from steadyrun.report.attempt import end_words, went_on
from steadyrun.report.down import down_line, downs_after
from steadyrun.report.escape import Md, fill, prose
from steadyrun.report.figures import chain, count, lasted, load, memory_size, millis, plural
from steadyrun.report.judged import state_heading
from steadyrun.report.lines import TO_BE_FILLED, Line, weakened
from steadyrun.report.totals import Totals, attempts_of, is_multiprocess, is_passed, phases_of, totals


class Summary(NamedTuple):
    """Current Progress Summary."""

    passed: str
    phases: tuple[Md, ...]
    performance: tuple[Line, ...]
    ready: str


def split(record: RunRecord) -> tuple[tuple[Phase, ...], tuple[Phase, ...]]:
    """Return the phases before the summary and those after it: the final test stands alone."""
    phases = phases_of(record)
    return (phases[:-1], phases[-1:]) if len(phases) > 1 else (phases, ())


def testing_results(record: RunRecord) -> tuple[str, ...]:
    """Return one line for each attempt, and for each boot that ended between two."""
    lines = [down_line(record, down) for down in downs_after(record, "")]
    for each in record.attempts:
        lines.append(weakened(_attempt_line(record, each), record))
        lines += [down_line(record, down) for down in downs_after(record, each.label)]
    return tuple(lines)


def _attempt_line(record: RunRecord, attempt: Attempt) -> str:
    text = f"Phase {attempt.label} {attempt.phase.name}: {state_heading(attempt)}"
    if attempt.state is State.CRASHED:
        return f"{text} under {memory_size(attempt.limits.memory_max)}; {end_words(record, attempt)}"
    outcome = attempt.evidence.outcome if attempt.evidence else None
    if outcome is None or attempt.evidence is None:
        return text
    worst, limit = attempt.evidence.worst, attempt.limits.memory_max
    return (
        f"{text} in {lasted(outcome.wall)}, peak {memory_size(outcome.memory_peak)} of "
        f"{memory_size(limit) if limit is not None else 'no limit'}, "
        f"highest load {load(worst.load1)}, worst gap {millis(worst.frames_gap_ms)}"
    )


def run_issues(record: RunRecord) -> tuple[str, ...]:
    """Return where the phases have findings of their own, so that nobody has to look for them."""
    return tuple(
        prose(f"Phase {a.label}: {finding.title}")
        for a in record.attempts
        for finding in a.findings
        if finding.title
    )


def run_solutions(record: RunRecord) -> tuple[str, ...]:
    """Return what was done about the findings, of the run and of its phases."""
    own = tuple(f.done for f in record.findings if f.done)
    return tuple(map(prose, own)) + tuple(
        prose(f"Phase {a.label}: {text}") for a in record.attempts for text in _done_about(record, a)
    )


def _done_about(record: RunRecord, attempt: Attempt) -> tuple[str, ...]:
    actions = attempt.evidence.actions if attempt.evidence else ()
    froze = any(a.action is Action.FREEZE for a in actions)  # a thaw comes before each TERM, too
    left_out = (Action.FINISH,) if froze else (Action.FINISH, Action.THAW)
    deeds = dict.fromkeys(a.action.value for a in actions if a.action not in left_out)
    guard = (f"the guard did {', '.join(deeds)}",) if deeds else ()
    return (*(f.done for f in attempt.findings if f.done), *went_on(record, attempt), *guard)


def progress_summary(record: RunRecord) -> Summary:
    """Return the summary of the phases before the final test; how the machine fared is of all."""
    phases, final = split(record)
    got = totals(record, phases)
    mark = "✅ " if got.phases and got.passed == got.phases else ""
    apart = ", the final test apart" if final else ""
    heading = f"{mark}PASSED TESTS ({got.passed}/{got.phases} phases){apart}"
    tried = totals(record)
    return Summary(
        weakened(heading, record),
        tuple(_phase_line(record, p) for p in phases),
        performance(record, phases_of(record), tried) if tried.attempts else (),
        _ready(record, got, final),
    )


def _phase_line(record: RunRecord, phase: Phase) -> Md:
    tries = attempts_of(record, phase)
    what = phase.summary or phase.name
    if not tries:
        return fill("**Phase {}**: {} - {}", str(phase.number), what, _untried(record))
    tried = "" if len(tries) == 1 else f", {len(tries)} tries"
    return fill("**Phase {}**: {} - {}{}", str(phase.number), what, state_heading(tries[-1]), tried)


def _untried(record: RunRecord) -> str:
    return TO_BE_FILLED if record.end is None else "not run"


def _ready(record: RunRecord, got: Totals, final: Sequence[Phase]) -> str:
    if not final:
        return record.status or TO_BE_FILLED
    if got.passed == got.phases:
        return "Ready for Final Test"
    if record.end is None:
        return record.status or TO_BE_FILLED
    return f"Not Ready for Final Test ({got.passed} of {got.phases} phases before it passed)"


def performance(record: RunRecord, phases: Sequence[Phase], got: Totals) -> tuple[Line, ...]:
    """Return the four lines of System Performance, each with its figure."""
    return (
        Line("Desktop stability", desktop_words(got)),
        Line("Memory management", memory_words(record, got)),
        Line("Load management", _load_words(record, got)),
        Line("Multi-process handling", _multi_words(record, phases)),
    )


def desktop_words(got: Totals) -> str:
    """Return how the desktop fared, in a word and its figures."""
    felt = f"worst gap between frames {millis(got.gap_worst_ms)}"
    seen = got.desktop
    if seen.applicable is None:
        return f"⚠️ unknown: it could not be told whether there is a desktop (canary: {felt})"
    if not seen.applicable:
        return f"no desktop on this machine: not applicable (canary: {felt})"
    figure = desktop_figure(got)
    if got.lost:
        return f"❌ Lost with the machine, which {down_words(got.fate)} (apart from that {figure})"
    if seen.restarts:
        return f"❌ Interrupted ({figure})"
    if seen.unknown:
        return f"⚠️ Not proven: it could not be told at {plural(seen.unknown, 'look')} ({figure})"
    if got.gap_worst_ms is None:
        return f"⚠️ No interruption, smoothness not measured ({figure})"
    word = "Perfect, no interruptions" if got.gap_worst_ms <= words.FRAME_FELT_MS else "⚠️ Kept, but felt"
    return f"{word} ({figure})"


def desktop_figure(got: Totals) -> str:
    """Return restarts, looks and the worst gap between frames."""
    seen, gap = got.desktop, millis(got.gap_worst_ms)
    return (
        f"{plural(seen.restarts, 'restart')} in {plural(seen.looks, 'look')}, worst gap between frames {gap}"
    )


def memory_words(record: RunRecord, got: Totals) -> str:
    """Return whether memory came back after each load and stayed over the reserve."""
    reserve = record.header.reserve.reserve if record.header.reserve else None
    low = words.reserve_word(got.mem_available_lowest, reserve)
    figure = f"recovered after {got.recovered} of {plural(got.recovered + got.unrecovered, 'test')}, {low}"
    if not got.lost and not got.recovered + got.unrecovered:
        return f"⚠️ Not proven ({figure})"
    if got.unrecovered or (got.oom_kills_outside or 0) > 0:
        return f"❌ Not good enough ({figure}, OOM kills outside the loads: {count(got.oom_kills_outside)})"
    if got.lost:
        return f"⚠️ Not always: the machine {down_words(got.fate)} ({figure})"
    if got.mem_available_lowest is None or reserve is None or got.mem_available_lowest < reserve:
        return f"⚠️ Recovered, with too little left or unknown ({figure})"
    if got.oom_kills_outside is None:
        return f"⚠️ Recovered; whether the kernel killed something outside the loads is unknown ({figure})"
    return f"Excellent ({figure})"


def _load_words(record: RunRecord, got: Totals) -> str:
    cores = record.header.machine.cores
    if got.load1_highest is None:
        return "unknown (the load average could not be read)"
    word = words.load_word(got.load1_before, got.load1_highest, got.load1_after, cores)
    figure = (
        chain(load, got.load1_before, got.load1_highest, got.load1_after) + f" on {plural(cores, 'core')}"
    )
    return f"{word[:1].upper()}{word[1:]} ({figure})" if word else figure


def _multi_words(record: RunRecord, phases: Sequence[Phase]) -> str:
    numbers = {p.number for p in phases}
    tries = [
        a
        for a in record.attempts
        if a.phase.number in numbers and is_multiprocess(a) and a.state not in BROKE_OFF
    ]
    if not tries:
        return "not tested yet" if record.end is None else "not tested"
    most = max(max(a.phase.load.processes, _tasks(a)) for a in tries)
    passed = sum(is_passed(a) for a in tries)
    # A crash leaves no process behind.
    ended = [a for a in tries if a.state is not State.CRASHED]
    left = [a.evidence.outcome.survivors if a.evidence and a.evidence.outcome else None for a in ended]
    known = None if None in left else sum(v for v in left if v is not None)
    figure = (
        f"{passed} of {plural(len(tries), 'test')} passed, up to {most} tasks at once, "
        f"{'unknown how many' if known is None else known} left behind"
    )
    return (
        f"Excellent ({figure})"
        if passed == len(tries) and known == 0
        else f"⚠️ Not without trouble ({figure})"
    )


def _tasks(attempt: Attempt) -> int:
    outcome = attempt.evidence.outcome if attempt.evidence else None
    return (outcome.tasks_peak or 0) if outcome else 0
