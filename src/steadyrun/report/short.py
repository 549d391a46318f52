"""What a reader wants first of a page of hundreds of lines: how it came out, and how to go on. Pure.

The page is written anew as a whole each time (`files.write_atomic`), so its top is as new as its end.
"""

from __future__ import annotations

from steadyrun.model.record import RunRecord, State
from steadyrun.report.escape import code, fill
from steadyrun.report.figures import limit_words, memory_size, plural
from steadyrun.report.final import final_results, go_on_words
from steadyrun.report.lines import Line, weakened
from steadyrun.report.totals import attempts_of, has_passed, phases_of, totals


def in_short(record: RunRecord) -> tuple[Line, ...]:
    """Return the verdict, what is proven, and what to do now; of a ramp that runs, how far it is."""
    final = final_results(record)
    if final is None or record.end is None:
        got = totals(record)
        so_far = (
            f"{got.passed} of {plural(got.phases, 'phase')} passed; {record.status or 'it has just begun'}"
        )
        return (Line("So far", weakened(so_far, record)), Line("Held until now", _held_words(record)))
    reason = record.end.reason or "no reason recorded"
    return (
        Line("Verdict", f"{final.headline}; exit code {record.end.exit_code}: {reason}"),
        Line("Safe limits", weakened(_held_words(record), record)),
        Line(
            "Tomorrow's command",
            fill("{}", code(record.tomorrow)) if record.tomorrow else go_on_words(record),
        ),
    )


def _held_words(record: RunRecord) -> str:
    """Return the limits that are proven here, else those of the last phase that passed."""
    if record.envelope is not None:
        proven = record.envelope
        return f"{limit_words(proven.limits)}, proven here for {proven.kind}"
    passed = [attempts_of(record, p)[-1] for p in phases_of(record) if has_passed(record, p)]
    if passed:
        last = passed[-1]
        return (
            f"the last phase that passed, {last.label}, had {memory_size(last.limits.memory_max)} of memory"
        )
    crashed = any(a.state is State.CRASHED for a in record.attempts)
    return "none: the machine went down before any phase passed" if crashed else "none: no phase has passed"
