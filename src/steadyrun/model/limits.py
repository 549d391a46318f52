"""What a load may use, and what the kernel says it was given.

Pure data; `contain/` turns it into kernel files.
"""

from __future__ import annotations

from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Cores, Seconds

CPU_WEIGHT_DEFAULT = 100
CPU_WEIGHT_LOWEST = 1


class Limits(NamedTuple):
    """What one load may use. `None` in a field means "no limit of this kind was asked for".

    The words are the kernel's (Documentation/admin-guide/cgroup-v2.rst): `memory_max` is
    `memory.max`, the hard limit; `memory_high` is `memory.high`, the throttle limit.
    """

    memory_max: Bytes | None = None
    memory_high: Bytes | None = None
    swap_max: Bytes | None = Bytes(0)
    """Swap on top of `memory_max`; 0 keeps the load out of swap, `None` leaves it free."""
    cpu_max: Cores | None = None
    """Quota in cores: 1.5 is 150 ms of CPU time in every 100 ms."""
    cpu_weight: int | None = None
    """1 to 10000, default 100, as `cpu.weight`."""
    tasks_max: int | None = None
    """Processes and threads together, as `pids.max`."""
    io_read_bps: Bytes | None = None
    """Bytes a second, for each block device."""
    io_write_bps: Bytes | None = None
    io_weight: int | None = None
    """1 to 10000, default 100, as `io.weight`."""
    wall_time: Seconds | None = None
    """Time the load may run, time frozen not counted. Kept by the guard."""
    output_max: Bytes | None = None
    """What is kept of the load's standard output and error; the rest is read and dropped."""


class ReadBack(NamedTuple):
    """One limit as asked for and as the kernel gives it back."""

    name: str
    """A field of `Limits`."""
    asked: str
    found: str | None
    """`None`: could not be read."""
    source: str
    """The file or property that was read."""
    held: bool
    """The kernel enforces what was asked (exactly, or rounded to its page or period)."""
