"""One run in outline: what is known when it begins and when it ends, and where its attempts stand.

Apart from `record.py` because `steadyrun run` writes these alone, at every start.
"""

from __future__ import annotations

from enum import Enum

from steadyrun.model.containment import BackendName
from steadyrun.model.event import Acted
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.machine import MachineFacts, Reserve
from steadyrun.model.outcome import LoadOutcome
from steadyrun.model.plan import Plan
from steadyrun.named import NamedTuple
from steadyrun.units import Seconds


class RunKind(Enum):
    """Which command made the record."""

    RAMP = "ramp"
    RUN = "run"
    DOCTOR = "doctor"


WENT_DOWN = "Crashed (machine)"
"""How the status of a run begins that the machine went down in; a phase that was running stands behind it."""


class Down(NamedTuple):
    """A boot that ended between two phases of a ramp: by itself or by somebody, it is not known which."""

    run_id: str
    """That was going on."""
    boot_id: str
    """Of the boot that ended."""
    after: str
    """Label of the last try before; empty: there was none."""
    seen_wall: Seconds
    """When something was last written of that run."""
    found_wall: Seconds
    """When the next start found it."""


class RunHeader(NamedTuple):
    """What is known when a run begins."""

    run_id: str
    kind: RunKind
    version: str
    """Of steadyrun."""
    started_wall: Seconds
    boot_id: str
    pid: int
    """Of the process that owns the run: the conductor of a ramp, the guard of a `run`."""
    pid_started: int
    """Start time of that process in clock ticks since boot (field 22 of /proc/PID/stat)."""
    uid: int
    user: str
    argv: tuple[str, ...]
    """The user's command after `--`; empty: a built-in load."""
    cwd: str
    report_dir: str | None
    backend: BackendName
    weak: bool
    """The containment is not guaranteed by the kernel, and the user accepted that."""
    machine: MachineFacts
    reserve: Reserve | None
    plan: Plan | None
    limits: Limits | None
    """Of a `run`; `None` for a ramp."""
    problem: str | None
    goal: str | None
    resumed_from: str | None = None
    """The run this one goes on from."""
    env_names: tuple[str, ...] = ()
    """Of the variables that the loads of a ramp get, never what they hold; empty: not known."""
    downs: tuple[Down, ...] = ()
    """In the runs that this one goes on from, oldest first."""


class State(Enum):
    """Where an attempt stands."""

    READY = "READY"
    RUNNING = "RUNNING"
    RECOVERING = "RECOVERING"
    PASSED = "PASSED"
    FAILED = "FAILED"
    DEGRADED = "DEGRADED"
    """The host was worse than it should be, without losing anything; repeated."""
    UNKNOWN = "UNKNOWN"
    INVALID = "INVALID"
    """A suspend, a clock jump, or CPUs that others kept from the load (`model/validity.py`): says nothing."""
    CRASHED = "CRASHED (machine)"
    INTERRUPTED = "INTERRUPTED"
    STOPPED = "STOPPED"


class FramesSeen(NamedTuple):
    """What the canary of a `run` saw."""

    late_ms: float
    """The largest p99 of a second."""
    gap_ms: float
    """The longest gap between two frames, less a period."""
    cpu: Seconds | None
    """What it took itself."""


class RunResult(NamedTuple):
    """What came of the one load of a `run`; a ramp's attempts have theirs."""

    outcome: LoadOutcome
    readback: tuple[ReadBack, ...]
    actions: tuple[Acted, ...]
    frames: FramesSeen | None = None
    """`None`: no frame was seen."""
    no_frames: str = ""
    """Why, in words; empty: not known, or there were some."""


class RunEnd(NamedTuple):
    """How a run ended."""

    wall: Seconds
    exit_code: int
    reason: str
