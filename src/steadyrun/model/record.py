"""The record of a run: what the journal keeps, what the report is rendered from.

One `RunRecord` holds everything a report says; rendering it again gives the same words.
"""

from __future__ import annotations

from steadyrun.model.crash import Crash
from steadyrun.model.desktop import DesktopView
from steadyrun.model.envelope import Envelope
from steadyrun.model.event import Acted
from steadyrun.model.finding import Finding
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.outcome import LoadOutcome
from steadyrun.model.plan import Phase

# What `run` needs is in a module of its own, which is all that it imports of the record.
from steadyrun.model.run import RunEnd as RunEnd  # noqa: PLC0414
from steadyrun.model.run import RunHeader as RunHeader  # noqa: PLC0414
from steadyrun.model.run import RunKind as RunKind  # noqa: PLC0414
from steadyrun.model.run import RunResult as RunResult  # noqa: PLC0414
from steadyrun.model.run import State as State  # noqa: PLC0414
from steadyrun.model.sample import Frames, HostSample
from steadyrun.model.verdict import Answer, Check, Verdict
from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Cores, Ratio, Seconds

SAYS_NOTHING = frozenset(
    {State.INVALID, State.INTERRUPTED, State.READY, State.RUNNING, State.RECOVERING},
)
"""States that say nothing about the limits: the same is tried again."""
BROKE_OFF = SAYS_NOTHING | {State.STOPPED}
"""With those that somebody stopped: all that is no result."""


class Observation(NamedTuple):
    """The machine at one border of a phase."""

    host: HostSample
    frames: Frames | None
    desktop: DesktopView
    boot_id: str


class Baseline(NamedTuple):
    """Phase 0: medians over the samples, the session as it was."""

    started_wall: Seconds
    ended_wall: Seconds
    uptime: Seconds | None
    load1: float | None
    mem_used: Bytes | None
    """Effective RAM less available memory."""
    mem_available: Bytes | None
    swap_used: Bytes | None
    processes: int | None
    psi_memory_some: Ratio | None
    """Share of the baseline's time stalled, 0 to 1, from the totals."""
    psi_io_some: Ratio | None
    psi_io_full: Ratio | None
    frames: Frames | None
    canary_cpu: Ratio | None
    """Of one core."""
    samples: int
    disk_free: Bytes | None
    on_battery: bool | None
    desktop: DesktopView
    checks: tuple[Check, ...]
    healthy: Answer
    cpu_idle: Cores | None = None
    """Without work on average, of the CPUs that this process may use; `None`: not known."""


class Proof(NamedTuple):
    """One containment proof, with what was seen."""

    name: str
    what: str
    answer: Answer
    evidence: str
    took: Seconds


class Worst(NamedTuple):
    """The worst figures of the time a load ran."""

    load1: float | None
    mem_available: Bytes | None
    """Lowest."""
    mem_used: Bytes | None
    """Highest."""
    swap_used: Bytes | None
    runnable: int | None
    psi_memory_some: Ratio | None
    """Of the worst second."""
    psi_memory_full: Ratio | None
    psi_io_full: Ratio | None
    psi_cpu_some: Ratio | None
    frames_p99_ms: float | None
    """Of all frames while the load ran, those that were missed counted in (`ramp/lateness.py`)."""
    frames_gap_ms: float | None
    """Longest."""
    frames_silent: Seconds | None
    load_memory: Bytes | None
    """Highest usage of the containment seen in a sample (the kernel's own peak is in the outcome)."""
    tasks: int | None
    samples: int
    dropped: int
    """Samples of the guard that were not kept."""
    frames_shown: int | None = None
    """Frames that `frames_p99_ms` is of."""


class Evidence(NamedTuple):
    """All that a phase is judged from. `ramp/judge.py` takes this and the baseline."""

    before: Observation
    after: Observation
    worst: Worst
    during: tuple[DesktopView, ...]
    """The session, looked at while the load ran."""
    outcome: LoadOutcome | None
    """`None`: the guard never told (it was killed)."""
    readback: tuple[ReadBack, ...]
    actions: tuple[Acted, ...]
    recovery: Seconds | None
    """From the load's end until the machine was back near its baseline; `None`: not within the limit, or
    nobody waited that long (`recovery_awaited`)."""
    recovery_limit: Seconds
    suspended: Seconds
    """Time the machine slept during the phase (CLOCK_BOOTTIME less CLOCK_MONOTONIC)."""
    clock_jump: Seconds
    """Wall clock less monotonic clock, from before to after: what somebody set it by."""
    oom_kills_outside: int | None
    """Of a machine without memory: neither the load's nor at some other cgroup's limit."""
    guard_cpu: Ratio | None
    """Of one core, while the load ran."""
    output_tail: str
    """The last lines the load wrote."""
    output_bytes: int
    output_dropped: int
    work: str | None
    """What a built-in load says it did (`reached 524288000 of 524288000 bytes, ...`)."""
    work_done: bool | None
    """A built-in load reached what it was to reach; `None` for a user's command."""
    oom_kills_elsewhere: int = 0
    """At memory limits of cgroups that are not the load's."""
    oom_victims: tuple[str, ...] = ()
    """Who was killed and may not have been the load's, where the kernel's log tells it."""
    recovery_awaited: bool = True
    """`False`: somebody insisted on stopping first; whether the machine recovers is not known."""


class Attempt(NamedTuple):
    """One try of one phase."""

    serial: int
    """Of all attempts of the run, from 1."""
    phase: Phase
    label: str
    """`5`, `5.2`, ..."""
    limits: Limits
    boot_id: str
    state: State
    announcement: str
    """Why this try has these limits, said before it began; may be empty."""
    started_wall: Seconds | None
    ended_wall: Seconds | None
    evidence: Evidence | None
    host: Verdict | None
    job: Verdict | None
    findings: tuple[Finding, ...]
    observation: str
    """One sentence about the figures; may be empty."""
    crash: Crash | None = None
    """Of a CRASHED one, what the next start found; `None` also where an older version marked it."""

    @property
    def log_name(self) -> str:
        """Return the name of the file beside the report that has all of its load's output."""
        return f"phase-{self.label}.log"


class RunRecord(NamedTuple):
    """Everything."""

    header: RunHeader
    baseline: Baseline | None
    proofs: tuple[Proof, ...]
    attempts: tuple[Attempt, ...]
    findings: tuple[Finding, ...]
    """Of the run as a whole."""
    status: str
    """`Ready for Phase 2`, `Phase 3 is running`, ... ; kept current."""
    envelope: Envelope | None
    tomorrow: str | None
    """The exact command for daily work; `None` until a ramp has passed."""
    end: RunEnd | None
    result: RunResult | None = None
    """Of a single `run` that told how it ended; `None` for a ramp."""
