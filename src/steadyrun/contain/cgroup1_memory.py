"""Memory and swap of a containment in the legacy memory hierarchy.

Writes and reads one cgroup's memory files; judges nothing but whether a limit is held.
"""

from __future__ import annotations

from steadyrun.contain.readback import (
    UNLIMITED,
    bound,
    flat_of,
    limit_of,
    machine_has_swap,
    refused,
    try_write,
)
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.contain.cgroupfs import CgroupDirectory

_SWAPACCOUNT = "add swapaccount=1 to the kernel command line"


def apply_memory(directory: CgroupDirectory | None, limits: Limits) -> list[ReadBack]:
    """Set the hard limit and swap, read both back; tell that there is no throttle limit."""
    found: list[ReadBack] = []
    if directory is None:
        return found
    trouble = _write_memory(directory, limits)
    hierarchical = flat_of(directory, "memory.stat")
    if limits.memory_max is not None:
        own = limit_of(directory, "memory.limit_in_bytes")
        effective = hierarchical.get("hierarchical_memory_limit", own)
        found.append(bound("memory_max", limits.memory_max, own, effective, "memory.limit_in_bytes", trouble))
    if limits.memory_high is not None:
        reason = "none: legacy cgroups have no memory.high (the soft limit only orders global reclaim)"
        found.append(refused("memory_high", limits.memory_high, reason, "memory.high"))
    if limits.swap_max is not None:
        found.append(_swap(directory, limits, hierarchical))
    return found


def _write_memory(directory: CgroupDirectory, limits: Limits) -> str:
    """Write the limit and memsw (memory and swap together) in the order that is always allowed.

    The kernel keeps limit <= memsw at every moment (EINVAL otherwise; memory.rst, section 2.4), so
    memsw goes first when it rises and last when it falls. Where usage cannot be reclaimed below a
    new limit the write fails with EBUSY and the old one stays: legacy limits do not kill on a write.

    Returns:
        What went wrong, for people; empty when nothing did.
    """
    swap, limit = limits.swap_max, limits.memory_max
    memsw = None if limit is None or swap is None else limit + swap
    if swap == 0 and directory.has("memory.swappiness"):
        # "limit reclaim enforces that 0 swappiness really prevents from any swapping" (memory.rst, 5.3);
        # a new cgroup takes its parent's value, so the other case is not written at all.
        try_write(directory, "memory.swappiness", "0")
    steps = [("memory.limit_in_bytes", _bytes(limit))]
    if directory.has("memory.memsw.limit_in_bytes"):
        now = limit_of(directory, "memory.memsw.limit_in_bytes")
        rises = now is not None and (memsw is None or memsw > now)
        steps.insert(0 if rises else 1, ("memory.memsw.limit_in_bytes", _bytes(memsw)))
    failed = [trouble for name, text in steps if (trouble := try_write(directory, name, text))]
    return "; ".join(failed)


def _swap(directory: CgroupDirectory, limits: Limits, hierarchical: dict[str, int]) -> ReadBack:
    """Read back how much swap the load can have: memsw less the memory limit."""
    asked = limits.swap_max or 0
    source = "memory.memsw.limit_in_bytes"
    no_swap = not machine_has_swap()
    memsw = hierarchical.get("hierarchical_memsw_limit", limit_of(directory, source))
    limit = hierarchical.get("hierarchical_memory_limit", limit_of(directory, "memory.limit_in_bytes"))
    if not directory.has(source):
        text = "the machine has no swap" if no_swap else f"none: swap is not accounted, {_SWAPACCOUNT}"
        return ReadBack("swap_max", str(asked), text, source, no_swap)
    if limits.memory_max is None:
        text = "the machine has no swap" if no_swap else "none: on legacy cgroups it needs a memory limit too"
        return ReadBack("swap_max", str(asked), text, source, no_swap)
    if memsw is None or limit is None:
        return ReadBack("swap_max", str(asked), None, source, False)
    # Each limit is rounded down to a page by itself, so their difference may be a page more.
    held = memsw <= limits.memory_max + asked
    return ReadBack("swap_max", str(asked), str(max(0, memsw - limit)), source, held)


def _bytes(limit: int | None) -> str:
    return UNLIMITED if limit is None else str(limit)
