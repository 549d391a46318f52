"""`python -m bench`: measure, print one table, keep the raw figures."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from bench import day, guard_cost, lateness, overshoot, reaction, startup, survivors, throughput
from bench.tools import Row, programs
from steadyrun import __version__

BENCHMARKS = {
    "startup": startup.measure,
    "guard_cost": guard_cost.measure,
    "overshoot": overshoot.measure,
    "survivors": survivors.measure,
    "throughput": throughput.measure,
    "reaction": reaction.measure,
    "lateness": lateness.measure,
    "day": day.measure,
}
RESULTS = Path(__file__).with_name("results")


def main() -> int:
    """Run the benchmarks. With --strict, 1 when a budget was missed or could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runexec", metavar="PATH", help="BenchExec's runexec, to compare with")
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="this one alone")
    parser.add_argument("--strict", action="store_true", help="fail when a budget was missed or not measured")
    args = parser.parse_args()
    rows: list[Row] = []
    raw: dict[str, Any] = {"machine": _machine()}
    with programs(args.runexec) as tools:
        for name in args.only or BENCHMARKS:
            print(f"{name} ...", file=sys.stderr, flush=True)
            result = BENCHMARKS[name](tools)
            rows += result.rows
            raw[name] = result.raw
    raw["rows"] = [row._asdict() for row in rows]
    print(table(rows))
    print(f"\nraw figures: {_keep(raw)}")
    return 1 if args.strict and any(row.is_missed() for row in rows) else 0


def table(rows: list[Row]) -> str:
    """Return the rows as aligned text."""
    words = {True: "held", False: "MISSED", None: ""}
    cells = [("figure", "measured", "budget", "")] + [
        (r.what, r.value, r.budget, words[r.held]) for r in rows
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(4)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths if w), *lines[1:]])


def _machine() -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "steadyrun": __version__,
        "load": os.getloadavg(),
    }


def _keep(raw: dict[str, Any]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    path.write_text(json.dumps(raw, indent=2) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
