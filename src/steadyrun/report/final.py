"""The end of the page: final results, what was achieved, and tomorrow's command. Pure.

Success is said only of a run whose every phase passed; everything else says how far it came.
"""

from __future__ import annotations

from typing import NamedTuple

from steadyrun.errors import EXIT_DECISION_NEEDED
from steadyrun.model.fate import down_words, machine_words, times
from steadyrun.model.outcome import Ending
from steadyrun.model.plan import LoadKind, Phase
from steadyrun.model.record import RunKind, RunRecord, State
from steadyrun.report import words
from steadyrun.report.escape import Md, code, fenced, fill
from steadyrun.report.figures import lasted, limit_words, load, memory_size, millis, plural
from steadyrun.report.judged import changed_limit, ending_words, state_heading
from steadyrun.report.lines import WEAK, Line, clock_of, weakened, with_word
from steadyrun.report.summary import desktop_figure, desktop_words, memory_words
from steadyrun.report.totals import Totals, attempts_of, has_passed, is_passed, phases_of, totals


class Final(NamedTuple):
    """Everything from the final headline down."""

    headline: str
    results: tuple[str, ...]
    achievement_heading: str
    achievement: tuple[Line, ...]
    approach_heading: str
    approach: tuple[Line, ...]
    closing_heading: str
    closing: str
    tomorrow: Md


def is_success(record: RunRecord) -> bool:
    """Tell whether every phase passed and the run ended well."""
    phases = phases_of(record)
    return (
        record.end is not None
        and record.end.exit_code == 0
        and bool(phases)
        and all(has_passed(record, phase) for phase in phases)
    )


def final_results(record: RunRecord) -> Final | None:
    """Return the end of the page; `None` while the ramp has not ended."""
    if record.end is None:
        return None
    got = totals(record)
    success = is_success(record)
    return Final(
        weakened(_headline(got, success), record),
        (*_result_lines(record, got, success),),
        "Key Achievement" if success else "What Was Reached",
        _achievement(record, got),
        "Conservative Approach Success" if success else "Conservative Approach So Far",
        _approach(record, got),
        weakened("SYSTEM OPTIMIZATION ACHIEVED ✅" if success else "NOT ACHIEVED YET", record),
        _closing(record, got, success),
        _tomorrow(record),
    )


def _headline(got: Totals, success: bool) -> str:
    down = down_words(got.fate)
    if success:
        return "CONSERVATIVE APPROACH SUCCESS ✅" + (f" (after the machine {down})" if down else "")
    passed = f"{got.passed} of {plural(got.phases, 'phase')} passed"
    if got.crashes:
        return f"THE MACHINE WENT DOWN ❌ ({passed})"
    return f"CONSERVATIVE APPROACH NOT FINISHED ⚠️ ({passed}{f'; the machine {down}' if down else ''})"


def _result_lines(record: RunRecord, got: Totals, success: bool) -> tuple[str, ...]:
    end = record.end
    assert end is not None
    tries = plural(got.attempts, "try", "tries")
    done = f"{got.passed} of {plural(got.phases, 'phase')} completed successfully, {tries}"
    ended = f"Ended {clock_of(record).time(end.wall)}, exit code {end.exit_code}"
    cores = plural(record.header.machine.cores, "core")
    seen = got.desktop
    restarts = {
        True: str(seen.restarts),
        False: "not applicable (no desktop on this machine)",
        None: "unknown (it could not be told whether there is a desktop)",
    }[seen.applicable]
    unsure = (
        f" (could not be told at {plural(seen.unknown, 'look')})" if seen.applicable and seen.unknown else ""
    )
    changed = f"; {words}" if (words := _changed_words(record)) else ""
    lost = f" (and lost with the machine {times(got.lost)})" if seen.applicable and got.lost else ""
    return (
        weakened(f"{'All phases completed: ' if success else ''}{done}{changed}", record),
        f"{ended}: {end.reason or 'no reason recorded'}",
        f"Desktop restarts: {restarts}{unsure}{lost}",
        f"System crashes: {_crash_words(got)}",
        f"Reboots: {_reboot_words(got)}",
        f"Highest load average: {load(got.load1_highest)} (1 minute, {cores})",
        f"Memory: {memory_words(record, got)}",
        f"Most memory of one load: {memory_size(got.peak_highest)}",
        f"Desktop: {desktop_words(got)}",
        f"SSH: {_ssh_words(got)}",
    )


