"""Reads how much memory is in use in each cgroup that would get a wall. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator

from steadyrun.kernel.cgroupfiles import parse_count, parse_flat, parse_limit
from steadyrun.kernel.kept import parsed
from steadyrun.protect.disk import Disk
from steadyrun.protect.facts import Use, Whose
from steadyrun.protect.places import TOP, cgroups_of
from steadyrun.protect.wanted import WALLED
from steadyrun.units import Bytes

_GIVES_WAY = ("active_file", "inactive_file", "slab_reclaimable")
"""Of memory.stat: what the kernel takes back without a disk to write to (kernel, cgroup-v2.rst, memory.stat).
Dirty pages are among it, and have to be written first. Files in /dev/shm are not: they count as `shmem`."""


def read_uses(disk: Disk, euid: int) -> tuple[Use, ...]:
    """Read all of them, from the outside in."""
    return tuple(_uses(disk, euid))


def _uses(disk: Disk, euid: int) -> Iterator[Use]:
    for unit, whose in WALLED:
        system = whose is Whose.SYSTEM
        if system and euid != 0:
            continue
        for place in cgroups_of(unit, disk, system=system, euid=euid):
            if os.path.exists(disk.at(f"{place}/memory.current")):  # else nothing is counted there yet
                yield _use(unit, whose, place, disk)


def _use(unit: str, whose: Whose, place: str, disk: Disk) -> Use:
    limit, current, stat = (f"{place}/memory.{name}" for name in ("max", "current", "stat"))
    count = parsed(disk.value(current), parse_count, current)
    counted = parsed(disk.value(stat), parse_flat, stat)
    held = None
    if count is not None and counted is not None:
        held = Bytes(max(0, count - sum(counted.get(name, 0) for name in _GIVES_WAY)))
    return Use(
        unit=unit,
        whose=whose,
        cgroup=place.removeprefix(f"{TOP}/"),
        limit=parsed(disk.value(limit), parse_limit, limit),
        current=None if count is None else Bytes(count),
        held=held,
    )
