"""Containment by legacy cgroups: limits in the v1 hierarchies, kill, freeze and PSI in the unified mount.

One child cgroup in each hierarchy, all holding the same processes. Where there is no unified mount
(or its kernel has no `cgroup.kill`), the legacy freezer and `pids.max` make the kill fork-safe. Never
touches a directory that is not its own by name, place and inode.
"""

from __future__ import annotations

import os

from steadyrun.contain.base import CREATE_DEADLINE, NOTHING
from steadyrun.contain.cgroup1_containment import Cgroup1Containment, remove_parent
from steadyrun.contain.cgroup1_placement import places
from steadyrun.contain.cgroupfs import CgroupDirectory
from steadyrun.contain.disks import whole_disks
from steadyrun.contain.hierarchy import UNIFIED, expect_plain, is_ours
from steadyrun.errors import ContainmentFailedError
from steadyrun.model.containment import (
    BackendName,
    Capability,
    ContainmentFacts,
    ContainmentMade,
    ContainmentPlan,
)
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from steadyrun.contain.base import Containment
    from steadyrun.model.limits import Limits
    from steadyrun.units import Seconds

_PARENT_TRIES = 20
"""How often a parent that another run's end removes under our hands is made again."""


class Cgroup1Backend:
    """Legacy and hybrid machines."""

    def __init__(self, facts: ContainmentFacts) -> None:
        self._facts = facts
        self._hierarchies = places(facts)
        self._places = tuple(p for p in self._hierarchies if p.mount.path in facts.creatable)

    @property
    def name(self) -> BackendName:
        """Which one."""
        return BackendName.CGROUP1

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the hierarchies that we can use here give."""
        have = {controller for place in self._places for controller in place.controllers}
        given = {
            "memory": (Capability.GUARANTEED, Capability.MEMORY_MAX, Capability.MEMORY_PEAK),
            "cpu": (Capability.CPU_MAX, Capability.CPU_WEIGHT),
            "pids": (Capability.TASKS_MAX, Capability.KILL),
            "blkio": (Capability.IO_COUNTERS, *((Capability.IO_MAX,) if whole_disks() else ())),
            "freezer": (Capability.FREEZE, Capability.KILL),
        }
        found = {capability for controller in have for capability in given.get(controller, ())}
        if UNIFIED in have and self._facts.kill_supported:
            found |= {Capability.KILL, Capability.FREEZE}
        if UNIFIED in have and self._facts.psi_supported:
            found.add(Capability.PSI)
        if "memory" in have and self._accounts_swap():
            found.add(Capability.SWAP_MAX)
        return frozenset(found)

    def _accounts_swap(self) -> bool:
        """Tell whether memsw files are there; the top of the hierarchy has them too."""
        memory = next(p for p in self._places if "memory" in p.controllers)
        return os.path.exists(f"{memory.base}/memory.memsw.usage_in_bytes")

    def plan(self, name: str) -> ContainmentPlan:
        """Say where a containment of that name would be. No effect.

        Raises:
            ContainmentFailedError: The name could leave our parent, or there is no hierarchy to use.
        """
        expect_plain(name)
        if not self._places:
            raise ContainmentFailedError(
                "cgroup1: expected a hierarchy to make cgroups in, found none", hint="steadyrun doctor"
            )
        directory_of = {c: place.directory(name) for place in self._places for c in place.controllers}
        unified = directory_of.get(UNIFIED) if self._facts.kill_supported else None
        freezer = directory_of.get("freezer")
        freeze = f"{unified}/cgroup.freeze" if unified else f"{freezer}/freezer.state" if freezer else None
        return ContainmentPlan(
            backend=self.name,
            name=name,
            parent=next((p for p in self._places if "memory" in p.controllers), self._places[0]).parent(),
            directories=tuple(p.directory(name) for p in self._places),
            kill_file=f"{unified}/cgroup.kill" if unified else None,
            freeze_file=freeze,
            procs_files=tuple(f"{p.directory(name)}/cgroup.procs" for p in self._places),
        )

    def create(
        self, plan: ContainmentPlan, *, limits: Limits = NOTHING, deadline: Seconds = CREATE_DEADLINE
    ) -> Containment:
        """Make every directory of the plan, or none.

        Raises:
            ContainmentFailedError: One could not be made, or was there already.
        """
        made: list[CgroupDirectory] = []
        try:
            for path in plan.directories:
                self._expect_ours(path, plan.name)
                _make(path)
                made.append(CgroupDirectory(path))
                _settle(made[-1])
        except OSError as error:
            for directory in reversed(made):
                directory.remove()
                remove_parent(directory.path)
                directory.close()
            raise ContainmentFailedError(
                f"{error.filename or plan.parent}: expected to make a cgroup, found {error.strerror}",
                hint="steadyrun doctor",
            ) from error
        return Cgroup1Containment(plan, made, self._hierarchies)

    def reopen(self, made: ContainmentMade) -> Containment | None:
        """Take hold of what is left of one that was made: the directories that have their inode still."""
        wanted = {(i.path, i.inode) for i in made.identities}
        return self._hold(made.plan, lambda d: (d.path, d.identity.inode) in wanted)

    def reopen_planned(self, plan: ContainmentPlan) -> Containment | None:
        """Take hold of what was made of a plan: every directory that is there."""
        return self._hold(plan, lambda _: True)

    def _hold(self, plan: ContainmentPlan, is_it: Callable[[CgroupDirectory], bool]) -> Containment | None:
        held: list[CgroupDirectory] = []
        for path in plan.directories:
            self._expect_ours(path, plan.name)
            try:
                directory = CgroupDirectory(path)
            except OSError:
                continue
            if is_it(directory):
                held.append(directory)
            else:
                directory.close()
        return Cgroup1Containment(_narrow(plan, held), held, self._hierarchies) if held else None

    def _expect_ours(self, path: str, name: str) -> None:
        """Refuse a path (from a journal, say) that is not the place of a containment of that name."""
        below = any(path.startswith(f"{m.path}/") for m in self._facts.mounts)
        if not below or not is_ours(path, name) or "/.." in path:
            raise ContainmentFailedError(
                f"{path}: expected a cgroup of ours named {name}, found another place"
            )


def _make(path: str) -> None:
    """Make a cgroup and, where it is missing, the parent it shares with other runs.

    Another run that ends may remove the parent between our two steps; it is made again then.
    """
    for _ in range(_PARENT_TRIES):
        try:
            os.mkdir(path)
            return
        except FileNotFoundError:
            _make_parent(os.path.dirname(path))
    os.mkdir(path)


def _make_parent(path: str) -> None:
    try:
        os.mkdir(path)
    except FileExistsError:
        pass


def _settle(directory: CgroupDirectory) -> None:
    """Open what a new memory cgroup takes over from its parent and would hurt.

    A disabled OOM killer would leave the load hanging at its limit (memory.rst, section 10); without
    hierarchical accounting (the default before 5.11) children that the load makes would escape it
    (section 6).
    """
    if "oom_kill_disable 1" in (directory.read("memory.oom_control") or ""):
        directory.write("memory.oom_control", "0")
    if (directory.read("memory.use_hierarchy") or "1").strip() == "0":
        directory.write("memory.use_hierarchy", "1")


def _narrow(plan: ContainmentPlan, held: list[CgroupDirectory]) -> ContainmentPlan:
    """Return the plan with nothing in it but what is in the held directories."""
    paths = {directory.path for directory in held}

    def kept(file: str | None) -> str | None:
        return file if file is not None and os.path.dirname(file) in paths else None

    return plan._replace(
        directories=tuple(d.path for d in held),
        kill_file=kept(plan.kill_file),
        freeze_file=kept(plan.freeze_file),
        procs_files=tuple(file for file in plan.procs_files if kept(file)),
    )
