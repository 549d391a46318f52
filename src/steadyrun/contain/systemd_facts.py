"""Asks the systemd manager that would make our units where it is, how old, and what it can give them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from steadyrun.contain.hierarchy import visible
from steadyrun.errors import BusError
from steadyrun.kernel.reader import read_text
from steadyrun.model.containment import ManagerFacts

if TYPE_CHECKING:
    from steadyrun.bus.units import Manager
    from steadyrun.model.containment import CgroupMount

PATIENCE_S = 3.0
"""For all questions together. Who has nothing as good as a manager waits longer for it (`decide`)."""
_CHILD = "init.scope"
"""A cgroup that each manager has: its own process is in it (Control Group APIs and Delegation)."""


def read_manager(mount: CgroupMount, patience: float = PATIENCE_S) -> ManagerFacts:
    """Ask the user's manager, or as root the system's; for so many seconds."""
    from steadyrun.bus.connection import within

    until = within(patience)
    is_user = os.geteuid() != 0
    try:
        with open_manager(until) as manager:
            version = manager.version(until=until)
            group = manager.control_group(until=until)
    except BusError as error:
        whose = "the user manager" if is_user else "systemd"
        trouble = f"{whose} cannot be asked: {error.message}"
        unusable = _unusable(is_user, trouble, _how_to_reach(error, is_user))
        return unusable._replace(silent=error.silent)
    directory = visible(mount, group)
    if directory is None:
        return _unusable(is_user, f"its cgroup {group} is not below {mount.path}", "steadyrun doctor")
    return ManagerFacts(
        is_user=is_user,
        version=version,
        cgroup=directory,
        controllers=tuple((read_text(f"{directory}/cgroup.controllers") or "").split()),
        files=_names(f"{directory}/{_CHILD}"),
    )


def open_manager(until: float) -> Manager:
    """Connect to the manager that is ours: the system's as root, else the user's.

    Raises:
        BusError: There is no bus.
    """
    from steadyrun.bus.address import Bus
    from steadyrun.bus.units import Manager

    return Manager.open(Bus.SYSTEM if os.geteuid() == 0 else Bus.USER, until=until)


def _unusable(is_user: bool, trouble: str, remedy: str) -> ManagerFacts:
    return ManagerFacts(is_user, None, "", (), (), trouble, remedy)


def _how_to_reach(error: BusError, is_user: bool) -> str:
    """Return the command: without a session a user has no manager, unless it lingers (loginctl(1))."""
    if is_user and not os.path.isdir(f"/run/user/{os.geteuid()}"):
        return "sudo loginctl enable-linger $USER   # or log in, not with su"
    return error.hint or "systemctl status dbus"


def _names(directory: str) -> tuple[str, ...]:
    try:
        return tuple(sorted(os.listdir(directory)))
    except OSError:
        return ()
