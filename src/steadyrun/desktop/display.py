"""The display server: does the compositor or X server that draws the screen still answer?

A Wayland compositor is asked before an X server: on Wayland the X socket belongs to the compositor
too, and connecting to it would start Xwayland. It is asked for a round trip over its own socket, which
the loop that draws the frames answers; over D-Bus only where no such socket is to be reached. Nothing
is drawn and nobody is logged in.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple, assert_never

from steadyrun.desktop.compositor import ask_compositor
from steadyrun.desktop.looks import Asked, absent, present, unknown
from steadyrun.desktop.pings import Heard, Ping, ping_wayland, ping_x11
from steadyrun.desktop.processes import process, started_wall
from steadyrun.desktop.session import read_sessions, screen_processes, watched
from steadyrun.model.desktop import Probe, ProbeName
from steadyrun.model.session import Session

X_SOCKETS = "/tmp/.X11-unix"
RUNTIME = "/run/user"
_PEOPLE = 1000
"""User ids below are the system's, such as the login screen's own (login.defs(5), UID_MIN)."""
_UNSEEN = frozenset({"Xvfb", "Xephyr", "Xnest", "Xdummy"})
"""X servers that draw no screen of their own: asked only where DISPLAY names them."""


class Socket(NamedTuple):
    """One socket that a display server may listen on."""

    path: str
    """As on the machine, without the root that tests put before it."""
    wayland: bool

    def label(self) -> str:
        """Name it as a person does: `X :0`, `Wayland wayland-0`."""
        last = os.path.basename(self.path)
        return f"Wayland {last}" if self.wayland else f"X :{last[1:]}"


def probe_display_server(asked: Asked) -> Probe:
    """Ask the display server of the watched session, else the first that is there."""
    session = watched(read_sessions(asked.root), asked.uid, asked.root)
    stale: Socket | None = None
    wayland = _wayland_sockets(asked, session)
    if not wayland and session is not None and session.type == "wayland" and session.uid == asked.uid:
        answered = ask_compositor(asked)
        if answered is not None:
            return answered
    for each in (*wayland, *_x_sockets(asked, session)):
        where = asked.path(each.path)
        ping = ping_wayland(where, asked.until) if each.wayland else ping_x11(where, asked.until)
        if not each.wayland and _is_unseen(ping, asked, each):
            continue
        match ping.heard:
            case Heard.ANSWERED:
                return _answered(asked, each, ping)
            case Heard.REFUSED:
                stale = stale or each
            case Heard.SILENT:
                return _no_answer(each, f"{ping.said}, no answer in {asked.patience_s:g} s")
            case Heard.STRANGE:
                return _no_answer(each, ping.said)
            case _:
                assert_never(ping.heard)
    return _none_answers(asked, stale)


def _none_answers(asked: Asked, stale: Socket | None) -> Probe:
    if stale is None:
        return absent(ProbeName.DISPLAY_SERVER, f"no socket in {X_SOCKETS} and {RUNTIME}")
    running = screen_processes(asked.root)
    if running:
        one = running[0]
        return _no_answer(stale, f"nobody listens, though {one.comm} runs as pid {one.pid}")
    return absent(
        ProbeName.DISPLAY_SERVER, f"{stale.path} is left over: nobody listens and no display server runs"
    )


def _answered(asked: Asked, which: Socket, ping: Ping) -> Probe:
    server = None if ping.pid is None else process(ping.pid, asked.root)
    return present(
        ProbeName.DISPLAY_SERVER,
        identity=_inode(asked.path(which.path)) if server is None else server.identity(),
        label=which.label(),
        since=started_wall(server.start_ticks if server else None, asked.root),
        latency_ms=ping.latency_ms,
        evidence=f"{which.path}: {ping.said}" + (f" (pid {server.pid}, {server.comm})" if server else ""),
    )


def _no_answer(which: Socket, said: str) -> Probe:
    return unknown(ProbeName.DISPLAY_SERVER, f"{which.path}: {said}")


def _is_unseen(ping: Ping, asked: Asked, which: Socket) -> bool:
    """Tell whether an X server draws no screen, and nobody asked for it by DISPLAY."""
    server = None if ping.pid is None else process(ping.pid, asked.root)
    named = _x_number(asked.env.get("DISPLAY", "")) == os.path.basename(which.path)[1:]
    return server is not None and server.comm in _UNSEEN and not named


def _wayland_sockets(asked: Asked, session: Session | None) -> list[Socket]:
    """Return the Wayland sockets we may reach: ours first, the watched session's, other people's.

    None for a session that is X's own: a nested compositor in it is a program like any other.
    """
    if session is not None and session.type == "x11":
        return []
    first = [uid for uid in (session.uid if session else None, asked.uid) if uid is not None]
    everybody = [int(name) for name in _names(asked, RUNTIME) if name.isdecimal()]
    others = sorted(set(everybody) - set(first), key=lambda uid: (uid < _PEOPLE, uid))
    folders = [asked.env.get("XDG_RUNTIME_DIR", ""), *(f"{RUNTIME}/{uid}" for uid in (*first, *others))]
    paths = [
        f"{folder}/{name}"
        for folder in dict.fromkeys(filter(None, folders))
        for name in _wayland_names(asked, folder)
    ]
    return [Socket(path, wayland=True) for path in paths]


def _wayland_names(asked: Asked, folder: str) -> list[str]:
    mine = asked.env.get("WAYLAND_DISPLAY", "")
    names = [name for name in _names(asked, folder) if name.startswith("wayland-")]
    names.sort(key=lambda name: (name != mine, name))
    return [name for name in names if _is_socket(asked.path(f"{folder}/{name}"))]


def _x_sockets(asked: Asked, session: Session | None) -> list[Socket]:
    """Return the X sockets: of the session's display first, of DISPLAY, then by number."""
    wanted = [_x_number(session.display) if session else "", _x_number(asked.env.get("DISPLAY", ""))]
    numbers = [name[1:] for name in _names(asked, X_SOCKETS) if name.startswith("X") and name[1:].isdecimal()]
    ranked = sorted(numbers, key=lambda n: (wanted.index(n) if n in wanted else len(wanted), int(n)))
    sockets = [Socket(f"{X_SOCKETS}/X{number}", wayland=False) for number in ranked]
    return [each for each in sockets if _is_socket(asked.path(each.path))]


def _x_number(display: str) -> str:
    """Return the number in a DISPLAY of this machine: `:0` and `:0.0` are 0; empty for another host's."""
    host, colon, rest = display.rpartition(":")
    return rest.partition(".")[0] if colon and host in ("", "unix") else ""


def _names(asked: Asked, folder: str) -> list[str]:
    try:
        return os.listdir(asked.path(folder))
    except OSError:
        return []


def _is_socket(path: str) -> bool:
    """Tell whether it is a socket itself: a link, which others could have put there, is not followed."""
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def _inode(path: str) -> str | None:
    try:
        return f"socket inode {os.stat(path).st_ino}"
    except OSError:
        return None
