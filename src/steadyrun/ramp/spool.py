"""What the journal gets while a load runs: readings, events and the status line, kept until it takes them.

They may be lost, so they stop nothing: another process that holds the journal, a stalled disk or a full one
delays them, here in memory, up to a bound. What had to be let go is counted. A thread of its own writes them,
because whoever passes a request to stop on to the guard must never wait for the disk
(docs/adr/0017-a-stop-that-waits-for-no-disk.md); whoever needs to know writes something durable.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

from steadyrun.errors import JournalUnwritableError
from steadyrun.journal.write import Journal

SAMPLES_PER_COMMIT = 10
COMMIT_MOST = 300
"""Rows written together where many have waited."""
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
    """Rows on their way to the journal of one run.

    `sample`, `event` and `status` return at once. `flush` and `close` may wait for the disk. What fails in
    the thread otherwise than by a journal that cannot be written is a bug, and is raised by the next call.
    """

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
        self._rows = threading.Lock()
        """Held for moments, never while something is written."""
        self._writing = threading.Lock()
        self._samples: deque[_Sample] = deque()
        self._events: deque[_Event] = deque()
        self._status: str | None = None
        self._retry_at = 0.0
        self._lost = 0
        self._bug: Exception | None = None
        self._closing = False
        self._asked = threading.Event()
        # A daemon: one that waits for a dead disk must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="journal-spool", daemon=True)
        self._thread.start()

    def sample(self, serial: int, seq: int, wall: float, payload: Any) -> None:
        """Take one reading; it goes on with the next ones."""
        with self._rows:
            self._samples.append(_Sample(serial, seq, wall, payload))
            due = len(self._samples) >= SAMPLES_PER_COMMIT
        self._taken(due=due)

    def event(self, serial: int, wall: float, payload: Any) -> None:
        """Take one event; it goes on soon."""
        with self._rows:
            self._events.append(_Event(serial, wall, payload))
        self._taken(due=True)

    def status(self, text: str) -> None:
        """Take the status line; the newest one stands."""
        self._status = text
        self._taken(due=True)

    def flush(self, *, now: bool = False) -> bool:
        """Write what there is, unless the last try failed a moment ago (`now`: also then).

        Returns:
            Whether nothing is waiting.
        """
        with self._writing:
            if now or self._now() >= self._retry_at:
                try:
                    self._write()
                except JournalUnwritableError:
                    self._retry_at = self._now() + RETRY_EVERY_S
        with self._rows:
            return not self._samples and not self._events and self._status is None

    def give_up(self) -> int:
        """Let go of what is still waiting; return how many readings and events were lost since last asked."""
        with self._rows:
            lost = self._lost + len(self._samples) + len(self._events)
            self._samples.clear()
            self._events.clear()
            self._lost = 0
        return lost

    def close(self) -> None:
        """Write what there is and end the thread."""
        self.flush(now=True)
        self._closing = True
        self._asked.set()
        self._thread.join()

    def _taken(self, *, due: bool) -> None:
        if self._bug is not None:
            raise self._bug
        with self._rows:
            self._lost += _shorten(self._samples) + _shorten(self._events)
        if due:
            self._asked.set()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            if self._closing:
                return
            try:
                self.flush()
            except Exception as error:
                self._bug = error
                return

    def _write(self) -> None:
        """Write everything, what matters most first.

        Raises:
            JournalUnwritableError: Some of it is still here.
        """
        journal, run_id, status = self._journal, self._run_id, self._status
        if status is not None:
            journal.set_status(run_id, status)
            if self._status is status:
                self._status = None
        self._write_each(
            self._events, lambda serial, rows: journal.add_events(run_id, serial, [row[1:] for row in rows])
        )
        self._write_each(
            self._samples, lambda serial, rows: journal.add_samples(run_id, serial, [row[1:] for row in rows])
        )
        self._on_written()

    def _write_each(self, waiting: deque[Any], write: Callable[[int, list[Any]], None]) -> None:
        """Write rows of one kind, those of one attempt together; what could not be written waits on."""
        while rows := self._take(waiting):
            try:
                write(rows[0].serial, rows)
            except BaseException:
                with self._rows:
                    waiting.extendleft(reversed(rows))
                    self._lost += _shorten(waiting)
                raise

    def _take(self, waiting: deque[Any]) -> list[Any]:
        """Take out the oldest rows of one attempt; none: nothing waits."""
        rows: list[Any] = []
        with self._rows:
            while waiting and len(rows) < COMMIT_MOST and waiting[0].serial == (rows or waiting)[0].serial:
                rows.append(waiting.popleft())
        return rows


def _shorten(rows: deque[Any]) -> int:
    """Let the oldest go; return how many."""
    over = max(0, len(rows) - KEPT_MOST)
    for _ in range(over):
        rows.popleft()
    return over
