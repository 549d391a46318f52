"""A number of cores as the quota and period that the kernel's CPU bandwidth control takes. Pure."""

from __future__ import annotations

PERIOD_US = 100_000
"""The kernel's default period (Documentation/scheduler/sched-bwc.rst)."""
LONG_PERIOD_US = 1_000_000
"""The longest period the kernel takes; the quota may not be under 1000 us (sched-bwc.rst)."""
LEAST_QUOTA_US = 1_000
_ROUNDING = 1e-4
"""Cores."""


def quota_of(cores: float) -> tuple[int, int]:
    """Return (quota, period) in microseconds for a number of cores; never less than the kernel takes."""
    period = PERIOD_US if cores * PERIOD_US >= LEAST_QUOTA_US else LONG_PERIOD_US
    return max(LEAST_QUOTA_US, int(cores * period)), period


def is_held(cores: float, effective: float | None) -> bool:
    """Tell whether the quota that takes effect is not above what was asked, or is the kernel's least."""
    least = LEAST_QUOTA_US / LONG_PERIOD_US
    return effective is not None and effective <= max(cores, least) + _ROUNDING


def cores_words(cores: float | None) -> str | None:
    """Return a number of cores as a read-back says it; `None`: none was asked for, or found."""
    return None if cores is None else f"{cores:.4g}"
