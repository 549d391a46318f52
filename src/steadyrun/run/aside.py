"""Telling a person something while the load runs, without ever waiting for the reader.

A write to a pipe that nobody reads, to a terminal held with Ctrl-S (termios(3), IXON) or to a file on a
frozen disk lasts as long as its reader likes, and a guard that waits for it does not guard. A ready
`poll` is no promise: the load shares the pipe and may fill it in between, and a file is always
ready. So a thread does the writing, and it alone waits. It is started by the first line: a run that
has nothing to tell has one thread.
"""

from __future__ import annotations

import _thread
import signal
from collections import deque

from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_KEPT = 100
"""Lines that wait for a reader; older ones than these are left out, and their number is told."""


class Aside:
    """Says lines one after the other, in order, in a thread that ends when all is said."""

    __slots__ = ("_left_out", "_lines", "_lock", "_say", "_silent", "_speaking")

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` is called in the thread and may take as long as it likes."""
        self._say = say
        self._lines: deque[str] = deque()
        self._left_out = 0
        self._speaking = False
        self._lock = _thread.allocate_lock()
        self._silent = _thread.allocate_lock()
        """Held while the thread is there."""

    def is_silent(self) -> bool:
        """Tell whether its thread is not there."""
        return not self._silent.locked()

    def say(self, line: str) -> None:
        """Have a line said soon. Never waits and never raises."""
        with self._lock:
            self._lines.append(line)
            if len(self._lines) > MOST_KEPT:
                self._lines.popleft()
                self._left_out += 1
            if self._speaking:
                return
            self._silent.acquire()
            self._speaking = True
        try:
            _thread.start_new_thread(self._speak, ())
        except RuntimeError:  # no thread to be had: at the next line, or in `finish`
            self._speaking = False
            self._silent.release()

    def finish(self) -> None:
        """Wait until all is said; for the time when nothing is guarded any more."""
        with self._silent:
            self._say_all()

    def _speak(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # signals are the guard's
        self._say_all()
        self._silent.release()

    def _say_all(self) -> None:
        while (line := self._next()) is not None:
            try:
                self._say(line)
            except Exception:  # a line that cannot be said costs nobody anything
                continue

    def _next(self) -> str | None:
        with self._lock:
            if self._left_out:
                count, self._left_out = self._left_out, 0
                return f"{count} earlier messages were left out: nobody read them"
            if self._lines:
                return self._lines.popleft()
            self._speaking = False
            return None
