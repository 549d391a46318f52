"""Limits into the files of legacy hierarchies, and out of them again.

Each limit is written, then read back together with what ancestors allow: a limit is held when the
smallest of them is not above what was asked. What legacy cgroups cannot do comes back `held=False`
with the reason in the place of the figure. Never raises for a limit: the caller judges the read-back.
"""

from __future__ import annotations

from steadyrun.contain.cgroup1_memory import apply_memory
from steadyrun.contain.disks import whole_disks
from steadyrun.contain.hierarchy import ancestors
from steadyrun.contain.quota import cores_words, is_held, quota_of
from steadyrun.contain.readback import (
    CPU_LIMITS,
    IO_LIMITS,
    UNLIMITED,
    bound,
    describe,
    limit_at,
    limit_of,
    missing,
    refused,
    try_write,
)
from steadyrun.kernel.reader import read_text
from steadyrun.model.limits import CPU_WEIGHT_LOWEST, Limits, ReadBack
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steadyrun.contain.cgroupfs import CgroupDirectory

SHARES_MIN, SHARES_MAX = 2, 262144
"""MIN_SHARES and MAX_SHARES of kernel/sched/sched.h."""


class LegacyLimits:
    """The limits of one containment.

    Args:
        directories: The containment's directory for each legacy controller there is.
        tops: The mount point of each of these hierarchies.
    """

    __slots__ = ("_dirs", "_tops")

    def __init__(self, directories: Mapping[str, CgroupDirectory], tops: Mapping[str, str]) -> None:
        self._dirs = directories
        self._tops = tops

    def apply(self, limits: Limits) -> tuple[ReadBack, ...]:
        """Set what is asked, open what is not, read back what was asked. May block in reclaim."""
        found = [
            *apply_memory(self._dirs.get("memory"), limits),
            *self._cpu(limits),
            *self._tasks(limits),
            *self._io(limits),
        ]
        return tuple(found)

    def adjust(self, limits: Limits, names: frozenset[str]) -> tuple[ReadBack, ...]:
        """Set the named limits of CPU and I/O and read them back; there is no throttle limit here."""
        found = self._cpu(limits) if names & CPU_LIMITS else []
        if names & IO_LIMITS:
            found += self._io(limits)
        return tuple(each for each in found if each.name in names)

    # CPU

    def _cpu(self, limits: Limits) -> list[ReadBack]:
        directory = self._dirs.get("cpu")
        if directory is None:
            return missing("cpu", cpu_max=limits.cpu_max, cpu_weight=limits.cpu_weight)
        found: list[ReadBack] = []
        trouble = _write_quota(directory, limits.cpu_max)
        if limits.cpu_max is not None:
            above = ancestors(directory.path, self._tops["cpu"])
            own = _quota(directory.path)
            effective = min((q for q in map(_quota, above) if q is not None), default=None)
            text = describe(cores_words(own), cores_words(effective), trouble)
            held = is_held(limits.cpu_max, effective)
            found.append(ReadBack("cpu_max", f"{limits.cpu_max:.4g}", text, "cpu.cfs_quota_us", held))
        weight = limits.cpu_weight
        _write_weight(directory, weight)
        if weight is not None:
            found.append(_read_weight(directory, weight))
        return found

    # Tasks

    def _tasks(self, limits: Limits) -> list[ReadBack]:
        directory = self._dirs.get("pids")
        if directory is None:
            return missing("pids", tasks_max=limits.tasks_max)
        wanted = "max" if limits.tasks_max is None else str(limits.tasks_max)
        trouble = try_write(directory, "pids.max", wanted)
        if limits.tasks_max is None:
            return []
        above = [limit_at(f"{d}/pids.max") for d in ancestors(directory.path, self._tops["pids"])]
        effective = min((p for p in above if p is not None), default=None)
        own = limit_of(directory, "pids.max")
        return [bound("tasks_max", limits.tasks_max, own, effective, "pids.max", trouble)]

    # I/O

    def _io(self, limits: Limits) -> list[ReadBack]:
        found: list[ReadBack] = []
        directory = self._dirs.get("blkio")
        if directory is None:
            found += missing("blkio", io_read_bps=limits.io_read_bps, io_write_bps=limits.io_write_bps)
        else:
            for name, file, wanted in (
                ("io_read_bps", "blkio.throttle.read_bps_device", limits.io_read_bps),
                ("io_write_bps", "blkio.throttle.write_bps_device", limits.io_write_bps),
            ):
                readback = _throttle(directory, name, file, wanted)
                if readback is not None:
                    found.append(readback)
        if limits.io_weight is not None:
            reason = "none: legacy cgroups have an I/O weight with the BFQ scheduler alone"
            found.append(refused("io_weight", limits.io_weight, reason, "blkio.bfq.weight"))
        return found


