"""The guard's law: what the readings mean for the load. Pure: no clock, no file, no process.

`judge` answers with one `Level`, the kind of thing that made it, and the reading in words:

| level  | when (thresholds are the larger of the value and three times what is usual here)             |
|--------|----------------------------------------------------------------------------------------------|
| BLACK  | available memory below half the floor; reclaim in vain for 5 s                               |
| RED    | a protected group stalled (`full`) 100 ms of the last second; the whole machine 150 ms, with  |
|        | low memory or late frames; available memory below the floor; the canary silent twice         |
| YELLOW | a protected group waited for memory (`some`) over 5 % of the second, or frames over 20 ms     |
|        | late, in 2 of the last 3 windows; available memory below the reserve                         |
| GREEN  | otherwise                                                                                    |

What follows from a level is `machine.py`'s: that a stall persists after a freeze and that there were
several REDs in a short time are BLACK, too, and known there. Memory pressure decides; I/O pressure only says
what to tighten, and only with late frames and I/O by the load; CPU pressure decides nothing: `some` is near
100 % with 16 busy loops whether or not a person feels it. What is unknown fires nothing.

All that runs may be the load: what it waits for at its hard limit, and what it sleeps over a throttle limit
that the guard set, is the whole machine's waiting wherever a desktop is idle (try_charge_memcg and
mem_cgroup_handle_over_high in mm/memcontrol.c). Of a load at such a limit that waits as long as all do, the
machine's stall says something where a protected group waits, too, or, where no group is known, with no frames
at all: low memory and late frames are judged by themselves then.
"""

from __future__ import annotations

from enum import Enum, IntEnum

from steadyrun.guard.signs import (
    IO_SHARE,
    OF_THEM,
    SILENCES,
    WINDOW,
    WINDOWS,
    Signs,
    is_late,
    limit,
    share,
    waits,
)
from steadyrun.model.sample import Reading
from steadyrun.model.thresholds import Thresholds, Usual
from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Ratio, Seconds, format_duration, format_size

FASTEST_TICK = Seconds(0.01)
"""Chosen: at FILL_RATE 21 MB go between two looks, and a second has no more than a hundred to pay for."""
FILL_RATE = Bytes(2_100_000_000)
"""Bytes a second that one process fills in place (measured with an anonymous map in Python on
2020s server hardware); several processes together are bound by the same memory bus."""
LOOKS_BEFORE_FLOOR = 4
"""Looks that fit between now and the floor at the fill rate (earlyoom, `sleep_time_ms`: the same idea)."""
LATE_FACTOR = 5.0
"""A tick later than this many intervals, and than LATE_AT_LEAST, says that the guard slept."""
LATE_AT_LEAST = WINDOW
"""After a longer wait no mark is left of the window that the look is to be compared with."""
UNREADABLE = "available memory could not be read"
IO_LEAST = 2**20
"""Bytes a second: a load that moves less is not what fills the disk's queue."""
OF_BOUND = Ratio(0.9)
"""Chosen: a load that reclaims at its limit is below it by what it gained."""
USED_UP = Ratio(0.99)
"""Chosen: of a limit where the load reclaims, some pages at a time; its own waiting is not known there."""
OF_HOST = Ratio(0.9)
"""Chosen: so much of what all wait for the load waits for. With less, others wait while it does not."""


class Level(IntEnum):
    """How the machine is. UNKNOWN sorts lowest: it neither tightens nor loosens."""

    UNKNOWN = 0
    GREEN = 1
    YELLOW = 2
    RED = 3
    BLACK = 4


class Kind(Enum):
    """What made a level: the same level asks for other deeds."""

    NOTHING = "nothing"
    MEMORY = "memory"
    """Available memory is low. Freezing keeps it from getting lower."""
    STALL = "stall"
    """Somebody waits for memory. Freezing helps unless the memory is the load's."""
    FRAMES = "frames"
    """The canary is late or silent and memory is not known to be why."""
    RECLAIM = "reclaim"


class Judgement(NamedTuple):
    """A level, what made it, and the reading in words."""

    level: Level
    cause: str
    kind: Kind = Kind.NOTHING
    low: bool = False
    """Available memory is below the reserve, or not known, whatever else made the level."""
    io: bool = False
    """The disk is short and the load uses it."""
    own: bool = False
    """What all wait for can be what the load waits for at a limit of its own."""


def judge(
    reading: Reading, signs: Signs, thresholds: Thresholds, usual: Usual, bound: Bytes | None = None
) -> Judgement:
    """Judge one reading together with what the last second says.

    Available memory that could not be read is UNKNOWN, unless something else that is known is worse.

    Args:
        reading: The reading.
        signs: What the last second says.
        thresholds: The table.
        usual: What is usual here.
        bound: Memory of the load from which on it waits for room of its own: its throttle or hard limit;
            `None`: it has none, or waits for nothing.
    """
    own = _is_its_own(reading, signs, bound)
    possible = (
        _reclaim(signs, thresholds),
        _protected(signs, thresholds, usual),
        _host(reading, signs, thresholds, usual, own=own),
        _yellow(signs),
        _memory(reading, thresholds),
        _silence(signs, thresholds),
    )
    # Of one level the first: that somebody waits says more than that memory is low.
    found = max((each for each in possible if each is not None), key=lambda each: each.level)
    available = reading.host.mem_available
    low = available is None or available < thresholds.reserve
    return found._replace(low=low, io=_is_io(signs, thresholds, usual), own=own)


