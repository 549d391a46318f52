"""Making sure that a containment is over: what its keeper or guard did not finish is finished here.

The one place that ends a containment from outside its guard: after each phase, by `stop --now`
and by recovery.
"""

from __future__ import annotations

import time

from steadyrun.contain.base import Backend, Containment
from steadyrun.model.containment import ContainmentMade, ContainmentPlan
from steadyrun.units import Seconds

KILL_WITHIN = Seconds(10.0)
"""Chosen, as STUCK_AFTER of `killing.py`: what a kill has not ended by then is told, and left to recovery."""
LOOK_EVERY_S = 0.02


def end_containment(
    backend: Backend, plan: ContainmentPlan, made: ContainmentMade | None, *, patience: Seconds
) -> str | None:
    """Wait for the containment to be gone; after `patience` kill and remove it ourselves.

    Returns:
        What became of it, in words for the journal; `None`: it is still there, and so its intent stays open.
    """
    until = time.monotonic() + patience
    while (left := _reopen(backend, plan, made)) is not None:
        if time.monotonic() >= until:
            return "ended by steadyrun" if kill_and_remove(left) else None
        left.close()
        time.sleep(LOOK_EVERY_S)
    return "removed"


def kill_and_remove(containment: Containment) -> bool:
    """Thaw, kill everybody, remove; False when somebody or something is left after KILL_WITHIN."""
    until = time.monotonic() + KILL_WITHIN
    try:
        while time.monotonic() < until:
            containment.kill()
            if not containment.pids() and containment.remove():
                return True
            time.sleep(LOOK_EVERY_S)
        return False
    finally:
        containment.close()


def _reopen(backend: Backend, plan: ContainmentPlan, made: ContainmentMade | None) -> Containment | None:
    return backend.reopen_planned(plan) if made is None else backend.reopen(made)
