"""Whether a try says anything about its limits, or something from outside made it void. Pure.

One place, because the judge, the schedule and every summary of a try have to agree on it.
"""

from __future__ import annotations

from steadyrun.model.outcome import Ending, LoadOutcome
from steadyrun.model.record import Evidence
from steadyrun.named import NamedTuple
from steadyrun.typed import assert_never
from steadyrun.units import Ratio, Seconds

SUSPEND_LEAST = Seconds(1.0)
"""A machine that slept longer than this during a phase says nothing about the phase."""
CLOCK_JUMP_LEAST = Seconds(5.0)
"""More than a time daemon slews; the figures with a wall clock in them are then of two clocks."""
STARVED_FRACTION, STARVED_CPU = Ratio(0.5), Ratio(0.1)
"""Waiting for a CPU more than half of its time while it had one less than a tenth of it: seen of a hog that
filled 500 MB in 81 s, 0.3 s of them on a CPU, beside two busy cores at the lowest weight."""

SLEPT = "the machine slept"
CLOCK_SET = "its clock was set"
STARVED = "other programs kept the CPUs from the load"


class CpuShare(NamedTuple):
    """What a load had of the CPUs, of the time in which it was not frozen."""

    had: Seconds
    """CPU time."""
    ran: Seconds
    waited: Seconds | None
    """Time that at least one task of it waited for a CPU for others' sake; `None`: not known."""

    @property
    def is_starved(self) -> bool:
        """Others kept the CPUs from it; what is not known is no excuse."""
        if self.waited is None or self.ran <= 0:
            return False
        return self.waited / self.ran > STARVED_FRACTION and self.had / self.ran < STARVED_CPU


def cpu_share(outcome: LoadOutcome) -> CpuShare | None:
    """Return what a load had of the CPUs; `None`: its CPU time is not known.

    PSI counts a task that the cgroup's own quota holds back as one that waits (measured on 6.18, a busy loop
    under 0.05 cores for 5 s: 4.73 s waited, 4.58 s of them throttled). Time throttled, which is summed over
    the CPUs, is taken off: rather too much than too little.
    """
    if outcome.cpu is None:
        return None
    waited = outcome.psi_cpu_some
    throttled = None if outcome.last is None else outcome.last.cpu_throttled
    if waited is not None and throttled is not None:
        waited = Seconds(max(0.0, waited - throttled / 1e6))
    return CpuShare(outcome.cpu, Seconds(outcome.wall - outcome.frozen), waited)


def is_starved(outcome: LoadOutcome) -> bool:
    """Tell a load that other programs kept from the CPUs from one that is slow by itself."""
    share = cpu_share(outcome)
    return share is not None and share.is_starved


def clocks_broke(evidence: Evidence) -> str | None:
    """Return which clock broke off meanwhile, in words; `None`: they ran on."""
    if evidence.suspended > SUSPEND_LEAST:
        return SLEPT
    return CLOCK_SET if abs(evidence.clock_jump) > CLOCK_JUMP_LEAST else None


def ran_out_of_time(evidence: Evidence) -> str | None:
    """Return `STARVED` where a load was not done in its time, and others had the CPUs meanwhile."""
    outcome = evidence.outcome
    return STARVED if outcome is not None and _not_done(outcome, evidence) and is_starved(outcome) else None


def why_void(evidence: Evidence) -> str | None:
    """Return why a try says nothing about its limits, in words; `None`: nothing from outside voids it."""
    return clocks_broke(evidence) or ran_out_of_time(evidence)


def _not_done(outcome: LoadOutcome, evidence: Evidence) -> bool:
    match outcome.ending:
        case Ending.WALL_TIME:
            return True
        case Ending.EXITED:  # the storm ends by itself, with less than it was to reach
            return outcome.exit_code == 0 and not outcome.oom_kills and evidence.work_done is False
        case (
            Ending.MEMORY_LIMIT
            | Ending.HOST_MEMORY
            | Ending.HOST_PRESSURE
            | Ending.STOPPED
            | Ending.CONDUCTOR_GONE
            | Ending.GUARD_GONE
            | Ending.CONTAINMENT_GONE
            | Ending.NOT_STARTED
            | Ending.UNKNOWN
        ):
            return False
        case _:
            assert_never(outcome.ending)
