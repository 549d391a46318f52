"""The live feed of a ramp: the conductor publishes, any terminal of the same user may listen.

An abstract Unix socket named after the run: no file to leave behind, and it is gone with the
conductor whatever that died of (unix(7), "abstract"). Readings may be dropped for a listener that
is slow, records never; one that reads nothing for SEND_TIMEOUT_S is given up, so that what is kept
for it stays small. Never blocks the conductor.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

SEND_TIMEOUT_S = 2.0
MOST_QUEUED = 50
"""Messages kept for one listener; from there on its readings are dropped."""

_UCRED = struct.Struct("3i")


def address(run_id: str) -> str:
    """Return the abstract socket address of a run's feed."""
    return f"\0steadyrun/{run_id}"


class Feed:
    """The conductor's side."""

    def __init__(self, run_id: str, *, allowed_uids: frozenset[int]) -> None:
        """Listen, in a thread of its own."""
        self._allowed = allowed_uids
        self._lock = threading.Lock()
        self._listeners: list[_Listener] = []
        self._record: bytes | None = None
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(address(run_id))
        self._server.listen(8)
        threading.Thread(target=self._accept, name="feed", daemon=True).start()

    def publish_record(self, record: Any) -> None:
        """Give every listener the record as it is now (builtins)."""
        message = _line({"record": record})
        with self._lock:
            self._record = message
            for listener in self._listeners:
                listener.put(message, must=True)

    def publish(self, kind: str, value: Any) -> None:
        """Give every listener something that may be dropped (builtins)."""
        message = _line({kind: value})
        with self._lock:
            for listener in self._listeners:
                listener.put(message, must=False)

    def close(self) -> None:
        """Send what is queued and hang up."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes `accept`, which a close alone does not
        self._server.close()
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.finish()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            if _peer(connection).uid not in self._allowed:
                connection.close()
                continue
            with self._lock:
                listener = _Listener(connection)
                if self._record is not None:
                    listener.put(self._record, must=True)
                self._listeners = [each for each in self._listeners if each.alive]
                self._listeners.append(listener)


class _Listener:
    """One connection with its queue and its sending thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._alive = True
        self._connection = connection
        self._connection.settimeout(SEND_TIMEOUT_S)
        self._queue: list[bytes] = []
        self._more = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._send, name="feed-listener", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._alive

    def put(self, message: bytes, *, must: bool) -> None:
        with self._more:
            if self._alive and (must or len(self._queue) < MOST_QUEUED):
                self._queue.append(message)
                self._more.notify()

    def finish(self) -> None:
        with self._more:
            self._ending = True
            self._more.notify()
        self._thread.join(SEND_TIMEOUT_S)

    def _send(self) -> None:
        try:
            while (message := self._next()) is not None:
                self._connection.sendall(message)
        except OSError:
            pass
        with self._more:
            self._alive = False
            self._queue.clear()
        self._connection.close()

    def _next(self) -> bytes | None:
        with self._more:
            while not self._queue and not self._ending:
                self._more.wait()
            return self._queue.pop(0) if self._queue else None


def listen(run_id: str, *, timeout_s: float | None = None) -> Iterator[dict[str, Any] | None]:
    """Yield what a run publishes until its conductor is gone.

    Yields `None` when nothing came for `timeout_s`, so that a caller can do something else.

    Raises:
        OSError: There is no such feed (the run is over, or another user's).
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(address(run_id))
    connection.settimeout(timeout_s)
    rest = b""
    with connection:
        while True:
            try:
                chunk = connection.recv(1 << 16)
            except TimeoutError:
                yield None
                continue
            except ConnectionError:
                return
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Holder(NamedTuple):
    """A process at the other end of a socket, as it was when it began to listen or to connect."""

    pid: int
    uid: int


def _peer(connection: socket.socket) -> Holder:
    """Return the process at the other end (SO_PEERCRED, unix(7))."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(raw)
    return Holder(pid, uid)


class MachineLock:
    """One ramp at a time on a machine: an abstract socket that exists as long as its holder.

    It lives in the network namespace: ramps in containers with a network of their own do not see
    each other, nor do they see the whole machine.
    """

    NAME = "\0steadyrun-ramp"
    MOST_ASKING = 4096
    """Nobody accepts here, so each who asks stays in the queue until the lock is let go. The kernel
    cuts this at net.core.somaxconn (listen(2)); from there on the holder cannot be told."""

    def __init__(self, fd: int | None = None) -> None:
        """Take the lock, or take over one that was inherited as `fd`.

        Raises:
            OSError: Somebody holds it (EADDRINUSE); `holder` says who.
        """
        if fd is not None:
            self._socket = socket.socket(fileno=fd)
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.NAME)
        self._socket.listen(self.MOST_ASKING)

    @property
    def fd(self) -> int:
        """The descriptor to pass on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Let go."""
        self._socket.close()

    @classmethod
    def holder(cls) -> Holder | None:
        """Return who took the lock; `None` when nobody holds it, or it cannot be told who."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.settimeout(0.5)
                probe.connect(cls.NAME)
            except OSError:
                return None
            return _peer(probe)
