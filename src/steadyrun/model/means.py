"""What a guard had to go by and what it could do, while it held one load: how far its judgement reaches.

What is unknown fires nothing, so a reader has to be told what was.
"""

from __future__ import annotations

from steadyrun.model.containment import Capability
from steadyrun.named import NamedTuple


class Known(NamedTuple):
    """At how many looks each input of the guard's law was known."""

    mem_available: int = 0
    psi_memory: int = 0
    """Memory pressure of the whole machine."""
    psi_io: int = 0
    protected: int = 0
    """Memory pressure of at least one protected group."""
    frames: int = 0
    """The canary's."""
    reclaim: int = 0
    """Pages scanned and gained by the machine's own reclaim."""
    swap: int = 0
    """Of the machine: what is free, pages in and out."""
    load_memory: int = 0
    load_psi_memory: int = 0
    load_io: int = 0
    """Bytes that the load read and wrote."""


class Priority(NamedTuple):
    """What was granted to the guard itself."""

    realtime: bool
    """SCHED_FIFO 1 (sched(7)); else `nice` counts."""
    locked: bool
    """Its memory is locked (mlockall(2)); `run` does not ask for it, its start has no time for that."""
    oom_score_adj: int | None
    """What was written to /proc/self/oom_score_adj; `None`: nothing could be."""
    nice: int | None = None
    """-20 to 19 (setpriority(2)); `None`: not known."""


class Means(NamedTuple):
    """What one guard had."""

    looks: int
    known: Known
    groups: tuple[str, ...] = ()
    """Names of the protected groups that were read."""
    deeds: tuple[Capability, ...] = ()
    """Of DEEDS, those that this load could be held by."""
    priority: Priority | None = None


DEEDS = (
    Capability.CPU_MAX,
    Capability.CPU_WEIGHT,
    Capability.IO_MAX,
    Capability.IO_WEIGHT,
    Capability.MEMORY_HIGH,
    Capability.FREEZE,
    Capability.KILL,
)
"""What a guard may do to a load that runs, as a containment declares it."""
