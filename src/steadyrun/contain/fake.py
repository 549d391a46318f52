"""A containment for tests of what stands above: real processes, limits and usage as the test says.

It holds real children as the polled containment does, so that admitting, freezing, killing and
removing are not pretended. Nothing here enforces a limit: a test sets what a sample says. Never used
by a command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steadyrun.contain.base import CREATE_DEADLINE, NOTHING
from steadyrun.contain.poll import PollBackend, PollContainment, become_subreaper
from steadyrun.model.containment import BackendName, Capability, ContainmentPlan
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from typing import Any

    from steadyrun.model.containment import ContainmentMade
    from steadyrun.model.sample import CgroupSample

SETTABLE = frozenset({Capability.FREEZE, Capability.MEMORY_PEAK, Capability.PSI, Capability.IO_COUNTERS})
"""What a fake declares unless told otherwise: nothing that only a kernel can hold."""


class FakeBackend:
    """Makes fakes, and remembers them by name.

    Args:
        name: Whose place it takes.
        capabilities: What it declares; limits of declared capabilities read back as held.
        refuses: Limits that read back as not held although declared (accepted and not applied).
    """

    def __init__(
        self,
        name: BackendName = BackendName.POLL,
        capabilities: frozenset[Capability] = SETTABLE,
        refuses: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self.capabilities = capabilities
        self.refuses = refuses
        self.made: dict[str, FakeContainment] = {}

    def plan(self, name: str) -> ContainmentPlan:
        """Say what it would be."""
        return PollBackend().plan(name)._replace(backend=self.name, parent="fake")

    def create(
        self, plan: ContainmentPlan, *, limits: Limits = NOTHING, deadline: Seconds = CREATE_DEADLINE
    ) -> FakeContainment:
        """Make one, empty."""
        become_subreaper()
        self.made[plan.name] = FakeContainment(plan, self)
        return self.made[plan.name]

    def reopen(self, made: ContainmentMade) -> FakeContainment | None:
        """Return the one that was made, `None` once it is removed."""
        return self.reopen_planned(made.plan)

    def reopen_planned(self, plan: ContainmentPlan) -> FakeContainment | None:
        """Return the one of that name, `None` once it is removed."""
        return self.made.get(plan.name)


class FakeContainment(PollContainment):
    """One fake. `usage` holds the fields of `CgroupSample` that a test sets."""

    def __init__(self, plan: ContainmentPlan, backend: FakeBackend) -> None:
        import os

        super().__init__(plan, owner=os.getpid())
        self._backend = backend
        self.usage: dict[str, Any] = {}
        self.limits: list[Limits] = []
        """Everything that was applied, in order."""
        self.deeds: list[str] = []
        """`freeze`, `thaw`, `kill`, `remove`, in order."""
        self.is_gone = False

    def apply(self, limits: Limits) -> tuple[ReadBack, ...]:
        """Remember the limits; they are held as far as the backend declares them."""
        super().apply(limits)
        self.limits.append(limits)
        return tuple(
            ReadBack(
                name, str(value), str(value) if self._holds(name) else "refused by the fake", "fake", held
            )
            for name, value in limits._replace(wall_time=None, output_max=None)._asdict().items()
            if value is not None
            for held in (self._holds(name),)
        )

    def adjust(self, limits: Limits, names: frozenset[str]) -> tuple[ReadBack, ...]:
        """Remember the limits; of the named ones those that the backend declares are held."""
        return tuple(each for each in self.apply(limits) if each.name in names)

    def _holds(self, name: str) -> bool:
        wanted = {"io_read_bps": "io-max", "io_write_bps": "io-max"}.get(name, name.replace("_", "-"))
        declared = {capability.value for capability in self._backend.capabilities}
        return wanted in declared and name not in self._backend.refuses

    def sample(self, at: Seconds) -> CgroupSample:
        """Give the real figures with those that the test set in their place."""
        return super().sample(at)._replace(**self.usage)

    def freeze(self) -> None:
        """Stop the processes."""
        self.deeds.append("freeze")
        super().freeze()

    def thaw(self) -> None:
        """Let them go on."""
        self.deeds.append("thaw")
        super().thaw()

    def kill(self) -> set[int]:
        """Kill the processes."""
        self.deeds.append("kill")
        return super().kill()

    def gone(self) -> bool:
        """Tell what the test set."""
        return self.is_gone

    def remove(self) -> bool:
        """Forget it when nobody is left."""
        self.deeds.append("remove")
        if not super().remove():
            return False
        self._backend.made.pop(self.made.plan.name, None)
        return True
