"""What goes between conductor and guard, as JSON lines on a socket pair.

One `Order` goes in first; then `Control` words. Out come events: a `Sampled` that decided nothing may
be dropped when nobody reads, everything else never is.
"""

from enum import Enum
from typing import Self

from steadyrun.model.action import Action
from steadyrun.model.containment import ContainmentMade, ContainmentPlan
from steadyrun.model.finding import Finding
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.machine import Reserve
from steadyrun.model.outcome import LoadOutcome
from steadyrun.model.plan import Member, RunAs
from steadyrun.model.sample import Reading
from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Seconds


class Thresholds(NamedTuple):
    """When the guard acts.

    The defaults of time are chosen, not measured: a frozen load gets half a minute in which other memory
    may come back, a load that is asked to end five seconds to write what it has, as `docker stop` gives ten.
    """

    reserve: Bytes
    floor: Bytes
    black: Bytes
    frozen_max: Seconds = Seconds(30.0)
    """A load frozen for memory alone is killed after this long."""
    term_grace: Seconds = Seconds(5.0)
    """Between TERM and KILL."""
    kill_max: Seconds = Seconds(60.0)
    """What is still there this long after the first kill waits uninterruptibly; nobody waits for it."""
    clean: Seconds = Seconds(2.0)
    """Available memory must have been back over the reserve this long before a thaw."""
    tick: Seconds = Seconds(0.1)

    @classmethod
    def of(cls, reserve: Reserve) -> Self:
        """Take the machine's reserve and the defaults for the rest."""
        return cls(reserve.reserve, reserve.floor, reserve.black)


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


class Released(NamedTuple):
    """The members run."""

    at: Seconds
    wall: Seconds


class Sampled(NamedTuple):
    """One tick. The only event that may be dropped, unless it decided something."""

    reading: Reading
    decided: bool = False
    """An `Acted` names this reading: it is kept until it is read, as every other event is."""


class Acted(NamedTuple):
    """The guard did something to the load, and which reading made it."""

    at: Seconds
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


Event = Prepared | Released | Sampled | Acted | Troubled | Ended | Refused
EVENTS = (Prepared, Released, Sampled, Acted, Troubled, Ended, Refused)
