"""Transient units of a systemd manager: start, look, stop, forget. For one thread at a time.

`StartTransientUnit` only queues a job: its result comes as the signal `JobRemoved`, and only then is
the unit what it will be (org.freedesktop.systemd1(5)). So each of these waits for the signal and then
reads the unit. What the unit then says about limits is not proof that the kernel has them
(systemd/systemd#21247, #10581): whoever needs that reads the cgroup files.
"""

from __future__ import annotations

import re

from steadyrun.bus.address import own_socket
from steadyrun.bus.connection import Connection, Target, open_bus, open_peer, within
from steadyrun.bus.properties import prop
from steadyrun.errors import BusError
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from steadyrun.bus.address import Bus
    from steadyrun.bus.connection import Signal
    from steadyrun.bus.properties import Property

SYSTEMD = "org.freedesktop.systemd1"
MANAGER = Target(SYSTEMD, "/org/freedesktop/systemd1", f"{SYSTEMD}.Manager")
NO_SUCH_UNIT = f"{SYSTEMD}.NoSuchUnit"
UNIT_EXISTS = f"{SYSTEMD}.UnitExists"
PATIENCE_S = 10.0
"""For a whole operation where the caller says nothing. A start on the testbed's emulated machine under
load takes below 2 s."""
_DONE = "done"
_KINDS = {"scope": "Scope", "service": "Service", "slice": "Slice"}
_DELEGABLE = ("Scope", "Service")
_NO_UNIT = (NO_SUCH_UNIT, "org.freedesktop.DBus.Error.UnknownObject")
"""It was never there; it was forgotten between two questions."""


class Unit(NamedTuple):
    """One unit as its manager sees it."""

    name: str
    """Its own, where it was asked for by an alias (`lightdm.service` for `display-manager.service`)."""
    load_state: str
    """`loaded`, `not-found`, ..."""
    active_state: str
    """`active`, `inactive`, `failed`, `activating`, `deactivating`, ...

    A scope may be `inactive` (dead) while its processes run (systemd/systemd#36781): look at the cgroup.
    """
    sub_state: str
    """`running`, `dead`, `abandoned`, ..."""
    invocation_id: str | None
    """32 hexadecimal digits, another one after each start; `None`: it was never started."""
    control_group: str | None
    """Path below the cgroup mount, with a leading slash; `None`: it has none (now)."""
    result: str | None
    """`success`, `oom-kill`, `timeout`, `signal`, ...; `None`: its kind has no result."""
    main_pid: int | None
    """Of a service that runs."""
    since: Seconds | None
    """Unix time from which it is up; `None`: it was never."""
    own: dict[str, Any]
    """All properties of its own interface (Scope, Service, Slice), as they came: `MemoryMax`, ..."""

    def is_up(self) -> bool:
        """Tell whether the manager holds it for running."""
        return self.active_state in ("active", "reloading", "activating")


