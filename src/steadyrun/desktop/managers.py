"""The display manager (the login screen's service) and the user manager: from systemd, else from files.

systemd is asked over D-Bus, by the alias display-manager.service; where it does not answer in time, or
has no such unit, processes and /run/systemd tell. There the InvocationID of each unit that is up is the
target of the symbolic link /run/systemd/units/invocation:UNIT (unit_export_invocation_id() in
systemd/systemd src/core/unit.c); it is another one after each start of the unit. Nothing is written.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from steadyrun.desktop.login_screens import DISPLAY_MANAGERS
from steadyrun.desktop.looks import Asked, absent, present, unknown
from steadyrun.desktop.processes import Found, processes_named, sees_all, started_wall
from steadyrun.desktop.session import read_sessions, watched
from steadyrun.kernel.reader import read_text
from steadyrun.model.desktop import Probe, ProbeName

if TYPE_CHECKING:
    from steadyrun.bus.units import Unit

UNITS = "/run/systemd/units"
ALIAS = "/etc/systemd/system/display-manager.service"
DEBIAN_DEFAULT = "/etc/X11/default-display-manager"


def probe_display_manager(asked: Asked) -> Probe:
    """Look for a display manager: systemd's unit, else a known one that runs as root."""
    name = ProbeName.DISPLAY_MANAGER
    service = _service(asked, "display-manager.service")
    if service is not None and service.is_up() and service.invocation_id is not None:
        return present(
            name,
            identity=f"invocation {service.invocation_id}",
            label=service.name.removesuffix(".service"),
            since=service.since,
            evidence=_told(service),
        )
    running = [one for one in processes_named(DISPLAY_MANAGERS, asked.root) if one.uid in (0, None)]
    invocation = _invocation(asked, running[0].comm if running else None)
    if running:
        return _running(asked, running[0], invocation)
    seen = sees_all(asked.root)
    unit = display_manager_name(asked.root)
    if invocation is not None and (not seen or unit not in DISPLAY_MANAGERS):
        evidence = f"its unit is up, invocation {invocation}"
        label = unit or "display manager"
        return present(name, identity=f"invocation {invocation}", label=label, evidence=evidence)
    if seen or os.path.isdir(asked.path(UNITS)):
        told = "" if service is None else f"; {_told(service)}"
        return absent(name, "none of the known ones runs" + (f"; configured: {unit}" if unit else "") + told)
    return unknown(name, "other users' processes are hidden (hidepid), and no systemd unit tells")


def display_manager_name(root: str = "/") -> str | None:
    """Return the name of the configured display manager; `None`: none, or it cannot be told.

    The alias that systemd starts, else Debian's file (Debian: /etc/X11/default-display-manager).
    """
    before = root.rstrip("/")
    try:
        return os.path.basename(os.readlink(before + ALIAS)).removesuffix(".service")
    except OSError:
        pass
    text = (read_text(before + DEBIAN_DEFAULT) or "").strip()
    return os.path.basename(text) or None


def probe_user_manager(asked: Asked) -> Probe:
    """Look for the `systemd --user` of the person whose graphical session is watched.

    Without a graphical session only for the one that we run in: any other ends with the last login, and
    a person who logs out of a terminal has lost nothing (loginctl(1), `enable-linger`).
    """
    name = ProbeName.USER_MANAGER
    sessions = read_sessions(asked.root)
    session = watched(sessions, asked.uid, asked.root)
    uid = session.uid if session is not None else asked.uid if _runs_us(asked) else None
    if uid is None:
        if sessions.complete:
            return absent(name, "no graphical session whose manager could be watched")
        return unknown(name, "it could not be told whose graphical session there is")
    service = _service(asked, f"user@{uid}.service")
    told = "" if service is None else f"; {_told(service)}"
    running = processes_named(frozenset({"systemd"}), asked.root)
    manager = next((p for p in running if p.uid == uid and p.pid != 1), None)
    if manager is not None:
        evidence = f"systemd of uid {uid} runs as pid {manager.pid}{told}"
        since = started_wall(manager.start_ticks, asked.root)
        label = f"systemd --user of uid {uid}"
        return present(name, identity=manager.identity(), label=label, since=since, evidence=evidence)
    if sees_all(asked.root):
        return absent(name, f"uid {uid} runs no systemd --user{told}")
    if service is not None and service.is_up() and service.invocation_id is not None:
        identity = f"invocation {service.invocation_id}"
        return present(name, identity=identity, label=service.name, evidence=_told(service))
    return unknown(name, f"processes of uid {uid} are hidden (hidepid){told}")


def _runs_us(asked: Asked) -> bool:
    """Tell whether we are in the user's manager: a ramp that outlived the session is."""
    return f"/user@{asked.uid}.service/" in (read_text(asked.path("/proc/self/cgroup")) or "")


def _service(asked: Asked, name: str) -> Unit | None:
    """Ask systemd after a service; `None`: it has none of that name, or there was no answer in time."""
    if not asked.asks_bus():
        return None
    from steadyrun.bus.address import Bus
    from steadyrun.bus.units import Manager
    from steadyrun.errors import BusError

    until = asked.bus_until()
    try:
        with Manager.open(Bus.SYSTEM, until=until, env=asked.env) as manager:
            return manager.unit(name, until=until)
    except BusError:
        return None


def _told(service: Unit) -> str:
    """Say what systemd said."""
    words = f"{service.name}: {service.active_state} ({service.sub_state})"
    words += "" if service.main_pid is None else f", main process {service.main_pid}"
    words += "" if service.result in (None, "success") else f", result {service.result}"
    return words + ("" if service.invocation_id is None else f", invocation {service.invocation_id}")


def _running(asked: Asked, one: Found, invocation: str | None) -> Probe:
    evidence = f"{one.comm} runs as pid {one.pid}"
    if invocation is not None:
        evidence += f", invocation {invocation}"
    return present(
        ProbeName.DISPLAY_MANAGER,
        identity=one.identity() if invocation is None else f"invocation {invocation}",
        label=one.comm,
        since=started_wall(one.start_ticks, asked.root),
        evidence=evidence,
    )


def _invocation(asked: Asked, comm: str | None) -> str | None:
    """Return the InvocationID of the display manager's unit; `None`: no such unit is up, or no systemd."""
    names = [display_manager_name(asked.root), comm, "gdm" if comm == "gdm3" else None, "display-manager"]
    for name in filter(None, names):
        try:
            return os.readlink(asked.path(f"{UNITS}/invocation:{name}.service"))
        except OSError:
            continue
    return None
