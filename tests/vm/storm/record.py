"""What an experiment gives: raw figures, frozen, as they go into JSON. `None` is always unknown.

The guest writes `Told`, the host adds what only it can see. Standard library alone: it is imported in
the guest too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Frames:
    """The 60 Hz window over a stretch of time."""

    shown: int
    lived_s: float
    """Of the stretch: less than it when the window died."""
    p50_ms: float | None
    """Lateness behind the schedule. `None`: no frame at all."""
    p99_ms: float | None
    longest_gap_ms: float
    """Between two frames, the silence at the end included."""
    each_second: tuple[int, ...]


@dataclass(frozen=True)
class Process:
    """A process, by what tells it from the next one with its number."""

    pid: int
    start: int
    """In clock ticks after the boot (proc_pid_stat(5), field 22)."""
    comm: str
    uid: int


@dataclass(frozen=True)
class Census:
    """Who is there."""

    boot_id: str
    session: str | None
    """The seat's graphical session of an ordinary user: id, leader, its start; empty: there is none."""
    display_manager: str | None
    """InvocationID of its unit."""
    user_manager: Process | None
    user_bus: Process | None
    display_server: Process | None
    processes: tuple[Process, ...]
    """All but kernel threads, the load's and the experiment's own."""
    shm_bytes: int
    """In /dev/shm."""


@dataclass(frozen=True)
class Sample:
    """The machine at one moment of the storm."""

    at_s: float
    """Since the line was typed."""
    load_processes: int
    available_mib: int
    swap_used_mib: int
    memory_some_us: int
    memory_full_us: int
    """PSI totals of the machine."""


@dataclass(frozen=True)
class Told:
    """What the watcher in the guest wrote down."""

    before: Census
    after: Census
    idle: Frames
    storm: Frames
    idle_wall: float
    storm_wall: float
    over_wall: float
    """Unix time: the idle window's begin, the first moment of the load at work (of its line, if it never
    came so far), the end of the watch."""
    started_s: float | None
    """From the line typed to the load's first process at work; `None`: it never came so far."""
    stopped_s: float | None
    """From the load's start until nothing of it was left; `None`: the watcher had to end it."""
    finished_s: float | None
    """From its start to its end by itself with all work done."""
    rounds: int
    bytes: int
    forks: int
    children_killed: int
    children_replaced: int
    exit_code: int | None
    """Of the line typed, as the desktop's shell saw it; `None`: it did not come to say."""
    oom_kills: tuple[str, ...]
    """Lines of the kernel log, from the load's start on, each after the victim's cgroup."""
    outcome: str | None
    """What the load ran under wrote about the end, where it does: the JSON of `steadyrun run --json`."""
    said: str
    """The end of what the load and its wrapper wrote."""
    samples: tuple[Sample, ...]
    cpu_s: float | None = None
    """CPU time of the load's processes, where it came to its end by itself."""


@dataclass(frozen=True)
class Lap:
    """A short load from its start to its end by itself, one of several in turn."""

    under: str
    exit_code: int
    wall_s: float
    cpu_s: float
    """CPU time of the load's processes."""
    rounds: int
    idle: float
    """Share of the processors' time that nobody used."""
    holder: float
    """Share of it that steadyrun took for itself."""


@dataclass(frozen=True)
class Login:
    """One look at SSH from outside the machine."""

    at_s: float
    """Since the load was started; negative: in the idle window."""
    banner_s: float | None
    """Until the banner; `None`: not within `waited_s`."""
    login_s: float | None
    """Until a command of a new connection was done; `None`: not within `waited_s`."""
    waited_s: float
    """How long this look took in all."""


@dataclass(frozen=True)
class Record:
    """One experiment."""

    load: str
    under: str
    swap: str
    seconds: float
    """How long the load was watched at most."""
    at: str
    """Local time of the host, ISO 8601."""
    told: Told | None
    """`None`: the guest never came to say; `lost` has what is known."""
    logins: tuple[Login, ...]
    back_s: float | None
    """From the end of the watch until SSH answered again; `None`: it did not."""
    lost: str
    host_others_frac: float | None
    """Of the host's CPU time from beginning to end, what went to others than the machine."""
    took_s: float
    processors: int = 2
    """Of the machine."""