def shares_of(weight: int) -> int:
    """Turn a weight (1 to 10000, default 100) into cpu.shares (default 1024), in proportion.

    The kernel's own way to read `cpu.weight`: round(weight * 1024 / 100), `sched_weight_from_cgroup`
    in kernel/sched/sched.h; systemd's `cgroup_cpu_weight_to_shares` is the same. (OCI
    runtimes map the two ranges onto each other: 1024 shares, Docker's default, become a weight of 39.)
    """
    return max(SHARES_MIN, min(SHARES_MAX, (weight * 1024 + 50) // 100))


def _write_quota(directory: CgroupDirectory, cores: float | None) -> str:
    if cores is None:
        return try_write(directory, "cpu.cfs_quota_us", UNLIMITED)
    quota, period = quota_of(cores)
    trouble = ""
    if (directory.read("cpu.cfs_period_us") or "").strip() != str(period):
        # The old quota against the new period could be more than an ancestor allows: open it first.
        try_write(directory, "cpu.cfs_quota_us", UNLIMITED)
        trouble = try_write(directory, "cpu.cfs_period_us", str(period))
    return try_write(directory, "cpu.cfs_quota_us", str(quota)) or trouble


def _quota(directory: str) -> float | None:
    """Return the quota of a cgroup in cores; `None` when it has none, or none can be read."""
    quota, period = (read_text(f"{directory}/cpu.cfs_{name}_us") for name in ("quota", "period"))
    try:
        return None if quota is None or period is None or int(quota) < 0 else int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None


def _write_weight(directory: CgroupDirectory, weight: int | None) -> None:
    """Write the weight; the lowest one as `cpu.idle`, where the kernel has that (>= 5.15).

    An idle group is preempted by anybody who wakes up (sched_idle_cpu() in kernel/sched/fair.c).
    Measured on 2 cores under 16 busy loops, lateness of a 60 Hz process, p99 and worst: idle 0.13
    and 0.13 ms; shares 2 0.17 and 2.8 ms; shares 10 0.17 and 2.4 ms; shares 1024 3.0 and 3.1 ms.
    """
    if directory.has("cpu.idle"):
        # Shares of an idle group cannot be written, and leaving idle sets them to the default.
        try_write(directory, "cpu.idle", "1" if weight == CPU_WEIGHT_LOWEST else "0")
        if weight == CPU_WEIGHT_LOWEST:
            return
    try_write(directory, "cpu.shares", str(shares_of(100 if weight is None else weight)))


def _read_weight(directory: CgroupDirectory, weight: int) -> ReadBack:
    if (directory.read("cpu.idle") or "0").strip() == "1":
        held = weight == CPU_WEIGHT_LOWEST
        return ReadBack("cpu_weight", str(weight), "idle", "cpu.idle", held)
    shares = (directory.read("cpu.shares") or "").strip()
    held = shares == str(shares_of(weight))
    found = f"{shares} of 1024 shares" if shares else None
    return ReadBack("cpu_weight", str(weight), found, "cpu.shares", held)


def _throttle(directory: CgroupDirectory, name: str, file: str, wanted: int | None) -> ReadBack | None:
    """Set bytes a second for every disk, 0 opens.

    Legacy throttling sees what is read, and what is written past the page cache: buffered writes are
    issued later by the kernel's own threads and are not throttled
    (Documentation/admin-guide/cgroup-v1/blkio-controller.rst, "Throttling/Upper limit policy").
    """
    disks = whole_disks()
    troubles = [t for disk in disks if (t := try_write(directory, file, f"{disk} {wanted or 0}"))]
    if wanted is None:
        return None
    if not disks:
        return refused(name, wanted, "none: the machine shows no disk", file)
    text = directory.read(file)
    if text is None:
        return ReadBack(name, str(wanted), None, file, False)
    lines = dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line)
    held = all(lines.get(disk) == str(wanted) for disk in disks)
    found = ", ".join(f"{disk} {lines.get(disk, 'none')}" for disk in disks)
    caveat = " (direct writes; buffered ones are not throttled)" if "write" in name else ""
    return ReadBack(name, str(wanted), "; ".join((found + caveat, *troubles)), file, held)
