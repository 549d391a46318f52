"""Limits into the files of one unified cgroup, and out of them again.

Each limit is written, then read back together with what ancestors allow: a limit is held when the
smallest of them is not above what was asked. Never raises for a limit: the caller judges the
read-back. All forms are of Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

from steadyrun.contain.disks import disks_that_weigh, whole_disks
from steadyrun.contain.hierarchy import ancestors
from steadyrun.contain.quota import cores_words, is_held, quota_of
from steadyrun.contain.readback import (
    CPU_LIMITS,
    IO_LIMITS,
    bound,
    describe,
    limit_at,
    limit_of,
    machine_has_swap,
    missing,
    refused,
    try_write,
)
from steadyrun.kernel.cgroupfiles import parse_cpu_max, parse_io_max, parse_io_weight
from steadyrun.kernel.kept import parsed
from steadyrun.kernel.reader import read_text
from steadyrun.model.limits import CPU_WEIGHT_DEFAULT, CPU_WEIGHT_LOWEST, Limits, ReadBack
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steadyrun.contain.cgroupfs import CgroupDirectory

OPEN = "max"
_NO_SWAPACCOUNT = "add swapaccount=1 to the kernel command line"


class UnifiedLimits:
    """The limits of one cgroup.

    Args:
        directory: The cgroup.
        top: The mount point of its hierarchy: ancestors are looked at up to there.
    """

    __slots__ = ("_above", "_dir", "_top")

    def __init__(self, directory: CgroupDirectory, top: str) -> None:
        self._dir = directory
        self._top = top
        self._above = tuple(ancestors(directory.path, top))

    def apply(self, limits: Limits) -> tuple[ReadBack, ...]:
        """Set what is asked, open what is not, read back what was asked. May block in reclaim."""
        return (*self._memory(limits), *self._cpu(limits), *self._tasks(limits), *self._io(limits))

    def adjust(self, limits: Limits, names: frozenset[str]) -> tuple[ReadBack, ...]:
        """Set the named limits of CPU, I/O and the throttle limit, and read them back. May wait."""
        found = self._cpu(limits) if names & CPU_LIMITS else []
        if names & IO_LIMITS:
            found += self._io(limits)
        if "memory_high" in names and self._dir.has("memory.high"):
            found += self._bounded("memory_high", "memory.high", limits.memory_high)
        return tuple(each for each in found if each.name in names)

    def die_together(self) -> None:
        """Let an OOM kill take the whole cgroup or nobody (`memory.oom.group`, kernel >= 4.19)."""
        try_write(self._dir, "memory.oom.group", "1")

    # Memory

    def _memory(self, limits: Limits) -> list[ReadBack]:
        asked = {"memory_max": limits.memory_max, "memory_high": limits.memory_high}
        if not self._dir.has("memory.max"):
            return missing("memory", **asked, swap_max=limits.swap_max)
        found: list[ReadBack] = []
        # The throttle limit first when it falls, for below it nothing is killed; either order is allowed.
        for name, file in (("memory_high", "memory.high"), ("memory_max", "memory.max")):
            found += self._bounded(name, file, asked[name])
        return found[::-1] + self._swap(limits.swap_max)

    def _swap(self, wanted: int | None) -> list[ReadBack]:
        """Bound swap; with none at all, compressed swap in memory is shut as well (memory.zswap.max)."""
        if self._dir.has("memory.zswap.max"):
            try_write(self._dir, "memory.zswap.max", "0" if wanted == 0 else OPEN)
        if self._dir.has("memory.swap.max"):
            return self._bounded("swap_max", "memory.swap.max", wanted)
        if wanted is None:
            return []
        no_swap = not machine_has_swap()
        text = "the machine has no swap" if no_swap else f"none: swap is not accounted, {_NO_SWAPACCOUNT}"
        return [ReadBack("swap_max", str(wanted), text, "memory.swap.max", no_swap)]

    def _bounded(self, name: str, file: str, wanted: int | None) -> list[ReadBack]:
        """Write an upper bound, and read back the smallest of it and what ancestors have."""
        trouble = try_write(self._dir, file, OPEN if wanted is None else str(wanted))
        if wanted is None:
            return []
        allowed = [limit for d in self._above if (limit := limit_at(f"{d}/{file}")) is not None]
        effective = min(allowed, default=None)
        return [bound(name, wanted, limit_of(self._dir, file), effective, file, trouble)]

    # CPU

    def _cpu(self, limits: Limits) -> list[ReadBack]:
        if not self._dir.has("cpu.weight"):
            return missing("cpu", cpu_max=limits.cpu_max, cpu_weight=limits.cpu_weight)
        found: list[ReadBack] = []
        if not self._dir.has("cpu.max"):  # a kernel without CONFIG_CFS_BANDWIDTH
            found += missing("cpu.max", cpu_max=limits.cpu_max)
        else:
            trouble = try_write(self._dir, "cpu.max", quota_text(limits.cpu_max))
            found += self._read_quota(limits.cpu_max, trouble)
        trouble = write_weight(self._dir, limits.cpu_weight)
        if limits.cpu_weight is not None:
            found.append(read_weight(self._dir, limits.cpu_weight, trouble))
        return found

    def _read_quota(self, cores: float | None, trouble: str) -> list[ReadBack]:
        if cores is None:
            return []
        own = quota_at(self._dir.path)
        effective = min((q for q in map(quota_at, self._above) if q is not None), default=None)
        text = describe(cores_words(own), cores_words(effective), trouble)
        return [ReadBack("cpu_max", f"{cores:.4g}", text, "cpu.max", is_held(cores, effective))]

    # Tasks

    def _tasks(self, limits: Limits) -> list[ReadBack]:
        if not self._dir.has("pids.max"):
            return missing("pids", tasks_max=limits.tasks_max)
        return self._bounded("tasks_max", "pids.max", limits.tasks_max)

    # I/O

    def _io(self, limits: Limits) -> list[ReadBack]:
        asked = {"rbps": ("io_read_bps", limits.io_read_bps), "wbps": ("io_write_bps", limits.io_write_bps)}
        if not self._dir.has("io.max"):
            found = missing("io", io_read_bps=limits.io_read_bps, io_write_bps=limits.io_write_bps)
        else:
            disks = whole_disks()
            words = " ".join(f"{key}={OPEN if v is None else v}" for key, (_, v) in asked.items())
            troubles = [t for disk in disks if (t := try_write(self._dir, "io.max", f"{disk} {words}"))]
            found = [
                self._read_io(name, key, wanted, disks, troubles)
                for key, (name, wanted) in asked.items()
                if wanted is not None
            ]
        return found + self._io_weight(limits.io_weight)

    def _read_io(
        self, name: str, key: str, wanted: int, disks: tuple[str, ...], troubles: list[str]
    ) -> ReadBack:
        if not disks:
            return refused(name, wanted, "none: the machine shows no disk", "io.max")
        limits = parsed(self._dir.read("io.max"), parse_io_max, "io.max")
        if limits is None:
            return ReadBack(name, str(wanted), None, "io.max", False)
        rates = {disk: limits.get(disk, {}).get(key) for disk in disks}
        held = all(rate is not None and rate <= wanted for rate in rates.values())
        text = ", ".join(f"{disk} {'none' if rate is None else rate}" for disk, rate in rates.items())
        return ReadBack(name, str(wanted), "; ".join((text, *troubles)), "io.max", held)

    def _io_weight(self, weight: int | None) -> list[ReadBack]:
        """Set the weight for both that may give I/O out by it; only one that does makes it held."""
        there = _io_weights(self._dir, CPU_WEIGHT_DEFAULT if weight is None else weight)
        troubles = [t for n, v in there.items() if (t := try_write(self._dir, n, f"default {v}"))]
        return [] if weight is None else [read_io_weight(self._dir, weight, self._top, troubles)]


def quota_text(cores: float | None) -> str:
    """Return what `cpu.max` takes for a number of cores; `None` opens it."""
    if cores is None:
        return OPEN
    quota, period = quota_of(cores)
    return f"{quota} {period}"


def quota_at(directory: str) -> float | None:
    """Return the quota of a cgroup in cores; `None` when it has none, or none can be read."""
    source = f"{directory}/cpu.max"
    found = parsed(read_text(source), parse_cpu_max, source)
    return None if found is None or found[0] is None else found[0] / found[1]


def write_weight(directory: CgroupDirectory, weight: int | None) -> str:
    """Write the CPU weight; the lowest one as `cpu.idle`, where the kernel has that (>= 5.15).

    An idle group is preempted by anybody who wakes up (measured: `cgroup1_limits._write_weight`). Its
    weight cannot be written (sched_group_set_shares in kernel/sched/fair.c), so idle is left first.
    """
    if directory.has("cpu.idle"):
        idle = weight == CPU_WEIGHT_LOWEST
        trouble = try_write(directory, "cpu.idle", "1" if idle else "0")
        if idle:
            return trouble
    return try_write(directory, "cpu.weight", str(CPU_WEIGHT_DEFAULT if weight is None else weight))


def read_weight(directory: CgroupDirectory, weight: int, trouble: str = "") -> ReadBack:
    """Read the CPU weight back."""
    if not directory.has("cpu.weight"):
        return missing("cpu", cpu_weight=weight)[0]
    if (directory.read("cpu.idle") or "0").strip() == "1":
        return ReadBack("cpu_weight", str(weight), "idle", "cpu.idle", weight == CPU_WEIGHT_LOWEST)
    found = limit_of(directory, "cpu.weight")
    text = describe(None if found is None else str(found), None, trouble)
    return ReadBack("cpu_weight", str(weight), text, "cpu.weight", found == weight)


def weight_at(directory: str) -> int | None:
    """Return the CPU weight of a cgroup, the lowest for an idle one; `None` when it cannot be read."""
    if (read_text(f"{directory}/cpu.idle") or "0").strip() == "1":
        return CPU_WEIGHT_LOWEST
    return limit_at(f"{directory}/cpu.weight")


def read_io_weight(
    directory: CgroupDirectory, weight: int, top: str, troubles: Iterable[str] = ()
) -> ReadBack:
    """Read the I/O weight back; held only where a disk goes by it."""
    there = _io_weights(directory, weight)
    if not there:
        return missing("io", io_weight=weight)[0]
    read = {name: parsed(directory.read(name), parse_io_weight, name) for name in there}
    text = "; ".join((*(f"{name} {value}" for name, value in read.items()), *troubles))
    if not disks_that_weigh(top):
        reason = f"{text}; no disk here goes by weight: neither io.cost nor the BFQ scheduler is on"
        return refused("io_weight", weight, reason, "io.weight")
    return ReadBack("io_weight", str(weight), text, "io.weight", read == there)


def _io_weights(directory: CgroupDirectory, weight: int) -> dict[str, int]:
    """Return what each file of a weight that is there is to say."""
    files = {"io.weight": weight, "io.bfq.weight": bfq_weight(weight)}
    return {name: value for name, value in files.items() if directory.has(name)}


def bfq_weight(weight: int) -> int:
    """Turn a weight (1 to 10000, default 100) into BFQ's (1 to 1000, default 100).

    The two halves apart, so that the default stays the default, as systemd does it
    (systemd/systemd, src/basic/cgroup-util.h, BFQ_WEIGHT).
    """
    default, most, bfq_most = CPU_WEIGHT_DEFAULT, 10000, 1000
    if weight <= default:
        return weight
    return default + (weight - default) * (bfq_most - default) // (most - default)
