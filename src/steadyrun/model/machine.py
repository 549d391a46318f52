"""The facts of the machine that do not change while a run lasts, and what a load never gets."""

from __future__ import annotations

from enum import Enum

from steadyrun.model.others import OtherGuard
from steadyrun.named import NamedTuple
from steadyrun.units import GIB, MIB, Bytes, Seconds

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
    others: tuple[OtherGuard, ...] | None = None
    """Who else ends processes when memory is short; `None`: not known."""
    others_from: Bytes | None = None
    """Available memory at which the first of them acts, with the swap there was; `None`: none does."""


class Reserve(NamedTuple):
    """What a load never gets. `floor` is where the guard acts, `black` where it kills."""

    reserve: Bytes
    floor: Bytes
    black: Bytes


class Promise(NamedTuple):
    """One load that runs now: its hard limit, and what it has of it."""

    limit: Bytes
    usage: Bytes
    """Its working set: inactive page cache is available to others as well."""

    def left(self) -> Bytes:
        """Return what it may still take."""
        return Bytes(max(0, self.limit - self.usage))


def reserve_of(effective_ram: Bytes) -> Reserve:
    """Return max(10 %, 1 GiB) of effective RAM, at most a third of it; floor is half, black a quarter.

    The share follows what systemd-oomd, earlyoom (10 % of available memory) and Kubernetes'
    eviction thresholds keep back; the third keeps small machines usable.
    """
    reserve = min(max(effective_ram // 10, GIB), effective_ram // 3)
    return Reserve(Bytes(reserve), Bytes(reserve // 2), Bytes(reserve // 4))


def room_of(effective_ram: Bytes, available: Bytes | None, reserve: Reserve) -> Bytes:
    """Return the most memory a load may be given, so that the reserve stays available while it has all of it.

    Whole MiB: it is shown, and typed again in the command for daily work.

    Args:
        effective_ram: What there would be if nothing else ran.
        available: What others leave now (MemAvailable less promises); `None`: not known, all of it.
        reserve: What a load never gets.
    """
    room = effective_ram - reserve.reserve
    if available is not None:
        room = min(room, (available - reserve.reserve) * (SLACK - 1) // SLACK)
    return Bytes(max(0, room) // MIB * MIB)


def beside(reserve: Reserve, others_from: Bytes | None, effective_ram: Bytes) -> Reserve:
    """Return a reserve at which the guard freezes, and kills, before somebody else acts.

    An eighth of the reserve lies between each two of the four; at the worst fill rate that is more than
    the guard's fastest looks need. Where that would keep back more than half of the machine the reserve is
    left as it is, and the other one may act first.

    Args:
        reserve: The machine's own.
        others_from: Available memory at which the first of the others acts; `None`: none does.
        effective_ram: Of the machine.
    """
    if others_from is None:
        return reserve
    step = reserve.reserve // 8
    black, floor, kept = (Bytes(others_from + step * times) for times in (1, 2, 3))
    if kept > effective_ram // 2:
        return reserve
    return Reserve(max(reserve.reserve, kept), max(reserve.floor, floor), max(reserve.black, black))


def reserve_for(machine: MachineFacts, effective_ram: Bytes) -> Reserve:
    """Return what a load never gets on a machine, others that guard its memory considered."""
    return beside(reserve_of(effective_ram), machine.others_from, effective_ram)
