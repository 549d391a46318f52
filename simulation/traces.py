"""Finds a story for each row of the guard's law among seeded machines: files that tests/replay plays again.

`python -m simulation.traces FOLDER` plays the simulation under our law and writes, for each row, the
shortest beginning of a story in which the row holds and what follows from it is done. A row that no story
holds is named.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from simulation.again import Turn, played
from simulation.guards import Ours
from simulation.lines import lines_of
from simulation.play import play
from simulation.scenario import (
    HORIZON,
    STORES,
    Late,
    Load,
    Machine,
    Other,
    Scenario,
    Watching,
    draw,
)
from simulation.scenario import (
    Kind as Sort,
)
from simulation.world import World
from steadyrun.guard.law import Kind, Level
from steadyrun.model.action import Action
from steadyrun.model.event import Acted, Event, Sampled

SEEDS = (*range(30, 50), 116, 172, 285, 315, 367, 1060)
"""The last were hard for the law at some time."""
SEES = Watching(True, True, 0.0, (0.0, 0.0), 0.0)
HOST_AND_FRAMES, HOST_ALONE = SEES._replace(protected=False), SEES._replace(protected=False, canary=False)
DISK, SSD = STORES[0], STORES[1]
MACHINE = Machine(8192.0, 4, 2000.0, SSD, 0.0, 0.0, 230.0, 500.0, 3000.0, 800.0, 200.0, False)
"""Most of its memory is file pages that are touched all the time: available, and missed at once."""
FULL = MACHINE._replace(hot_file=500.0, swap=4096.0, swap_rate=5.0)
"""Its swap takes next to nothing at a time: what is scanned is scanned in vain."""
BALLOON = Load(Sort.BALLOON, 20_000.0, 2000.0, 1.0, 0.0, 0.0, 0.0, 60.0, False, None)
STEADY = BALLOON._replace(kind=Sort.STEADY, target=600.0)
TINY = BALLOON._replace(kind=Sort.TINY, target=30.0)
STORM = BALLOON._replace(kind=Sort.STORM, target=100.0, io=2.0)
STILL = Other(((0.0, 200.0), (HORIZON, 200.0)), 0)
GROWS = Other(((0.0, 200.0), (3.0, 200.0), (8.0, 5000.0), (HORIZON, 5000.0)), 0)
SCENES = (
    Scenario(0, MACHINE, BALLOON, STILL, HOST_AND_FRAMES),
    Scenario(0, MACHINE, BALLOON, STILL, HOST_ALONE),
    Scenario(0, MACHINE._replace(hot_file=1200.0), BALLOON, STILL, HOST_ALONE),
    Scenario(0, MACHINE, STEADY, GROWS, SEES),
    Scenario(0, MACHINE, STEADY, GROWS, HOST_AND_FRAMES),
    Scenario(0, MACHINE, TINY, GROWS, SEES),
    Scenario(0, MACHINE._replace(store=DISK), STORM, STILL, SEES),
    Scenario(0, FULL, BALLOON, STILL, HOST_ALONE._replace(unknown=1.0)),
    draw(34)._replace(watching=SEES),
    Scenario(0, MACHINE, STEADY, STILL._replace(late=Late(0.5, HORIZON, 60.0, 0.1)), SEES),
)
"""For what a guard that sees everything seldom meets: what it sees first hides the rest."""
LOOKS_AFTER = 3
"""Readings that are kept after the one that a trace is for."""


class Row(NamedTuple):
    """What a reading is judged as, and what is decided on it."""

    level: Level
    kind: Kind
    words: str
    """That the cause holds: of the decision where there is one."""
    act: Action | None = None


ROWS = {
    # The table of law.py
    "black-memory": Row(Level.BLACK, Kind.MEMORY, "below half the floor", Action.KILL),
    "black-reclaim": Row(Level.BLACK, Kind.RECLAIM, "scanned for memory in vain", Action.KILL),
    "red-protected": Row(Level.RED, Kind.STALL, "^all of session waited for memory", Action.FREEZE),
    "red-host-low": Row(Level.RED, Kind.STALL, "all that ran .* with available memory", Action.FREEZE),
    "red-host-late": Row(Level.RED, Kind.STALL, "all that ran .* late .p99.", Action.FREEZE),
    "red-memory": Row(Level.RED, Kind.MEMORY, "is below the floor", Action.FREEZE),
    "red-silence": Row(Level.RED, Kind.FRAMES, "showed no frame", Action.FREEZE),
    "yellow-protected": Row(Level.YELLOW, Kind.STALL, "session waited for memory", Action.TIGHTEN),
    "yellow-frames": Row(Level.YELLOW, Kind.FRAMES, "frames were .* late", Action.TIGHTEN),
    "yellow-memory": Row(Level.YELLOW, Kind.MEMORY, "is below the reserve"),
    "eased": Row(Level.YELLOW, Kind.FRAMES, "not because of this load", Action.LOOSEN),
    "green": Row(Level.GREEN, Kind.NOTHING, "the machine was well", Action.LOOSEN),
    # What pressure.py and trial.py make of it
    "thawed": Row(Level.GREEN, Kind.NOTHING, "^available memory", Action.THAW),
    "outlasted": Row(Level.RED, Kind.STALL, "and still all", Action.KILL),
    "frozen-long": Row(Level.RED, Kind.MEMORY, "^frozen for 30 s and still", Action.KILL),
    "trial": Row(Level.RED, Kind.MEMORY, "^on trial", Action.THAW),
    "trial-broken": Row(Level.RED, Kind.MEMORY, "^tried, and", Action.FREEZE),
    "spared": Row(Level.RED, Kind.STALL, "not because of this load, which holds", Action.THAW),
}


def main(argv: list[str]) -> int:
    """Write a trace for each row; say which no story holds."""
    folder = Path(argv[0])
    found: dict[str, list[str]] = {}
    for scenario in (*map(draw, SEEDS), *SCENES):
        for name, trace in _traces(tuple(_told(scenario))):
            if name not in found or len("".join(trace)) < len("".join(found[name])):
                found[name] = trace
    for name, trace in found.items():
        (folder / f"{name}.jsonl").write_text("".join(trace))
    print("not found:", ", ".join(name for name in ROWS if name not in found) or "none")
    return 0


def holds(row: Row, turn: Turn) -> bool:
    """Tell whether a turn is a reading for which a row holds."""
    judgement = turn.judgement()
    if judgement is None or (judgement.level, judgement.kind) != (row.level, row.kind):
        return False
    if row.act is None:
        return not turn.decisions and bool(re.search(row.words, judgement.cause))
    return any(each.action is row.act and re.search(row.words, each.cause) for each in turn.decisions)


def _told(scenario: Scenario) -> list[Event]:
    events: list[Event] = []

    def guard(world: World) -> Ours:
        return Ours(scenario.seed, world, emit=events.append)

    play(scenario, guard, adj=Ours.adj)
    return events


def _traces(events: tuple[Event, ...]) -> Iterator[tuple[str, list[str]]]:
    turns = list(played(events))
    for name, row in ROWS.items():
        at = next((i for i, turn in enumerate(turns) if holds(row, turn)), None)
        if at is not None:
            after = [i for i, event in enumerate(events) if isinstance(event, Sampled) and i >= at]
            end = after[min(LOOKS_AFTER, len(after) - 1)] + 1
            while end < len(events) and isinstance(events[end], Acted):
                end += 1
            yield name, list(lines_of(events[:end]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
