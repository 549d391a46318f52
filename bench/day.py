"""What a journal costs that holds a day: the report of a ramp of 24 h at 10 Hz, a start of `run` beside it.

A short ramp is really run; its last reading is then written 864,000 times more by the journal's own writer,
as if its phase had gone on for a day. What it costs to *have* such a day is measured before and after.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from typing import NamedTuple

from bench.tools import MIB, Programs, Result, Row, started
from steadyrun.durable import sync
from steadyrun.journal.store import JOURNAL
from steadyrun.journal.write import open_journal
from steadyrun.kernel.reader import boot_id
from steadyrun.model.run import RunKind

READINGS = 24 * 3600 * 10
AT_ONCE = 5000
"""Rows of a transaction: far more than the spool ever writes at once, so that it is over sooner."""
ROUNDS = 5
WALL_BUDGET_S, MEMORY_BUDGET = 5.0, 200 * MIB


class Cost(NamedTuple):
    """Of one whole process."""

    wall_s: float
    rss_bytes: int


def measure(tools: Programs) -> Result:
    """Measure each command with the journal of a short ramp, make that ramp a day long, measure again."""
    words = tools.ramp_words("sleep", "3")
    code = subprocess.run(
        [tools.steadyrun, *words], env=tools.env, cwd=tools.folder, capture_output=True, check=False
    ).returncode
    if code not in (0, 1, 5):
        row = Row(
            "report of a day", f"not measured: the ramp ended with {code}", f"<= {WALL_BUDGET_S:g} s", None
        )
        return Result((row,), {"exit_code": code})
    commands = {
        "report": ["report"],
        "report --json": ["report", "--json"],
        "run -- true": ["run", "-q", "--memory", "200M", "--", "true"],
    }
    short = {name: _cost(tools, argv) for name, argv in commands.items()}
    size, took = _fill(tools.env["STEADYRUN_STATE_DIR"])
    long = {name: _cost(tools, argv) for name, argv in commands.items()}
    raw = {
        "journal_bytes": size,
        "fill_s": took,
        "short": {name: cost._asdict() for name, cost in short.items()},
        "day": {name: cost._asdict() for name, cost in long.items()},
    }
    rows = [Row("a day in the journal", f"{size / MIB:.0f} MiB, written in {took:.0f} s", "", None)]
    for name in commands:
        rows += _rows(name, short[name], long[name])
    return Result(tuple(rows), raw)


def _fill(directory: str) -> tuple[int, float]:
    """Write a day of readings; return the journal's size and the seconds it took."""
    began = time.monotonic()
    journal = open_journal(directory, boot_id=boot_id())
    try:
        run_id = journal.latest(RunKind.RAMP)
        assert run_id is not None
        serial = journal.record(run_id).attempts[-1].serial
        (last,) = journal.last_samples(run_id, serial, 1)
        for first in range(1, READINGS + 1, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, READINGS + 1))
            journal.add_samples(
                run_id, serial, [(last.seq + n, last.wall + n / 10, last.payload) for n in numbers]
            )
    finally:
        journal.close()
    path = os.path.join(directory, JOURNAL)
    sync(path)  # what the kernel still writes would be measured with the next process
    return os.path.getsize(path), time.monotonic() - began


def _cost(tools: Programs, words: list[str]) -> Cost:
    """Return the median time and the most memory of some whole processes."""
    costs = [_once(tools, words) for _ in range(ROUNDS)]
    return Cost(statistics.median(c.wall_s for c in costs), max(c.rss_bytes for c in costs))


def _once(tools: Programs, words: list[str]) -> Cost:
    began = time.monotonic()
    process = started(tools, [tools.steadyrun, *words], stderr=None)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"bench: steadyrun {' '.join(words)} ended with {process.returncode}")
    return Cost(time.monotonic() - began, usage.ru_maxrss * 1024)


def _rows(name: str, short: Cost, day: Cost) -> tuple[Row, ...]:
    ratio = f"{day.wall_s / short.wall_s:.2f} of a short one"
    if not name.startswith("report"):
        return (Row(f"a day in the journal: {name}", f"{day.wall_s * 1000:.0f} ms, {ratio}", "", None),)
    return (
        Row(
            f"a day in the journal: {name}",
            f"{day.wall_s:.2f} s, {ratio}",
            f"<= {WALL_BUDGET_S:g} s",
            day.wall_s <= WALL_BUDGET_S,
        ),
        Row(
            f"a day in the journal: {name}, memory",
            f"{day.rss_bytes / MIB:.1f} MiB",
            f"<= {MEMORY_BUDGET // MIB} MiB",
            day.rss_bytes <= MEMORY_BUDGET,
        ),
    )
