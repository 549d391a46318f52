"""The worst figures of the time a load ran, folded from the guard's readings one by one. Pure.

Holds about a second of samples and the extremes, however long the load runs. All time is that of
the samples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from steadyrun.guard.frames import Entry
from steadyrun.model.rates import HostRates, host_rates
from steadyrun.model.record import Worst
from steadyrun.model.sample import Frames, HostSample, Reading
from steadyrun.ramp.lateness import LatenessFold
from steadyrun.units import Bytes, Ratio, Seconds

N = TypeVar("N", int, float, Bytes, Ratio, Seconds)

WINDOW = Seconds(1.0)
"""PSI is taken over this long: a shorter window makes one 50 ms stall look like a standstill."""
WINDOW_LEAST = Seconds(0.2)
"""What a load that ended within the first window is judged by instead."""

_NOTHING = Worst(
    load1=None,
    mem_available=None,
    mem_used=None,
    swap_used=None,
    runnable=None,
    psi_memory_some=None,
    psi_memory_full=None,
    psi_io_full=None,
    psi_cpu_some=None,
    frames_p99_ms=None,
    frames_gap_ms=None,
    frames_silent=None,
    load_memory=None,
    tasks=None,
    samples=0,
    dropped=0,
)


class WorstFold:
    """Takes readings in their order, and the canary's frames, and gives the worst of each figure."""

    __slots__ = ("_last_seq", "_lateness", "_recent", "_windows", "_worst", "load_kills")

    def __init__(self, frames_since_ns: int = 0) -> None:
        """Begin; frames that ended by `frames_since_ns`, CLOCK_MONOTONIC, are another phase's."""
        self._worst = _NOTHING
        self._lateness = LatenessFold(frames_since_ns)
        self._recent: deque[HostSample] = deque()
        self._windows = 0
        self._last_seq: int | None = None
        self.load_kills = 0
        """OOM kills in the containment when they could last be counted."""

    def add(self, reading: Reading) -> None:
        """Take one more reading; a gap in `seq` counts as samples that were not kept."""
        worst = _with_host(self._worst, reading.host)
        worst = _with_frames(worst, reading.frames)
        self.load_kills = max(self.load_kills, reading.load.oom_kills or 0)
        missed = 0 if self._last_seq is None else max(0, reading.seq - self._last_seq - 1)
        self._last_seq = reading.seq
        self._worst = worst._replace(
            load_memory=_higher(worst.load_memory, reading.load.memory),
            tasks=_higher(_higher(worst.tasks, reading.load.tasks), reading.load.tasks_peak),
            samples=worst.samples + 1,
            dropped=worst.dropped + missed,
        )
        self._add_window(reading.host)

    @property
    def frames_until_ns(self) -> int:
        """End of the newest frame taken, ns: what is shown after it is to be given next."""
        return self._lateness.last_ns

    def add_frames(self, entries: Iterable[Entry]) -> None:
        """Take frames as the canary wrote them, oldest first; those taken before are left out."""
        self._lateness.add(entries)

    def result(self) -> Worst:
        """Return the worst so far; what nothing was given for is `None`, and `samples` 0."""
        late, shown = self._lateness.p99_ms(), self._lateness.frames
        return self._stalls_of_a_short_one()._replace(frames_p99_ms=late, frames_shown=shown or None)

    def _stalls_of_a_short_one(self) -> Worst:
        short = self._windows == 0 and len(self._recent) > 1
        if short and self._recent[-1].at - self._recent[0].at >= WINDOW_LEAST:
            return _with_stalls(self._worst, host_rates(self._recent[0], self._recent[-1]))
        return self._worst

    def _add_window(self, host: HostSample) -> None:
        recent = self._recent
        recent.append(host)
        # The oldest stays as long as the second oldest is too young to begin a whole window.
        while len(recent) > 2 and host.at - recent[1].at >= WINDOW:
            recent.popleft()
        if host.at - recent[0].at >= WINDOW:
            self._windows += 1
            self._worst = _with_stalls(self._worst, host_rates(recent[0], host))


def _with_host(worst: Worst, host: HostSample) -> Worst:
    return worst._replace(
        load1=_higher(worst.load1, host.load1),
        mem_available=_lower(worst.mem_available, host.mem_available),
        mem_used=_higher(worst.mem_used, mem_used(host)),
        swap_used=_higher(worst.swap_used, swap_used(host)),
        runnable=_higher(worst.runnable, host.runnable),
    )


def _with_frames(worst: Worst, frames: Frames | None) -> Worst:
    if frames is None:
        return worst
    return worst._replace(
        frames_gap_ms=_higher(worst.frames_gap_ms, frames.worst_ms),
        frames_silent=_higher(worst.frames_silent, frames.silent),
    )


def _with_stalls(worst: Worst, now: HostRates | None) -> Worst:
    if now is None:
        return worst
    return worst._replace(
        psi_memory_some=_higher(worst.psi_memory_some, now.psi_memory.some),
        psi_memory_full=_higher(worst.psi_memory_full, now.psi_memory.full),
        psi_io_full=_higher(worst.psi_io_full, now.psi_io.full),
        psi_cpu_some=_higher(worst.psi_cpu_some, now.psi_cpu.some),
    )


def mem_used(host: HostSample) -> Bytes | None:
    """Return effective RAM less available memory, in bytes; `None` when either is unknown."""
    if host.mem_total is None or host.mem_available is None:
        return None
    return Bytes(host.mem_total - host.mem_available)


def swap_used(host: HostSample) -> Bytes | None:
    """Return the swap in use, in bytes; `None` when it is unknown, 0 on a machine without swap."""
    if host.swap_total is None or host.swap_free is None:
        return None
    return Bytes(host.swap_total - host.swap_free)


def _higher(worst: N | None, now: N | None) -> N | None:
    return _extreme(max, worst, now)


def _lower(worst: N | None, now: N | None) -> N | None:
    return _extreme(min, worst, now)


def _extreme(pick: Callable[[N, N], N], worst: N | None, now: N | None) -> N | None:
    if worst is None or now is None:
        return now if worst is None else worst
    return pick(worst, now)
