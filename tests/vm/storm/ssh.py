"""SSH from outside the machine, again and again: its banner, and a command over a new connection.

A new connection costs about a second of emulated CPU, so the looks are spaced: the probe must not be
the load.
"""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from .record import Login

if TYPE_CHECKING:
    from testbed.guest import Guest

EVERY_S = 4.0
BANNER_S = 30.0
LOGIN_S = 60.0


class Probe:
    """Looks at SSH in a thread of its own until it is closed; a context manager."""

    def __init__(self, guest: Guest, port: int, *, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._ssh = guest.ssh()
        self._port = port
        self._over = threading.Event()
        self._looks: list[tuple[float, float | None, float | None, float]] = []
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._running: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; a look that is not through counts as it is: no answer in the time it waited."""
        self._over.set()
        if self._running is not None:
            self._running.kill()
        self._thread.join(BANNER_S + LOGIN_S)

    def looks(self, storm_wall: float) -> tuple[Login, ...]:
        """Return the looks so far, by the time since the storm began."""
        return tuple(
            Login(*(round(at - storm_wall, 2), _short(banner), _short(login), round(waited, 2)))
            for at, banner, login, waited in list(self._looks)
        )

    def _look_on(self) -> None:
        while not self._over.is_set():
            wall, began = time.time(), time.monotonic()
            greeted = banner(self._port, BANNER_S)
            logged_in = self._log_in()
            waited = time.monotonic() - began
            self._looks.append((wall, greeted, logged_in, waited))
            self._over.wait(max(0.0, self._every_s - waited))

    def _log_in(self) -> float | None:
        """Run a command over a new connection; return how long it took in seconds, `None`: it did not."""
        began = time.monotonic()
        null = subprocess.DEVNULL
        with subprocess.Popen([*self._ssh, "true"], stdin=null, stdout=null, stderr=null) as running:
            self._running = running
            if self._over.is_set():
                running.kill()
            try:
                code = running.wait(LOGIN_S)
            except subprocess.TimeoutExpired:
                running.kill()
                return None
            finally:
                self._running = None
        return time.monotonic() - began if code == 0 else None


def banner(port: int, seconds: float) -> float | None:
    """Return how long the SSH banner takes in seconds; `None`: not within `seconds`."""
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as one:
            one.settimeout(max(0.1, seconds - (time.monotonic() - began)))
            return time.monotonic() - began if one.recv(64).startswith(b"SSH-") else None
    except OSError:
        return None


def _short(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
