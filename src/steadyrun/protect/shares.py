"""How a machine's memory is shared out: a profile and effective RAM to whole percentages. Pure.

Percentages, because a number of bytes would still stand when a module of memory is taken out, and then
a machine might not boot to its login screen. systemd takes them of the physical memory, or of the limit
of the container that it runs in, which is effective RAM (systemd.resource-control(5), `MemoryMax=`).

The reserve is the ramp's (`model.machine.reserve_of`). From the outside in, each wall stands a little
lower than the one around it, so that what is outside of it always has room:

    everybody       R - 3/4 reserve   all users together; the rest is the kernel's and the services'
      one person    R - reserve       so that another login (root's, by SSH) still finds room
        ordinary    R - reserve - gap what was started without `steadyrun`; the gap is the desktop's own
        loads       R - reserve       `steadyrun.slice`: all loads of all runs together
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from steadyrun.model.machine import reserve_of
from steadyrun.units import GIB, Bytes

LEAST_RAM = Bytes(GIB)
"""Below it no wall is put up: a third of it is what a desktop needs to show its login screen."""


class Profile(Enum):
    """What the machine is for."""

    DESKTOP = "desktop"
    WORKSTATION = "workstation"
    SERVER = "server"


ABOUT = {
    Profile.DESKTOP: "somebody works at its screen; half of the reserve more is kept for the desktop itself",
    Profile.WORKSTATION: "a desktop that mostly computes; a quarter of the reserve is kept for the desktop",
    Profile.SERVER: "no screen; services and the way in by SSH are protected",
}
SHM = 50
"""Percent of the memory that files in /dev/shm may fill (tmpfs(5), `size=`). They count for who wrote them
and stay when that is killed, so a wall has to stand higher, or nobody behind it could go on."""
_GAP = {Profile.DESKTOP: 0.5, Profile.WORKSTATION: 0.25, Profile.SERVER: 0.25}
"""Of the reserve, between a person's wall and that of their ordinary commands."""
_WEIGHT = {Profile.DESKTOP: 500, Profile.WORKSTATION: 300, Profile.SERVER: 300}
"""Against the 100 of everybody else: with three it is three quarters of a busy CPU, with five 83 %."""


class Shares(NamedTuple):
    """Whole percent of effective RAM; weights as systemd has them."""

    everybody: int
    person: int
    ordinary: int
    loads: int
    session: int
    """`memory.low` of the desktop; 0 on a server."""
    login: int
    """`memory.low` of the display manager, and with it of the X server that many of them run."""
    way_in: int
    """`memory.low` of each of sshd, D-Bus and logind."""
    weight: int
    """CPU and I/O of who is protected, against 100."""


def shares_of(ram: Bytes, profile: Profile) -> Shares:
    """Return the shares; limits are rounded down, protections up and never to nothing."""
    reserve = reserve_of(ram).reserve

    def limit(kept: float) -> int:
        return int(100 * (ram - kept * reserve) // ram)

    def protection(kept: float) -> int:
        return max(1, int(-(-100 * kept * reserve // ram)))

    screen = profile is not Profile.SERVER
    return Shares(
        everybody=limit(0.75),
        person=limit(1),
        ordinary=max(limit(1 + _GAP[profile]), (SHM + limit(1)) // 2),
        loads=limit(1),
        session=protection(_GAP[profile]) if screen else 0,
        login=protection(0.125),
        way_in=1,
        weight=_WEIGHT[profile],
    )


def part(ram: Bytes, percent: int) -> Bytes:
    """Return so many percent of effective RAM, in bytes."""
    return Bytes(ram * percent // 100)
