"""One made containment of a systemd unit: the leaf that holds the load, and the unit around it.

What a guard needs while it guards (kill, freeze, thaw, counters, `gone`, `remove`) is done by files
alone. `apply` and `admit` may ask the manager, each with a deadline: never in the guard's loop.
"""

from __future__ import annotations

import os
import signal
from time import monotonic

from steadyrun.contain.processes import living, signal_verified
from steadyrun.contain.readback import try_write
from steadyrun.contain.systemd_unit import LEAF
from steadyrun.errors import BusError, ContainmentFailedError
from steadyrun.kernel.processes import stat_of
from steadyrun.model.sample import CgroupSample
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.contain.cgroupfs import CgroupDirectory
    from steadyrun.contain.leaf import Leaf
    from steadyrun.contain.systemd_manager import Tell
    from steadyrun.model.containment import ContainmentMade
    from steadyrun.model.limits import Limits, ReadBack
    from steadyrun.units import Seconds

_PATIENT_S = 0.5
"""After this long without an end, the holder's SIGTERM is followed by a kill, and by the bus where that
is allowed."""


class SystemdContainment:
    """One unit.

    Args:
        made: The plan, and what is there of it.
        tell: Its manager.
        unit: The unit's own cgroup.
        holder: The cgroup of its main process; `None`: there is none (any more).
        leaf: The load's; `None` likewise.
        lifeline: Whose end ends the holder, and so the unit: open for as long as this process lives or
            the unit is there; `None`: another process has it, or nobody.
        by_bus: The manager may be asked to stop the unit, which takes a moment: recovery, not a guard.
    """

    def __init__(
        self,
        made: ContainmentMade,
        tell: Tell,
        unit: CgroupDirectory,
        holder: CgroupDirectory | None,
        leaf: Leaf | None,
        *,
        lifeline: int | None = None,
        by_bus: bool = False,
    ) -> None:
        self._made = made
        self._unit, self._holder, self._leaf = unit, holder, leaf
        self._tell = tell
        self._lifeline = lifeline
        self._by_bus = by_bus
        self._holder_pid = None if holder is None else _oldest(holder)
        self._ending: float | None = None

    @property
    def made(self) -> ContainmentMade:
        """What and where it is, with the inodes of what is ours."""
        return self._made

    def admit(self, pid: int) -> None:
        """Move a waiting process into the leaf and verify it.

        Where the kernel does not let us (a user's login session and the user manager have no common
        ancestor that is the user's: cgroup-v2.rst, "Delegation Containment"), the manager does it.

        Raises:
            ContainmentFailedError: It is not in it.
        """
        leaf = self._load()
        try:
            leaf.move(pid)
        except PermissionError:
            try:
                self._tell.attach(f"/{LEAF}", pid)
            except BusError as error:
                raise ContainmentFailedError(
                    f"{leaf.directory.path}: expected process {pid} to be moved in, found {error.message}",
                    hint=error.hint,
                ) from error
        except OSError as error:
            raise ContainmentFailedError(
                f"{leaf.directory.path}: expected process {pid} to be moved in, found {error.strerror}"
            ) from error
        leaf.expect_inside(pid)

    def apply(self, limits: Limits) -> tuple[ReadBack, ...]:
        """Set the limits of the leaf, have the manager set the unit's, read both back.

        May block in reclaim, and waits for the manager with a deadline.
        """
        return self._tell.limits(limits, self._load())

    def _load(self) -> Leaf:
        if self._leaf is None:
            raise ContainmentFailedError(
                f"{self._made.plan.unit}: expected a cgroup for the load, found none"
            )
        return self._leaf

    def adjust(self, limits: Limits, names: frozenset[str]) -> tuple[ReadBack, ...]:
        """Set the named limits of the leaf alone, by its files, and read them back. Asks nobody.

        A weight counts among siblings, at the unit: the leaf's own changes nothing outside.
        """
        return () if self._leaf is None else self._leaf.adjust(limits, names)

    def sample(self, at: Seconds) -> CgroupSample:
        """Read the counters of the leaf now. Never raises: unknown is `None`."""
        if self._leaf is None:
            return CgroupSample(at, None, *(None,) * (len(CgroupSample._fields) - 2))
        return self._leaf.sample(at)

    def freeze(self) -> None:
        """Ask for the leaf to stop running.

        By its own file: freezing units through the manager hung it (systemd/systemd PR#33117, #41842,
        #38517).
        """
        if self._leaf is not None:
            self._leaf.freeze()

    def thaw(self) -> None:
        """Let the leaf run again."""
        if self._leaf is not None:
            self._leaf.thaw()

    def is_frozen(self) -> bool | None:
        """Tell whether all of the leaf is frozen now."""
        return None if self._leaf is None else self._leaf.is_frozen()

    def pids(self) -> tuple[int, ...]:
        """Name the living processes in the unit, its holder left out.

        A load of our own user may move a process out of the leaf, into the holder's cgroup or one that it
        makes beside it: the unit's limits still hold it there.
        """
        return living(self._listed())

    def _listed(self) -> set[int]:
        return self._seen() - {self._holder_pid}

    def _seen(self) -> set[int]:
        # A process of another pid namespace reads as 0, which kill(2) takes for our own process group.
        return {pid for pid in self._unit.pids() if pid > 0}

    def kill(self) -> set[int]:
        """Send SIGKILL to everything in the unit but its holder; return who was found. Does not wait."""
        found = set() if self._leaf is None else self._leaf.kill()
        rest = self._listed() - found  # what left the leaf: few, and each look lists the whole unit
        for pid in rest:
            signal_verified(pid, signal.SIGKILL, lambda pid: pid in self._listed())
        return found | rest

    def gone(self) -> bool:
        """Tell whether somebody else stopped the unit: its holder ends at once, or the leaf is not there."""
        if self._leaf is None or self._holder is None or not self._leaf.is_there():
            return True
        return self._holder_pid not in tuple(self._holder.pids())

    def remove(self) -> bool:
        """Remove the leaf, end the holder, and tell whether the manager has removed the unit's cgroup.

        The end of its main process ends the unit (systemd.service(5), `Type=`): no call is needed. The
        first call of this asks, later ones look and get rougher.
        """
        if not self._unit.is_there():
            self._cut()
            return True
        if self._leaf is not None and not self._leaf.remove():
            return False
        now = monotonic()
        if self._ending is None:
            self._ending = now
            self._cut()
            self._end_rest()
        elif now - self._ending > _PATIENT_S:
            self._ending = now
            try_write(self._unit, "cgroup.kill", "1")
            if self._by_bus:
                self._tell.end()
        return not self._unit.is_there()

    def _cut(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def _end_rest(self) -> None:
        """Ask what is left in the unit to end: the holder, which does so at once, and cleanly."""
        for pid in self._seen():
            try:
                os.kill(pid, signal.SIGTERM)
            except OSError:
                continue

    def close(self) -> None:
        """Close the kept descriptors and the connection. The containment stays, while this process does."""
        self._tell.close()
        if self._leaf is not None:
            self._leaf.close()
        for directory in (self._holder, self._unit):
            if directory is not None:
                directory.close()


def _oldest(holder: CgroupDirectory) -> int | None:
    """Return the unit's main process: nobody who came into its cgroup later is as old."""
    seen = [(stat.start_ticks, pid) for pid in holder.pids() if (stat := stat_of(pid)) is not None]
    return min(seen)[1] if seen else None
