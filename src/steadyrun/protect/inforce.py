"""Whether a setting is in force: what was written against what the kernel's files say. Pure."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from steadyrun.errors import FormatError
from steadyrun.kernel.cgroupfiles import parse_io_weight, parse_limit
from steadyrun.protect.shares import part
from steadyrun.units import MIB, Bytes, format_size

FILES = {
    "MemoryMax": "memory.max",
    "MemoryLow": "memory.low",
    "CPUWeight": "cpu.weight",
    "IOWeight": "io.weight",
    "Delegate": "cgroup.controllers",
}
"""The cgroup file that a setting ends in; others are told by the unit's files alone."""
_ROUNDING = MIB
"""systemd counts in pages; a percentage of what it takes for the memory may differ by some of them."""


class State(Enum):
    """How one setting stands."""

    YES = "in force"
    STRICTER = "in force, stricter than ours"
    NO = "not in force"
    ABSENT = "nothing there now"
    """No such unit is up; it counts as soon as one is."""
    LATER = "from the next login on"
    """A user manager learns what it is given when it starts."""
    UNKNOWN = "unknown"


class Standing(NamedTuple):
    """One setting, at one cgroup."""

    unit: str
    setting: str
    """`MemoryMax=92%`."""
    state: State
    found: str
    """What the kernel says, for people."""


def judge(key: str, value: str, text: str | None, ram: Bytes) -> tuple[State, str]:
    """Say how a setting stands; `text` is its cgroup file, `None`: it cannot be read."""
    if text is None:
        return State.UNKNOWN, "its file cannot be read"
    try:
        if key in ("MemoryMax", "MemoryLow"):
            return _memory(key, value, text, ram)
        if key == "IOWeight":
            found = parse_io_weight(text, source="io.weight")
            return _same(f"{found}", value)
        if key == "Delegate":
            missing = sorted(set(value.split()) - set(text.split()))
            return (State.LATER, f"without {', '.join(missing)}") if missing else (State.YES, text.strip())
        return _same(text.strip(), value)
    except FormatError as error:
        return State.UNKNOWN, error.message


def _memory(key: str, value: str, text: str, ram: Bytes) -> tuple[State, str]:
    match = re.fullmatch(r"([0-9]+)%", value)
    found = parse_limit(text, source=FILES[key])
    shown = "no limit" if found is None else format_size(found)
    if match is None:
        return State.UNKNOWN, shown
    wanted = part(ram, int(match[1]))
    if found is not None and abs(found - wanted) <= _ROUNDING:
        return State.YES, shown
    below = found is not None and found < wanted
    stricter = below if key == "MemoryMax" else not below
    return (State.STRICTER if stricter else State.NO), shown


def _same(found: str, wanted: str) -> tuple[State, str]:
    return (State.YES if found == wanted else State.NO), found
