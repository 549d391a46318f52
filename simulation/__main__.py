"""`make simulate`: many seeded machines and loads under our law and those of others; exit 1 for a fault.

A fault is a machine that our law lost, a load it left frozen, a harmless load it killed, or one that it held
for frames that others made late.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from multiprocessing import Pool
from typing import NamedTuple

from simulation.guards import GUARDS
from simulation.play import Faults, Played, Sort, Sorted, faults, play_law, sort
from simulation.scenario import HORIZON, Kind
from simulation.world import LOST_AFTER, Fate

OURS = "steadyrun"
SEEDS_SHOWN = 10
_HEAD = (
    "law", "lost", "session killed", "left frozen", "harmless killed", "others killed", "away p50, p99",
    "loads ended",
)  # fmt: skip
_LEGEND = f"""\
lost: of the dangerous ones, the desktop did not answer for {LOST_AFTER:.0f} s, or part of it was killed
others killed: a program that is not the load, of all but the hopeless
away: how long at a time the desktop did not answer, of the dangerous ones
loads ended: by themselves, of all"""
_FORM = "{:<13}" + "{:>17}" * 7


class Row(NamedTuple):
    """One scenario, and what came of it under each law."""

    sorted: Sorted
    played: dict[str, Played]


def one(seed: int) -> Row:
    """Play one scenario under every law."""
    each = sort(seed)
    played = {"no law": each.bare}
    for name in GUARDS:
        if name not in played:
            played[name] = play_law(name, each)
    return Row(each, played)


def main(argv: list[str]) -> int:
    """Play, and print the figures."""
    parser = argparse.ArgumentParser(prog="simulation", description="machines and loads under laws")
    parser.add_argument("--machines", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    args = parser.parse_args(argv)
    seeds = range(args.first, args.first + args.machines)
    with Pool(os.cpu_count()) as pool:
        rows = pool.map(one, seeds, chunksize=25)
    return report(rows)


def report(rows: list[Row]) -> int:
    """Print what came of all; return 1 when our law made a fault."""
    sorts = Counter(row.sorted.sort for row in rows)
    print(f"{len(rows)} machines and loads: " + ", ".join(f"{sorts[each]} {each.value}" for each in Sort))
    kinds = Counter(row.sorted.scenario.load.kind for row in rows if row.sorted.sort is Sort.DANGEROUS)
    print("dangerous loads: " + ", ".join(f"{kinds[kind]} {kind.value}" for kind in Kind if kinds[kind]))
    print(_FORM.format(*_HEAD))
    ours = Faults()
    for name in GUARDS:
        found = faults((row.sorted, row.played[name]) for row in rows)
        ours = found if name == OURS else ours
        print(_line(name, rows, found, sorts))
    print(_LEGEND)
    late = sum(row.sorted.scenario.other.late.ends > HORIZON for row in rows)
    vain = len(ours.held_in_vain)
    print(f"frames late by others to the end in {late}: {vain} harmless loads long held in vain")
    bad = {name: seeds for name, seeds in ours._asdict().items() if seeds and name != "others_killed"}
    for name, seeds in bad.items():
        print(f"FAULT {name.replace('_', ' ')}: seeds {', '.join(map(str, seeds[:SEEDS_SHOWN]))}")
    return 1 if bad else 0


def _line(name: str, rows: list[Row], found: Faults, sorts: Counter[Sort]) -> str:
    played = [row.played[name] for row in rows if row.sorted.sort is Sort.DANGEROUS]
    away = sorted(each.worst_away for each in played) or [0.0]
    p50, p99 = (away[min(len(away) - 1, len(away) * percent // 100)] for percent in (50, 99))
    ended = sum(row.played[name].fate is Fate.ENDED for row in rows)
    return _FORM.format(
        name,
        f"{len(found.lost)} ({len(found.lost) / max(1, sorts[Sort.DANGEROUS]):.1%})",
        sum("session" in each.lost for each in played),
        len(found.left_frozen),
        len(found.harmless_killed),
        len(found.others_killed),
        f"{p50:.1f} s, {p99:.1f} s",
        ended,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
