"""What the guard's machine works on: state of one load, rules, inputs, decisions. Pure data."""

from __future__ import annotations

from enum import Enum

from steadyrun.guard.grip import Grip
from steadyrun.guard.signs import Past
from steadyrun.model.action import Action
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import Ending, MemberExit
from steadyrun.model.sample import Reading
from steadyrun.model.thresholds import Thresholds, Usual
from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Cores, Seconds

NO_READING = -1


class Stage(Enum):
    """Where the load is."""

    WAITING = "waiting"
    RUNNING = "running"
    FROZEN = "frozen"
    ENDING = "ending"
    """TERM is out."""
    KILLING = "killing"
    OVER = "over"


class Rules(NamedTuple):
    """What stays the same while one load is held."""

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


class Trial(NamedTuple):
    """What was tried with a load that was frozen below the floor (`trial.py`). The default: nothing yet."""

    least: Bytes | None = None
    """It runs on trial, as long as available memory is not below this; `None`: it does not."""
    frozen: Seconds = Seconds(0.0)
    """Of the freezes before, since memory was last well."""
    tries: int = 0


class Held(NamedTuple):
    """The state of one load."""

    stage: Stage = Stage.WAITING
    since: Seconds = Seconds(0.0)
    """Of the present stage."""
    released: Seconds | None = None
    frozen_total: Seconds = Seconds(0.0)
    """Of freezes and pauses that are over. Not wall time."""
    clean_since: Seconds | None = None
    """Frozen or held tightly: since when the machine is well."""
    black_seen: bool = False
    """The last reading was BLACK: one more and the load is killed."""
    late_before: bool = False
    paused_at: Seconds | None = None
    """Stopped by its own terminal (Ctrl-Z)."""
    exits: tuple[MemberExit, ...] = ()
    ending: Ending | None = None
    cause: str = ""
    past: Past = Past()
    """Of the readings. Of no weight for whether the state changed: see `same`."""
    grip: Grip = Grip()
    gripped_at: Seconds | None = None
    """When it was last tightened."""
    reds: tuple[Seconds, ...] = ()
    """When it was frozen for memory or a stall, as far as the last minute."""
    trial: Trial = Trial()
    spared_until: Seconds | None = None
    """It was found not to be the cause; till then it is not frozen for the same again."""


class Decision(NamedTuple):
    """One thing to do, and why."""

    action: Action
    cause: str
    seq: int = NO_READING
    grip: Grip = Grip()
    """Of TIGHTEN and LOOSEN: what is to be in force then."""


class Freed(NamedTuple):
    """The members run now."""

    at: Seconds


class Ticked(NamedTuple):
    """The guard looked."""

    at: Seconds
    reading: Reading
    late: bool
    """The look came so late that the guard itself must have slept."""


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
Step = tuple[Held, tuple[Decision, ...]]


def same(one: Held, other: Held) -> bool:
    """Tell whether two states decide alike, what is remembered of the readings left out."""
    return one._replace(past=other.past) == other
