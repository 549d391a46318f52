"""What a unified cgroup can promise, from the controllers it has and the files the kernel gives it. Pure."""

from __future__ import annotations

from steadyrun.model.containment import Capability
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_GIVEN = {
    "memory": (
        Capability.GUARANTEED,
        Capability.MEMORY_MAX,
        Capability.MEMORY_HIGH,
        Capability.OOM_GROUP,
    ),
    "cpu": (Capability.CPU_MAX, Capability.CPU_WEIGHT),
    "pids": (Capability.TASKS_MAX,),
    "io": (Capability.IO_COUNTERS,),
}
FREEZER_SINCE = (5, 2)
"""`cgroup.freeze` and `frozen` of cgroup.events; with it all can be killed before `cgroup.kill` (5.14)."""
_SINCE = {"memory.peak": (5, 19), "memory.swap.max": (6, 1)}
"""For files that cannot be looked for yet: the kernel from which on they are always there. Accounting of
swap became a fixed part of the memory controller with 6.1 (CONFIG_MEMCG_SWAP was dropped)."""


class Kernel(NamedTuple):
    """What the kernel was seen to have."""

    release: tuple[int, int]
    files: tuple[str, ...]
    """Names of the files of a child that was made; without memory.* where that is not enabled yet."""
    psi: bool
    has_disks: bool
    disks_weigh: bool


def promises(controllers: Iterable[str], kernel: Kernel) -> frozenset[Capability]:
    """Return what a cgroup with these controllers holds, counts and can do."""
    controllers = frozenset(controllers)
    found = {capability for c in controllers for capability in _GIVEN.get(c, ())}
    if "memory" in controllers:
        found |= {Capability.MEMORY_PEAK} if _has("memory.peak", kernel) else set()
        found |= {Capability.SWAP_MAX} if _has("memory.swap.max", kernel) else set()
    if "io" in controllers:
        found |= {Capability.IO_MAX} if kernel.has_disks else set()
        found |= {Capability.IO_WEIGHT} if kernel.disks_weigh else set()
    if "cgroup.kill" in kernel.files or kernel.release >= FREEZER_SINCE:
        found.add(Capability.KILL)
    if kernel.release >= FREEZER_SINCE:
        found.add(Capability.FREEZE)
    if kernel.psi:
        found.add(Capability.PSI)
    return frozenset(found)


def _has(name: str, kernel: Kernel) -> bool:
    if "memory.max" in kernel.files:
        return name in kernel.files
    return kernel.release >= _SINCE[name]
