"""The guard's law: what one reading means for the load. Pure: no clock, no file, no process.

This version judges by available memory alone, the one thing whose exhaustion ends a machine
without swap. The room for the rest of the law (pressure of the protected groups, the canary, I/O)
is `judge`: it takes the whole `Reading` and answers with one `Level` and the words for it;
`machine.py` knows nothing of what made a level.
"""

from __future__ import annotations

from enum import IntEnum

from steadyrun.model.event import Thresholds
from steadyrun.model.sample import Reading
from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Seconds, format_size

FASTEST_TICK = Seconds(0.01)
FILL_RATE = Bytes(2_100_000_000)
"""Bytes a second that one process fills in place (measured with an anonymous map in Python on
2020s server hardware); several processes together are bound by the same memory bus."""
LOOKS_BEFORE_FLOOR = 4
"""Looks that fit between now and the floor at FILL_RATE (earlyoom, `sleep_time_ms`: the same idea)."""
LATE_FACTOR = 5.0
"""A tick later than this many intervals, and than LATE_AT_LEAST, says that the guard slept."""
LATE_AT_LEAST = Seconds(1.0)


class Level(IntEnum):
    """How the machine is. UNKNOWN sorts lowest: it neither tightens nor loosens."""

    UNKNOWN = 0
    GREEN = 1
    YELLOW = 2
    RED = 3
    BLACK = 4


class Judgement(NamedTuple):
    """A level and the reading that made it, in words."""

    level: Level
    cause: str


def judge(reading: Reading, thresholds: Thresholds) -> Judgement:
    """Judge one reading.

    Below `black` is BLACK (kill), below `floor` is RED (freeze), below the reserve is YELLOW (a
    frozen load stays frozen), else GREEN. Available memory that could not be read is UNKNOWN.
    """
    available = reading.host.mem_available
    if available is None:
        return Judgement(Level.UNKNOWN, "available memory could not be read")
    for level, threshold, name in (
        (Level.BLACK, thresholds.black, "half the floor"),
        (Level.RED, thresholds.floor, "the floor"),
        (Level.YELLOW, thresholds.reserve, "the reserve"),
    ):
        if available < threshold:
            cause = f"available memory {format_size(available)} is below {name}, {format_size(threshold)}"
            return Judgement(level, cause)
    return Judgement(Level.GREEN, f"available memory {format_size(available)}")


def next_tick(reading: Reading, thresholds: Thresholds) -> Seconds:
    """Return how long to wait for the next look: shorter as the way to the floor gets shorter.

    Between FASTEST_TICK and `thresholds.tick`; the latter when available memory is unknown: looking
    more often at nothing does not help.
    """
    available = reading.host.mem_available
    if available is None:
        return thresholds.tick
    to_floor = (available - thresholds.floor) / FILL_RATE
    return Seconds(min(thresholds.tick, max(FASTEST_TICK, to_floor / LOOKS_BEFORE_FLOOR)))


def is_late(expected: Seconds, actual: Seconds) -> bool:
    """Tell whether a tick came so late that the guard itself was asleep (suspend, a paused VM)."""
    return actual > max(LATE_AT_LEAST, LATE_FACTOR * expected)
