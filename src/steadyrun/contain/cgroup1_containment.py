"""One made containment in the legacy hierarchies: what is done to it, by descriptors of its cgroups.

There is no group OOM kill here: the kernel kills one process at the hard limit; ending the rest when
`CgroupSample.oom_kills` rises is the guard's. Nor does it wait: kill and freeze are asked for, and
`pids()` and `is_frozen()` tell when it is so.
"""

from __future__ import annotations

import os

from steadyrun.contain.cgroup1_counters import LegacyCounters
from steadyrun.contain.cgroup1_limits import LegacyLimits
from steadyrun.contain.cgroup1_placement import Place
from steadyrun.contain.hierarchy import PARENT, UNIFIED
from steadyrun.contain.listed import kill_listed
from steadyrun.contain.processes import cgroups_of, living
from steadyrun.errors import ContainmentFailedError
from steadyrun.kernel.kept import KeptFile
from steadyrun.model.containment import ContainmentMade, ContainmentPlan
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.contain.cgroupfs import CgroupDirectory
    from steadyrun.model.limits import Limits, ReadBack
    from steadyrun.model.sample import CgroupSample
    from steadyrun.units import Seconds


class Cgroup1Containment:
    """One made containment.

    Args:
        plan: What was planned.
        directories: Those of the plan's directories that are there, in its order; closed by `close`.
        places: Every hierarchy of the machine that is of use.
    """

    __slots__ = ("_by_controller", "_cgroup_paths", "_counters", "_dirs", "_events", "_limits", "_made")

    def __init__(
        self, plan: ContainmentPlan, directories: list[CgroupDirectory], places: tuple[Place, ...]
    ) -> None:
        self._dirs = tuple(directories)
        self._made = ContainmentMade(plan, tuple(d.identity for d in directories))
        self._by_controller: dict[str, CgroupDirectory] = {}
        self._cgroup_paths: dict[str, str] = {}
        tops: dict[str, str] = {}
        for directory in directories:
            place = _place_of(directory.path, places)
            for controller in place.controllers if place is not None else ():
                assert place is not None
                self._by_controller[controller] = directory
                self._cgroup_paths[controller] = place.cgroup_path(directory.path)
                tops[controller] = place.mount.path
        memory, unified = self._by_controller.get("memory"), self._by_controller.get(UNIFIED)
        self._events = KeptFile(unified.kept("cgroup.events"), one_record=True) if unified else None
        self._limits = LegacyLimits(self._by_controller, tops)
        self._counters = LegacyCounters(self._by_controller, memory.identity if memory else None)

    @property
    def made(self) -> ContainmentMade:
        """What and where it is, with inodes."""
        return self._made

    def admit(self, pid: int) -> None:
        """Move a waiting process into every hierarchy and verify each by /proc/PID/cgroup.

        Raises:
            ContainmentFailedError: It is not in all of them.
        """
        for directory in self._dirs:
            try:
                directory.write("cgroup.procs", str(pid))
            except OSError as error:
                raise ContainmentFailedError(
                    f"{directory.path}: expected process {pid} to be moved in, found {error.strerror}"
                ) from error
        found = cgroups_of(pid)
        for controller, path in self._cgroup_paths.items():
            if found.get(controller) != path:
                raise ContainmentFailedError(
                    f"/proc/{pid}/cgroup: expected {path} for {controller or 'the unified hierarchy'}, "
                    f"found {found.get(controller)}"
                )

    def apply(self, limits: Limits) -> tuple[ReadBack, ...]:
        """Set the limits and read each back. May block in reclaim when below usage."""
        return self._limits.apply(limits)

    def adjust(self, limits: Limits, names: frozenset[str]) -> tuple[ReadBack, ...]:
        """Set the named limits alone, and read them back. May wait: for a helper."""
        return self._limits.adjust(limits, names)

    def sample(self, at: Seconds) -> CgroupSample:
        """Read the counters now. Never raises: unknown is `None`."""
        return self._counters.sample(at, frozen=self.is_frozen())

    def freeze(self) -> None:
        """Ask for everything in it to stop running. Whether it did, `is_frozen` tells."""
        directory, file, (frozen, _) = self._freezer()
        if directory is not None:
            _try(directory, file, frozen)

    def thaw(self) -> None:
        """Let everything in it run again, also in cgroups that the load made and froze itself."""
        directory, file, (_, thawed) = self._freezer()
        if directory is not None:
            directory.write_everywhere(file, thawed)

    def is_frozen(self) -> bool | None:
        """Tell whether all of it is frozen now; while a freeze is under way it is not."""
        directory, file, (frozen, _) = self._freezer()
        if directory is None:
            return None
        if file == "cgroup.freeze":  # that reads what was asked for; cgroup.events what came of it
            text = self._events.read() if self._events is not None else directory.read("cgroup.events")
            return None if text is None else "frozen 1" in text.splitlines()
        text = directory.read(file)
        return None if text is None else text.strip() == frozen

    def _freezer(self) -> tuple[CgroupDirectory | None, str, tuple[str, str]]:
        """Return where to freeze, by which file, and the words for frozen and thawed."""
        if self._made.plan.kill_file is not None:
            return self._by_controller.get(UNIFIED), "cgroup.freeze", ("1", "0")
        return self._by_controller.get("freezer"), "freezer.state", ("FROZEN", "THAWED")

    def pids(self) -> tuple[int, ...]:
        """Name the living processes that are in any of its cgroups, in one hierarchy or all."""
        return living(self._listed())

    def _listed(self) -> set[int]:
        # A process of another pid namespace reads as 0.
        return {pid for directory in self._dirs for pid in directory.pids() if pid > 0}

    def kill(self) -> set[int]:
        """Send SIGKILL to everything in it, and return who was found. Does not wait.

        Forks are refused first (`pids.max` 0), which also holds for what a privileged load moved out
        of the unified cgroup; `cgroup.kill` ends what is in that, frozen or not (cgroup-v2.rst, "Core
        Interface Files"). The rest is found in every hierarchy and killed until a listing shows nobody
        new: what a privileged load keeps in memory, cpu, cpuacct or blkio alone, where nothing ends
        it at once, is a race that is won by being ahead of it (`listed`;
        docs/adr/0013-a-kill-that-comes-first.md). The rest is also
        a process whose first thread has ended: `cgroup.kill` signals that thread alone, and the others
        live on (seen on 6.18; __cgroup_kill in kernel/cgroup/cgroup.c). Without
        `cgroup.kill` all are frozen meanwhile, and thawed after: a process frozen by the legacy
        freezer takes its SIGKILL only then (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst).
        """
        pids = self._by_controller.get("pids")
        if pids is not None:
            pids.write_everywhere("pids.max", "0")
        unified = self._by_controller.get(UNIFIED) if self._made.plan.kill_file is not None else None
        if unified is not None:
            _try(unified, "cgroup.kill", "1")
        else:
            self.freeze()
        told = kill_listed(self._listed)
        if unified is None:
            self.thaw()
        return told

    def gone(self) -> bool:
        """Tell whether somebody else removed one of its cgroups."""
        return not all(directory.is_there() for directory in self._dirs)

    def remove(self) -> bool:
        """Remove its cgroups, those below, and the shared parents that are empty then."""
        removed = [directory.remove() for directory in self._dirs]
        for directory, gone in zip(self._dirs, removed, strict=True):
            if gone:
                remove_parent(directory.path)
        return all(removed)

    def close(self) -> None:
        """Close the kept descriptors. The containment stays."""
        self._counters.close()
        if self._events is not None:
            self._events.close()
        for directory in self._dirs:
            directory.close()


def remove_parent(directory: str) -> None:
    """Remove the parent that containments share, when no other one is in it."""
    parent = os.path.dirname(directory)
    if os.path.basename(parent) == PARENT:
        try:
            os.rmdir(parent)
        except OSError:  # not empty, or another run was quicker
            pass


def _place_of(path: str, places: tuple[Place, ...]) -> Place | None:
    return next((p for p in places if path.startswith(f"{p.mount.path}/")), None)


def _try(directory: CgroupDirectory, file: str, text: str) -> None:
    try:
        directory.write(file, text)
    except OSError:  # the cgroup is gone: what was asked for is the case
        pass