class Manager:
    """A systemd manager over a bus: of the user, or of the system. A context manager."""

    def __init__(self, connection: Connection) -> None:
        """Take a connection, which is closed with this."""
        self._bus = connection
        self._sender: str | None = None

    @classmethod
    def open(cls, which: Bus, *, until: float | None = None, env: Mapping[str, str] | None = None) -> Manager:
        """Connect to a manager's bus.

        Raises:
            BusError: There is no bus. Whether a manager is on it shows with the first question.
        """
        return cls(open_bus(which, until=_by(until), descriptors=True, env=env))

    @classmethod
    def of_user(cls, uid: int, *, until: float | None = None) -> Manager:
        """Connect to a user's manager itself, as that user or as root: for calls, not for jobs.

        Raises:
            BusError: There is none, or it does not let us in.
        """
        return cls(open_peer(own_socket(uid), uid, until=_by(until)))

    def __enter__(self) -> Manager:
        """Give the manager itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._bus.close()

    def close(self) -> None:
        """Close the connection."""
        self._bus.close()

    def version(self, *, until: float | None = None) -> int | None:
        """Return systemd's version, 252 of `252.39-1~deb12u1`; `None`: it says something else.

        Raises:
            BusError: It was not told.
        """
        text = str(self._bus.property(MANAGER, "Version", until=_by(until)))
        digits = re.match(r"(?:systemd )?v?([0-9]+)", text)
        return None if digits is None else int(digits[1])

    def control_group(self, *, until: float | None = None) -> str:
        """Return the cgroup that all units of this manager are below, as a path with a leading slash.

        Raises:
            BusError: It was not told.
        """
        return str(self._bus.property(MANAGER, "ControlGroup", until=_by(until))) or "/"

    def attach(self, name: str, subgroup: str, pids: Iterable[int], *, until: float | None = None) -> None:
        """Move processes into a cgroup below a delegated unit's own; answered once they are moved.

        A user manager asks the system's where it may not move them itself: a process of a login session
        is in a cgroup that has none of the user's above it (systemd, Control Group APIs and Delegation,
        "Delegation"; unit_attach_pids_to_cgroup() in src/core/cgroup.c).

        Args:
            name: The unit; it has to be up and delegated.
            subgroup: Path below its cgroup, with a leading slash; has to be there.
            pids: Of our own user's.
            until: CLOCK_MONOTONIC by which all is done.

        Raises:
            BusError: It was refused; some may have been moved.
        """
        arguments = (name, subgroup, list(pids))
        self._bus.call(MANAGER, "AttachProcessesToUnit", "ssau", arguments, until=_by(until))

    def start_transient(
        self,
        name: str,
        properties: Iterable[Property],
        *,
        mode: str = "fail",
        until: float | None = None,
    ) -> Unit:
        """Make and start a transient scope or service, wait for its job, and return the unit.

        Args:
            name: As in `start`.
            properties: As in `start`.
            mode: As in `start`.
            until: CLOCK_MONOTONIC by which all is done; `None`: in 10 s.

        Raises:
            BusError: As `start`.
        """
        deadline = _by(until)
        self.start(name, properties, mode=mode, until=deadline)
        unit = self.unit(name, until=deadline)
        if unit is None:
            raise BusError(f"the start of {name}: its job was done and there is no such unit")
        return unit

    def start(
        self,
        name: str,
        properties: Iterable[Property],
        *,
        mode: str = "fail",
        until: float | None = None,
    ) -> None:
        """Make and start a transient scope or service and wait for its job; read nothing of it.

        A service has some 300 properties, and reading them all takes as long as the start itself.

        Args:
            name: With its suffix, `.scope` or `.service`.
            properties: Of `properties.prop`. A scope needs `PIDs` (or `PIDFDs`) of who goes into it.
            mode: `fail` refuses where a job for that unit is under way already.
            until: CLOCK_MONOTONIC by which all is done; `None`: in 10 s.

        Raises:
            BusError: It was refused (nothing was made), its job failed (the unit is then `failed` until
                `reset_failed`), or no end of it came in time: the unit may then come up later, and has to
                be stopped by name.
        """
        deadline = _by(until)
        sender = self._subscribe(deadline)
        sent = [(each.name, each.value) for each in properties]
        arguments: tuple[Any, ...] = (name, mode, sent, [])
        (job,) = self._bus.call(MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", arguments, until=deadline)
        result = self._job_result(job, sender, f"the start of {name}", deadline)
        if result != _DONE:
            unit = self.unit(name, until=deadline)
            state = f", the unit is {unit.active_state} ({unit.result})" if unit else ""
            raise BusError(f"the start of {name}: expected its job to be done, found {result}{state}")

    def unit(self, name: str, *, until: float | None = None) -> Unit | None:
        """Return a unit as it is now; `None`: the manager has none of that name loaded.

        Raises:
            BusError: It could not be told.
        """
        deadline = _by(until)
        try:
            (path,) = self._bus.call(MANAGER, "GetUnit", "s", (name,), until=deadline)
            common = self._bus.properties(Target(SYSTEMD, path, f"{SYSTEMD}.Unit"), until=deadline)
            kind = _KINDS.get(name.rpartition(".")[2])
            own = (
                self._bus.properties(Target(SYSTEMD, path, f"{SYSTEMD}.{kind}"), until=deadline)
                if kind
                else {}
            )
        except BusError as error:
            if error.name in _NO_UNIT:
                return None
            raise
        return _unit(name, common, own)

    def stop(self, name: str, *, mode: str = "replace", until: float | None = None) -> bool:
        """Stop a unit and wait until it is stopped; return whether there was one to stop.

        Raises:
            BusError: Its job failed, or it did not end in time (it goes on stopping).
        """
        deadline = _by(until)
        sender = self._subscribe(deadline)
        job = self._queue_stop(name, mode, deadline)
        if job is None:
            return False
        result = self._job_result(job, sender, f"the stop of {name}", deadline)
        if result != _DONE:
            raise BusError(f"the stop of {name}: expected its job to be done, found {result}")
        return True

    def begin_restart(self, name: str, *, until: float | None = None) -> None:
        """Have a unit started, anew where it runs; its job is not waited for (no signals come without a bus).

        Raises:
            BusError: There is no such unit, or it was refused.
        """
        self._bus.call(MANAGER, "RestartUnit", "ss", (name, "replace"), until=_by(until))

    def begin_stop(self, name: str, *, until: float | None = None) -> bool:
        """Have a unit stopped; return whether there was one to stop. Its job is not waited for.

        Raises:
            BusError: It was refused.
        """
        return self._queue_stop(name, "replace", _by(until)) is not None

    def _queue_stop(self, name: str, mode: str, until: float) -> str | None:
        """Have a unit stopped; return the job, `None`: there is no such unit."""
        try:
            (job,) = self._bus.call(MANAGER, "StopUnit", "ss", (name, mode), until=until)
        except BusError as error:
            if error.name == NO_SUCH_UNIT:
                return None
            raise
        return str(job)

    def reset_failed(self, name: str, *, until: float | None = None) -> bool:
        """Have a failed unit forgotten; return whether it was there.

        Raises:
            BusError: It could not be done.
        """
        try:
            self._bus.call(MANAGER, "ResetFailedUnit", "s", (name,), until=_by(until))
        except BusError as error:
            if error.name == NO_SUCH_UNIT:
                return False
            raise
        return True

    def delegates(self, name: str, *, until: float | None = None) -> bool:
        """Tell whether a unit's cgroup was given away to who runs in it (`Delegate=`).

        False where there is no such unit, or its kind cannot be given away (systemd.resource-control(5)).

        Raises:
            BusError: It could not be told.
        """
        kind = _KINDS.get(name.rpartition(".")[2])
        if kind not in _DELEGABLE:
            return False
        deadline = _by(until)
        try:
            (path,) = self._bus.call(MANAGER, "GetUnit", "s", (name,), until=deadline)
            told = self._bus.property(Target(SYSTEMD, path, f"{SYSTEMD}.{kind}"), "Delegate", until=deadline)
        except BusError as error:
            if error.name in _NO_UNIT:
                return False
            raise
        return bool(told)

    def set_properties(
        self, name: str, properties: Iterable[Property], *, until: float | None = None
    ) -> None:
        """Change properties of a unit until it ends (`--runtime`); answered once they are applied.

        Raises:
            BusError: It was refused.
        """
        sent = [(each.name, each.value) for each in properties]
        self._bus.call(MANAGER, "SetUnitProperties", "sba(sv)", (name, True, sent), until=_by(until))

    def reload(self, *, until: float | None = None) -> None:
        """Have the manager read its files again; answered once it has.

        Limits and weights of units that are up are then set anew (unit_deserialize(), systemd/systemd
        src/core/unit-serialize.c); not with 257, where that takes `realize`.

        Raises:
            BusError: It was refused, or not answered in time: it may then still happen.
        """
        self._bus.call(MANAGER, "Reload", until=_by(until))

    def realize(self, name: str, *, until: float | None = None) -> None:
        """Have a unit's settings written into its cgroup again, which a reload should have done.

        With 257 it does not (with 252 it does): a mask of what is still to be written is all ones by
        default, and is left out of what is kept over a reload when it is zero (cgroup_runtime_serialize(),
        systemd/systemd src/core/cgroup.c), so that after it everything counts as noted already; a review
        of systemd/systemd#38190 says that cgroups are no longer realized again. But whoever sets a property
        has the cgroup written (bus_slice_commit_properties() and its like), and `Markers` (248) is one
        that goes into no file: it is set to what it is.

        Raises:
            BusError: There is no such unit, or it was refused; before 248 always.
        """
        deadline = _by(until)
        (path,) = self._bus.call(MANAGER, "GetUnit", "s", (name,), until=deadline)
        marked = self._bus.property(Target(SYSTEMD, path, f"{SYSTEMD}.Unit"), "Markers", until=deadline)
        if not isinstance(marked, list):
            raise BusError(f"the markers of {name}: expected a list, found {marked!r:.60}")
        self.set_properties(name, [prop("Markers", marked)], until=deadline)

    def _subscribe(self, until: float) -> str:
        """Have the manager send its signals; return the unique name that they come from."""
        if self._sender is None:
            self._sender = self._bus.listen(MANAGER, "JobRemoved", until=until)
            self._bus.call(MANAGER, "Subscribe", until=until)
        return self._sender

    def _job_result(self, job: str, sender: str, what: str, until: float) -> str:
        """Wait for a job's end: `done`, `failed`, `timeout`, `canceled`, `dependency`, `skipped`, ..."""

        def is_its_end(signal: Signal) -> bool:
            ours = signal.sender == sender and signal.member == "JobRemoved"
            return ours and len(signal.body) == 4 and signal.body[1] == job

        return str(self._bus.wait(is_its_end, what, until=until).body[3])


def _unit(name: str, common: dict[str, Any], own: dict[str, Any]) -> Unit:
    invocation = bytes(common.get("InvocationID", b""))
    result = own.get("Result")
    since = int(common.get("ActiveEnterTimestamp", 0))
    return Unit(
        name=str(common.get("Id") or name),
        load_state=str(common.get("LoadState", "")),
        active_state=str(common.get("ActiveState", "")),
        sub_state=str(common.get("SubState", "")),
        invocation_id=invocation.hex() if any(invocation) else None,
        control_group=own.get("ControlGroup") or None,
        result=None if result is None else str(result),
        main_pid=own.get("MainPID") or None,
        since=Seconds(since / 1e6) if since else None,
        own=own,
    )


def _by(until: float | None) -> float:
    return within(PATIENCE_S) if until is None else until
