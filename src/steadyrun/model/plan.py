"""Phases in order, from most restrictive to loosest: what a ramp carries out."""

from __future__ import annotations

from enum import Enum

from steadyrun.model.limits import Limits
from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Seconds


class LoadKind(Enum):
    """What a phase runs."""

    HOG = "hog"
    """`processes` built-in hogs of `memory` bytes each."""
    STORM = "storm"
    """The built-in crash of the reference: about 90 runnable processes and growing memory."""
    COMMAND = "command"
    """The user's command."""


class LoadSpec(NamedTuple):
    """The load of one phase; which fields matter depends on `kind`."""

    kind: LoadKind
    processes: int = 1
    memory: Bytes | None = None
    """HOG: bytes for each process. STORM: bytes in all."""
    hold: Seconds = Seconds(3.0)
    """HOG: how long the memory is held and touched. STORM: how long it blows."""
    argv: tuple[str, ...] = ()
    """COMMAND."""
    ok_exits: tuple[int, ...] = (0,)
    """COMMAND: the exit codes that say its work is done; a test suite says 1 when a test failed."""

    @property
    def memory_in_all(self) -> Bytes:
        """Of all processes of a built-in load together, bytes."""
        return Bytes((self.memory or 0) * (self.processes if self.kind is LoadKind.HOG else 1))


class Phase(NamedTuple):
    """One load under one set of limits, with what it is for, in words."""

    number: int
    name: str
    """`Ultra-Conservative`."""
    summary: str
    """`Single process, 500 MB`: what stands behind the name in headings."""
    goal: str
    method: str
    expected: str
    load: LoadSpec
    limits: Limits
    scaled: str | None = None
    """Why and from what the memory was scaled down for this machine; `None`: it was not."""


class Plan(NamedTuple):
    """A ramp before it is carried out."""

    name: str
    baseline: Seconds
    """How long the machine is watched before any load."""
    phases: tuple[Phase, ...]
    problem: str | None = None
    goal: str | None = None
    tries: int = 4
    """How often the user's command is tried with more memory after a kill at its limit."""


class Member(NamedTuple):
    """One process the guard starts, and how."""

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]


class RunAs(NamedTuple):
    """The user a load runs as, when that is not the caller."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str
