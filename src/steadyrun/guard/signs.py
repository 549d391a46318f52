"""What the readings of the last second say together. Pure: no clock, no file, no process.

Pressure is taken from the `total=` counters over our own interval, never from the kernel's `avg10`,
which lags by seconds (Documentation/accounting/psi.rst: averages are updated every 2 s). A counter
that is not there, or went backwards, gives `None`: what is unknown is no sign of anything.
"""

from __future__ import annotations

from steadyrun.model.sample import ProtectedSample, Reading
from steadyrun.model.thresholds import Thresholds, Usual
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING, cast
from steadyrun.units import Bytes, Ratio, Seconds

if TYPE_CHECKING:
    from typing import TypeVar

    Amount = TypeVar("Amount", Ratio, Seconds)

WINDOW = Seconds(1.0)
"""Chosen: ten looks at the usual tick, and half of the time after which the kernel's own averages move."""
WINDOWS, OF_THEM = 3, 2
"""A window alone may be a start of a program; two of the last three are a state."""
SILENCES, SILENCES_WITHIN, SILENCES_FACTOR = 2, Seconds(10.0), 20
"""Chosen: twenty times `frames_silent`, 10 s at the least. Two silences further apart are two hitches and no
state; a window of a fixed length would not hold two of the longest that may be set."""
MOST = 0.9
"""Of a window: what is usual here moves a threshold no further. Three times a usual stall of a third would
be more than a window has, and no stall be seen any more. No share that is set goes further (`SPANS`)."""
FUTILE_SCAN = 10_000
"""Pages a second, 40 MiB: less is not worth the name of reclaim."""
FUTILE_SHARE = Ratio(0.1)
"""Of what is scanned is gained: below this reclaim finds next to nothing. The kernel itself raises its
effort when it gains less than it looks at (`vmpressure`, mm/vmpressure.c: critical from 95 % in vain)."""
IO_SHARE = Ratio(0.15)
"""Share of a window in which all that ran waited for a disk, from which on the disk is what is short.
Chosen, as `host_full` is: beside late frames it says what to tighten, and by itself nothing."""
MEMORY_SHARE = Ratio(0.05)
"""Chosen, as `protected_some` is."""
_MARK_EVERY = Seconds(0.045)
"""A window is of at most 22 marks, however fast the guard looks."""


class Mark(NamedTuple):
    """What is kept of one reading."""

    at: Seconds
    available: Bytes | None
    host_full: int | None
    """Microseconds."""
    io_full: int | None
    load_full: int | None
    protected: tuple[ProtectedSample, ...]
    read: Bytes | None
    written: Bytes | None
    """By the load."""
    scanned: int | None
    stolen: int | None


class Wrong(NamedTuple):
    """What was wrong with a window, for YELLOW."""

    frames: bool
    """The canary's; else a protected group's memory."""
    words: str
    late: Seconds = Seconds(0.0)
    """Of the frames, p99."""
    short: bool = False
    """The disk or memory was short meanwhile: frames may be late for what the load did some time ago."""


class Past(NamedTuple):
    """What the guard remembers of the readings so far."""

    marks: tuple[Mark, ...] = ()
    """Oldest first. The first may be older than a window; the others are not."""
    window_began: Seconds | None = None
    windows: tuple[Wrong | None, ...] = ()
    """Of the last WINDOWS whole windows: what was wrong in each."""
    silent_at: tuple[Seconds, ...] = ()
    """When a silent canary was seen, at most once in `frames_silent`."""
    futile_since: Seconds | None = None
    fill: float = 0.0
    """Bytes a second by which available memory shrank at the worst."""


class Stall(NamedTuple):
    """Of one protected group, in the last window."""

    name: str
    some: Seconds
    full: Seconds


class Signs(NamedTuple):
    """What the last window says. `None`: not known."""

    over: Seconds
    """Length of the window: shorter while there are few readings, longer after a late one."""
    stall: Stall | None
    """The protected group with the longest `full`."""
    wait: Stall | None
    """The one with the longest `some`; `None` where `stall` is: no group is known."""
    host_full: Seconds | None
    io_full: Seconds | None
    load_full: Seconds | None
    read_rate: float | None
    """Bytes a second, by the load."""
    write_rate: float | None
    frames_late: Seconds | None
    """p99."""
    silent: int
    """How often a silent canary was seen in `silences_within`; 0 when it is not silent now."""
    wrong: tuple[Wrong, ...]
    """Of the last windows, those with something wrong."""
    futile_for: Seconds


