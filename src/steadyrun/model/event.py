"""What goes between conductor and guard, as JSON lines on a socket pair.

One `Order` goes in first; then `Control` words. Out come events: a `Sampled` that decided nothing may
be dropped when nobody reads, everything else never is.

What comes out is enough to play the load again through `guard/machine.py`, in the order of its times
(`at`, CLOCK_MONOTONIC): the rules (`Ruled`), `Released`, the readings, and what else changed the state
(`MemberEnded`, `Counted`, `StopAsked`, `Paused`, `Continued`). A ramp's journal keeps all of it: readings in
`samples`, the others in `events`. Readings that were dropped (`Ended.dropped`), or that the journal did
not get, are missing there. `run` writes down its deeds with their causes and no reading: what it decided
is told, and cannot be played again.
"""

from __future__ import annotations

from enum import Enum

from steadyrun.model.action import Action
from steadyrun.model.containment import ContainmentMade, ContainmentPlan
from steadyrun.model.finding import Finding
from steadyrun.model.given import Continued, Counted, MemberEnded, Paused, Rules, StopAsked
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.outcome import LoadOutcome
from steadyrun.model.plan import Member, RunAs
from steadyrun.model.sample import Reading
from steadyrun.model.thresholds import Thresholds, Usual
from steadyrun.named import NamedTuple
from steadyrun.units import Seconds


class Order(NamedTuple):
    """All a guard needs to hold one load."""

    plan: ContainmentPlan
    limits: Limits
    members: tuple[Member, ...]
    thresholds: Thresholds
    run_as: RunAs | None
    frames_fd: int | None
    """Inherited descriptor of the canary's frames."""
    stdout_fd: int
    stderr_fd: int
    usual: Usual = Usual()
    """As the baseline found it."""
    may_throttle: bool = True
    """False: somebody else on this machine acts on the pressure that a throttle limit makes."""


class Control(Enum):
    """What the conductor may say after the order."""

    RELEASE = "release"
    STOP = "stop"
    """TERM, grace, kill."""
    KILL = "kill"
    """At once."""


class Prepared(NamedTuple):
    """The containment is made, the members wait in it behind their barrier, all verified."""

    made: ContainmentMade
    readback: tuple[ReadBack, ...]
    pids: tuple[int, ...]
    guard_pid: int
    keeper_pid: int
    realtime: bool
    """The guard runs under SCHED_FIFO."""
    locked: bool
    """The guard's memory is locked."""


class Ruled(NamedTuple):
    """The rules from here on: before anything else that is decided from, and again when they change."""

    at: Seconds
    rules: Rules


class Released(NamedTuple):
    """The members run."""

    at: Seconds
    wall: Seconds


class Sampled(NamedTuple):
    """One look. The only event that may be dropped, unless it decided something."""

    reading: Reading
    decided: bool = False
    """An `Acted` names this reading: it is kept until it is read, as every other event is."""


class Acted(NamedTuple):
    """The guard did something to the load, and which reading made it.

    Told once its effect was read back: of two that were decided together the quicker one comes first.
    """

    at: Seconds
    """Of the decision."""
    wall: Seconds
    seq: int
    """Of the reading that decided; -1: no reading did."""
    action: Action
    cause: str
    took: Seconds
    """From the decision to the read-back of its effect."""
    confirmed: bool = True
    """False: it was followed by something else, or given up, before its effect could be read back."""


class Troubled(NamedTuple):
    """Something the reader should know, found by the guard."""

    wall: Seconds
    finding: Finding


class Ended(NamedTuple):
    """The load is over. The last event."""

    wall: Seconds
    outcome: LoadOutcome
    dropped: int = 0
    """Readings that were not passed on because nobody read."""


class Refused(NamedTuple):
    """The containment could not be made or verified; nothing ran, nothing is left. The last event."""

    message: str
    hint: str | None
    exit_code: int


Told = MemberEnded | Counted | StopAsked | Paused | Continued
"""What the machine was told beside readings; passed on where it changed the state."""
Event = (
    Prepared
    | Ruled
    | Released
    | Sampled
    | MemberEnded
    | Counted
    | StopAsked
    | Paused
    | Continued
    | Acted
    | Troubled
    | Ended
    | Refused
)
EVENTS = (
    Prepared, Ruled, Released, Sampled, MemberEnded, Counted, StopAsked, Paused, Continued, Acted, Troubled,
    Ended, Refused,
)  # fmt: skip
