"""What the guard can do to a load. A closed set; `guard/machine.py` asks, `guard/loop.py` does."""

from __future__ import annotations

from enum import Enum

LET_GO = "it is to end, and ends sooner under its own limits"
"""Cause of the LOOSEN that goes with a TERM or KILL: nothing has become better."""

PAUSED, WENT_ON = "stopped from its terminal", "continued from its terminal"
"""Causes of a FREEZE and a THAW that the person at the terminal wished for."""


class Action(Enum):
    """One deed. Everything that tightens never waits for the disk."""

    FREEZE = "freeze"
    THAW = "thaw"
    TIGHTEN = "tighten"
    """Give it less of what is short: CPU time, the disk, memory that may go to swap."""
    LOOSEN = "loosen"
    """Take one step of that back; of a load that is to end, all of it."""
    TERM = "term"
    """Ask the load's leaders to end (SIGTERM, thawed first: a frozen process cannot hear it)."""
    KILL = "kill"
    """Kill everything in the containment."""
    FINISH = "finish"
    """The load is over and nothing is left: read the last counters, remove, report."""
