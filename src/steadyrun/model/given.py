"""What the guard's machine decides from: the rules of one load, and what it is told of it. Pure data.

Played again in their order through `guard/machine.py` they give the same decisions.
"""

from __future__ import annotations

from steadyrun.model.limits import Limits
from steadyrun.model.outcome import Ending, MemberExit
from steadyrun.model.sample import Reading
from steadyrun.model.thresholds import Thresholds, Usual
from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Cores, Seconds


class Rules(NamedTuple):
    """What one load is held by. What is usual may be found out once it runs; the rest stays the same."""

    thresholds: Thresholds
    members: int
    wall_time: Seconds | None
    polled_memory: Bytes | None = None
    """The hard limit where no kernel holds it: a polled limit, the last resort."""
    usual: Usual = Usual()
    limits: Limits = Limits()
    """The load's own."""
    cores: Cores = Cores(1.0)
    """CPUs there are for it."""
    tightens: bool = False
    """Its containment can be given less CPU time while it runs."""
    throttles: bool = False
    """It has a throttle limit (`memory.high`) and the load may swap."""


class Freed(NamedTuple):
    """The members run now."""

    at: Seconds


class Ticked(NamedTuple):
    """The guard looked."""

    at: Seconds
    reading: Reading


class MemberEnded(NamedTuple):
    """A member was reaped."""

    at: Seconds
    exit: MemberExit


class Counted(NamedTuple):
    """What is in the containment, looked at after a member ended or a kill."""

    at: Seconds
    left: int
    oom_kills: int | None
    """OOM kills at the load's own limit."""


class StopAsked(NamedTuple):
    """Somebody wants it ended. A second time, or with `now`, there is no grace."""

    at: Seconds
    ending: Ending
    cause: str
    now: bool = False


class Paused(NamedTuple):
    """The terminal stops the load (Ctrl-Z)."""

    at: Seconds


class Continued(NamedTuple):
    """The terminal lets it go on."""

    at: Seconds


Input = Freed | Ticked | MemberEnded | Counted | StopAsked | Paused | Continued
