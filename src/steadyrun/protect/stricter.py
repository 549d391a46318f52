"""Whether a setting that is there already is kept: the stricter of two limits wins. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from steadyrun.errors import UsageError
from steadyrun.protect.change import Line
from steadyrun.protect.facts import Assignment, UnitFacts
from steadyrun.protect.unitfile import NAME
from steadyrun.units import Bytes, parse_size

_LIMITS = ("MemoryMax", "MemoryHigh")
_PROTECTIONS = ("MemoryLow", "MemoryMin")
_VENDOR = ("/usr/lib/", "/lib/", "/usr/local/lib/")
"""Where distributions and packages put units (systemd.unit(5), "Unit File Load Path")."""


class Verdict(NamedTuple):
    """What becomes of one line of ours."""

    write: bool
    last: bool
    """Ours has to be read after theirs, to be the one that counts."""
    why: str
    """For people, where theirs is kept; else empty."""


def judge(line: Line, unit: UnitFacts, ram: Bytes) -> Verdict:
    """Say whether ours is written beside what is there."""
    theirs = in_force(line.key, unit.settings)
    if theirs is None:
        return Verdict(True, False, "")
    where = f"{theirs.path} has {line.key}={theirs.value}"
    if line.key in _LIMITS + _PROTECTIONS:
        return _by_strictness(line, theirs, ram, where)
    if theirs.path.startswith(_VENDOR):
        return Verdict(True, False, "")
    return Verdict(False, False, f"{where}: yours, kept")


def in_force(key: str, settings: tuple[Assignment, ...]) -> Assignment | None:
    """Return the assignment of a key that counts; `None`: there is none, or it was taken back."""
    found = [each for each in settings if each.key == key]
    return found[-1] if found and found[-1].value else None


def _by_strictness(line: Line, theirs: Assignment, ram: Bytes, where: str) -> Verdict:
    ours, there = amount(line.value, ram), amount(theirs.value, ram)
    if there is None or ours is None:
        return Verdict(False, False, f"{where}, which is not understood here: kept")
    enough = there <= ours if line.key in _LIMITS else there >= ours
    if enough:
        return Verdict(False, False, f"{where}: at least as strict, kept")
    return Verdict(True, theirs.path.rpartition("/")[2] > NAME, "")


def amount(value: str, ram: Bytes) -> float | None:
    """Return a memory setting in bytes: a size, a percentage of RAM, `infinity`; `None`: none of these."""
    if value == "infinity":
        return float("inf")
    percent = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", value)
    if percent is not None:
        return ram * float(percent[1]) / 100
    try:
        return float(parse_size(value, source=""))
    except UsageError:
        return None
