"""What a machine is like before it is protected, as plain data. Pure; `read.py` fills it.

`None` everywhere means that it could not be read, and is never taken for "not there".
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from steadyrun.model.machine import CgroupMode
from steadyrun.units import Bytes


class Whose(Enum):
    """Which systemd manager reads a setting."""

    SYSTEM = "system"
    USER = "user"
    """Every user's manager, where root writes it; the own one, where a user does."""


class Layout(Enum):
    """Where a desktop's own programs stand: whether they can be told from what is started there."""

    MANAGED = "managed"
    """The compositor is a unit in `session.slice`, programs are in `app.slice` (GNOME, Plasma)."""
    SCOPE = "scope"
    """The whole desktop and all that is started in it are in one `session-N.scope`."""


class Assignment(NamedTuple):
    """One `KEY=value` that is in a unit's files already, and not from us."""

    path: str
    key: str
    value: str


class UnitFacts(NamedTuple):
    """One unit, or one `NAME-.slice` that stands for all units whose names begin like that."""

    name: str
    whose: Whose
    exists: bool
    """There is a file of it, or systemd makes it without one (slices, scopes)."""
    masked: bool
    settings: tuple[Assignment, ...]
    """In the order in which systemd takes them: the last one of a key counts (systemd.unit(5))."""


class Desktop(NamedTuple):
    """A graphical session of a person."""

    user: str
    session: str
    """`session-3.scope`."""
    layout: Layout
    uid: int


class Running(NamedTuple):
    """A process that is to be among the last to be killed."""

    what: str
    """`user manager of desk`."""
    unit: str
    """The user's or, for a user manager, the system's: whose settings it has from its next start on."""
    pid: int
    started: int
    """Clock ticks after the boot: with the pid an identity for this boot."""
    oom_score_adj: int | None


class Mglru(NamedTuple):
    """The multi-generational LRU of the kernel (Documentation/admin-guide/mm/multigen_lru.rst)."""

    enabled: int | None
    """Bits of `enabled`; 0: it is built in and off. `None`: it could not be read."""
    min_ttl_ms: int | None


class Use(NamedTuple):
    """One cgroup that would get a wall, and what is in use in it now."""

    unit: str
    whose: Whose
    cgroup: str
    """Below the hierarchy's top: `user.slice/user-1000.slice`."""
    limit: Bytes | None
    """Its memory.max; `None` for no limit too: that is what it has before."""
    current: Bytes | None
    """Its memory.current, file cache too."""
    held: Bytes | None
    """What of it does not give way by itself."""


class Facts(NamedTuple):
    """Everything that a plan is made of."""

    euid: int
    booted: bool
    """systemd runs as the first process (sd_booted(3))."""
    version: int | None
    """systemd's."""
    mode: CgroupMode
    controllers: tuple[str, ...]
    """Of the unified hierarchy's root."""
    ram: Bytes | None
    """Effective RAM."""
    swap: Bytes | None
    shm: Bytes | None
    """What files in /dev/shm may fill."""
    home: str
    """The user's folder for units, `~/.config/systemd/user`; unused for root."""
    desktops: tuple[Desktop, ...] | None
    display_manager: str | None
    """`lightdm.service`; `None`: there is none."""
    units: tuple[UnitFacts, ...]
    running: tuple[Running, ...]
    mglru: Mglru | None
    """`None`: this kernel has none."""
    weighs: bool
    """A disk gives its time out by weight (BFQ, io.cost)."""
    guards: tuple[str, ...]
    """Other programs that act when memory is short."""
    machine_wide: bool
    """Root has applied it for the machine."""
    engines: tuple[str, ...]
    """Container engines that run: what they start is in `system.slice`."""
    program: tuple[str, ...]
    """The Python that has this steadyrun, with its options; empty: not all whom it is for could run it."""
    uses: tuple[Use, ...]
    """Where nothing is counted yet there is none."""

    def unit(self, name: str, whose: Whose) -> UnitFacts | None:
        """Return a unit; `None`: nobody looked for it."""
        return next((u for u in self.units if u.name == name and u.whose is whose), None)
