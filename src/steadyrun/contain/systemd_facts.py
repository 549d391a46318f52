"""Asks the systemd manager that would make our units where it is, how old, and what it can give them."""

from __future__ import annotations

import os
import time

from steadyrun.contain.hierarchy import ancestors, visible
from steadyrun.errors import BusError
from steadyrun.kernel.reader import read_text
from steadyrun.model.containment import ManagerFacts
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.bus.units import Manager
    from steadyrun.model.containment import CgroupMount

PATIENCE_S = 3.0
"""For all questions together. Who has nothing as good as a manager waits longer for it (`decide`)."""
ARRIVES_WITHIN_S = 1.0
"""For a manager that runs and is not on its bus yet: 0.1 s on the testbed's emulated machine."""
_ASK_AGAIN_S = 0.02
_CHILD = "init.scope"
"""A cgroup that each manager has: its own process is in it (Control Group APIs and Delegation)."""
_DELEGABLE = (".service", ".scope")


def read_manager(mount: CgroupMount, patience: float = PATIENCE_S, own: str | None = None) -> ManagerFacts:
    """Ask the user's manager, or as root the system's; for so many seconds.

    Args:
        mount: The unified hierarchy.
        patience: For all questions together, in seconds.
        own: Our cgroup, as /proc/self/cgroup gives it; `None`: it is not known.
    """
    from steadyrun.bus.connection import within

    until = within(patience)
    is_user = os.geteuid() != 0
    try:
        with open_manager(until) as manager:
            version = _version(manager, until, is_user=is_user)
            group = manager.control_group(until=until)
            unit = own_unit(mount, own, group) if is_user and own is not None else None
            is_given = unit is not None and _is_given(manager, unit, until)
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
        given=unit if unit is not None and is_given else "",
    )


def own_unit(mount: CgroupMount, own: str, group: str) -> str | None:
    """Return the directory of the service or scope below a manager's cgroup that a cgroup is in, the lowest.

    A user manager marks none of its cgroups as delegated, unlike the system's (seen with 247, 252 and 257),
    and all of them are the user's own: it has to be asked.

    Args:
        mount: The unified hierarchy.
        own: The cgroup, as /proc/PID/cgroup gives it.
        group: The manager's.
    """
    directory, top = visible(mount, own), visible(mount, group)
    if directory is None or top is None or not directory.startswith(f"{top}/"):
        return None
    return next((d for d in ancestors(directory, top) if d != top and d.endswith(_DELEGABLE)), None)


def open_manager(until: float) -> Manager:
    """Connect to the manager that is ours: the system's as root, else the user's.

    Raises:
        BusError: There is no bus.
    """
    from steadyrun.bus.address import Bus
    from steadyrun.bus.units import Manager

    return Manager.open(Bus.SYSTEM if os.geteuid() == 0 else Bus.USER, until=until)


def _version(manager: Manager, until: float, *, is_user: bool) -> int | None:
    """Ask for the version; wait a moment for a manager that is not on the bus yet.

    A user's manager takes its name there once the bus has come up that the first question starts: the first
    command after a login may be there before it.

    Raises:
        BusError: It was not told.
    """
    from steadyrun.bus.connection import NOBODY, within

    arrives = min(until, within(ARRIVES_WITHIN_S))
    while True:
        try:
            return manager.version(until=until)
        except BusError as error:
            if error.name not in NOBODY or not _runs(is_user) or time.monotonic() >= arrives:
                raise
        time.sleep(_ASK_AGAIN_S)


def _runs(is_user: bool) -> bool:
    """Tell whether a manager runs, by the socket that it has beside the bus (systemctl talks over it)."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    return os.path.exists(f"{runtime if is_user else '/run'}/systemd/private")


def _is_given(manager: Manager, unit: str, until: float) -> bool:
    """Ask whether a unit was delegated; what cannot be told was not."""
    try:
        return manager.delegates(unit.rpartition("/")[2], until=until)
    except BusError:
        return False


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
