"""The rules of one load, from its limits and from what its containment can hold. Pure."""

from __future__ import annotations

from steadyrun.model.containment import Capability
from steadyrun.model.given import Rules
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.thresholds import Thresholds, Usual
from steadyrun.units import Cores, Seconds

POLLED_TICK = Seconds(0.05)
"""A polled limit is looked at 20 times a second."""


def rules_of(
    thresholds: Thresholds,
    limits: Limits,
    members: int,
    readback: tuple[ReadBack, ...],
    *,
    capabilities: frozenset[Capability] = frozenset(),
    cores: int = 1,
    usual: Usual = Usual(),  # noqa: B008
    may_throttle: bool = True,
) -> Rules:
    """Say what the guard itself has to hold: the wall time, and the memory that no kernel holds.

    Args:
        thresholds: The table.
        limits: The load's own.
        members: Processes that the guard starts.
        readback: Of the limits.
        capabilities: Of the containment: what a load that runs can be tightened by.
        cores: CPUs there are for the load.
        usual: What is usual on this machine without it.
        may_throttle: Nobody else acts on the memory pressure that a throttle limit makes.
    """
    held = {r.name: r.held for r in readback}
    polled = None if held.get("memory_max", True) else limits.memory_max
    if polled is not None:
        thresholds = thresholds._replace(tick=min(thresholds.tick, POLLED_TICK))
    return Rules(
        thresholds,
        members,
        limits.wall_time,
        polled,
        usual,
        limits,
        Cores(float(cores)),
        tightens=Capability.CPU_MAX in capabilities,
        throttles=may_throttle and Capability.MEMORY_HIGH in capabilities and limits.swap_max != 0,
    )
