"""Containment by a transient systemd unit for each load, with a leaf below it that we manage.

    steadyrun.slice                    the manager's, shared by all our units
      steadyrun-NAME.service           the manager's; delegated to us, without processes of its own
        holder                         ours: the unit's main process, which sleeps
        load                           ours: the leaf, the same as the cgroup2 backend's

Above the unit systemd alone writes, below it we alone (Control Group APIs and Delegation). Why a
service with a sleeping holder and not a scope: docs/adr/0009-a-service-with-a-holder.md. D-Bus is waited
for, with a deadline, while a containment is made, limited and filled; killing, freezing, reading and
removing need files alone.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from steadyrun.contain.base import CREATE_DEADLINE, NOTHING
from steadyrun.contain.cgroupfs import CgroupDirectory
from steadyrun.contain.disks import disks_that_weigh, whole_disks
from steadyrun.contain.hierarchy import SLICE, expect_plain
from steadyrun.contain.leaf import Leaf
from steadyrun.contain.readback import try_write
from steadyrun.contain.systemd_containment import SystemdContainment
from steadyrun.contain.systemd_facts import open_manager
from steadyrun.contain.systemd_manager import Tell
from steadyrun.contain.systemd_unit import (
    HOLDER,
    LEAF,
    ROOM_BYTES,
    limit_properties,
    start_properties,
    unit_name,
)
from steadyrun.contain.unified_placement import USED, unified_memory
from steadyrun.contain.unified_promises import Kernel, promises
from steadyrun.contain.unified_tree import enable, make, reopen
from steadyrun.errors import BusError, CannotContainError, ContainmentFailedError
from steadyrun.model.containment import (
    BackendName,
    Capability,
    ContainmentMade,
    ContainmentPlan,
    ManagerFacts,
)
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.bus.properties import Property
    from steadyrun.contain.base import Containment
    from steadyrun.model.containment import CgroupMount, ContainmentFacts
    from steadyrun.model.limits import Limits
    from steadyrun.units import Seconds

HOLDER_COMMAND = ("/usr/bin/env", "cat")
"""The unit's main process: ends when the last process that can write to its standard input has ended.
`env` looks for it in the manager's own PATH, wherever a distribution keeps it."""
UNDO_WITHIN_S = 5.0
_NO_MANAGER = ManagerFacts(False, None, "", (), (), "no systemd runs here", "steadyrun doctor")
_MOVES = 50
"""How often the unit's own cgroup is looked at until nobody is in it."""


def open_systemd(facts: ContainmentFacts) -> SystemdBackend:
    """Open the backend; with a manager that cannot be asked (any more) only what was made can be reopened.

    Raises:
        CannotContainError: The memory controller is not unified here.
    """
    mount = unified_memory(facts)
    if mount is None:
        raise CannotContainError(
            "containment systemd: expected a unified memory controller, found none", hint="steadyrun doctor"
        )
    return SystemdBackend(facts, facts.manager or _NO_MANAGER, mount)


