"""The compositor of a Wayland session over D-Bus, for one whose own socket cannot be reached.

`org.freedesktop.DBus.Peer.Ping` is answered by every D-Bus library from the program's main loop (D-Bus
specification, "org.freedesktop.DBus.Peer"). Nobody is started by asking.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from steadyrun.desktop.looks import Asked, present, unknown
from steadyrun.desktop.processes import process, started_wall
from steadyrun.errors import BusError
from steadyrun.model.desktop import Probe, ProbeName

if TYPE_CHECKING:
    from steadyrun.bus.connection import Connection

NAMES = ("org.gnome.Shell", "org.gnome.Mutter.DisplayConfig", "org.kde.KWin")
"""Well-known names that compositors own."""


def ask_compositor(asked: Asked) -> Probe | None:
    """Ping the compositor on the user's bus; `None`: no known one is there, or no bus is."""
    if not asked.asks_bus() or asked.uid != os.geteuid():
        return None
    from steadyrun.bus.address import Bus
    from steadyrun.bus.connection import open_bus

    try:
        with open_bus(Bus.USER, until=asked.bus_until(), env=asked.env) as bus:
            return next((found for name in NAMES if (found := _ask(bus, name, asked)) is not None), None)
    except BusError:
        return None


def _ask(bus: Connection, name: str, asked: Asked) -> Probe | None:
    from steadyrun.bus.connection import DAEMON, Target

    until = asked.bus_until()
    try:
        owner = bus.owner(name, until=until)
        (pid,) = bus.call(DAEMON, "GetConnectionUnixProcessID", "s", (owner,), until=until)
    except BusError:
        return None
    began = time.monotonic()
    try:
        bus.call(Target(owner, "/", "org.freedesktop.DBus.Peer"), "Ping", until=until)
    except BusError as error:
        if error.name is None:
            return unknown(ProbeName.DISPLAY_SERVER, f"{name}: {error.message}")
    server = process(pid, asked.root)
    return present(
        ProbeName.DISPLAY_SERVER,
        identity=f"pid {pid}" if server is None else server.identity(),
        label=name,
        since=started_wall(server.start_ticks if server else None, asked.root),
        latency_ms=(time.monotonic() - began) * 1000,
        evidence=f"{name} answered a ping on the user's bus (pid {pid})",
    )
