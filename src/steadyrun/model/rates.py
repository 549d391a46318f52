"""What two samples of the machine give: shares over our own interval.

Pure. Pressure comes from the `total=` counters, never from the kernel's `avg10`, which lags by
seconds (kernel, Documentation/accounting/psi.rst: averages are updated every 2 s). Two samples
that cannot be compared give `None`, never a zero.
"""

from __future__ import annotations

from steadyrun.model.sample import CpuTimes, HostSample, Psi
from steadyrun.named import NamedTuple
from steadyrun.units import Cores, Ratio, Seconds

_US_PER_S = 1_000_000


class PsiShares(NamedTuple):
    """Share of the interval stalled, 0 to 1; `None` where either sample lacks the counter."""

    some: Ratio | None
    """At least one task waited."""
    full: Ratio | None
    """Every task that was not idle waited at once."""


class HostRates(NamedTuple):
    """The machine over one interval."""

    psi_memory: PsiShares
    psi_io: PsiShares
    psi_cpu: PsiShares


class _BackwardsError(Exception):
    """A counter is smaller than before: it is not the same counter any more."""


def host_rates(before: HostSample, after: HostSample) -> HostRates | None:
    """Return what happened on the machine between two samples, `before` the earlier one.

    `None` when no time lies between them or a counter went backwards: then they are of two boots.
    """
    interval = Seconds(after.at - before.at)
    if not interval > 0:
        return None
    try:
        return HostRates(
            psi_memory=_shares(before.psi_memory, after.psi_memory, interval),
            psi_io=_shares(before.psi_io, after.psi_io, interval),
            psi_cpu=_shares(before.psi_cpu, after.psi_cpu, interval),
        )
    except _BackwardsError:
        return None


def idle_cores(before: CpuTimes | None, after: CpuTimes | None) -> Cores | None:
    """Return how many CPUs were without work on average between two readings, `before` the earlier one.

    `None`: one is missing, they are of different CPUs, no time lies between them, or one went backwards
    (`iowait` may: proc_stat(5)).
    """
    if before is None or after is None or before.cpus != after.cpus:
        return None
    idle, total = after.idle - before.idle, after.total - before.total
    return None if idle < 0 or total <= 0 else Cores(min(1.0, idle / total) * after.cpus)


def _shares(before: Psi | None, after: Psi | None, interval: Seconds) -> PsiShares:
    """Return the shares of the interval stalled."""
    if before is None or after is None:
        return PsiShares(None, None)
    return PsiShares(
        some=_share(before.some_total, after.some_total, interval),
        full=_share(before.full_total, after.full_total, interval),
    )


def _share(before: int | None, after: int | None, interval: Seconds) -> Ratio | None:
    """Return one share, at most 1: the clock is read a moment before the file, so it could pass it.

    Raises:
        _BackwardsError: The counter shrank.
    """
    if before is None or after is None:
        return None
    if after < before:
        raise _BackwardsError
    return Ratio(min(1.0, (after - before) / _US_PER_S / interval))
