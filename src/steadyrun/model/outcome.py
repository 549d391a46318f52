"""How a load ended: the record of fact that both verdicts are judged from."""

from __future__ import annotations

from enum import Enum

from steadyrun.model.means import Means
from steadyrun.model.sample import CgroupSample
from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Seconds

NO_SUCH_COMMAND = "no such command"
"""A `start_error`."""


class Ending(Enum):
    """Why a load is over. Exactly one, the first cause."""

    EXITED = "exited"
    """By itself: `exit_code` or `signal` says how."""
    MEMORY_LIMIT = "memory-limit"
    """The kernel killed in it at the hard memory limit."""
    WALL_TIME = "wall-time"
    HOST_MEMORY = "host-memory"
    """The guard ended it: the machine's available memory fell below what it keeps."""
    HOST_PRESSURE = "host-pressure"
    """The guard ended it for the desktop's sake."""
    STOPPED = "stopped"
    """Somebody asked (`steadyrun stop`, Ctrl-C, TERM)."""
    CONDUCTOR_GONE = "conductor-gone"
    GUARD_GONE = "guard-gone"
    """The keeper ended it."""
    CONTAINMENT_GONE = "containment-gone"
    """Somebody else removed or stopped the containment."""
    NOT_STARTED = "not-started"
    """The command could not be executed; `start_error` says why."""
    UNKNOWN = "unknown"


class StartError(NamedTuple):
    """Why a released or waiting child did not become its command."""

    errno: int
    doing: str
    """`exec`, `chdir`, `user`, `streams`, `session`: where it failed."""
    message: str
    """For people: `exec: nosuch: No such file or directory`."""
    why: str = ""
    """What was in the way, where more than the errno is known."""


class MemberExit(NamedTuple):
    """How one process that the guard started itself ended."""

    pid: int
    exit_code: int | None
    signal: int | None


class LoadOutcome(NamedTuple):
    """The end of one load under one set of limits."""

    ending: Ending
    exit_code: int | None
    """Of the first member that did not exit 0, else 0; `None` when ended by a signal or never started."""
    signal: int | None
    members: tuple[MemberExit, ...]
    start_error: str | None
    start_errno: int | None
    wall: Seconds
    """From release to the last member's end, frozen time included."""
    frozen: Seconds
    cpu: Seconds | None
    memory_peak: Bytes | None
    oom_kills: int | None
    tasks_peak: int | None
    io_read: Bytes | None
    io_write: Bytes | None
    psi_memory_some: Seconds | None
    psi_memory_full: Seconds | None
    psi_io_full: Seconds | None
    psi_cpu_some: Seconds | None
    survivors: int | None
    """Processes found alive in the containment after the kill; `None`: could not be told."""
    removed: bool
    """The containment is gone."""
    last: CgroupSample | None
    """The last counters, read before removal."""
    cause: str
    """The reading that decided, in words; empty for a plain exit."""
    left_behind: int = 0
    """Processes the members left in the containment when they ended by themselves; they were killed."""
    limit_kills: int | None = None
    """Of `oom_kills`, those at the load's own memory limit; `None`: not told apart."""
    means: Means | None = None
    """What its guard could see and do; `None`: a version that did not say."""
    forks_refused: int | None = None
    """Processes and threads that were not made because of the task limit; `None`: not counted here."""

    @property
    def kills_at_limit(self) -> int | None:
        """OOM kills at the load's own limit; where they are not told apart, all in it."""
        return self.oom_kills if self.limit_kills is None else self.limit_kills
