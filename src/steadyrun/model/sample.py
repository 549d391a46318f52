"""Raw counters at a time: of the machine, of one containment, of the canary's frames.

A sample never holds a rate; `rates.py` makes rates out of two samples.
"""

from __future__ import annotations

from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Microseconds, Ratio, Seconds


class Psi(NamedTuple):
    """One pressure file (Documentation/accounting/psi.rst)."""

    some_total: Microseconds
    full_total: Microseconds | None
    """`None` where the kernel has no such line (CPU of the whole machine before 5.13)."""
    some_avg10: Ratio
    """0 to 1 (the file gives percent). For people to read; decisions use the totals."""


class HostSample(NamedTuple):
    """The whole machine at one moment. A field is `None` when it could not be read."""

    at: Seconds
    """CLOCK_MONOTONIC."""
    wall: Seconds
    """Unix time."""
    mem_total: Bytes | None
    """Effective RAM: MemTotal, never more than any ancestor cgroup's limit."""
    mem_available: Bytes | None
    """Available memory: MemAvailable, never more than an ancestor's limit less its working set."""
    swap_total: Bytes | None
    swap_free: Bytes | None
    load1: float | None
    load5: float | None
    load15: float | None
    runnable: int | None
    processes: int | None
    """Entries of /proc that are processes; `None` where they were not counted this time."""
    psi_memory: Psi | None
    psi_io: Psi | None
    psi_cpu: Psi | None
    swap_in_pages: int | None
    """`pswpin` of /proc/vmstat, since boot."""
    swap_out_pages: int | None
    oom_kills: int | None
    """`oom_kill` of /proc/vmstat, since boot, every cgroup counted."""
    scanned_pages: int | None = None
    """Pages that reclaim looked at for the machine's own sake, since boot (`pgscan_kswapd` and
    `pgscan_direct`; reclaim at a cgroup's limit is not in them: shrink_inactive_list in mm/vmscan.c)."""
    stolen_pages: int | None = None
    """Pages of these that it got (`pgsteal_*`)."""


class CpuTimes(NamedTuple):
    """What some CPUs did since boot, in clock ticks, which only a ratio of two is made of."""

    cpus: int
    idle: int
    """Without work, also while a disk is waited for."""
    total: int
    """Time that a hypervisor gave to other machines (`steal`) counted in: nobody here had it."""


class CgroupId(NamedTuple):
    """A cgroup's identity: the path alone may be another cgroup by now."""

    path: str
    inode: int


class CgroupSample(NamedTuple):
    """One containment at one moment. A field is `None` when its backend cannot give it."""

    at: Seconds
    identity: CgroupId | None
    memory: Bytes | None
    """Usage, page cache included."""
    memory_peak: Bytes | None
    working_set: Bytes | None
    """Usage less the cache that reclaim can take at once (inactive file pages)."""
    swap: Bytes | None
    cpu_time: Microseconds | None
    cpu_throttled: Microseconds | None
    tasks: int | None
    tasks_peak: int | None
    oom_kills: int | None
    io_read: Bytes | None
    io_write: Bytes | None
    psi_memory: Psi | None
    psi_io: Psi | None
    psi_cpu: Psi | None
    frozen: bool | None
    limit_kills: int | None = None
    """Of `oom_kills`, those at the containment's own memory limit; `None`: not told apart."""
    forks_refused: int | None = None
    """Processes and threads that were not made because of the task limit."""

    @property
    def kills_at_limit(self) -> int | None:
        """OOM kills at the containment's own limit; where they are not told apart, all in it."""
        return self.oom_kills if self.limit_kills is None else self.limit_kills


class Frames(NamedTuple):
    """The canary's frames over a window that ends now. Lateness is behind the 60 Hz schedule."""

    window: Seconds
    shown: int
    """Frames finished in the window."""
    p50_ms: float | None
    """`None` with no frame in the window."""
    p99_ms: float | None
    worst_ms: float | None
    """Longest gap between two frames less the 16.7 ms there should be."""
    silent: Seconds
    """Time since the last frame."""


class ProtectedSample(NamedTuple):
    """Time that a group which is not the load's waited for memory: a session, sshd, the display manager.

    `memory.pressure` of its cgroup (Documentation/accounting/psi.rst, "Cgroup2 interface").
    """

    name: str
    """`session-2.scope`, `ssh.service`."""
    some_total: Microseconds
    full_total: Microseconds


class Reading(NamedTuple):
    """Everything the guard knows at one tick: what its decisions are made from."""

    seq: int
    host: HostSample
    load: CgroupSample
    frames: Frames | None
    """`None`: there is no canary to read."""
    protected: tuple[ProtectedSample, ...] = ()
    """Those that can be told apart from the load and could be read; none: unknown."""
    late: bool = False
    """The look came so late that the guard itself must have slept."""
