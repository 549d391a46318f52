"""What a made unit's manager is asked for: move a process, set limits and weights, stop.

Each with a deadline, over one connection that is opened when the first question comes. What the manager
says it has set is not believed: the cgroup files are read (systemd/systemd#21247, #10581).
"""

from __future__ import annotations

import os

from steadyrun.contain.cgroupfs import CgroupDirectory
from steadyrun.contain.hierarchy import PARENT, SLICE
from steadyrun.contain.readback import limit_at
from steadyrun.contain.systemd_facts import open_manager
from steadyrun.contain.systemd_unit import (
    ROOM_BYTES,
    ROOM_TASKS,
    TINY,
    Weights,
    highest,
    limit_properties,
    weight_properties,
    weights_of,
)
from steadyrun.contain.unified_limits import read_io_weight, read_weight, weight_at
from steadyrun.errors import BusError
from steadyrun.kernel.cgroupfiles import parse_io_weight
from steadyrun.kernel.kept import parsed, read_text
from steadyrun.model.limits import CPU_WEIGHT_DEFAULT, Limits, ReadBack
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steadyrun.bus.units import Manager
    from steadyrun.contain.leaf import Leaf
    from steadyrun.model.containment import ManagerFacts

ANSWER_WITHIN_S = 5.0
"""What one question may take."""
_REPEATED = {
    "memory_max": ("memory.max", ROOM_BYTES),
    "memory_high": ("memory.high", ROOM_BYTES),
    "tasks_max": ("pids.max", ROOM_TASKS),
}
"""Limits of the leaf that the unit repeats: its file, and what it has on top."""


class Tell:
    """The manager of one made unit.

    Args:
        name: The unit.
        unit: Its own cgroup, closed by its owner.
        facts: The manager.
        top: The mount point of the unified hierarchy.
        told: The limits that it was started with; `None`: not known.
    """

    def __init__(
        self, name: str, unit: CgroupDirectory, facts: ManagerFacts, top: str, told: Limits | None
    ) -> None:
        self._name = name
        self._unit = unit
        self._facts = facts
        self._top = top
        self._told = told
        self._connected: Manager | None = None

    def attach(self, subgroup: str, pid: int) -> None:
        """Have a process moved into a cgroup below the unit.

        Raises:
            BusError: It was refused, or not answered in time.
        """
        until = _until()
        self._bus(until).attach(self._name, subgroup, [pid], until=until)

    def limits(self, limits: Limits, leaf: Leaf) -> tuple[ReadBack, ...]:
        """Set the leaf's limits and the unit's; return the leaf's read-backs with what the unit says added.

        The leaf's limit is what holds, so it falls before the unit's and rises after it. A weight counts
        at the unit and its slice alone.
        """
        if self._rises(limits):
            trouble = self._set(limits)
            found = leaf.apply(limits)
        else:
            found = leaf.apply(limits)
            trouble = self._set(limits)
        return tuple(self._judged(each, limits, trouble) for each in found)

    def _rises(self, limits: Limits) -> bool:
        now = limit_at(f"{self._unit.path}/memory.max")
        return now is not None and (limits.memory_max is None or limits.memory_max + ROOM_BYTES > now)

    def end(self) -> None:
        """Stop the unit and have it forgotten, as far as the manager answers."""
        try:
            until = _until()
            manager = self._bus(until)
            manager.stop(self._name, until=until)
            manager.reset_failed(self._name, until=_until())
        except BusError:
            pass

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def _bus(self, until: float) -> Manager:
        if self._connected is None:
            self._connected = open_manager(until)
        return self._connected

    def _set(self, limits: Limits) -> str:
        """Tell the manager what it does not know yet; return what went wrong, empty when nothing did."""
        until = _until()
        try:
            if limits != self._told:
                properties = limit_properties(limits, self._facts.controllers, self._facts.version)
                self._bus(until).set_properties(self._name, properties, until=until)
                self._told = limits
            self._set_slice(limits, until)
        except BusError as error:
            return error.message
        return ""

    def _set_slice(self, limits: Limits, until: float) -> None:
        wanted, controllers = self._weights_of_slice(limits), self._facts.controllers
        slices = os.path.dirname(self._unit.path)
        found = {"cpu": weight_at(slices), "io": _io_weight_at(slices)}
        # A slice that has no such file yet has the default.
        differ = [
            c
            for c, now in found.items()
            if c in controllers and (now or CPU_WEIGHT_DEFAULT) != getattr(wanted, c)
        ]
        if differ:
            properties = weight_properties(wanted, differ, self._facts.version)
            self._bus(until).set_properties(SLICE, properties, until=until)

    def _weights_of_slice(self, limits: Limits) -> Weights:
        return highest((weights_of(limits), *self._others()))

    def _others(self) -> Iterator[Weights]:
        """Give the weights of the other units in the slice, read from the kernel."""
        parent, own = os.path.split(self._unit.path)
        try:
            names = os.listdir(parent)
        except OSError:
            return
        for name in names:
            if name.startswith(f"{PARENT}-") and name != own:
                cpu, io = weight_at(f"{parent}/{name}"), _io_weight_at(f"{parent}/{name}")
                yield Weights(cpu or CPU_WEIGHT_DEFAULT, io or CPU_WEIGHT_DEFAULT)

    def _judged(self, leaf: ReadBack, limits: Limits, trouble: str) -> ReadBack:
        if leaf.name in ("cpu_weight", "io_weight"):
            return self._weight(leaf, limits, trouble)
        if trouble:
            return leaf._replace(found=f"{leaf.found}; the unit was not told: {trouble}")
        file, room = _REPEATED.get(leaf.name, ("", 0))
        asked = getattr(limits, leaf.name)
        if not file or (room == ROOM_BYTES and (limits.memory_max or 0) < TINY):
            return leaf
        found = limit_at(f"{self._unit.path}/{file}")
        if found is not None and found <= asked + room:
            return leaf
        return leaf._replace(found=f"{leaf.found}; the unit's own limit was accepted and not applied")

    def _weight(self, leaf: ReadBack, limits: Limits, trouble: str) -> ReadBack:
        """Read a weight back where it counts: at the unit, among our own, and at the slice, among others."""
        slices = os.path.dirname(self._unit.path)
        if leaf.name == "cpu_weight":
            asked = limits.cpu_weight or CPU_WEIGHT_DEFAULT
            unit = read_weight(self._unit, asked, trouble)
            wanted, found = self._weights_of_slice(limits).cpu, weight_at(slices)
        else:
            asked = limits.io_weight or CPU_WEIGHT_DEFAULT
            unit = read_io_weight(self._unit, asked, self._top, (trouble,) if trouble else ())
            wanted, found = self._weights_of_slice(limits).io, _io_weight_at(slices)
        if found == wanted or found is None:
            return unit._replace(held=unit.held and found == wanted)
        return unit._replace(held=False, found=f"{unit.found}; {SLICE} has {found}, expected {wanted}")


def _io_weight_at(directory: str) -> int | None:
    source = f"{directory}/io.weight"
    return parsed(read_text(source), parse_io_weight, source)


def _until() -> float:
    from steadyrun.bus.connection import within

    return within(ANSWER_WITHIN_S)
