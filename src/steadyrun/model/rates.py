"""What two samples of the same thing give: rates and shares over our own interval.

Pure. Pressure comes from the `total=` counters, never from the kernel's `avg10`, which lags by
seconds (kernel, Documentation/accounting/psi.rst: averages are updated every 2 s). Two samples
that cannot be compared give `None`, never a zero.
"""

from steadyrun.model.sample import CgroupSample, HostSample, Psi
from steadyrun.named import NamedTuple
from steadyrun.units import Cores, Ratio, Seconds

_US_PER_S = 1_000_000


class PsiShares(NamedTuple):
    """Share of the interval stalled, 0 to 1; `None` where either sample lacks the counter."""

    some: Ratio | None
    """At least one task waited."""
    full: Ratio | None
    """Every task that was not idle waited at once."""


class LoadRates(NamedTuple):
    """One containment over one interval. A field is `None` when a sample lacks its counter."""

    interval: Seconds
    cpu: Cores | None
    """Cores used on average."""
    throttled: Ratio | None
    """Time held back by the CPU quota over the interval; the kernel adds it up over the CPUs, so it
    can pass 1 (Documentation/scheduler/sched-bwc.rst, "Statistics")."""
    psi_memory: PsiShares
    psi_io: PsiShares
    psi_cpu: PsiShares
    io_read: float | None
    """Bytes a second."""
    io_write: float | None
    oom_kills: int | None
    """In the interval."""


class HostRates(NamedTuple):
    """The machine over one interval. A field is `None` when a sample lacks its counter."""

    interval: Seconds
    psi_memory: PsiShares
    psi_io: PsiShares
    psi_cpu: PsiShares
    swap_in: float | None
    """Pages a second."""
    swap_out: float | None
    available_slope: float | None
    """Bytes a second that available memory changes by; negative while it shrinks."""
    oom_kills: int | None
    """In the interval, every cgroup counted."""


class _BackwardsError(Exception):
    """A counter is smaller than before: it is not the same counter any more."""


def load_rates(before: CgroupSample, after: CgroupSample) -> LoadRates | None:
    """Return what happened in a containment between two samples, `before` the earlier one.

    `None` when the two are not known to be of one cgroup (path and inode), no time lies between
    them, or a counter went backwards: then the cgroup was made anew and nothing can be compared.
    """
    interval = Seconds(after.at - before.at)
    if before.identity is None or before.identity != after.identity or not interval > 0:
        return None
    try:
        cpu = _rate(before.cpu_time, after.cpu_time, interval)
        throttled = _rate(before.cpu_throttled, after.cpu_throttled, interval)
        return LoadRates(
            interval=interval,
            cpu=None if cpu is None else Cores(cpu / _US_PER_S),
            throttled=None if throttled is None else Ratio(throttled / _US_PER_S),
            psi_memory=_shares(before.psi_memory, after.psi_memory, interval),
            psi_io=_shares(before.psi_io, after.psi_io, interval),
            psi_cpu=_shares(before.psi_cpu, after.psi_cpu, interval),
            io_read=_rate(before.io_read, after.io_read, interval),
            io_write=_rate(before.io_write, after.io_write, interval),
            oom_kills=_delta(before.oom_kills, after.oom_kills),
        )
    except _BackwardsError:
        return None


def host_rates(before: HostSample, after: HostSample) -> HostRates | None:
    """Return what happened on the machine between two samples, `before` the earlier one.

    `None` when no time lies between them or a counter went backwards: then they are of two boots.
    """
    interval = Seconds(after.at - before.at)
    if not interval > 0:
        return None
    try:
        return HostRates(
            interval=interval,
            psi_memory=_shares(before.psi_memory, after.psi_memory, interval),
            psi_io=_shares(before.psi_io, after.psi_io, interval),
            psi_cpu=_shares(before.psi_cpu, after.psi_cpu, interval),
            swap_in=_rate(before.swap_in_pages, after.swap_in_pages, interval),
            swap_out=_rate(before.swap_out_pages, after.swap_out_pages, interval),
            available_slope=_slope(before.mem_available, after.mem_available, interval),
            oom_kills=_delta(before.oom_kills, after.oom_kills),
        )
    except _BackwardsError:
        return None


def _delta(before: int | None, after: int | None) -> int | None:
    """Return the growth of a counter; raises `_BackwardsError` when it shrank."""
    if before is None or after is None:
        return None
    if after < before:
        raise _BackwardsError
    return after - before


def _rate(before: int | None, after: int | None, interval: Seconds) -> float | None:
    """Return the growth of a counter a second."""
    delta = _delta(before, after)
    return None if delta is None else delta / interval


def _slope(before: int | None, after: int | None, interval: Seconds) -> float | None:
    """Return the change of a level a second; a level may go either way."""
    return None if before is None or after is None else (after - before) / interval


def _shares(before: Psi | None, after: Psi | None, interval: Seconds) -> PsiShares:
    """Return the shares of the interval stalled."""
    if before is None or after is None:
        return PsiShares(None, None)
    return PsiShares(
        some=_share(before.some_total, after.some_total, interval),
        full=_share(before.full_total, after.full_total, interval),
    )


def _share(before: int | None, after: int | None, interval: Seconds) -> Ratio | None:
    """Return one share, at most 1: the clock is read a moment before the file, so it could pass it."""
    rate = _rate(before, after, interval)
    return None if rate is None else Ratio(min(1.0, rate / _US_PER_S))
