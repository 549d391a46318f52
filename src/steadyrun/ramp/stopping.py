"""Requests to stop a ramp: INT, TERM and HUP, counted; the first asks, the second insists."""

from __future__ import annotations

import os
import select
import signal
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequests:
    """Counts the requests; `fd` becomes readable with each."""

    def __init__(self) -> None:
        """Install the handlers. HUP is ignored: closing the terminal does not end a ramp."""
        self.fd, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._count = 0
        self.last_signal: int | None = None
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in SIGNALS:
            signal.signal(number, self._handle)

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