NOTHING_YET = Signs(
    over=Seconds(0.0), stall=None, wait=None, host_full=None, io_full=None, load_full=None, read_rate=None,
    write_rate=None, frames_late=None, silent=0, wrong=(), futile_for=Seconds(0.0),
)  # fmt: skip
"""What one reading alone says."""


def remember(past: Past, reading: Reading, thresholds: Thresholds, usual: Usual) -> tuple[Past, Signs]:
    """Take one reading in; return the past from then on, and what is to be seen now."""
    now, mark = reading.host.at, _mark(reading)
    since = _reference(past.marks, now)
    signs = _signs(since, mark, reading)
    began = now if past.window_began is None else past.window_began
    windows = past.windows
    if now - began >= WINDOW:
        windows = (*windows, _wrong(signs, thresholds, usual))[-WINDOWS:]
        began = now
    silent = tuple(at for at in past.silent_at if now - at < silences_within(thresholds))
    is_silent = _is_silent(reading, thresholds)
    if is_silent and (not silent or now - silent[-1] >= thresholds.frames_silent):
        silent = (*silent, now)
    futile = (now if past.futile_since is None else past.futile_since) if _is_futile(since, mark) else None
    after = Past(_kept(past.marks, mark), began, windows, silent, futile, max(past.fill, _fill(since, mark)))
    return after, signs._replace(
        silent=len(silent) if is_silent else 0,
        wrong=tuple(window for window in windows if window is not None),
        futile_for=Seconds(0.0 if futile is None else now - futile),
    )


def restart(past: Past, reading: Reading) -> Past:
    """Forget the windows: the guard slept, and what the counters grew by meanwhile tells nothing."""
    return Past(marks=(_mark(reading),), fill=past.fill)


def forget_frames(past: Past, at: Seconds) -> Past:
    """Forget how late frames were, and begin a window now: what they may be late for has changed."""
    windows = tuple(None if window is not None and window.frames else window for window in past.windows)
    return past._replace(windows=windows, window_began=at)


def _mark(reading: Reading) -> Mark:
    host, load = reading.host, reading.load
    return Mark(
        at=host.at,
        available=host.mem_available,
        host_full=None if host.psi_memory is None else host.psi_memory.full_total,
        io_full=None if host.psi_io is None else host.psi_io.full_total,
        load_full=None if load.psi_memory is None else load.psi_memory.full_total,
        protected=reading.protected,
        read=load.io_read,
        written=load.io_write,
        scanned=host.scanned_pages,
        stolen=host.stolen_pages,
    )


def _reference(marks: tuple[Mark, ...], now: Seconds) -> Mark | None:
    """Return the oldest mark within a window; the newest there is when all are older."""
    for mark in marks:
        if now - mark.at <= WINDOW:
            return mark
    return marks[-1] if marks else None


def _kept(marks: tuple[Mark, ...], new: Mark) -> tuple[Mark, ...]:
    if marks and new.at - marks[-1].at < _MARK_EVERY:
        return marks
    return (*(mark for mark in marks if new.at - mark.at <= WINDOW), new)


def _signs(since: Mark | None, now: Mark, reading: Reading) -> Signs:
    frames = reading.frames
    late = None if frames is None or frames.p99_ms is None else Seconds(frames.p99_ms / 1000)
    if since is None or not now.at > since.at:
        return NOTHING_YET._replace(frames_late=late)
    over = Seconds(now.at - since.at)
    read, written = _grown(since.read, now.read), _grown(since.written, now.written)
    stalls = _stalls(since.protected, now.protected)
    return Signs(
        over=over,
        stall=max(stalls, key=lambda each: (each.full, each.some), default=None),
        wait=max(stalls, key=lambda each: (each.some, each.full), default=None),
        host_full=_time(since.host_full, now.host_full),
        io_full=_time(since.io_full, now.io_full),
        load_full=_time(since.load_full, now.load_full),
        read_rate=None if read is None else read / over,
        write_rate=None if written is None else written / over,
        frames_late=late,
        silent=0,
        wrong=(),
        futile_for=Seconds(0.0),
    )


