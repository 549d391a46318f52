"""Requests to stop a ramp: INT, TERM and HUP, counted; the first asks, the second insists."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)
BLOCKED = (*SIGNALS, signal.SIGHUP)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Start a process in here: what asks it to stop waits until it makes its `StopRequests`.

    A blocked signal stays blocked over fork(2) and execve(2), and pending; without this one that comes
    while the interpreter starts would end it in the middle of an import.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class StopRequests:
    """Counts the requests; `fd` becomes readable with each."""

    def __init__(self) -> None:
        """Install the handlers; let in what was held back. HUP is ignored: a closed terminal ends no ramp."""
        self.fd, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._count = 0
        self.last_signal: int | None = None
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in SIGNALS:
            signal.signal(number, self._handle)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)

    def count(self) -> int:
        """Return how often somebody asked."""
        try:
            os.read(self.fd, 4096)
        except BlockingIOError:
            pass
        return self._count

    def wait(self, seconds: float) -> bool:
        """Wait that long unless somebody has asked or asks; return whether somebody has."""
        if not self._count:
            poll = select.poll()
            poll.register(self.fd, select.POLLIN)
            poll.poll(max(0.0, seconds) * 1000)
        return self._count > 0

    def _handle(self, number: int, _frame: Any) -> None:
        self._count += 1
        self.last_signal = number
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            pass
