"""Who else ends processes on this machine when memory is short, and from where on."""

from __future__ import annotations

from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Ratio, Seconds


class Pressing(NamedTuple):
    """Memory pressure from which somebody acts: `full` of a group, or of the machine."""

    share: Ratio
    lasting: Seconds
    where: str
    """`user@1000.service`, `the machine`."""


class OtherGuard(NamedTuple):
    """One of them. Thresholds are those of its first deed, which asks a process to end."""

    name: str
    pid: int
    memory: Bytes | None = None
    """It acts once available memory is at most this; `None`: memory alone never makes it act, or unknown."""
    swap: Ratio | None = None
    """... and free swap is at most this share of all swap; `None`: whatever swap is."""
    needs_swap: bool = False
    """Without any swap it does not act on memory (systemd-oomd)."""
    pressing: tuple[Pressing, ...] = ()
    source: str = ""
    """Where the thresholds were read; empty: they could not be, and its defaults are assumed."""
    acts: bool = True
    """False: it was told to only say what it would do."""


class Swap(NamedTuple):
    """Of the machine, when it was looked for others."""

    total: Bytes | None
    free: Bytes | None


NEAR = 2.0
"""Free swap below this many times somebody's threshold no longer counts as what keeps him from acting."""


def acts_at(other: OtherGuard, swap: Swap) -> Bytes | None:
    """Return the available memory at which one acts with the swap there is; `None`: memory alone does not.

    What is not known about swap keeps nobody from acting.
    """
    if not other.acts or other.memory is None:
        return None
    if swap.total == 0:
        return None if other.needs_swap else other.memory
    if other.swap is None or swap.total is None or swap.free is None:
        return other.memory
    return other.memory if swap.free <= NEAR * other.swap * swap.total else None


def first_to_act(others: tuple[OtherGuard, ...], swap: Swap) -> Bytes | None:
    """Return the highest available memory at which any of them acts; `None`: none does."""
    return max((at for each in others if (at := acts_at(each, swap)) is not None), default=None)


def watches_pressure(others: tuple[OtherGuard, ...]) -> bool:
    """Tell whether somebody acts on memory pressure, which a throttle limit makes by itself."""
    return any(each.pressing and each.acts for each in others)
