"""The graphical session of a person: from logind, else its state files, else the processes of a desktop.

logind is asked over D-Bus; where there is no bus, or it does not answer in time, the files below
/run/systemd/sessions are read, which are logind's own (written by session_save() in systemd/systemd
src/login/logind-session.c, read by sd-login(3) of libsystemd). Both give the same session the same
identity. Nothing is written.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from steadyrun.desktop.looks import Asked, absent, present, unknown
from steadyrun.desktop.processes import Found, process, processes_named, sees_all, started_wall
from steadyrun.kernel.reader import read_text
from steadyrun.model.desktop import Probe, ProbeName
from steadyrun.model.session import Session
from steadyrun.units import Seconds

SESSIONS = "/run/systemd/sessions"
X_SERVERS = frozenset({"Xorg", "X", "Xvnc", "Xtigervnc", "Xwayland"})
COMPOSITORS = frozenset(
    {
        *("gnome-shell", "kwin_wayland", "kwin_x11", "mutter", "muffin", "cinnamon", "sway", "weston"),
        *("Hyprland", "labwc", "wayfire", "river", "niri", "cosmic-comp", "gamescope", "phoc", "hikari"),
    }
)
"""Names as in `comm`. Xvfb is left out: it shows nothing to anybody."""


class Sessions(NamedTuple):
    """All sessions that could be read, and whether that was all there are."""

    found: tuple[Session, ...]
    complete: bool
    """False: the directory or one of its files could not be read."""
    kept: bool
    """There is such a directory: logind keeps sessions here."""
    said_by: str = SESSIONS
    """Who told, for the evidence."""


def parse_session(text: str, session_id: str) -> Session:
    """Read one state file: lines of `KEY=value`; a key that is not there is empty or `None`."""
    pairs = (line.partition("=") for line in text.split("\n") if "=" in line and not line.startswith("#"))
    fields = {key: value.strip().strip('"') for key, _, value in pairs}
    began = _whole(fields.get("REALTIME"))
    return Session(
        id=session_id,
        uid=_whole(fields.get("UID")),
        type=fields.get("TYPE", ""),
        session_class=fields.get("CLASS", "user"),
        seat=fields.get("SEAT", ""),
        state=fields.get("STATE", ""),
        display=fields.get("DISPLAY", ""),
        desktop=fields.get("DESKTOP", ""),
        leader=_whole(fields.get("LEADER")),
        began=None if began is None else Seconds(began / 1e6),
    )


def read_sessions(root: str = "/") -> Sessions:
    """Read every session that logind keeps."""
    folder = root.rstrip("/") + SESSIONS
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return Sessions((), complete=True, kept=False)
    except OSError:
        return Sessions((), complete=False, kept=True)
    # `ID.ref` is the pipe that holds a session open; names with a dot are no sessions.
    texts = {name: read_text(f"{folder}/{name}") for name in names if "." not in name}
    found = tuple(parse_session(text, name) for name, text in texts.items() if text is not None)
    return Sessions(found, complete=len(found) == len(texts), kept=True)


def sessions_now(asked: Asked) -> Sessions:
    """Return every session: logind's word, else its files'."""
    if not asked.asks_bus():
        return read_sessions(asked.root)
    from steadyrun.bus import login
    from steadyrun.bus.address import Bus
    from steadyrun.bus.connection import open_bus
    from steadyrun.errors import BusError

    until = asked.bus_until()
    try:
        with open_bus(Bus.SYSTEM, until=until, env=asked.env) as bus:
            found = login.sessions(bus, until=until)
    except BusError as error:
        read = read_sessions(asked.root)
        # Where logind is known to be there, its silence is worth a word.
        return read._replace(said_by=f"{SESSIONS} (logind: {error.message})") if read.kept else read
    return Sessions(found, complete=True, kept=True, said_by="logind")


def watched(sessions: Sessions, uid: int, root: str = "/") -> Session | None:
    """Return the graphical session to watch: of `uid` before others, then the one that began first.

    The oldest, because a session that begins later must not take its place. A session whose leader
    is gone has ended, whatever its file says.
    """
    theirs = [
        session
        for session in sessions.found
        if session.on_screen() and session.session_class.startswith("user") and _led(session, root)
    ]
    return min(theirs, key=lambda s: (s.uid != uid, s.began or 0.0, s.id), default=None)


def probe_session(asked: Asked) -> Probe:
    """Look for a person's graphical session."""
    sessions = sessions_now(asked)
    session = watched(sessions, asked.uid, asked.root)
    if session is not None:
        return _found(session, sessions.said_by, asked.root)
    if not sessions.complete:
        return unknown(ProbeName.SESSION, f"{SESSIONS} could not be read as a whole")
    greeter = next((s for s in sessions.found if s.on_screen() and s.session_class == "greeter"), None)
    if greeter is not None:
        return absent(ProbeName.SESSION, f"only the login screen is there, session {greeter.label()}")
    return _by_process(asked, sessions)


def screen_processes(root: str = "/") -> tuple[Found, ...]:
    """Return the X servers and compositors that run, the longest running first."""
    return processes_named(X_SERVERS | COMPOSITORS, root)


def _found(session: Session, said_by: str, root: str) -> Probe:
    leader = None if session.leader is None else process(session.leader, root)
    identity = f"session {session.id}, leader {session.leader}"
    if leader is not None:
        identity += f" started {leader.start_ticks}"
    since = session.began or started_wall(leader.start_ticks if leader else None, root)
    evidence = f"{said_by}: session {session.id} {session.state or 'is there'}, leader {session.leader}"
    return present(
        ProbeName.SESSION, identity=identity, label=session.label(), since=since, evidence=evidence
    )


def _by_process(asked: Asked, sessions: Sessions) -> Probe:
    """Fall back on what draws the screen: `startx`, or a system without logind.

    Where logind keeps sessions only what belongs to somebody's login counts: an X server of the display
    manager's, between a session that ended and the login screen, is nobody's session.
    """
    running = screen_processes(asked.root)
    if sessions.kept:
        running = tuple(one for one in running if _of_a_login(one.pid, asked.root))
    if running:
        first = running[0]
        return present(
            ProbeName.SESSION,
            identity=first.identity(),
            label=first.comm,
            since=started_wall(first.start_ticks, asked.root),
            evidence=f"{sessions.said_by}: no graphical session; {first.comm} runs as pid {first.pid}",
        )
    nothing = f"{sessions.said_by}: no graphical session"
    if sessions.found or sees_all(asked.root):
        return absent(ProbeName.SESSION, f"{nothing}, no X server, no compositor")
    return unknown(ProbeName.SESSION, f"{nothing}, and other users' processes are hidden (hidepid)")


def _of_a_login(pid: int, root: str) -> bool:
    """Tell whether a process is in somebody's session or user manager (pam_systemd(8))."""
    return "/user.slice/" in (read_text(f"{root.rstrip('/')}/proc/{pid}/cgroup") or "")


def _led(session: Session, root: str) -> bool:
    """Tell whether the leader lives; where processes are hidden the file is believed."""
    return session.leader is None or process(session.leader, root) is not None or not sees_all(root)


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= 20 else None
