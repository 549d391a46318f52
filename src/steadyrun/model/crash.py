"""What is known of a crash of the machine: what the next start found of the time before it."""

from __future__ import annotations

from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Ratio, Seconds


class LastSeen(NamedTuple):
    """The newest readings of the guard that reached the disk. `None`: could not be read."""

    wall: Seconds
    """Unix time of the newest."""
    window: Seconds
    """From the first reading that is summed up here to the newest."""
    readings: int
    mem_available: Bytes | None
    mem_available_lowest: Bytes | None
    """Of the window."""
    swap_free: Bytes | None
    load1: float | None
    runnable: int | None
    load_memory: Bytes | None
    """Of the containment."""
    psi_memory_some: Ratio | None
    """Share of the window stalled, 0 to 1; `None` also with a single reading."""
    psi_memory_full: Ratio | None
    psi_io_full: Ratio | None


class LogLine(NamedTuple):
    """One line of a kernel's log."""

    wall: Seconds | None
    """Unix time; `None` where the log does not have it."""
    text: str


class PastLog(NamedTuple):
    """What one keeper of the kernel's log has of the boot that ended."""

    source: str
    """`systemd's journal`, `pstore`."""
    known: bool
    """`False`: it could not be read, or has nothing of that time: what the kernel said is unknown."""
    why: str
    """Why it is not known; empty when it is."""
    until: Seconds | None
    """Unix time of the last line that it has of that boot."""
    lines: tuple[LogLine, ...]
    """Those that name trouble, the last ones, in their order."""


class Crash(NamedTuple):
    """One crash of the machine in the middle of an attempt."""

    boot_id: str
    """Of the boot that ended."""
    found_boot_id: str
    """Of the boot in which it was found."""
    found_wall: Seconds
    booted_wall: Seconds | None
    """When that boot began; `None`: not known."""
    last: LastSeen | None
    """`None`: no reading of that attempt reached the disk."""
    logs: tuple[PastLog, ...]
