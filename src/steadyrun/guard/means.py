"""Counts what a guard could see, look by look, and says what it could do. Pure."""

from __future__ import annotations

from steadyrun.model.containment import BackendName, Capability
from steadyrun.model.means import DEEDS, Known, Means, Priority
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.model.sample import Reading

_WEIGHTS = {Capability.CPU_WEIGHT, Capability.IO_WEIGHT}


class Looks:
    """The looks of one guard."""

    __slots__ = ("_deeds", "_groups", "_known", "_looks", "_priority")

    def __init__(self, deeds: tuple[Capability, ...], priority: Priority | None) -> None:
        """Nothing was looked at yet; what it can do and what was granted to it is known from the start."""
        self._deeds, self._priority = deeds, priority
        self._looks = 0
        self._known = [0] * len(Known._fields)
        self._groups: dict[str, None] = {}

    def take(self, reading: Reading) -> None:
        """Count one reading."""
        self._looks += 1
        self._known = [count + known for count, known in zip(self._known, known_in(reading), strict=True)]
        for group in reading.protected:
            self._groups[group.name] = None

    def means(self) -> Means:
        """Return what the guard had so far."""
        return Means(self._looks, Known(*self._known), tuple(self._groups), self._deeds, self._priority)


def known_in(reading: Reading) -> tuple[bool, ...]:
    """Tell of each field of `Known` whether a reading has it."""
    host, load = reading.host, reading.load
    return (
        host.mem_available is not None,
        host.psi_memory is not None and host.psi_memory.full_total is not None,
        host.psi_io is not None and host.psi_io.full_total is not None,
        bool(reading.protected),
        reading.frames is not None,
        host.scanned_pages is not None and host.stolen_pages is not None,
        None not in (host.swap_free, host.swap_in_pages, host.swap_out_pages),
        load.memory is not None,
        load.psi_memory is not None,
        load.io_read is not None and load.io_write is not None,
    )


def deeds_of(
    backend: BackendName, capabilities: frozenset[Capability], *, throttles: bool = True
) -> tuple[Capability, ...]:
    """Return what a guard can do to a load that runs.

    Args:
        backend: What holds it. A weight of a leaf below a unit of its own competes with nobody there.
        capabilities: Of that.
        throttles: `Rules.throttles` of its load; nothing is said of none in particular.
    """
    lost = set(_WEIGHTS) if backend is BackendName.SYSTEMD else set()
    if not throttles:
        lost.add(Capability.MEMORY_HIGH)
    return tuple(each for each in DEEDS if each in capabilities and each not in lost)
