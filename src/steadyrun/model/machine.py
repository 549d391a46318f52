"""The facts of the machine that do not change while a run lasts, and what a load never gets."""

from enum import Enum

from steadyrun.named import NamedTuple
from steadyrun.units import GIB, Bytes, Seconds

SLACK = 16
"""One part of so many stays free where others use the machine: what they need goes up and down."""


class CgroupMode(Enum):
    """How the machine's cgroups are mounted (systemd, CGROUP_DELEGATION document)."""

    UNIFIED = "unified"
    HYBRID = "hybrid"
    LEGACY = "legacy"
    NONE = "none"


class MachineFacts(NamedTuple):
    """One machine. `None`: could not be read."""

    boot_id: str
    booted_wall: Seconds | None
    hostname: str
    distribution: str
    kernel: str
    virtualization: str
    """`kvm`, `docker`, `bare metal`, ... or `unknown`."""
    cpu_model: str | None
    cores: int
    """CPUs this process may run on."""
    mem_total: Bytes | None
    """MemTotal of /proc/meminfo."""
    effective_ram: Bytes | None
    swap_total: Bytes | None
    cgroup_mode: CgroupMode
    psi: bool
    desktop: str | None
    """`XFCE (x11)`; `None` when there is no desktop or it cannot be told."""
    display_manager: str | None
    timezone: str
    """Name as in `TZ`, or the abbreviation."""


class Reserve(NamedTuple):
    """What a load never gets. `floor` is where the guard acts, `black` where it kills."""

    reserve: Bytes
    floor: Bytes
    black: Bytes


def reserve_of(effective_ram: Bytes) -> Reserve:
    """Return max(10 %, 1 GiB) of effective RAM, at most a third of it; floor is half, black a quarter.

    The share follows what systemd-oomd, earlyoom (10 % of available memory) and Kubernetes'
    eviction thresholds keep back; the third keeps small machines usable.
    """
    reserve = min(max(effective_ram // 10, GIB), effective_ram // 3)
    return Reserve(Bytes(reserve), Bytes(reserve // 2), Bytes(reserve // 4))


def room_of(effective_ram: Bytes, available: Bytes | None, reserve: Reserve) -> Bytes:
    """Return the most memory a load may be given, so that the reserve stays available while it has all of it.

    Args:
        effective_ram: What there would be if nothing else ran.
        available: What the machine's others leave now (MemAvailable); `None`: not known, all of it.
        reserve: What a load never gets.
    """
    room = effective_ram - reserve.reserve
    if available is not None:
        room = min(room, (available - reserve.reserve) * (SLACK - 1) // SLACK)
    return Bytes(max(0, room))
