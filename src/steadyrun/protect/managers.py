"""Tells systemd's managers to read what was written, and to have it in force for what runs already."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import groupby

from steadyrun.bus.address import Bus
from steadyrun.bus.connection import within
from steadyrun.bus.units import Manager
from steadyrun.desktop.processes import Found, processes_named
from steadyrun.errors import BusError
from steadyrun.kernel.processes import pid_alive
from steadyrun.protect.aside import as_user
from steadyrun.protect.disk import Disk
from steadyrun.protect.places import TOP, owner_of
from steadyrun.protect.read import is_users_manager

RELOAD_WITHIN_S = 90.0
"""The timeout of systemctl(1) for the same call."""
USERS_WITHIN_S = 20.0
"""For what one user's manager is asked: below 1 s on an idle machine, and one that hangs must not keep the
others waiting for long."""


def _open(uid: int | None, euid: int) -> Manager:
    """Connect to the system's manager (`None`) or to a user's.

    Raises:
        BusError: There is no way to it.
    """
    if uid is None:
        return Manager.open(Bus.SYSTEM)
    return Manager.open(Bus.USER) if uid == euid != 0 else Manager.of_user(uid)


def _users_managers() -> list[Found]:
    """Return the managers of users, one for each."""
    found: dict[int, Found] = {}
    for one in processes_named(frozenset({"systemd"})):
        if one.uid is not None and is_users_manager(one):
            found.setdefault(one.uid, one)
    return list(found.values())


class Managers:
    """The managers that a user may tell something: root all of them, others their own.

    Args:
        euid: The user.
        connect: Opens a connection to the manager of a uid, or with `None` to the system's, for a user.
        users: Finds the processes of users' managers.
        aside: Does something as a user, in a process of its own.
    """

    def __init__(
        self,
        euid: int,
        *,
        connect: Callable[[int | None, int], Manager] = _open,
        users: Callable[[], list[Found]] = _users_managers,
        aside: Callable[..., None] = as_user,
    ) -> None:
        self._euid = euid
        self._mine = None if euid == 0 else euid
        self._connect = connect
        self._users = users
        self._aside = aside

    def _ask(self, uid: int | None, deed: Callable[[Manager, float], object], *, seconds: float) -> None:
        """Ask a manager for something; one of another user's is talked to as that user.

        Args:
            uid: Whose; `None`: the system's.
            deed: Does it, by a CLOCK_MONOTONIC.
            seconds: For all of it.

        Raises:
            BusError: It was not done.
        """

        def ask() -> None:
            with self._connect(uid, self._euid) as manager:
                deed(manager, within(seconds))

        if uid is None or uid == self._euid:
            ask()
        else:
            self._aside(uid, ask, seconds=seconds)

    def reload(self) -> tuple[str, ...]:
        """Have every manager read its files again; return what went wrong.

        A user's manager that root cannot talk to is sent SIGHUP, which is the same (systemd(1)) and is not
        answered. What became of it is read back from the kernel in any case.
        """
        trouble = []
        try:
            self._ask(self._mine, lambda it, until: it.reload(until=until), seconds=RELOAD_WITHIN_S)
        except BusError as error:
            how = "systemctl daemon-reload" if self._mine is None else "systemctl --user daemon-reload"
            trouble.append(f"systemd did not read its files again ({error.message}): {how}")
        if self._mine is None:
            trouble += [said for one in self._users() if (said := self._reload_of(one))]
        return tuple(trouble)

    def _reload_of(self, one: Found) -> str:
        """Have one user's manager read its files; return what went wrong."""
        try:
            self._ask(one.uid, lambda it, until: it.reload(until=until), seconds=USERS_WITHIN_S)
        except BusError as error:
            if error.silent:
                return f"the user manager of uid {one.uid} ({error.message}): systemctl --user daemon-reload"
            return _hang_up(one)
        return ""

    def restart(self, unit: str) -> tuple[str, ...]:
        """Have every user's manager concerned start a unit, anew where it runs; return what went wrong."""
        return self._each_user(lambda it, until: it.begin_restart(unit, until=until))

    def stop(self, unit: str) -> tuple[str, ...]:
        """Have every user's manager concerned stop a unit; return what went wrong."""
        return self._each_user(lambda it, until: it.begin_stop(unit, until=until))

    def _each_user(self, ask: Callable[[Manager, float], object]) -> tuple[str, ...]:
        uids = [one.uid for one in self._users()] if self._mine is None else [self._mine]
        trouble = []
        for uid in uids:
            try:
                self._ask(uid, ask, seconds=USERS_WITHIN_S)
            except BusError as error:
                trouble.append(f"the user manager of uid {uid}: {error.message}")
        return tuple(trouble)

    def reload_until_settled(self, disk: Disk, cgroups: Iterable[str]) -> tuple[str, ...]:
        """Have them read again what is no longer there, until no controller is switched off by it any more.

        A controller can be switched off for a cgroup when no cgroup below has it on (kernel, cgroup-v2.rst,
        "Top-down Constraint"), and systemd goes from the top down: each reload takes back one level of what
        the one before could not (seen with 252, `io` in cgroup.subtree_control).

        Args:
            disk: The machine's files.
            cgroups: What the files that are gone were about, from the outside in.
        """
        cgroups = tuple(cgroups)
        trouble, before = self._reload_and_realize(cgroups), None
        for _ in range(_LEVELS):
            now = _switched_on(disk)
            if trouble or now == before:
                break
            trouble, before = self._reload_and_realize(cgroups), now
        return trouble

    def _reload_and_realize(self, cgroups: tuple[str, ...]) -> tuple[str, ...]:
        trouble = self.reload()
        self.realize(cgroups)
        return trouble

    def realize(self, cgroups: Iterable[str]) -> None:
        """Have what the units of some cgroups say written there, for a systemd whose reload does not do it.

        Whether it helped is for the kernel's files to say. Nothing is done where nothing is missing, or a
        manager does not know how (`Manager.realize`).
        """
        told = sorted(
            {owner_of(each) for each in cgroups}, key=lambda one: -1 if one.uid is None else one.uid
        )
        for uid, units in groupby(told, key=lambda one: one.uid):
            if self._mine in (None, uid):
                with suppress(BusError):
                    self._realize_of(uid, [one.unit for one in units])

    def _realize_of(self, uid: int | None, units: list[str]) -> None:
        def each(manager: Manager, until: float) -> None:
            for unit in units:
                try:
                    manager.realize(unit, until=until)
                except BusError as error:
                    if error.silent:
                        raise

        self._ask(uid, each, seconds=USERS_WITHIN_S)


_LEVELS = 5
"""From the root to a user manager's own slices."""


def _switched_on(disk: Disk) -> dict[str, str | None]:
    """Return which controllers the root and what is next below it have on for what is in them."""
    try:
        inside = sorted(each.name for each in os.scandir(disk.at(TOP)) if each.is_dir())
    except OSError:
        inside = []
    paths = [TOP, *(f"{TOP}/{name}" for name in inside)]
    return {path: disk.value(f"{path}/cgroup.subtree_control") for path in paths}


def _hang_up(one: Found) -> str:
    """Send a manager SIGHUP if it is still there; return what went wrong."""
    try:
        descriptor = os.pidfd_open(one.pid)
    except ProcessLookupError:
        return ""
    try:
        if pid_alive(one.pid, one.start_ticks):
            signal.pidfd_send_signal(descriptor, signal.SIGHUP)
    except ProcessLookupError:
        pass
    except OSError as error:
        return f"the user manager of uid {one.uid}: {os.strerror(error.errno or 0)}"
    finally:
        os.close(descriptor)
    return ""
