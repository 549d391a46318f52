"""Containment by one unified cgroup: everything the kernel can hold, freeze, kill and count in one place.

Made in a place that is ours to write to (`unified_placement`): as root on a machine without systemd, or
in a subtree that was delegated to us. Never writes above that place, save that a controller which is
needed and not yet enabled there is enabled for cgroups below it; it stays so
(docs/adr/0008-places-in-the-unified-hierarchy.md).
"""

from __future__ import annotations

from steadyrun.contain.base import CREATE_DEADLINE, NOTHING
from steadyrun.contain.disks import disks_that_weigh, whole_disks
from steadyrun.contain.hierarchy import PARENT, expect_plain, is_ours
from steadyrun.contain.leaf import Leaf
from steadyrun.contain.unified_placement import emptying, given_by, place, unified_memory
from steadyrun.contain.unified_promises import Kernel, promises
from steadyrun.contain.unified_tree import enable, make, reopen
from steadyrun.errors import CannotContainError, ContainmentFailedError
from steadyrun.model.containment import (
    BackendName,
    Capability,
    ContainmentMade,
    ContainmentPlan,
    Obstacle,
)
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.contain.base import Containment
    from steadyrun.contain.cgroupfs import CgroupDirectory
    from steadyrun.model.containment import CgroupMount, ContainmentFacts, UnifiedLevel
    from steadyrun.model.limits import Limits
    from steadyrun.units import Seconds


def open_cgroup2(facts: ContainmentFacts) -> Cgroup2Backend:
    """Open the backend, with the place that `unified_placement` says (what was made may be elsewhere).

    Raises:
        CannotContainError: The memory controller is not unified here.
    """
    mount = unified_memory(facts)
    if mount is None:
        raise CannotContainError(
            "containment cgroup2: expected a unified memory controller, found none", hint="steadyrun doctor"
        )
    return Cgroup2Backend(facts, place(facts), mount)


class Cgroup2Backend:
    """A subtree of the unified hierarchy that is ours to write to.

    Args:
        facts: What was found out about this machine.
        where: Where to make cgroups, as `unified_placement.place` says, or why nowhere.
        mount: The unified mount that shows it.
    """

    def __init__(self, facts: ContainmentFacts, where: UnifiedLevel | Obstacle, mount: CgroupMount) -> None:
        self._facts = facts
        self._place = where
        self._mount = mount

    @property
    def name(self) -> BackendName:
        """Which one."""
        return BackendName.CGROUP2

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the controllers there and this kernel give."""
        facts, where = self._facts, self._place
        if isinstance(where, Obstacle):
            return frozenset()
        disks, weigh = whole_disks(), disks_that_weigh(self._mount.path)
        kernel = Kernel(facts.kernel, facts.files, facts.psi_supported, bool(disks), bool(weigh))
        return promises(given_by(where), kernel)

    def plan(self, name: str) -> ContainmentPlan:
        """Say where a containment of that name would be. No effect.

        Raises:
            ContainmentFailedError: The name could leave our place, or there is none.
        """
        expect_plain(name)
        where = self._where()
        directory = f"{where.directory}/{PARENT}-{name}"
        return ContainmentPlan(
            backend=self.name,
            name=name,
            parent=where.directory,
            directories=(directory,),
            kill_file=f"{directory}/cgroup.kill" if self._facts.kill_supported else None,
            freeze_file=f"{directory}/cgroup.freeze",
            procs_files=(f"{directory}/cgroup.procs",),
        )

    def create(
        self, plan: ContainmentPlan, *, limits: Limits = NOTHING, deadline: Seconds = CREATE_DEADLINE
    ) -> Containment:
        """Enable the controllers, make the cgroup, see that it has them.

        Raises:
            ContainmentFailedError: It could not be made, was there already, or lacks the memory controller.
        """
        (path,) = plan.directories
        self._expect_ours(path, plan.name)
        where = self._where()
        enable(where.directory, given_by(where))
        made = Cgroup2Containment(plan, make(path), self._mount)
        if "memory" in given_by(where) and not made.directory.has("memory.max"):
            made.remove()
            made.close()
            raise ContainmentFailedError(
                f"{path}: expected a memory controller, found none", hint=emptying(where.directory)
            )
        made.settle()
        return made

    def reopen(self, made: ContainmentMade) -> Containment | None:
        """Take hold of one that was made, where the directory still has its inode."""
        return self._hold(made.plan, {identity.inode for identity in made.identities})

    def reopen_planned(self, plan: ContainmentPlan) -> Containment | None:
        """Take hold of one by its name, which holds the run's random id."""
        return self._hold(plan, None)

    def _hold(self, plan: ContainmentPlan, inodes: set[int] | None) -> Containment | None:
        (path,) = plan.directories
        self._expect_ours(path, plan.name)
        directory = reopen(path, inodes)
        return None if directory is None else Cgroup2Containment(plan, directory, self._mount)

    def _where(self) -> UnifiedLevel:
        if isinstance(self._place, Obstacle):
            raise ContainmentFailedError(
                f"containment cgroup2: expected a place to make cgroups in, found: {self._place.reason}",
                hint=self._place.remedy,
            )
        return self._place

    def _expect_ours(self, path: str, name: str) -> None:
        """Refuse a path (from a journal, say) that is not the place of a containment of that name."""
        if not path.startswith(f"{self._mount.path}/") or not is_ours(path, name) or "/.." in path:
            raise ContainmentFailedError(
                f"{path}: expected a cgroup of ours named {name}, found another place"
            )


class Cgroup2Containment(Leaf):
    """One made containment: a leaf, with the plan it was made by."""

    __slots__ = ("_made",)

    def __init__(self, plan: ContainmentPlan, directory: CgroupDirectory, mount: CgroupMount) -> None:
        super().__init__(directory, mount)
        self._made = ContainmentMade(plan, (directory.identity,))

    @property
    def made(self) -> ContainmentMade:
        """What and where it is, with its inode."""
        return self._made

    def gone(self) -> bool:
        """Tell whether somebody else removed it."""
        return not self.is_there()
