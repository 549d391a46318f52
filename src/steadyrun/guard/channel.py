"""The guard's end of the socket pair to the conductor: JSON lines, never waited for.

Samples that decided nothing are dropped when nobody reads; everything else is kept until it is read.
Nothing here blocks: a conductor that is stuck in a disk write does not stop the guard.
"""

from __future__ import annotations

import json
import os

from steadyrun.model.codec import encode_event
from steadyrun.model.event import Event, Sampled
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

MOST_UNSENT = 256 * 1024
"""Bytes waiting to be sent from which on samples are dropped: about 100 of them."""

_TO_JSON = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""Made once: `json.dumps` with separators makes an encoder at each call."""


class Channel:
    """One end. `fd` is in non-blocking mode from here on."""

    __slots__ = ("_in", "_out", "dropped", "fd", "open")

    def __init__(self, fd: int) -> None:
        """Take over the descriptor."""
        os.set_blocking(fd, False)
        self.fd = fd
        self.open = True
        self.dropped = 0
        self._in = bytearray()
        self._out = bytearray()

    def emit(self, event: Event) -> None:
        """Send an event, or keep it for later."""
        if isinstance(event, Sampled) and not event.decided and len(self._out) > MOST_UNSENT:
            self.dropped += 1
            return
        self.send(encode_event(event))

    def send(self, message: Any) -> None:
        """Send any JSON value as one line, or keep it for later."""
        self._out += _TO_JSON(message).encode() + b"\n"
        self.flush()

    def unsent(self) -> bool:
        """Tell whether something waits to be sent."""
        return bool(self._out) and self.open

    def flush(self) -> None:
        """Send what fits now."""
        while self._out and self.open:
            try:
                sent = os.write(self.fd, self._out)
            except BlockingIOError:
                return
            except OSError:
                self.open = False
                return
            del self._out[:sent]

    def receive(self) -> list[Any]:
        """Return the JSON values that arrived; an end of the other side sets `open` to False."""
        while self.open:
            try:
                chunk = os.read(self.fd, 65536)
            except BlockingIOError:
                break
            except OSError:
                chunk = b""
            if not chunk:
                self.open = False
                break
            self._in += chunk
        *lines, rest = self._in.split(b"\n")
        self._in = bytearray(rest)
        return [json.loads(line) for line in lines if line]