class SystemdBackend:
    """A systemd manager: the user's, or as root the system's."""

    def __init__(self, facts: ContainmentFacts, manager: ManagerFacts, mount: CgroupMount) -> None:
        self._facts = facts
        self._manager = manager
        self._mount = mount

    @property
    def name(self) -> BackendName:
        """Which one."""
        return BackendName.SYSTEMD

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the manager's controllers and this kernel give; the unit may be stopped by anybody."""
        facts, manager = self._facts, self._manager
        disks, weigh = whole_disks(), disks_that_weigh(self._mount.path)
        kernel = Kernel(facts.kernel, manager.files, facts.psi_supported, bool(disks), bool(weigh))
        return promises(manager.controllers, kernel) | {Capability.STOPPED_BY_OTHERS}

    def plan(self, name: str) -> ContainmentPlan:
        """Say which unit a containment of that name would be. No effect.

        Raises:
            ContainmentFailedError: The name could leave our slice, or no manager can be asked.
        """
        expect_plain(name)
        if not self._manager.cgroup:
            raise ContainmentFailedError(
                f"containment systemd: expected a manager, found: {self._manager.trouble}",
                hint=self._manager.remedy,
            )
        parent, unit = f"{self._manager.cgroup}/{SLICE}", unit_name(name)
        holder, leaf = (f"{parent}/{unit}/{each}" for each in (HOLDER, LEAF))
        return ContainmentPlan(
            backend=self.name,
            name=name,
            parent=parent,
            directories=(holder, leaf),
            kill_file=f"{leaf}/cgroup.kill" if "cgroup.kill" in self._manager.files else None,
            freeze_file=f"{leaf}/cgroup.freeze",
            procs_files=(f"{leaf}/cgroup.procs", f"{holder}/cgroup.procs"),
            unit=unit,
        )

    def create(
        self, plan: ContainmentPlan, *, limits: Limits = NOTHING, deadline: Seconds = CREATE_DEADLINE
    ) -> Containment:
        """Have the unit started, wait for its job, and set up what is below it.

        Raises:
            ContainmentFailedError: It could not be made, was there already, or is not where planned.
        """
        from steadyrun.bus.connection import within

        unit, facts = self._expect_ours(plan), self._manager
        until = within(deadline)
        with ExitStack() as undo:
            lifeline, end = os.pipe2(os.O_CLOEXEC)
            undo.callback(os.close, end)
            properties = [
                *start_properties(plan.name, HOLDER_COMMAND, lifeline, lasts=limits.wall_time),
                *limit_properties(limits, facts.controllers, facts.version),
            ]
            try:
                self._start(unit, properties, until)
            finally:
                os.close(lifeline)
            undo.callback(self._end, unit)
            made = self._set_up(plan, limits, end)
            undo.pop_all()
        return made

    def _start(self, unit: str, properties: list[Property], until: float) -> None:
        try:
            with open_manager(until) as manager:
                manager.start(unit, properties, until=until)
        except BusError as error:
            if error.name is None:  # it was asked for, and may yet come up
                self._end(unit)
            raise ContainmentFailedError(error.message, hint=error.hint or "steadyrun doctor") from error

    def _end(self, unit: str) -> None:
        """Stop a unit and have it forgotten, as far as the manager answers."""
        from steadyrun.bus.connection import within

        until = within(UNDO_WITHIN_S)
        try:
            with open_manager(until) as manager:
                manager.stop(unit, until=until)
                manager.reset_failed(unit, until=until)
        except BusError:
            pass  # without us its holder ends, and it with that

    def _set_up(self, plan: ContainmentPlan, limits: Limits, lifeline: int) -> Containment:
        """Move the holder out of the unit's own cgroup, enable controllers, make the leaf.

        Raises:
            ContainmentFailedError: The unit's cgroup is not where it was planned, or lacks something.
        """
        directory = os.path.dirname(plan.directories[0])
        with ExitStack() as undo:
            top = _held(reopen(directory, None), directory, undo)
            holder = _held(make(plan.directories[0]), directory, undo)
            _empty_into(top, holder)
            enable(directory, [c for c in USED if c in (top.read("cgroup.controllers") or "").split()])
            _shut(holder)
            leaf = Leaf(_held(make(plan.directories[1]), directory, undo), self._mount)
            if not leaf.directory.has("memory.max"):
                raise ContainmentFailedError(
                    f"{directory}: expected a memory controller, found none", hint="steadyrun doctor"
                )
            leaf.settle()
            undo.pop_all()
        made = ContainmentMade(plan, (holder.identity, leaf.directory.identity))
        tell = self._tell(plan, top, limits)
        return SystemdContainment(made, tell, top, holder, leaf, lifeline=lifeline)

    def reopen(self, made: ContainmentMade) -> Containment | None:
        """Take hold of what is left of one that was made: where a cgroup below it has its inode still."""
        return self._hold(made, {identity.inode for identity in made.identities})

    def reopen_planned(self, plan: ContainmentPlan) -> Containment | None:
        """Take hold of a unit by its name, which holds the run's random id."""
        return self._hold(ContainmentMade(plan, ()), None)

    def _hold(self, made: ContainmentMade, inodes: set[int] | None) -> Containment | None:
        self._expect_ours(made.plan)
        top = reopen(os.path.dirname(made.plan.directories[0]), None)
        if top is None:
            return None
        holder, leaf = (reopen(path, inodes) for path in made.plan.directories)
        if inodes is not None and holder is None and leaf is None:
            top.close()
            return None
        identities = tuple(d.identity for d in (holder, leaf) if d is not None)
        return SystemdContainment(
            made._replace(identities=identities),
            self._tell(made.plan, top),
            top,
            holder,
            None if leaf is None else Leaf(leaf, self._mount),
            by_bus=True,
        )

    def _tell(self, plan: ContainmentPlan, unit: CgroupDirectory, told: Limits | None = None) -> Tell:
        return Tell(plan.unit or "", unit, self._manager, self._mount.path, told)

    def _expect_ours(self, plan: ContainmentPlan) -> str:
        """Refuse a plan (from a journal, say) that is not of a unit of that name; return its unit."""
        unit = unit_name(plan.name)
        parent = os.path.dirname(os.path.dirname(plan.directories[0])) if plan.directories else ""
        ours = tuple(f"{parent}/{unit}/{each}" for each in (HOLDER, LEAF))
        placed = parent.startswith(f"{self._mount.path}/") and parent.endswith(f"/{SLICE}")
        if plan.unit != unit or plan.directories != ours or not placed or "/.." in parent:
            raise ContainmentFailedError(
                f"{plan.unit}: expected the unit {unit} in our slice, found another place"
            )
        return unit


def _held(directory: CgroupDirectory | None, path: str, undo: ExitStack) -> CgroupDirectory:
    """Return an open cgroup, closed again when what follows fails."""
    if directory is None:
        raise ContainmentFailedError(f"{path}: expected the cgroup of the unit just started, found none")
    undo.callback(directory.close)
    return directory


def _shut(holder: CgroupDirectory) -> None:
    """Leave the holder what it has, so that its cgroup is no place for a load to grow in."""
    for name, text in (("pids.max", "1"), ("memory.max", str(ROOM_BYTES)), ("memory.swap.max", "0")):
        try_write(holder, name, text)


def _empty_into(top: CgroupDirectory, holder: CgroupDirectory) -> None:
    """Move whatever is in the unit's own cgroup into the holder's.

    Raises:
        ContainmentFailedError: Somebody is in it still.
    """
    for _ in range(_MOVES):
        pids = (top.read("cgroup.procs") or "").split()
        if not pids:
            break
        for pid in pids:
            try:
                holder.write("cgroup.procs", pid)
            except ProcessLookupError:
                continue
    else:
        raise ContainmentFailedError(f"{top.path}: expected no process in it, found {', '.join(pids)}")
    if not (holder.read("cgroup.procs") or "").strip():
        raise ContainmentFailedError(f"{holder.path}: expected the holder of the unit in it, found nobody")
