"""What the guard's machine works on: the state of one load, and decisions. Pure data."""

from __future__ import annotations

from enum import Enum

from steadyrun.guard.grip import Grip
from steadyrun.guard.signs import Past
from steadyrun.model.action import Action
from steadyrun.model.outcome import Ending, MemberExit
from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Seconds

NO_READING = -1
LEFT_ALONE = Seconds(60.0)
"""Chosen, as `pressure.reds_within` at its usual settings: how long what was found not to be the load's doing
is not held against it (docs/adr/0012-what-the-guards-law-leaves-alone.md)."""


class Stage(Enum):
    """Where the load is."""

    WAITING = "waiting"
    RUNNING = "running"
    FROZEN = "frozen"
    ENDING = "ending"
    """TERM is out."""
    KILLING = "killing"
    OVER = "over"


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
    """When it was frozen for memory or a stall, as far as they count together (`pressure.reds_within`)."""
    trial: Trial = Trial()
    spared_until: Seconds | None = None
    """It was found not to be the cause; till then it is not frozen for the same again."""
    late_at_grip: Seconds | None = None
    """How late the frames were (p99) that it began to be held for; `None`: it is held for something else."""
    waited_at: Seconds | None = None
    """When it was last seen to be held for something else."""
    usual_late: Seconds | None = None
    """Frames so late (p99) were found not to be its doing; usual here until `usual_until`."""
    usual_until: Seconds | None = None


class Decision(NamedTuple):
    """One thing to do, and why."""

    action: Action
    cause: str
    seq: int = NO_READING
    grip: Grip = Grip()
    """Of TIGHTEN and LOOSEN: what is to be in force then."""


Step = tuple[Held, tuple[Decision, ...]]


def same(one: Held, other: Held) -> bool:
    """Tell whether two states decide alike, what is remembered of the readings left out."""
    return one._replace(past=other.past) == other
