"""One question to an X server, a Wayland compositor, an SSH server, and the time its answer took.

Each opens a connection of its own, sends at most one small request, reads the first bytes of the
answer and closes. Nobody is logged in, nothing is drawn. Every wait ends at the given moment.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_X11_SETUP = struct.pack("<cxHHHHxx", b"l", 11, 0, 0, 0)
"""Little-endian, protocol 11.0, no authorisation (X Window System Protocol, "Connection Setup")."""
_X11_REPLY = {0: "refused us, and answered", 1: "accepted us", 2: "asks for authorisation, and answered"}
_X11_REPLY_SIZE = 8
_WL_DISPLAY, _WL_CALLBACK = 1, 2
_WL_SYNC = struct.pack("=III", _WL_DISPLAY, 12 << 16 | 0, _WL_CALLBACK)
"""wl_display.sync(new_id 2): object, size and opcode 0, argument, in the machine's byte order
(Wayland, "Wire Format"; wayland.xml)."""
_WL_HEADER_SIZE = 8
_UCRED = struct.Struct("=iII")
_BANNER_MOST = 8192
"""RFC 4253 section 4.2 lets lines stand before the banner, and gives 255 bytes to the banner itself."""


class Heard(Enum):
    """What came of a question."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """Nobody listens there (ECONNREFUSED), or the socket is gone (ENOENT)."""
    SILENT = "silent"
    """Accepted or queued, and no answer in time."""
    STRANGE = "strange"
    """Closed without an answer, answered something else, or could not be reached."""


class Ping(NamedTuple):
    """One question and its answer."""

    heard: Heard
    said: str
    """The banner, or what happened, in words."""
    latency_ms: float | None = None
    """From the first byte we sent to the first of the answer; connecting included."""
    pid: int | None = None
    """The process that listens (SO_PEERCRED, unix(7)); `None` over TCP and from another pid namespace."""


def ping_x11(path: str, until: float) -> Ping:
    """Greet an X server as every client does, and take any answer."""
    return _ask_unix(path, _X11_SETUP, _X11_REPLY_SIZE, _x11_answer, until)


def ping_wayland(path: str, until: float) -> Ping:
    """Ask a compositor for a round trip: it answers from the loop that also draws the frames."""
    return _ask_unix(path, _WL_SYNC, _WL_HEADER_SIZE, _wayland_answer, until)


def ping_ssh(host: str, port: int, until: float) -> Ping:
    """Read an SSH server's banner; it speaks first (RFC 4253 section 4.2)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    began = time.monotonic()
    accepted = False
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            _wait_at_most(connection, until)
            connection.connect((host, port))
            accepted = True
            return _read_banner(connection, began, until)
    except OSError as error:
        return _failed(error, accepted)


def _read_banner(connection: socket.socket, began: float, until: float) -> Ping:
    text = b""
    while len(text) < _BANNER_MOST:
        _wait_at_most(connection, until)
        part = connection.recv(_BANNER_MOST)
        if not part:
            return Ping(Heard.STRANGE, f"closed the connection, no banner{_shown(text)}")
        text += part
        banner = next((line for line in text.split(b"\n")[:-1] if line.startswith(b"SSH-")), None)
        if banner is not None:
            return Ping(Heard.ANSWERED, banner.decode("ascii", "replace").strip(), _since(began))
    return Ping(Heard.STRANGE, f"answered, but no SSH banner{_shown(text)}")


def _ask_unix(path: str, request: bytes, size: int, meaning: Callable[[bytes], Ping], until: float) -> Ping:
    began = time.monotonic()
    pid: int | None = None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            _wait_at_most(connection, until)
            _connect_unix(connection, path)
            pid = _listener(connection)
            connection.sendall(request)
            answer = b""
            while len(answer) < size:
                _wait_at_most(connection, until)
                part = connection.recv(4096)
                if not part:
                    return Ping(Heard.STRANGE, "closed the connection without an answer", pid=pid)
                answer += part
            return meaning(answer)._replace(latency_ms=_since(began), pid=pid)
    except OSError as error:
        return _failed(error, pid is not None)._replace(pid=pid)


def _connect_unix(connection: socket.socket, path: str) -> None:
    """Connect, by way of the directory's descriptor: a path may be longer than the 107 bytes of sun_path."""
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)


def _x11_answer(answer: bytes) -> Ping:
    words = _X11_REPLY.get(answer[0])
    if words is None:
        return Ping(Heard.STRANGE, f"answered with byte {answer[0]}, which no X server sends")
    return Ping(Heard.ANSWERED, words)


def _wayland_answer(answer: bytes) -> Ping:
    sender, word = struct.unpack_from("=II", answer)
    opcode = word & 0xFFFF
    if (sender, opcode) == (_WL_CALLBACK, 0):
        return Ping(Heard.ANSWERED, "answered a sync")
    if (sender, opcode) == (_WL_DISPLAY, 0):
        return Ping(Heard.ANSWERED, "answered with an error")
    return Ping(Heard.STRANGE, f"answered for object {sender}, which nobody asked")


def _failed(error: OSError, accepted: bool) -> Ping:
    if isinstance(error, TimeoutError | BlockingIOError):
        return Ping(Heard.SILENT, "accepted" if accepted else "not accepted")
    if isinstance(error, ConnectionRefusedError | FileNotFoundError):
        return Ping(Heard.REFUSED, "nobody listens")
    return Ping(Heard.STRANGE, os.strerror(error.errno) if error.errno else str(error))


def _wait_at_most(connection: socket.socket, until: float) -> None:
    """Let the next operation wait until then.

    Raises:
        TimeoutError: It is past.
    """
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)


def _listener(connection: socket.socket) -> int | None:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid: int = _UCRED.unpack(raw)[0]
    return pid if pid > 0 else None


def _since(began: float) -> float:
    return (time.monotonic() - began) * 1000


def _shown(text: bytes) -> str:
    return f": {text[:60].decode('ascii', 'replace')!r}" if text else ""
