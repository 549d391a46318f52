"""Whether what is in use now fits behind the walls, which count at once for what runs already. Pure.

Writing memory.max below what is in use makes the writer, here systemd or a user manager, wait while the
kernel takes memory back, and where that is not enough the kernel kills in there until it fits
(memory_max_write(), kernel, mm/memcontrol.c; cgroup-v2.rst, memory.max). So it is looked at before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from steadyrun.model.finding import Finding, Severity
from steadyrun.protect.facts import Use, Whose
from steadyrun.units import MIB, Bytes, format_size

SPARE = 0.05
"""Of a wall: what is in use may grow by this while it is put up. By choice."""
_ROUNDING = MIB
"""systemd counts in pages."""
TOO_FULL = "wall-too-full"
CACHE = "wall-takes-cache"


class Crowd(NamedTuple):
    """A wall that what is in use now comes near to."""

    use: Use
    wall: Bytes
    fits: bool | None
    """Without what gives way; `None`: it could not be told."""


def crowds_of(walls: Mapping[tuple[str, Whose], Bytes], uses: Iterable[Use]) -> tuple[Crowd, ...]:
    """Return them, by the walls that would be put up for each unit; one that stands already is none."""
    found = (_crowd(use, walls.get((use.unit, use.whose))) for use in uses)
    return tuple(each for each in found if each is not None)


def _crowd(use: Use, wall: Bytes | None) -> Crowd | None:
    if wall is None or (use.limit is not None and use.limit <= wall + _ROUNDING):
        return None
    most = wall - SPARE * wall
    if use.current is None or (use.held is None and use.current > most):
        return Crowd(use, wall, None)
    if use.current <= most or use.held is None:
        return None
    return Crowd(use, wall, use.held <= most)


def finding_of(crowd: Crowd) -> Finding:
    """Say what would happen there."""
    use, wall = crowd.use, format_size(crowd.wall)
    if crowd.fits:
        return Finding(
            code=CACHE,
            severity=Severity.NOTE,
            title=f"{use.cgroup} has file cache beyond its wall of {wall}",
            evidence=f"{format_size(use.current)} are in use there, {format_size(use.held)} without what"
            " gives way. systemd waits while the kernel takes the rest back: seconds, longer where it has to"
            " be written first",
            remedy="",
        )
    told = "How much is in use there could not be read"
    if use.held is not None:
        told = f"{format_size(use.held)} are in use there, not counted what gives way by itself"
    return Finding(
        code=TOO_FULL,
        severity=Severity.PROBLEM,
        title=f"What runs in {use.cgroup} may not fit behind its wall of {wall}",
        evidence=f"{told}. The wall counts at once: systemd would wait while the kernel swaps, and the"
        " kernel would kill in there until it fits",
        remedy="end what is large there, or log out and in again, and type it again; --force puts the wall up"
        " all the same",
    )