def _crash_words(got: Totals) -> str:
    """Return how many there were; whether a boot that ended between two phases was one is not known."""
    between = got.fate.between
    if not between:
        return str(got.crashes)
    return (
        f"⚠️ {got.crashes} in a phase; {between} more, or boots by somebody, while no phase was running: "
        "which of the two is not known"
    )


def _reboot_words(got: Totals) -> str:
    apart = got.reboots - got.lost
    return f"{got.reboots}{f', {apart} of them while no ramp was going on' if apart else ''}"


def _changed_words(record: RunRecord) -> str:
    """Return which phases passed with another limit than was planned."""
    passed = [attempts_of(record, p)[-1] for p in phases_of(record) if has_passed(record, p)]
    changed = [f"phase {a.phase.number} {changed_limit(a)}" for a in passed if changed_limit(a)]
    return ", ".join(changed)


def _ssh_words(got: Totals) -> str:
    seen = got.ssh
    if seen.applicable is None:
        return "⚠️ unknown: it could not be told whether there is SSH"
    if not seen.applicable:
        return "no SSH on this machine: not applicable"
    if seen.restarts or seen.unknown:
        looks = plural(seen.looks, "look")
        return f"⚠️ lost or another one at {seen.restarts}, not told at {seen.unknown} of {looks}"
    if got.lost:
        down = f"lost with the machine, which {down_words(got.fate)}"
        return f"⚠️ {down}; it answered at all {plural(seen.looks, 'look')}"
    return f"answered throughout ({plural(seen.looks, 'look')})"


def _achievement(record: RunRecord, got: Totals) -> tuple[Line, ...]:
    return (
        Line("Desktop session", desktop_words(got)),
        Line("Final test", final_words(record)),
        Line("System behavior", _behaviour_words(got)),
        Line("Recovery", _recovery_words(got)),
    )


def final_words(record: RunRecord) -> str:
    """Return what came of the last phase, the one that used to bring the machine down."""
    phases = phases_of(record)
    tries = attempts_of(record, phases[-1]) if phases else ()
    if not tries:
        return "not run"
    last = tries[-1]
    what = "the command" if last.phase.load.kind is LoadKind.COMMAND else "the built-in load"
    if is_passed(last):
        ran = f"{what} ran to its end under {limit_words(last.limits)}"
        crashed = [memory_size(a.limits.memory_max) for a in tries if a.state is State.CRASHED]
        if crashed:
            return f"{ran}; it took the machine down under {', '.join(crashed)} of memory"
        return f"{ran}; it did not crash the system"
    if last.state is State.CRASHED:
        return f"{what} still takes the machine down under {limit_words(last.limits)}"
    outcome = last.evidence.outcome if last.evidence else None
    if outcome is not None and outcome.ending is Ending.MEMORY_LIMIT:
        return (
            f"{what} did not finish: it was killed at {memory_size(last.limits.memory_max)} "
            f"after {plural(len(tries), 'try', 'tries')}; the machine stayed up"
        )
    how = f": {ending_words(last, outcome)}" if outcome is not None else ""
    return f"{what} did not pass ({last.state.value}){how}"


def _behaviour_words(got: Totals) -> str:
    down = f"{down_words(got.fate)}; apart from that, " if got.lost else ""
    if got.load1_highest is None and got.gap_worst_ms is None:
        return f"{down}unknown"
    word = words.frames_word(got.gap_worst_ms)
    gap = f"the worst gap between frames was {millis(got.gap_worst_ms)}"
    return with_word(f"{down}at a load of up to {load(got.load1_highest)} {gap}", word)


