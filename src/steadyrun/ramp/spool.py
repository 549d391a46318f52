"""What the journal gets while a load runs: readings, events and the status line, kept until it takes them.

They may be lost, so they stop nothing: another process that holds the journal, a stalled disk or a full one
delays them, here in memory, up to a bound. What had to be let go is counted. Never raises for a journal that
cannot be written and hardly ever waits for one; whoever needs to know writes something durable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import groupby
from time import monotonic
from typing import Any, NamedTuple

from steadyrun.errors import JournalUnwritableError
from steadyrun.journal.write import Journal

SAMPLES_PER_COMMIT = 10
KEPT_MOST = 3000
"""Readings: five minutes at 10 Hz, about 15 MB; as many events."""
RETRY_EVERY_S = 1.0


class _Sample(NamedTuple):
    serial: int
    seq: int
    wall: float
    payload: Any


class _Event(NamedTuple):
    serial: int
    wall: float
    payload: Any


class Spool:
    """Rows on their way to the journal of one run."""

    def __init__(
        self,
        journal: Journal,
        run_id: str,
        *,
        now: Callable[[], float] = monotonic,
        on_written: Callable[[], None] = lambda: None,
    ) -> None:
        self._journal, self._run_id, self._now = journal, run_id, now
        self._on_written = on_written
        self._samples: deque[_Sample] = deque()
        self._events: deque[_Event] = deque()
        self._status: str | None = None
        self._retry_at = 0.0
        self._lost = 0

    def sample(self, serial: int, seq: int, wall: float, payload: Any) -> None:
        """Take one reading; it goes on with the next ones."""
        self._samples.append(_Sample(serial, seq, wall, payload))
        if len(self._samples) >= SAMPLES_PER_COMMIT:
            self.flush()

    def event(self, serial: int, wall: float, payload: Any) -> None:
        """Take one event; it goes on at once."""
        self._events.append(_Event(serial, wall, payload))
        self.flush()

    def status(self, text: str) -> None:
        """Take the status line; the newest one stands."""
        self._status = text
        self.flush()

    def flush(self, *, now: bool = False) -> bool:
        """Write what there is, unless the last try failed a moment ago (`now`: also then).

        Returns:
            Whether nothing is waiting.
        """
        if now or self._now() >= self._retry_at:
            try:
                self._write()
            except JournalUnwritableError:
                self._retry_at = self._now() + RETRY_EVERY_S
        self._lost += _shorten(self._samples) + _shorten(self._events)
        return not self._samples and not self._events and self._status is None

    def give_up(self) -> int:
        """Let go of what is still waiting; return how many readings and events were lost since last asked."""
        lost = self._lost + len(self._samples) + len(self._events)
        self._samples.clear()
        self._events.clear()
        self._lost = 0
        return lost

    def _write(self) -> None:
        """Write everything, what matters most first.

        Raises:
            JournalUnwritableError: Some of it is still here.
        """
        if self._status is not None:
            self._journal.set_status(self._run_id, self._status)
            self._status = None
        for serial, events in _by_serial(self._events):
            self._journal.add_events(self._run_id, serial, [(e.wall, e.payload) for e in events])
            _drop(self._events, len(events))
        for serial, samples in _by_serial(self._samples):
            self._journal.add_samples(self._run_id, serial, [(s.seq, s.wall, s.payload) for s in samples])
            _drop(self._samples, len(samples))
        self._on_written()


def _by_serial(rows: deque[Any]) -> list[tuple[int, list[Any]]]:
    return [(serial, list(some)) for serial, some in groupby(tuple(rows), key=lambda row: row.serial)]


def _drop(rows: deque[Any], count: int) -> None:
    for _ in range(count):
        rows.popleft()


def _shorten(rows: deque[Any]) -> int:
    """Let the oldest go; return how many."""
    over = max(0, len(rows) - KEPT_MOST)
    _drop(rows, over)
    return over
