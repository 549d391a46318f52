"""How tightly a load is held while the machine is short of something. Pure.

A freeze is all or nothing; a grip takes half of the CPU time with each step, half of what the load moves
over the disk where the disk is what is short, and, where the load may swap and swap is free, sets the
throttle limit below the hard one. Tightening is at once, a step a window; loosening is a step at a time.
"""

from __future__ import annotations

from steadyrun.model.limits import CPU_WEIGHT_LOWEST, Limits
from steadyrun.named import NamedTuple
from steadyrun.units import MIB, Bytes, Cores, format_size

TIGHTEST = 3
"""Steps: an eighth of the CPU time."""
CPU_LEAST = Cores(0.1)
"""A load with less than this holds what it has for so long that others wait for it."""
IO_LEAST = Bytes(MIB)
HIGH_OF_MAX = 0.9
"""Where the throttle limit is put below the hard limit: nearer, and the load is killed as without it."""
GRIPPED = ("cpu_max", "cpu_weight", "io_read_bps", "io_write_bps", "io_weight", "memory_high")
"""The limits a grip changes."""


class Grip(NamedTuple):
    """How tight. The default is the load's own limits."""

    step: int = 0
    """0 to TIGHTEST."""
    read: Bytes | None = None
    """Bytes a second it may read; `None`: as its own limits say."""
    write: Bytes | None = None
    high: bool = False
    """With a throttle limit."""


def tighter(
    grip: Grip,
    *,
    to: int,
    read_rate: float | None = None,
    write_rate: float | None = None,
    high: bool = False,
) -> Grip:
    """Return a grip of the step `to`.

    Args:
        grip: The present one.
        to: The step.
        read_rate: Bytes a second that the load reads while the disk is short; half of it is left.
        write_rate: The same of what it writes.
        high: With a throttle limit.
    """
    return Grip(
        step=min(TIGHTEST, to),
        read=_half(grip.read, read_rate),
        write=_half(grip.write, write_rate),
        high=grip.high or high,
    )


def looser(grip: Grip) -> Grip:
    """Return the grip a step looser: twice as much of everything; after the last step nothing is held."""
    if grip.step <= 1:
        return Grip()
    return grip._replace(step=grip.step - 1, read=_double(grip.read), write=_double(grip.write))


def memory_bound(limits: Limits) -> Bytes | None:
    """Return the memory from which on a load waits for room of its own; `None`: it never does."""
    return min((each for each in (limits.memory_high, limits.memory_max) if each is not None), default=None)


def gripped(limits: Limits, grip: Grip, cores: Cores) -> Limits:
    """Return the limits of a load under a grip: never looser than its own.

    Args:
        limits: Its own.
        grip: How tight.
        cores: CPUs it may run on, where it has no quota of its own.
    """
    if grip.step == 0:
        return limits
    own = cores if limits.cpu_max is None else limits.cpu_max
    quota = Cores(min(own, max(CPU_LEAST, own / 2**grip.step)))
    high = limits.memory_high
    if grip.high and limits.memory_max is not None:
        high = _least(high, Bytes(int(limits.memory_max * HIGH_OF_MAX)))
    return limits._replace(
        cpu_max=quota,
        cpu_weight=CPU_WEIGHT_LOWEST,
        io_weight=CPU_WEIGHT_LOWEST,
        io_read_bps=_least(limits.io_read_bps, grip.read),
        io_write_bps=_least(limits.io_write_bps, grip.write),
        memory_high=high,
    )


def in_words(limits: Limits, grip: Grip, cores: Cores) -> str:
    """Say what a grip leaves: `0.5 of 2 cores, 10 MiB/s read`."""
    under = gripped(limits, grip, cores)
    if grip.step == 0:
        return "its own limits again"
    words = [f"{under.cpu_max:.3g} of {cores:.3g} cores"]
    if grip.read is not None:
        words.append(f"reads {format_size(under.io_read_bps)}/s")
    if grip.write is not None:
        words.append(f"writes {format_size(under.io_write_bps)}/s")
    if grip.high:
        words.append(f"throttled over {format_size(under.memory_high)}")
    return ", ".join(words)


def _half(now: Bytes | None, rate: float | None) -> Bytes | None:
    if rate is None:
        return now
    return Bytes(max(IO_LEAST, int(min(rate, rate if now is None else now) / 2)))


def _double(now: Bytes | None) -> Bytes | None:
    return None if now is None else Bytes(now * 2)


def _least(own: Bytes | None, wanted: Bytes | None) -> Bytes | None:
    return own if wanted is None else wanted if own is None else min(own, wanted)