def _stalls(before: tuple[ProtectedSample, ...], now: tuple[ProtectedSample, ...]) -> list[Stall]:
    """Return how each group stalled; a group that is new, or was made anew, says nothing yet."""
    earlier = {group.name: group for group in before}
    stalls = []
    for group in now:
        old = earlier.get(group.name)
        if old is None:
            continue
        some, full = _time(old.some_total, group.some_total), _time(old.full_total, group.full_total)
        if some is not None and full is not None:
            stalls.append(Stall(group.name, some, full))
    return stalls


def _grown(before: int | None, now: int | None) -> int | None:
    return None if before is None or now is None or now < before else now - before


def _time(before: int | None, now: int | None) -> Seconds | None:
    grown = _grown(before, now)
    return None if grown is None else Seconds(grown / 1e6)


def _wrong(signs: Signs, thresholds: Thresholds, usual: Usual) -> Wrong | None:
    """Say what is wrong with a window; `None` when nothing is known to be."""
    if signs.wait is not None and waits(signs, thresholds, usual):
        waited = share(signs.wait.some, signs.over)
        most = limit(thresholds.protected_some, usual.protected_some, thresholds)
        words = f"{signs.wait.name} waited for memory {waited:.0%} of {signs.over:.1f} s, over {most:.0%}"
        return Wrong(False, words)
    if is_late(signs, thresholds, usual):
        late = 1000 * (signs.frames_late or 0.0)
        longest = 1000 * limit(thresholds.frames_late, usual.frames_late, thresholds)
        words = f"the canary's frames were {late:.0f} ms late (p99), over {longest:.0f} ms"
        return Wrong(True, words, signs.frames_late or Seconds(0.0), is_short(signs))
    return None


def waits(signs: Signs, thresholds: Thresholds, usual: Usual) -> bool | None:
    """Tell whether something in a protected group waited for memory; `None`: no group is known."""
    if signs.wait is None:
        return None
    most = limit(thresholds.protected_some, usual.protected_some, thresholds)
    return share(signs.wait.some, signs.over) > most


def is_late(signs: Signs, thresholds: Thresholds, usual: Usual) -> bool:
    """Tell whether the canary's frames are late; without frames that is not known, and they are not."""
    most = limit(thresholds.frames_late, usual.frames_late, thresholds)
    return signs.frames_late is not None and signs.frames_late > most


def is_short(signs: Signs) -> bool:
    """Tell whether the disk or memory is known to be short, whoever uses it."""
    disk, memory = signs.io_full, signs.host_full
    waits_for_disk = disk is not None and share(disk, signs.over) >= IO_SHARE
    return waits_for_disk or (memory is not None and share(memory, signs.over) >= MEMORY_SHARE)


def silences_within(thresholds: Thresholds) -> Seconds:
    """Return how near to each other silences of the canary have to be to be a state."""
    return Seconds(max(SILENCES_WITHIN, SILENCES_FACTOR * thresholds.frames_silent))


def limit(threshold: Amount, usual: Amount | None, thresholds: Thresholds) -> Amount:
    """Return the larger of a threshold and `usual_factor` times what is usual here, `MOST` at most."""
    if usual is None:
        return threshold
    return max(threshold, cast("Amount", min(MOST, thresholds.usual_factor * usual)))


def share(stalled: Seconds, over: Seconds) -> Ratio:
    """Return the share of a window that was stalled; of one that is not a second long yet, of a second.

    So a stall is seen before its second is over, and a window made longer by a late look asks for more.
    """
    return Ratio(stalled / max(WINDOW, over))


def _is_silent(reading: Reading, thresholds: Thresholds) -> bool:
    return reading.frames is not None and reading.frames.silent > thresholds.frames_silent


def _is_futile(since: Mark | None, now: Mark) -> bool:
    if since is None:
        return False
    over = now.at - since.at
    scanned, stolen = _grown(since.scanned, now.scanned), _grown(since.stolen, now.stolen)
    if scanned is None or stolen is None or over <= 0:
        return False
    return scanned >= FUTILE_SCAN * over and stolen < FUTILE_SHARE * scanned


def _fill(since: Mark | None, now: Mark) -> float:
    if since is None or since.available is None or now.available is None or now.at - since.at < _MARK_EVERY:
        return 0.0
    return max(0.0, (since.available - now.available) / (now.at - since.at))
