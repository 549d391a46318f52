"""Where the cgroups of a unit are on a running machine, and whose one is. Reads names; judges nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from steadyrun.protect.disk import Disk

TOP = "/sys/fs/cgroup"


def cgroups_of(unit: str, disk: Disk, *, system: bool, euid: int) -> Iterator[str]:
    """Yield the cgroups of a unit that are there now; a name that stands for many gives each of them.

    Args:
        unit: As a drop-in's folder has it: `user-.slice`, `session-.scope`, `app.slice`.
        disk: Where they are looked for.
        system: The system's manager has it; else each user's manager has one.
        euid: Root looks at every user's, a user at their own.
    """
    users = [
        f"{TOP}/user.slice/{name}" for name in _listed(disk, f"{TOP}/user.slice") if name.startswith("user-")
    ]
    if not system:  # root's are for every user, a user's own for themselves
        for user in users if euid == 0 else [f"{TOP}/user.slice/user-{euid}.slice"]:
            yield from _there(disk, f"{_manager(user)}/{unit}")
        return
    match unit:
        case "user-.slice":
            yield from users
        case "user@.service":
            for user in users:
                yield from _there(disk, _manager(user))
        case "session-.scope":
            for user in users:
                names = _listed(disk, user)
                yield from (f"{user}/{n}" for n in names if n.startswith("session-") and n.endswith(".scope"))
        case _:
            inside = "" if unit.endswith(".slice") else "system.slice/"
            yield from _there(disk, f"{TOP}/{inside}{unit}")


def session_cgroup(uid: int, scope: str) -> str:
    """Return the cgroup of a login's scope, `session-3.scope`."""
    return f"{TOP}/user.slice/user-{uid}.slice/{scope}"


class Owner(NamedTuple):
    """The unit that a cgroup is of."""

    uid: int | None
    """Whose manager has it; `None`: the system's."""
    unit: str


def owner_of(cgroup: str) -> Owner:
    """Return the unit of a cgroup and who manages it: a user manager has what is below `user@UID.service`."""
    above, _, unit = cgroup.rpartition("/")
    managers = re.findall(r"(?:^|/)user@([0-9]+)\.service(?=/|$)", above)
    return Owner(int(managers[-1]) if managers else None, unit)


def _manager(user: str) -> str:
    """Return the cgroup of the manager below a `user-UID.slice`."""
    uid = os.path.basename(user).removeprefix("user-").removesuffix(".slice")
    return f"{user}/user@{uid}.service"


def _there(disk: Disk, path: str) -> Iterator[str]:
    if os.path.isdir(disk.at(path)):
        yield path


def _listed(disk: Disk, path: str) -> list[str]:
    try:
        return sorted(os.listdir(disk.at(path)))
    except OSError:
        return []
