"""One unified cgroup that holds a load: everything that is done to it, by its descriptor.

The `cgroup2` containment is one such leaf; the `systemd` containment is a unit with one below it.
Nothing here waits: kill and freeze are asked for, and `pids()` and `is_frozen()` tell when it is so.
"""

from __future__ import annotations

from steadyrun.contain.hierarchy import UNIFIED
from steadyrun.contain.processes import cgroups_of, cgroups_of_threads, living, signal_verified
from steadyrun.contain.readback import try_write
from steadyrun.contain.unified_counters import UnifiedCounters
from steadyrun.contain.unified_limits import UnifiedLimits
from steadyrun.errors import ContainmentFailedError
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.contain.cgroupfs import CgroupDirectory
    from steadyrun.model.containment import CgroupMount
    from steadyrun.model.limits import Limits, ReadBack
    from steadyrun.model.sample import CgroupSample
    from steadyrun.units import Seconds

_SIGKILL = 9


class Leaf:
    """A made cgroup without processes of anybody else.

    Args:
        directory: The cgroup; closed by `close`.
        mount: The unified mount that shows it.
    """

    __slots__ = ("_cgroup_path", "_counters", "_dir", "_limits")

    def __init__(self, directory: CgroupDirectory, mount: CgroupMount) -> None:
        self._dir = directory
        # As /proc/PID/cgroup gives it: mountinfo's field 4, and below.
        self._cgroup_path = f"{mount.root.rstrip('/')}{directory.path[len(mount.path) :]}"
        self._limits = UnifiedLimits(directory, mount.path)
        self._counters = UnifiedCounters(directory)

    @property
    def directory(self) -> CgroupDirectory:
        """The cgroup itself."""
        return self._dir

    def settle(self) -> None:
        """Set what holds for every load: an OOM kill takes all of it or nobody."""
        self._limits.die_together()

    def admit(self, pid: int) -> None:
        """Move a waiting process in and verify it by /proc/PID/cgroup.

        Raises:
            ContainmentFailedError: It is not in it.
        """
        try:
            self.move(pid)
        except OSError as error:
            raise ContainmentFailedError(
                f"{self._dir.path}: expected process {pid} to be moved in, found {error.strerror}"
            ) from error
        self.expect_inside(pid)

    def move(self, pid: int) -> None:
        """Move a process in.

        Raises:
            OSError: The kernel refuses; EACCES where the common ancestor of both cgroups is not ours
                (cgroup-v2.rst, "Delegation Containment").
        """
        self._dir.write("cgroup.procs", str(pid))

    def expect_inside(self, pid: int) -> None:
        """Verify that a process is in it.

        Raises:
            ContainmentFailedError: It is elsewhere, or gone.
        """
        found = cgroups_of(pid).get(UNIFIED)
        if found != self._cgroup_path:
            raise ContainmentFailedError(f"/proc/{pid}/cgroup: expected {self._cgroup_path}, found {found}")

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
        try_write(self._dir, "cgroup.freeze", "1")

    def thaw(self) -> None:
        """Let everything in it run again, also in cgroups that the load made and froze itself."""
        self._dir.write_everywhere("cgroup.freeze", "0")

    def is_frozen(self) -> bool | None:
        """Tell whether all of it is frozen now: `cgroup.freeze` only says what was asked for."""
        text = self._dir.read("cgroup.events")
        if text is None or "frozen " not in text:  # a kernel before 5.2
            return None
        return "frozen 1" in text.splitlines()

    def pids(self) -> tuple[int, ...]:
        """Name the living processes in it and in cgroups that the load made below it."""
        return living(self._listed())

    def _listed(self) -> set[int]:
        # A process of another pid namespace reads as 0.
        return {pid for pid in self._dir.pids() if pid > 0}

    def kill(self) -> set[int]:
        """Send SIGKILL to everything in it, and return who was found yet. Does not wait.

        Forks are refused first (`pids.max` 0), then `cgroup.kill` ends what is there, frozen or not
        (cgroup-v2.rst, "Core Interface Files"). What is listed after that is killed one by one: a
        process whose first thread has ended gets the signal at that thread alone (__cgroup_kill in
        kernel/cgroup/cgroup.c). Before 5.14, without `cgroup.kill`, all is frozen meanwhile, so that
        nobody forks away from the listing; a frozen process takes its SIGKILL (cgroup-v2.rst,
        `cgroup.freeze`).
        """
        self._dir.write_everywhere("pids.max", "0")
        by_group = self._dir.has("cgroup.kill")
        if by_group:
            try_write(self._dir, "cgroup.kill", "1")
        else:
            self.freeze()
        found = self._listed()
        for pid in found:
            signal_verified(pid, _SIGKILL, self._holds)
        if not by_group:
            self.thaw()
        return found

    def _holds(self, pid: int) -> bool:
        """Tell whether a thread of a process is in it, or in a cgroup below."""
        inside = f"{self._cgroup_path}/"
        return any(f"{found.get(UNIFIED, '')}/".startswith(inside) for found in cgroups_of_threads(pid))

    def is_there(self) -> bool:
        """Tell whether its path still names this very cgroup."""
        return self._dir.is_there()

    def remove(self) -> bool:
        """Remove it and the cgroups below it. True: gone. False: a process is in it yet (EBUSY)."""
        return self._dir.remove()

    def close(self) -> None:
        """Close the kept descriptors. The cgroup stays."""
        self._counters.close()
        self._dir.close()
