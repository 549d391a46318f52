"""How busy the host was with other things: an emulated machine feels every one of them."""

from __future__ import annotations

import os
import time
from typing import NamedTuple


class Spent(NamedTuple):
    """CPU time so far, in clock ticks."""

    at: float
    """CLOCK_MONOTONIC, seconds."""
    all: int
    """Of the whole host, nobody's time left out: user, nice, system, irq, softirq (proc_stat(5))."""
    machine: int
    """Of the machine's process."""


def spent(pid: int) -> Spent:
    """Read both now."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq = map(int, file.readline().split()[1:8])
    with open(f"/proc/{pid}/stat") as file:
        own = file.read().rpartition(")")[2].split()
    return Spent(time.monotonic(), user + nice + system + irq + softirq, int(own[11]) + int(own[12]))


def others_frac(before: Spent, after: Spent, *, cpus: int | None = None, ticks: int | None = None) -> float:
    """Return which part of the host's CPU time went to others than the machine, 0 to 1."""
    cpus = cpus or os.cpu_count() or 1
    ticks = ticks or os.sysconf("SC_CLK_TCK")
    others = (after.all - before.all) - (after.machine - before.machine)
    there = (after.at - before.at) * cpus * ticks
    return round(min(1.0, max(0.0, others / there)), 3) if there > 0 else 0.0
