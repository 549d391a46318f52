"""Words of judgement about figures, from one small table of thresholds. Pure.

A word never stands without the figure that earns it: callers print both. No word here decides
anything; verdicts come from the checks in the record.
"""

from __future__ import annotations

from steadyrun.model.outcome import Ending
from steadyrun.model.record import State
from steadyrun.model.verdict import Answer
from steadyrun.report.figures import finite, share
from steadyrun.units import MIB, format_size

POST_REBOOT = 600.0
"""Seconds of uptime below which a baseline is "post-reboot": the 5-minute load average needs
about that long to forget the boot."""

LOAD_MINIMAL_PER_CORE = 0.05
"""A rise of the 1-minute load average per core that reads "minimal change"..."""
LOAD_MINIMAL = 0.5
"""...or this much in all, on a machine with few cores. Both by choice: half a process."""
LOAD_HEAVY_PER_CORE = 1.0
"""As many runnable processes as cores: from here on somebody waits."""
LOAD_EXTREME_PER_CORE = 1.5
"""The manual ramp that this report follows called 36 on 20 cores (1.8 a core) extreme."""

MEMORY_STABLE = 0.02
"""Share of effective RAM that may be missing and still read "stable" or "recovered"..."""
MEMORY_STABLE_BYTES = 128 * MIB
"""...or this much, on a small machine: about what a desktop moves by itself in a minute."""
MEMORY_EXCELLENT = 0.75
"""Share of effective RAM available at the baseline that reads "excellent"; the manual ramp's 21 of 23 GB."""
MEMORY_GOOD = 0.4
"""Below excellent, by choice."""

FRAMES_UNSEEN_MS = 33.4
"""Two frames at 60 Hz: a gap that nobody sees."""
FRAME_FELT_MS = 250.0
"""The worst gap that the host verdict allows; longer ones are felt."""

RECOVERY_IMMEDIATE = 2.0
"""Seconds: two looks at the machine, one second apart."""
RECOVERY_QUICK = 10.0
"""Seconds, by choice."""


def load_word(before: float | None, peak: float | None, after: float | None, cores: int) -> str:
    """Return what a phase did to the 1-minute load average, in a few words; empty when not known."""
    before, peak, after = finite(before), finite(peak), finite(after)
    if peak is None or before is None:
        return ""
    if peak >= LOAD_HEAVY_PER_CORE * cores and _is_minimal(peak - before, cores):
        return "as busy as before"
    if peak >= LOAD_EXTREME_PER_CORE * cores:
        return "extreme load"
    if peak >= LOAD_HEAVY_PER_CORE * cores:
        return "heavy load"
    change = "minimal change" if _is_minimal(peak - before, cores) else "moderate increase"
    return (
        f"{change}, lower afterwards than before" if after is not None and after < before - 0.005 else change
    )


def _is_minimal(rise: float, cores: int) -> bool:
    return rise <= max(LOAD_MINIMAL, LOAD_MINIMAL_PER_CORE * cores)


def memory_word(before: int | None, after: int | None, lowest: int | None, effective: int | None) -> str:
    """Return whether available memory came back; bytes; empty when not known."""
    if before is None or after is None:
        return ""
    slack = max(MEMORY_STABLE * (effective or 0), MEMORY_STABLE_BYTES)
    if before - after > slack:
        return f"{format_size(before - after)} less than before"
    return "recovered" if lowest is not None and before - lowest > slack else "stable"


def available_word(available: int | None, effective: int | None, reserve: int | None) -> str:
    """Return how much room the baseline leaves; bytes; empty when not known."""
    if available is None or not effective:
        return ""
    if reserve is not None and available < reserve:
        return "below the reserve"
    part = available / effective
    word = "excellent" if part >= MEMORY_EXCELLENT else "good" if part >= MEMORY_GOOD else "little room"
    return f"{share(part)} of it available, {word}"


def frames_word(gap_ms: float | None) -> str:
    """Return what a person would have felt of the worst gap between two frames."""
    gap = finite(gap_ms)
    if gap is None:
        return ""
    if gap <= FRAMES_UNSEEN_MS:
        return "smooth"
    return "a short hitch" if gap <= FRAME_FELT_MS else "a person feels this"


def recovery_word(seconds: float | None) -> str:
    """Return how quick a recovery was; empty when it did not end within its limit."""
    took = finite(seconds)
    if took is None:
        return ""
    return "immediate" if took <= RECOVERY_IMMEDIATE else "quick" if took <= RECOVERY_QUICK else "slow"


def reserve_word(lowest: int | None, reserve: int | None) -> str:
    """Return whether available memory stayed over the reserve, with both figures."""
    if lowest is None:
        return "lowest available memory unknown"
    if reserve is None:
        return f"never less than {format_size(lowest)} available"
    relation = "never less than" if lowest >= reserve else "as little as"
    return f"{relation} {format_size(lowest)} available, reserve {format_size(reserve)}"


ANSWER_WORD = {
    Answer.YES: "✅ yes",
    Answer.NO: "❌ no",
    Answer.UNKNOWN: "⚠️ unknown",
    Answer.NOT_APPLICABLE: "not applicable",
}

STATE_HEADING = {
    State.READY: "READY",
    State.RUNNING: "RUNNING",
    State.RECOVERING: "RECOVERING",
    State.PASSED: "COMPLETED ✅",
    State.FAILED: "FAILED ❌",
    State.DEGRADED: "DEGRADED ⚠️",
    State.UNKNOWN: "UNKNOWN ⚠️",
    State.INVALID: "INVALID ⚠️",
    State.CRASHED: "CRASHED (machine) ❌",
    State.INTERRUPTED: "INTERRUPTED ⚠️",
    State.STOPPED: "STOPPED ⚠️",
}

STATE_WORDS = {
    State.READY: "READY - nothing has been started yet",
    State.RUNNING: "RUNNING - the load runs now",
    State.RECOVERING: "RECOVERING - the load is over, the machine settles",
    State.PASSED: "✅ PASSED",
    State.FAILED: "❌ FAILED",
    State.DEGRADED: "⚠️ DEGRADED - nothing was lost, but the machine was worse than it should be",
    State.UNKNOWN: "⚠️ UNKNOWN - something that decides could not be read",
    State.INVALID: "⚠️ INVALID - this try says nothing about its limits",
    State.CRASHED: "❌ CRASHED (machine) - the machine went down while this phase ran",
    State.INTERRUPTED: "⚠️ INTERRUPTED - steadyrun ended before the phase did; the machine stayed up",
    State.STOPPED: "⚠️ STOPPED - somebody asked for it to stop",
}

ENDING_WORDS = {
    Ending.EXITED: "ended by itself",
    Ending.MEMORY_LIMIT: "killed at its memory limit",
    Ending.WALL_TIME: "ended at its wall time",
    Ending.HOST_MEMORY: "ended by the guard: the machine's available memory ran low",
    Ending.HOST_PRESSURE: "ended by the guard, for the desktop's sake",
    Ending.STOPPED: "ended because somebody asked for it",
    Ending.CONDUCTOR_GONE: "ended because the conductor was gone",
    Ending.GUARD_GONE: "ended by the keeper because the guard was gone",
    Ending.CONTAINMENT_GONE: "gone because somebody else removed its containment",
    Ending.NOT_STARTED: "not started",
    Ending.UNKNOWN: "end unknown",
}
