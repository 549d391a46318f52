"""What the doctor judges, as plain data. Pure; `read.py` reads it.

`None` everywhere means that it could not be read.
"""

from __future__ import annotations

from typing import NamedTuple

from steadyrun.doctor.rung import Family
from steadyrun.model.containment import Capability, Choice, ContainmentFacts
from steadyrun.model.desktop import DesktopView
from steadyrun.model.others import OtherGuard, Swap
from steadyrun.units import Bytes


class SwapFacts(NamedTuple):
    """Swap of the machine."""

    total: Bytes | None
    areas: tuple[str, ...]
    """Paths of /proc/swaps."""


class PsiFacts(NamedTuple):
    """Pressure stall information."""

    present: bool
    """/proc/pressure/memory can be read: with PSI off, reading it fails with EOPNOTSUPP."""
    asked: str | None
    """The value of `psi=` on the kernel command line; `None` without one."""


class Rights(NamedTuple):
    """What this process may do."""

    euid: int
    effective: int | None
    """CapEff of /proc/self/status as a bit set (capabilities(7))."""
    bounding: int | None
    """CapBnd: what no program started here can ever have more than."""
    realtime_errno: int | None
    """0: SCHED_FIFO 1 was granted to a child; else why not."""
    realtime_budget_us: int | None
    """cpu.rt_runtime_us of our own v1 cpu cgroup; `None` where there is no such file."""
    memlock: int | None
    """Soft RLIMIT_MEMLOCK in bytes; `None`: no limit."""
    nice_errno: int | None = None
    """As `realtime_errno`, of nice -20 (setpriority(2)), which the guard takes where real time is refused."""


class Disk(NamedTuple):
    """One place that is written to."""

    name: str
    path: str
    free: Bytes | None
    """What this user may still write."""
    writable: bool


class VmSettings(NamedTuple):
    """Settings of /proc/sys/vm (Documentation/admin-guide/sysctl/vm.rst) and of MGLRU."""

    panic_on_oom: int | None
    overcommit_memory: int | None
    oom_kill_allocating_task: int | None
    has_mglru: bool
    min_ttl_ms: int | None


class DoctorFacts(NamedTuple):
    """Everything that is judged, at one moment."""

    containment: ContainmentFacts
    choice: Choice
    capabilities: frozenset[Capability]
    cmdline: tuple[str, ...]
    """Words of the kernel command line."""
    family: Family
    swap: SwapFacts
    psi: PsiFacts
    rights: Rights
    desktop: DesktopView
    disks: tuple[Disk, ...]
    guards: tuple[OtherGuard, ...] | None
    """Who else ends or ranks processes when memory is short."""
    vm: VmSettings
    python: tuple[int, int, int]
    on_battery: bool | None
    is_container: bool = True
    """In one, what is lacking was taken by whoever started it."""
    has_sudo: bool = True
    user: str = "$USER"
    """Name of this user; its number where it has none."""
    swap_now: Swap = Swap(None, None)
    effective_ram: Bytes | None = None
