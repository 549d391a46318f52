"""The page and the JSON of a single `run` (or of the doctor's proofs): short, since there is one load. Pure.

A ramp's page is PROGRESS.md, in `progress.py`.
"""

from __future__ import annotations

import json
import shlex
from typing import Any, NamedTuple

from steadyrun.model.codec import encode
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import Ending, LoadOutcome
from steadyrun.model.record import RunKind, RunRecord, RunResult
from steadyrun.report.attempt import action_lines
from steadyrun.report.command import ramp_command, run_command
from steadyrun.report.ending import explain, longer_wall_time, more_memory
from steadyrun.report.escape import Md, as_utf8, code, fenced, fill, prose
from steadyrun.report.figures import count, lasted, limit_words, memory_size, millis, plural
from steadyrun.report.judged import how_ended
from steadyrun.report.lines import WEAK, Line, clock_of, finding_lines, with_word
from steadyrun.report.means import means_lines
from steadyrun.report.opening import backend_words, proof_rows
from steadyrun.report.page import fill_page
from steadyrun.report.single_json import SCHEMA, canary_keys, outcome_object
from steadyrun.units import Bytes, format_size


class Next(NamedTuple):
    """What to do now: a sentence, and a command where there is one to type."""

    advice: str
    command: str = ""


def render_single(record: RunRecord) -> str:
    """Return the page of a run that is no ramp, ending in a newline."""
    advised = next_step(record)
    return fill_page(
        "single.md.j2",
        title=f"steadyrun {record.header.kind.value} {record.header.run_id}",
        facts=_facts(record),
        heading=_heading(record),
        figures=_figures(record),
        findings=finding_lines(record.findings),
        proofs=proof_rows(record.proofs),
        advice=prose(advised.advice),
        command=Md(fenced(advised.command, language="sh")) if advised.command else "",
    )


def render_single_json(record: RunRecord) -> str:
    """Return what docs/run-json.md describes, as far as the journal has it; unknown is null."""
    header, end, clock, result = record.header, record.end, clock_of(record), record.result
    limits = header.limits or Limits()
    value: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": header.kind.value,
        "run_id": header.run_id,
        "command": [as_utf8(word) for word in header.argv],
        "cwd": as_utf8(header.cwd),
        "started": clock.iso(header.started_wall),
        "ended": clock.iso(end.wall) if end else None,
        "run_exit_code": end.exit_code if end else None,
        "reason": end.reason if end else None,
        "next": next_step(record).command or None,
        **outcome_object(header.backend, limits, None if result is None else result.outcome),
        "limits_not_in_force": [encode(r) for r in result.readback if not r.held] if result else None,
        "actions": [encode(action) for action in result.actions] if result else None,
        **(canary_keys(None, "") if result is None else canary_keys(result.frames, result.no_frames)),
        "proofs": [encode(proof) for proof in record.proofs],
        "findings": [encode(finding) for finding in record.findings],
        "guard_pid": header.pid,
    }
    return json.dumps(value, indent=2) + "\n"


def _facts(record: RunRecord) -> tuple[Line, ...]:
    header, clock = record.header, clock_of(record)
    ended = None if record.end is None else record.end.wall
    where = fill("{} in {}", code(shlex.join(header.argv)), code(header.cwd))
    command = (Line("Command", where),) if header.argv else ()
    limits = () if header.limits is None else (Line("Limits", limit_words(header.limits)),)
    held = backend_words(header.backend)
    return (
        *command,
        Line("Time", f"{clock.date(header.started_wall)}, {clock.span(header.started_wall, ended)}"),
        Line("Held by", f"{held}; ⚠️ {WEAK}" if header.weak else held),
        *limits,
        *_missed(record.result),
    )


def _missed(result: RunResult | None) -> tuple[Line, ...]:
    missed = [] if result is None else [r for r in result.readback if not r.held]
    return tuple(
        Line(
            "Limit not applied",
            f"{r.name}: asked {r.asked}, {r.source} says {r.found or 'nothing readable'}",
        )
        for r in missed
    )


def _heading(record: RunRecord) -> str:
    if record.end is None:
        return "Not ended, as far as the journal knows"
    if record.result is None:
        return f"{record.status or 'Ended'}: exit code {record.end.exit_code}"
    outcome = record.result.outcome
    well = outcome.ending is Ending.EXITED and record.end.exit_code == 0
    said = how_ended(outcome, record.header.limits or Limits())
    own = outcome.ending is Ending.EXITED and outcome.signal is None
    return f"{'✅' if well else '❌'} {said}" + ("" if own else f"; exit code {record.end.exit_code}")


