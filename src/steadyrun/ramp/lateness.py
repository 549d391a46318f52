"""How late the canary's frames were over a whole phase: one percentile out of every frame shown.

Pure: frames in, figures out; it holds a count for each tenth of a millisecond, however long the load
runs. It judges nothing: the guard's one-second windows (`guard/frames.py`) are for its law, a phase
is judged by all of its frames.

A frame that comes 100 ms late hides the five that should have been shown meanwhile. They are counted
as well, each a period less late than the one before: without them a stall of any length would be a
single late frame ("coordinated omission"; the correction is that of HdrHistogram's
`recordValueWithExpectedInterval`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from steadyrun.guard.canary import PERIOD_NS
from steadyrun.guard.frames import Entry

PERIOD_US = PERIOD_NS // 1000
STEP_US = 100
"""Resolution: a figure is at most this much above the true one."""
LATEST_SHARE = 100
"""One frame in so many may be later than the figure; never less than one frame at all."""


class LatenessFold:
    """Takes frames in any portions, each frame once, and gives their percentile."""

    __slots__ = ("_counts", "_last_ns", "frames")

    def __init__(self, since_ns: int = 0) -> None:
        """Count the frames that end after `since_ns`, CLOCK_MONOTONIC."""
        self._counts: Counter[int] = Counter()
        self._last_ns = since_ns
        self.frames = 0
        """Frames counted, the missed ones among them."""

    @property
    def last_ns(self) -> int:
        """End of the newest frame counted, ns."""
        return self._last_ns

    def add(self, entries: Iterable[Entry]) -> None:
        """Count those of the entries, oldest first, that are newer than any before."""
        for entry in entries:
            if entry.end_ns <= self._last_ns:
                continue
            self._last_ns = entry.end_ns
            late = entry.lateness_us
            self._count(late)
            while not entry.first and late > PERIOD_US:
                late -= PERIOD_US
                self._count(late)

    def p99_ms(self) -> float | None:
        """Return the lateness, ms, that all but a hundredth of the frames keep within.

        Of fewer than 200 frames exactly one may be later: the latest alone is no percentile, and has
        a check of its own (the worst gap). `None` with fewer than two frames.
        """
        beyond = max(1, self.frames // LATEST_SHARE)
        for step in sorted(self._counts, reverse=True):
            beyond -= self._counts[step]
            if beyond < 0:
                return (step + 1) * STEP_US / 1000
        return None

    def _count(self, late_us: int) -> None:
        self._counts[late_us // STEP_US] += 1
        self.frames += 1
