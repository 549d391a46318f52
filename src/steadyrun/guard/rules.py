"""The rules of one load, from its limits and from what its containment can hold. Pure."""

from __future__ import annotations

from steadyrun.guard.held import Rules
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.thresholds import Thresholds
from steadyrun.units import Seconds

POLLED_TICK = Seconds(0.05)
"""A polled limit is looked at 20 times a second."""


def rules_of(thresholds: Thresholds, limits: Limits, members: int, readback: tuple[ReadBack, ...]) -> Rules:
    """Say what the guard itself has to hold: the wall time, and the memory that no kernel holds."""
    held = {r.name: r.held for r in readback}
    polled = None if held.get("memory_max", True) else limits.memory_max
    if polled is not None:
        thresholds = thresholds._replace(tick=min(thresholds.tick, POLLED_TICK))
    return Rules(thresholds, members, limits.wall_time, polled)