def _memory(reading: Reading, thresholds: Thresholds) -> Judgement:
    available = reading.host.mem_available
    if available is None:
        return Judgement(Level.UNKNOWN, UNREADABLE)
    for level, threshold, name in (
        (Level.BLACK, thresholds.black, "half the floor"),
        (Level.RED, thresholds.floor, "the floor"),
        (Level.YELLOW, thresholds.reserve, "the reserve"),
    ):
        if available < threshold:
            cause = f"available memory {format_size(available)} is below {name}, {format_size(threshold)}"
            return Judgement(level, cause, Kind.MEMORY)
    return Judgement(Level.GREEN, f"available memory {format_size(available)}")


def _reclaim(signs: Signs, thresholds: Thresholds) -> Judgement | None:
    if signs.futile_for < thresholds.futile:
        return None
    cause = f"the machine scanned for memory in vain for {format_duration(signs.futile_for)}"
    return Judgement(Level.BLACK, cause, Kind.RECLAIM)


def _protected(signs: Signs, thresholds: Thresholds, usual: Usual) -> Judgement | None:
    stall, most = signs.stall, limit(thresholds.protected_full, usual.protected_full, thresholds)
    if stall is None or share(stall.full, signs.over) < most:
        return None
    cause = f"all of {stall.name} waited for memory for {_ms(stall.full)} of {_ms(signs.over)}"
    return Judgement(Level.RED, cause, Kind.STALL)


def _host(
    reading: Reading, signs: Signs, thresholds: Thresholds, usual: Usual, *, own: bool
) -> Judgement | None:
    full, most = signs.host_full, limit(thresholds.host_full, usual.host_full, thresholds)
    if full is None or share(full, signs.over) < most:
        return None
    waiting = waits(signs, thresholds, usual)
    if own and waiting is False:
        return None
    told_apart = not own or waiting is True
    available = reading.host.mem_available
    with_it = []
    if told_apart and available is not None and available < thresholds.reserve:
        with_it.append(f"available memory {format_size(available)}")
    if told_apart and is_late(signs, thresholds, usual):
        with_it.append(f"frames {_ms(signs.frames_late or Seconds(0.0))} late (p99)")
    if signs.silent >= SILENCES:
        with_it.append("no frames")
    if not with_it:
        return None
    cause = (
        f"all that ran waited for memory for {_ms(full)} of {_ms(signs.over)}, with {' and '.join(with_it)}"
    )
    return Judgement(Level.RED, cause, Kind.STALL)


def _is_its_own(reading: Reading, signs: Signs, bound: Bytes | None) -> bool:
    """Tell whether what all wait for can be what the load waits for at a limit of its own.

    Where its waiting is not known (legacy hierarchies alone) the limit has to be used up.
    """
    memory, waited = reading.load.memory, signs.load_full
    if bound is None or memory is None:
        return False
    if waited is None:
        return memory >= USED_UP * bound
    return memory >= OF_BOUND * bound and waited >= OF_HOST * (signs.host_full or 0.0)


def _silence(signs: Signs, thresholds: Thresholds) -> Judgement | None:
    if signs.silent < SILENCES:
        return None
    cause = f"the canary showed no frame for over {_ms(thresholds.frames_silent)}, {signs.silent} times"
    return Judgement(Level.RED, cause, Kind.FRAMES)


def _yellow(signs: Signs) -> Judgement | None:
    if len(signs.wrong) < OF_THEM:
        return None
    last = signs.wrong[-1]
    kind = Kind.FRAMES if last.frames else Kind.STALL
    return Judgement(Level.YELLOW, f"{last.words}; so it was in {OF_THEM} of {WINDOWS} windows", kind)


def _is_io(signs: Signs, thresholds: Thresholds, usual: Usual) -> bool:
    short = signs.io_full is not None and share(signs.io_full, signs.over) >= IO_SHARE
    moved = (signs.read_rate or 0.0) + (signs.write_rate or 0.0)
    late = is_late(signs, thresholds, usual) or signs.silent >= SILENCES
    return short and moved >= IO_LEAST and late


def _ms(time: Seconds) -> str:
    return f"{1000 * time:.0f} ms"


def next_tick(reading: Reading, thresholds: Thresholds, fill: float = 0.0) -> Seconds:
    """Return how long to wait for the next look: shorter as the way to the floor gets shorter.

    Between FASTEST_TICK and `thresholds.tick`; the latter when available memory is unknown: looking
    more often at nothing does not help.

    Args:
        reading: The present one.
        thresholds: The table.
        fill: Bytes a second by which available memory shrank at the worst so far; FILL_RATE at least.
    """
    available = reading.host.mem_available
    if available is None:
        return thresholds.tick
    to_floor = (available - thresholds.floor) / max(fill, FILL_RATE)
    return Seconds(min(thresholds.tick, max(FASTEST_TICK, to_floor / LOOKS_BEFORE_FLOOR)))


def is_late_tick(expected: Seconds, actual: Seconds) -> bool:
    """Tell whether a tick came so late that the guard itself was asleep (suspend, a paused VM)."""
    return actual > max(LATE_AT_LEAST, LATE_FACTOR * expected)
