"""What a section says of a crash: the last readings, the kernel's last words, and when it was found. Pure."""

from __future__ import annotations

from steadyrun.model.crash import Crash, LastSeen, LogLine, PastLog
from steadyrun.model.record import Attempt, RunRecord
from steadyrun.report.escape import code, fill
from steadyrun.report.figures import Clock, lasted, load, memory_size, plural, share
from steadyrun.report.lines import Line, clock_of, with_word
from steadyrun.units import format_size


def crash_lines(record: RunRecord, attempt: Attempt, crash: Crash) -> tuple[Line, ...]:
    """Return the evidence of a crash, from the phase's beginning to the start that found it."""
    clock = clock_of(record)
    logs = (line for log in crash.logs for line in _log_lines(log, clock))
    return (*_last_lines(attempt, crash.last, clock), *logs, Line("Found", _found_words(crash, clock)))


def _last_lines(attempt: Attempt, last: LastSeen | None, clock: Clock) -> tuple[Line, ...]:
    if last is None:
        return (Line("Last reading", "none of this phase reached the disk"),)
    began = attempt.started_wall
    into = f"{lasted(last.wall - began)} into the phase" if began is not None and last.wall >= began else ""
    available = with_word(
        f"{format_size(last.mem_available)} available",
        f"at least {format_size(last.mem_available_lowest)} in the {lasted(last.window)} before",
    )
    stalls = (
        f"memory some {share(last.psi_memory_some)}, memory full {share(last.psi_memory_full)}, "
        f"I/O full {share(last.psi_io_full)}, over the last {lasted(last.window)}"
    )
    used = f"the load used {memory_size(last.load_memory)} of {memory_size(attempt.limits.memory_max)}"
    return (
        Line("Last reading", with_word(clock.time(last.wall), into)),
        Line("Memory then", f"{available}; {used}"),
        Line("Load then", load(last.load1)),
        Line("PSI of the machine then", f"{stalls} ({plural(last.readings, 'reading')})"),
    )


def _log_lines(log: PastLog, clock: Clock) -> tuple[Line, ...]:
    name = f"The kernel's last words ({log.source})"
    until = "" if log.until is None else f"; its last line is of {clock.time(log.until)}"
    if not log.known:
        return (Line(name, f"unknown: {log.why}{until}"),)
    if not log.lines:
        late = "what came after may not have reached the disk"
        return (Line(name, f"nothing that names trouble{until}; {late}"),)
    return tuple(Line(name, _line_words(line, clock)) for line in log.lines)


def _line_words(line: LogLine, clock: Clock) -> str:
    text = code(line.text)
    return text if line.wall is None else fill("{} {}", clock.time(line.wall), text)


def _found_words(crash: Crash, clock: Clock) -> str:
    booted = "" if crash.booted_wall is None else f", after a boot at {clock.time(crash.booted_wall)}"
    return f"by the next start of steadyrun at {clock.time(crash.found_wall)}{booted}"
