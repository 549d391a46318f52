"""When the machine has recovered from a load, so that the next phase may begin.

Pure: samples in, reasons out. It never waits and reads no clock; whoever waits asks it again.
"""

from __future__ import annotations

from steadyrun.model.rates import host_rates
from steadyrun.model.record import Baseline, Observation
from steadyrun.model.sample import HostSample
from steadyrun.model.thresholds import Thresholds
from steadyrun.units import MIB, Bytes, Ratio, Seconds, format_size

RECOVERY_LIMIT = Seconds(120.0)
"""Waiting longer than two minutes says the machine has not recovered."""
MEMORY_NEAR_FRACTION = 0.05
"""Of effective RAM. Page cache and daemons move available memory about this much on an idle desktop."""
MEMORY_NEAR_BYTES = Bytes(256 * MIB)
"""The same for small machines: whichever of the two is larger."""
FRAMES_FACTOR = 2.0
"""Times the baseline's, as in the check of a phase: chosen."""


def recovered(
    baseline: Baseline,
    before: Observation,
    now: Observation,
    *,
    earlier: HostSample,
    effective_ram: Bytes,
    thresholds: Thresholds,
) -> bool:
    """Tell whether the machine is as it was before the load. See `still_missing`."""
    return not still_missing(
        baseline, before, now, earlier=earlier, effective_ram=effective_ram, thresholds=thresholds
    )


def still_missing(
    baseline: Baseline,
    before: Observation,
    now: Observation,
    *,
    earlier: HostSample,
    effective_ram: Bytes,
    thresholds: Thresholds,
) -> tuple[str, ...]:
    """Return what has not come back yet, in words; empty when the machine has recovered.

    Args:
        baseline: What is normal here for PSI and frames. What was absent there is not waited for.
        before: The machine right before the load: what available memory has to come back to.
        now: The machine now.
        earlier: A sample about a second before `now`, to take the PSI of that second from.
        effective_ram: Bytes.
        thresholds: The guard's: where it would tighten a load, the next one does not begin.
    """
    reasons = (
        _memory(before.host.mem_available, now.host.mem_available, effective_ram),
        _pressure(baseline.psi_memory_some, earlier, now.host, thresholds),
        _frames(baseline, now, thresholds),
    )
    return tuple(reason for reason in reasons if reason)


def _memory(before: Bytes | None, now: Bytes | None, effective_ram: Bytes) -> str:
    if before is None:
        return ""
    if now is None:
        return "available memory could not be read"
    wanted = before - max(int(effective_ram * MEMORY_NEAR_FRACTION), MEMORY_NEAR_BYTES)
    if now >= wanted:
        return ""
    return f"available memory is {format_size(now)}, to come back to {format_size(wanted)}"


def _pressure(normal: Ratio | None, earlier: HostSample, now: HostSample, thresholds: Thresholds) -> str:
    if normal is None:
        return ""
    rates = host_rates(earlier, now)
    share = None if rates is None else rates.psi_memory.some
    if share is None:
        return "memory pressure could not be read"
    limit = max(thresholds.protected_some, thresholds.usual_factor * normal)
    return "" if share <= limit else f"memory PSI some is {share:.0%}, to come back to {limit:.0%}"


def _frames(baseline: Baseline, now: Observation, thresholds: Thresholds) -> str:
    if baseline.frames is None or baseline.frames.p99_ms is None:
        return ""
    if now.frames is None or now.frames.p99_ms is None:
        return "the canary shows no frames"
    limit = max(1000 * thresholds.frames_late, FRAMES_FACTOR * baseline.frames.p99_ms)
    late = now.frames.p99_ms
    return "" if late <= limit else f"frames are {late:.0f} ms late, to come back to {limit:.0f} ms"
