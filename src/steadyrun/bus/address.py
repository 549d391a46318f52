"""Where the buses listen: an environment to paths of sockets. Pure, opens nothing.

Sources: D-Bus specification, "Server Addresses" and "Well-known Message Bus Instances";
sd_bus_default(3) for the order in which the variables are looked at; dbus.socket of dbus-user-session
and of dbus-broker for `/run/user/UID/bus`.
"""

from __future__ import annotations

from enum import Enum

from steadyrun.typed import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_SOCKET = "/run/dbus/system_bus_socket"
"""The specification says /var/run, which is /run wherever there is systemd."""


def own_socket(uid: int) -> str:
    """Return where a user's systemd manager listens itself, for that user and for root.

    Without a bus in between: systemctl(1) talks to it there (bus_connect_user_systemd(), systemd/systemd
    src/shared/bus-util.c); a session bus lets nobody in but its user.
    """
    return f"/run/user/{uid}/systemd/private"


class Bus(Enum):
    """Which bus."""

    USER = "user"
    """The one that the user's `systemd --user` is on."""
    SYSTEM = "system"


def candidates(which: Bus, env: Mapping[str, str], uid: int) -> tuple[str, ...]:
    """Return the sockets to try in their order; one in the abstract namespace begins with a zero byte.

    The user bus is looked for at its own place first: `DBUS_SESSION_BUS_ADDRESS` may name a bus of its
    own (dbus-run-session(1), dbus-launch(1)) that no `systemd --user` is on.
    """
    match which:
        case Bus.USER:
            runtime = env.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
            places = (f"{runtime}/bus", *parse_address(env.get("DBUS_SESSION_BUS_ADDRESS", "")))
        case Bus.SYSTEM:
            places = parse_address(env.get("DBUS_SYSTEM_BUS_ADDRESS", "")) or (SYSTEM_SOCKET,)
        case _:
            assert_never(which)
    return tuple(dict.fromkeys(places))


def parse_address(text: str) -> tuple[str, ...]:
    """Return the Unix sockets of a D-Bus address; what has another transport or form is passed over."""
    found = []
    for each in text.split(";"):
        transport, _, rest = each.partition(":")
        if transport != "unix":
            continue
        values = dict(pair.partition("=")[::2] for pair in rest.split(","))
        for key, before in (("path", ""), ("abstract", "\0")):
            if values.get(key):
                found.append(before + _unescaped(values[key]))
                break
    return tuple(found)


def _unescaped(value: str) -> str:
    """Undo `%2f` and the like; what is no such escape stays as it is."""
    from urllib.parse import unquote

    return unquote(value)
