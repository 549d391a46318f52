"""logind over the system bus: sessions, lingering, and the lock that keeps the machine awake.

Source: org.freedesktop.login1(5).
"""

from __future__ import annotations

import os

from steadyrun.bus.connection import Connection, Target
from steadyrun.errors import BusError
from steadyrun.model.session import Session
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

LOGIN = "org.freedesktop.login1"
MANAGER = Target(LOGIN, "/org/freedesktop/login1", f"{LOGIN}.Manager")
LINGER_FOLDER = "/var/lib/systemd/linger"
"""One empty file a user (user_check_linger_file(), systemd/systemd src/login/logind-user.c)."""
_NOT_LOGGED_IN = f"{LOGIN}.NoSuchUser"
_GONE = frozenset({f"{LOGIN}.NoSuchSession", "org.freedesktop.DBus.Error.UnknownObject"})


def sessions(bus: Connection, *, until: float) -> tuple[Session, ...]:
    """Return all sessions, those of other users too; one that ends while it is asked after is left out.

    Raises:
        BusError: logind did not tell.
    """
    (listed,) = bus.call(MANAGER, "ListSessions", until=until)
    found = []
    for *_, path in listed:
        try:
            session = bus.properties(Target(LOGIN, path, f"{LOGIN}.Session"), until=until)
        except BusError as error:
            if error.name in _GONE:
                continue
            raise
        found.append(_session(session))
    return tuple(found)


def _session(found: dict[str, Any]) -> Session:
    uid, _ = found.get("User", (None, "/"))
    seat, _ = found.get("Seat", ("", "/"))
    began = int(found.get("Timestamp", 0))
    return Session(
        id=str(found.get("Id", "")),
        uid=None if uid is None else int(uid),
        type=str(found.get("Type", "")),
        session_class=str(found.get("Class", "")),
        state=str(found.get("State", "")),
        seat=str(seat),
        display=str(found.get("Display", "")),
        desktop=str(found.get("Desktop", "")),
        leader=int(found.get("Leader", 0)) or None,
        began=Seconds(began / 1e6) if began else None,
    )


def lingers(bus: Connection, uid: int, *, until: float) -> bool:
    """Tell whether lingering is on for a user, logged in or not.

    Raises:
        BusError: It could not be told.
    """
    try:
        (path,) = bus.call(MANAGER, "GetUser", "u", (uid,), until=until)
        return bool(bus.property(Target(LOGIN, path, f"{LOGIN}.User"), "Linger", until=until))
    except BusError as error:
        if error.name != _NOT_LOGGED_IN:
            raise
    return lingers_by_file(uid)


def lingers_by_file(uid: int) -> bool:
    """Tell it from logind's own file: for a user that is not logged in there is no object to ask.

    Raises:
        BusError: It could not be told.
    """
    import pwd

    try:
        name = pwd.getpwuid(uid).pw_name
        os.stat(os.path.join(LINGER_FOLDER, name))
    except KeyError as error:
        raise BusError(f"uid {uid}: expected a user of this machine, found none") from error
    except FileNotFoundError:
        return False
    except OSError as error:
        raise BusError(f"{LINGER_FOLDER}: {os.strerror(error.errno or 0)}") from error
    return True


def set_lingering(bus: Connection, uid: int, on: bool, *, until: float) -> None:
    """Switch lingering on or off: whether a user's manager runs without a session, and from the boot on.

    For oneself polkit allows it without a password where its defaults were not changed
    (`org.freedesktop.login1.set-self-linger`). Nobody is asked for one. Switched off without a session,
    the user's manager and all its units end after `UserStopDelaySec=`, 10 s (logind.conf(5)).

    Raises:
        BusError: It was refused, or not answered in time: it may then still happen.
    """
    bus.call(MANAGER, "SetUserLinger", "ubb", (uid, on, False), until=until)


def inhibit(
    bus: Connection, *, what: Iterable[str], who: str, why: str, until: float, mode: str = "block"
) -> int:
    """Take an inhibitor lock and return its descriptor; the lock lasts until all copies are closed.

    Args:
        bus: Opened with `descriptors=True`.
        what: Of `sleep`, `idle`, `shutdown`, `handle-lid-switch`, ... (systemd-inhibit(1)).
        who: Named in `systemd-inhibit --list`, as `why`.
        why: The reason, for people.
        until: CLOCK_MONOTONIC by which to be answered, seconds.
        mode: `block`, or `delay` (at most `InhibitDelayMaxSec=`).

    Raises:
        BusError: It was refused, or not answered in time.
    """
    arguments = (":".join(what), who, why, mode)
    (handle,) = bus.call(MANAGER, "Inhibit", "ssss", arguments, until=until)
    descriptor: int = handle.to_raw_fd()
    return descriptor
