"""The disks that I/O limits are for, and whether any of them weighs who may use it. Reads /sys alone."""

from __future__ import annotations

import os

from steadyrun.kernel.reader import read_text


def whole_disks(root: str = "") -> tuple[str, ...]:
    """Name `MAJ:MIN` of each disk that I/O ends at: no loop, ram or zram, none stacked on others.

    A device-mapper or md device is left out because what is written to it arrives at its `slaves`
    with the same cgroup (bio_clone_blkg_association, block/blk-cgroup.c).
    """
    block = f"{root}/sys/block"
    try:
        names = sorted(os.listdir(block))
    except OSError:
        return ()
    found = []
    for name in names:
        if name.startswith(("loop", "ram", "zram")) or _entries(f"{block}/{name}/slaves"):
            continue
        size, number = read_text(f"{block}/{name}/size"), read_text(f"{block}/{name}/dev")
        if number is not None and size is not None and size.strip() != "0":
            found.append(number.strip())
    return tuple(found)


def _entries(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def disks_that_weigh(top: str, root: str = "") -> tuple[str, ...]:
    """Name those of the whole disks that give I/O out by weight.

    That is done by the BFQ scheduler (Documentation/block/bfq-iosched.rst), or by io.cost once it is
    switched on in the root cgroup's `io.cost.qos` (cgroup-v2.rst, "IO Interface Files"); otherwise a
    weight is accepted and does nothing.

    Args:
        top: The mount point of the unified hierarchy; in a container `io.cost.qos` is not seen there.
        root: What to put before each path, for tests.
    """
    costs = (read_text(f"{root}{top}/io.cost.qos") or "").splitlines()
    by_cost = {line.split()[0] for line in costs if "enable=1" in line.split()}
    return tuple(d for d in whole_disks(root) if d in by_cost or _is_bfq(d, root))


def _is_bfq(number: str, root: str) -> bool:
    return "[bfq]" in (read_text(f"{root}/sys/dev/block/{number}/queue/scheduler") or "")
