"""Looks once as a guard would, at a load that waits in its containment: what is known on this machine.

Reads with the guard's own readers, so that nothing is claimed which a run would not have. Judges nothing.
"""

from __future__ import annotations

import time

from steadyrun.desktop.protected import ProtectedReader
from steadyrun.guard.hold import Hold
from steadyrun.guard.means import Looks, deeds_of
from steadyrun.kernel.reader import HostReader
from steadyrun.model.means import Means
from steadyrun.model.sample import Reading
from steadyrun.units import Seconds


def look_at(hold: Hold) -> Means:
    """Return what a guard of this load could see and do. There is no canary: it comes with a load."""
    looks = Looks(deeds_of(hold.containment.made.plan.backend, hold.capabilities), None)
    host, protected = HostReader(), ProtectedReader(next(iter(hold.members)))
    try:
        now = Seconds(time.monotonic())
        sample = host.sample(at=now, wall=Seconds(time.time()))
        looks.take(Reading(0, sample, hold.containment.sample(now), None, protected.sample()))
    finally:
        host.close()
        protected.close()
    return looks.means()