def _recovery_words(got: Totals) -> str:
    if not got.recovered:
        return "not seen"
    word = words.recovery_word(got.recovery_slowest)
    figure = f"at most {lasted(got.recovery_slowest)} after {plural(got.recovered, 'load')}"
    if got.unrecovered:
        return f"⚠️ {figure}, and not in time after {got.unrecovered}"
    return f"Automatic and {word} ({figure})"


def _approach(record: RunRecord, got: Totals) -> tuple[Line, ...]:
    phases = phases_of(record)
    passed = [p for p in phases if has_passed(record, p)]
    if not phases:
        return ()
    first, last = phases[0], passed[-1] if passed else None
    tries = attempts_of(record, phases[-1])
    return (
        Line("Started", f"{first.name} ({first.summary or limit_words(first.limits)})"),
        Line(
            "Loosened up to",
            _reached_words(record, last) if last else "no phase passed",
        ),
        Line("Final test", f"{phases[-1].name}: {state_heading(tries[-1]) if tries else 'not run'}"),
        Line("Result", _envelope_words(record, got)),
    )


def _reached_words(record: RunRecord, phase: Phase) -> str:
    """Return the loosest phase that passed, with what it really had."""
    passed = attempts_of(record, phase)[-1]
    return with_word(phase.name, changed_limit(passed) or phase.summary or limit_words(passed.limits))


def _envelope_words(record: RunRecord, got: Totals) -> str:
    if record.envelope is None:
        return f"{got.passed} of {plural(got.phases, 'phase')} passed; no envelope was stored"
    return (
        f"proven safe here for {record.envelope.kind}: {limit_words(record.envelope.limits)} "
        f"(most memory really used: {memory_size(record.envelope.peak)})"
    )


def _closing(record: RunRecord, got: Totals, success: bool) -> str:
    if not success:
        assert record.end is not None
        why = record.end.reason or "not recorded"
        return f"What was proven so far is in the phases that passed. Why it ended: {why}."
    changed = _changed_words(record)
    what = f"phase of the ramp, {changed}" if changed else "load of the ramp"
    text = f"This machine carried every {what}, up to a load average of {load(got.load1_highest)}"
    if not got.fate.held_throughout:
        text += f"; {machine_words(got.fate)}"
    if got.desktop.applicable and not got.desktop.restarts and not got.desktop.unknown:
        apart = " apart from that" if got.lost else ""
        text += f", and{apart} the desktop stayed: {desktop_figure(got)}"
    elif got.desktop.applicable is False:
        text += "; there is no desktop on it whose responsiveness could be judged"
    return f"{text}." + (f" ⚠️ {WEAK}: the kernel did not hold these limits." if record.header.weak else "")


def _tomorrow(record: RunRecord) -> Md:
    if record.tomorrow:
        return Md(f"For daily work, exactly this:\n\n{fenced(record.tomorrow, language='sh')}")
    return go_on_words(record)


def go_on_words(record: RunRecord) -> Md:
    """Return how to go on after a ramp that ended without a command for daily work."""
    if is_success(record):
        return Md("No command was recorded for daily work.")
    if record.header.kind is not RunKind.RAMP:
        return fill(
            "There is none yet: it is proven by a ramp that passes: {}", code("steadyrun ramp -- COMMAND")
        )
    if record.end is not None and record.end.exit_code == EXIT_DECISION_NEEDED:
        return fill(
            "There is none yet. How to go on is for you to decide: with a plan whose phase 1 is smaller "
            "({}, then {}), or from the start, although that took the machine down ({}).",
            code("steadyrun ramp --print-plan > my.toml"),
            code("steadyrun ramp --anew my.toml"),
            code("steadyrun ramp --anew"),
        )
    usual = _usual_result(record)
    return fill(
        "There is none yet: it is proven by a ramp that passes. To go on from the last phase that passed: "
        "{}{}",
        code(f"steadyrun ramp --resume {record.header.run_id}"),
        f"; {usual}" if usual else "",
    )


def _usual_result(record: RunRecord) -> str:
    """Return how to go on where the command's own exit code is its usual one; empty: it is not that."""
    last = record.attempts[-1].findings if record.attempts else ()
    return next((finding.remedy for finding in last if finding.code == "own-exit-code"), "")