def _figures(record: RunRecord) -> tuple[Line, ...]:
    if record.result is None:
        reason = record.end.reason if record.end else "`steadyrun recover` looks into what has no end"
        return (Line("What is known", prose(reason)),)
    outcome, actions = record.result.outcome, record.result.actions
    deeds = action_lines(actions, clock_of(record))
    frozen = f", frozen {lasted(outcome.frozen)} of it" if outcome.frozen else ""
    stalls = (
        f"on memory {lasted(outcome.psi_memory_some)} (wholly {lasted(outcome.psi_memory_full)}), "
        f"on I/O wholly {lasted(outcome.psi_io_full)}, for a CPU {lasted(outcome.psi_cpu_some)}"
    )
    return (
        Line("Peak memory", _peak_words(outcome, record.header.limits)),
        Line("OOM kills in it", count(outcome.oom_kills)),
        Line("Took", f"{lasted(outcome.wall)} wall time{frozen}, {lasted(outcome.cpu)} CPU time"),
        Line("Tasks at most", _task_words(outcome)),
        Line("Read and written", f"{format_size(outcome.io_read)}, {format_size(outcome.io_write)}"),
        *((Line("Stalls (PSI)", stalls),) if outcome.psi_memory_some is not None else ()),
        Line("Desktop", _frames_words(record.result)),
        Line("Left behind", _left_words(outcome)),
        *means_lines(outcome.means),
        *((Line("The guard", "", deeds),) if deeds else ()),
    )


def _peak_words(outcome: LoadOutcome, limits: Limits | None) -> str:
    limit = None if limits is None else limits.memory_max
    if limit is None or outcome.memory_peak is None:
        return memory_size(outcome.memory_peak)
    room = f"headroom {memory_size(max(0, limit - outcome.memory_peak))}"
    return with_word(f"{memory_size(outcome.memory_peak)} of {memory_size(limit)}", room)


def _task_words(outcome: LoadOutcome) -> str:
    most = count(outcome.tasks_peak)
    return f"{most}, {outcome.forks_refused} more refused" if outcome.forks_refused else most


def _frames_words(result: RunResult) -> str:
    """Return how a desktop fared beside the run, as far as the canary is one."""
    seen = result.frames
    if seen is None:
        why = f" ({result.no_frames})" if result.no_frames else ""
        return f"unknown: no canary showed a frame{why}"
    return (
        f"the canary's frames were at most {millis(seen.late_ms)} late (p99 of a second), and the longest "
        f"wait between two was {millis(seen.gap_ms)} longer than a frame; "
        f"it took {lasted(seen.cpu)} of CPU time"
    )


def _left_words(outcome: LoadOutcome) -> str:
    if outcome.survivors is None:
        return "whether a process survived is unknown"
    if outcome.survivors:
        return f"{plural(outcome.survivors, 'process', 'processes')} could not be killed"
    ended = plural(outcome.left_behind, "process", "processes")
    return f"{ended} of the command, ended with it" if outcome.left_behind else "nothing"


def next_step(record: RunRecord) -> Next:
    """Return what to do after this run."""
    header = record.header
    if header.kind is not RunKind.RUN:
        return Next("")
    carries = ramp_command(header.argv)
    if record.result is None:
        if record.end is None:
            return Next("See whether it still runs:", "steadyrun history")
        return Next("To find out how much of it this machine carries:", carries)
    outcome, limits = record.result.outcome, header.limits or Limits()
    said = "; ".join(explain(outcome, limits, header.argv, ceiling=ceiling_of(record)))
    if outcome.ending is not Ending.NOT_STARTED:  # which begins with the command's name
        said = said[:1].upper() + said[1:]
    match outcome.ending:
        case Ending.EXITED:
            return Next(
                f"{said or 'The same again, under the same limits'}:", run_command(header.argv, limits)
            )
        case Ending.MEMORY_LIMIT:
            more = more_memory(limits, ceiling_of(record), outcome.memory_peak)
            if more is None:
                return Next(said)
            return Next(f"{said}:", run_command(header.argv, limits._replace(memory_max=more)))
        case Ending.WALL_TIME:
            longer = limits._replace(wall_time=longer_wall_time(limits))
            return Next(f"{said}:", run_command(header.argv, longer))
        case Ending.NOT_STARTED:
            return Next(said)
        case Ending.HOST_MEMORY | Ending.HOST_PRESSURE:
            return Next(f"{said}. To find out how much of it this machine carries:", carries)
        case _:
            return Next(f"{said}:", run_command(header.argv, limits))


def ceiling_of(record: RunRecord) -> Bytes | None:
    """Return the most memory a load may have on the record's machine; `None`: not known."""
    ram, reserve = record.header.machine.effective_ram, record.header.reserve
    return None if ram is None or reserve is None else Bytes(ram - reserve.reserve)
