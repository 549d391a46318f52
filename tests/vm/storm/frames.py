"""The 60 Hz window's frames: their file's layout, and what they say of a stretch of time. Pure.

An entry is the end of a frame and its lateness behind the schedule, both in ns, the end on
CLOCK_MONOTONIC; zeros follow the last one.
"""

from __future__ import annotations

import itertools
import struct
from collections import Counter

from .record import Frames

PATH = "/run/storm/frames"
ENTRY = struct.Struct("=2Q")
PERIOD_NS = 1_000_000_000 // 60
SECONDS = 400
SIZE = ENTRY.size * 60 * SECONDS


def next_due(due: int, end: int) -> int:
    """Return when the next frame is due, ns: on the schedule, or a period after a missed one."""
    return due + PERIOD_NS if end < due + PERIOD_NS else end + PERIOD_NS


def parse(data: bytes) -> list[tuple[int, int]]:
    """Return (end, lateness) of every frame, ns, oldest first."""
    found = []
    for end, lateness in ENTRY.iter_unpack(data[: len(data) // ENTRY.size * ENTRY.size]):
        if end == 0:
            break
        found.append((end, lateness))
    return found


def frames_of(entries: list[tuple[int, int]], begin: int, end: int, *, alive: bool) -> Frames:
    """Return what the frames between two times say.

    Args:
        entries: As `parse` gives them; one before `begin` tells how the gap into the stretch began.
        begin: CLOCK_MONOTONIC, ns.
        end: The same; silence up to here counts as a gap while the window lives.
        alive: The window lives at `end`. One that died lived until its last frame.
    """
    shown = [(at, late) for at, late in entries if begin < at <= end]
    before = [at for at, _ in entries if at <= begin]
    last = shown[-1][0] if shown else begin
    until = end if alive else last
    marks = [before[-1] if before else begin, *(at for at, _ in shown), until]
    late = sorted(late for _, late in shown)
    seconds = Counter((at - begin) // 1_000_000_000 for at, _ in shown)
    return Frames(
        shown=len(shown),
        lived_s=round((until - begin) / 1e9, 3),
        p50_ms=_rank(late, 50),
        p99_ms=_rank(late, 99),
        longest_gap_ms=round(max(b - a for a, b in itertools.pairwise(marks)) / 1e6, 1),
        each_second=tuple(seconds[n] for n in range(int((end - begin) / 1e9))),
    )


def _rank(ordered: list[int], percent: int) -> float | None:
    """Return a percentile by nearest rank in ms; `None` of no values."""
    if not ordered:
        return None
    return round(ordered[max(1, -(-len(ordered) * percent // 100)) - 1] / 1e6, 2)
