"""What the journal's rows are as values: runs, their open attempts, intents.

Pure data, apart from the reading and writing, so that `recover.py` needs no database. Never
touches a file, a clock or a process.
"""

from __future__ import annotations

from enum import Enum

from steadyrun.model.run import RunKind, State
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from typing import Any

OPEN_STATES = (State.RUNNING, State.RECOVERING)
"""An attempt in one of these was going on when its row was last written."""
IS_OPEN = f"state IN ({', '.join(repr(state.value) for state in OPEN_STATES)})"
"""The same in SQL; the partial index `attempts_open` is of these very words."""


class IntentKind(Enum):
    """What is about to be done to the machine, and has to be undone when nobody says it ended."""

    CONTAINMENT = "containment"
    """A containment is made. Payload: `ContainmentPlan`; detail: `ContainmentMade`."""
    LINGERING = "lingering"
    """Lingering is switched on for a user. Payload: `Lingering`. Survives a reboot (a file below
    /var/lib/systemd/linger)."""
    BOOT_UNIT = "boot-unit"
    """A unit that resumes after a boot is written and enabled. Payload: `BootUnit`. Survives a reboot."""
    INHIBIT = "inhibit"
    """Sleep is inhibited. The kernel closes the lock's descriptor with its owner: nothing to undo."""


class Intent(NamedTuple):
    """One intent that was written before its deed."""

    id: int
    run_id: str
    boot_id: str
    kind: IntentKind | None
    """`None`: of a kind that a newer version wrote."""
    payload: dict[str, Any] | None
    """As encoded by `model.codec`; `None`: could not be read."""
    wall: Seconds
    """Unix time it was written."""
    detail: dict[str, Any] | None
    """What became of it, noted after the deed; `None`: nothing was noted, or it could not be read."""


class OpenAttempt(NamedTuple):
    """An attempt that was going on when its row was last written."""

    serial: int
    label: str
    boot_id: str
    state: State


class RunRow(NamedTuple):
    """A run in one line, without its record."""

    run_id: str
    kind: RunKind | None
    """`None`: of a kind that a newer version wrote."""
    boot_id: str
    pid: int
    pid_started: int
    """Clock ticks since boot, as field 22 of /proc/PID/stat."""
    started_wall: Seconds
    ended_wall: Seconds | None
    """`None`: nobody wrote its end."""
    exit_code: int | None
    status: str
    open_attempts: tuple[OpenAttempt, ...] = ()
    argv: tuple[str, ...] = ()
    """The user's command; empty: none, or it could not be read."""


class SampleRow(NamedTuple):
    """One kept sample."""

    seq: int
    wall: Seconds
    payload: dict[str, Any]


class EventRow(NamedTuple):
    """One kept event."""

    wall: Seconds
    payload: dict[str, Any]
