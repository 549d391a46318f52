"""The Protocol that every containment backend and the fake satisfy.

A containment is made in three steps, so that the intent is in the journal before the deed and
nothing of the load runs outside it: `plan` (no effect), `create`, then `admit` of processes that
wait behind a barrier (`contain/spawn.py`).

Room for what the systemd backend needs: `create` may take a while (a transient unit is made
asynchronously and is waited for, with `deadline`), the plan may name a unit beside directories
(the unit is delegated; the load sits in a leaf below it), and `gone` tells that somebody else
stopped it.
"""

from __future__ import annotations

from collections.abc import Collection

from steadyrun.model.containment import BackendName, Capability, ContainmentMade, ContainmentPlan
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.sample import CgroupSample
from steadyrun.typed import Protocol
from steadyrun.units import Seconds

NOTHING = Limits(swap_max=None)
"""No limit at all."""
CREATE_DEADLINE = Seconds(10.0)
"""How long `create` waits for somebody else (systemd's `JobRemoved`) before it gives up."""


class Containment(Protocol):
    """One made containment. Methods never block on reclaim or the disk unless they say so."""

    @property
    def made(self) -> ContainmentMade:
        """What and where it is, with inodes: identity for the journal."""

    def admit(self, pid: int) -> None:
        """Move a waiting process in and verify that it is in every hierarchy.

        Raises:
            ContainmentFailedError: It is not in after all; the caller must kill it unreleased.
        """

    def apply(self, limits: Limits) -> tuple[ReadBack, ...]:
        """Set the limits and read each back. May block in reclaim when below usage.

        Limits the backend has no `Capability` for come back with `held=False` and the reason as
        `found`. `wall_time` and `output_max` are not the backend's and not in the result.
        """

    def adjust(self, limits: Limits, names: frozenset[str]) -> tuple[ReadBack, ...]:
        """Change some limits of a load that runs: CPU, I/O and the throttle limit, by files alone.

        Args:
            limits: All of them as they are to be.
            names: Fields of `Limits` that differ; the other limits are not touched.

        May block in reclaim and wait for a disk's queue: a helper does it, never the guard's loop. What
        cannot be changed here comes back `held=False`, or is not in the result.
        """

    def sample(self, at: Seconds) -> CgroupSample:
        """Read the counters now (descriptors are kept open). Never raises: unknown is `None`."""

    def freeze(self) -> None:
        """Ask for everything in it to stop running. Asynchronous: see `is_frozen`."""

    def thaw(self) -> None:
        """Let everything in it run again. Idempotent."""

    def is_frozen(self) -> bool | None:
        """Tell whether all of it is frozen now; `None` when it cannot be told."""

    def pids(self) -> tuple[int, ...]:
        """Name the processes in it, zombies left out."""

    def kill(self) -> Collection[int]:
        """Send SIGKILL to everything in it, forks included, frozen or not. Does not wait.

        Call again until `pids()` is empty; thaws where a kill needs that.

        Returns:
            Who was found in it on the way; what ends all at once may have ended others unseen.
        """

    def gone(self) -> bool:
        """Tell whether somebody else removed or stopped it (path missing, or another inode)."""

    def remove(self) -> bool:
        """Remove it (and the shared parent, when that is empty). True: gone. False: still busy."""

    def close(self) -> None:
        """Close the kept descriptors. The containment stays."""


class Backend(Protocol):
    """A way to hold loads on this machine."""

    @property
    def name(self) -> BackendName:
        """Which one."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can promise here, found out, not assumed."""

    def plan(self, name: str) -> ContainmentPlan:
        """Say where a containment of that name would be. No effect."""

    def create(
        self, plan: ContainmentPlan, *, limits: Limits = NOTHING, deadline: Seconds = CREATE_DEADLINE
    ) -> Containment:
        """Make it, empty. Its limits are set by `apply`.

        Args:
            plan: Of `plan`.
            limits: What `apply` will be asked for first, for who makes it on our behalf: systemd starts
                the unit with them, and ends it long after `wall_time` without any process of ours.
            deadline: How long to wait for somebody else.

        Raises:
            ContainmentFailedError: It could not be made; whatever was made of it is removed.
        """

    def reopen(self, made: ContainmentMade) -> Containment | None:
        """Take hold of one that an earlier process made; `None` when it is not there any more.

        A directory whose inode differs from `made` is not ours and is left alone.
        """

    def reopen_planned(self, plan: ContainmentPlan) -> Containment | None:
        """Take hold of one that was planned and perhaps made, its inodes never recorded.

        Safe because the plan's name holds the run's random id.
        """
