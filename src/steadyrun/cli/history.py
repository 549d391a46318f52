"""`steadyrun history`: the runs so far, newest first."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time

from steadyrun.cli.parser import Parser
from steadyrun.cli.records import journal_here, running
from steadyrun.journal.rows import RunRow
from steadyrun.report.escape import as_utf8, one_line
from steadyrun.units import format_duration, parse_count

COMMAND_MOST = 60
"""Characters of a command in the list; --json has all of it."""


def configure(parser: Parser) -> None:
    """Say which options there are."""
    parser.add_argument("-n", "--last", metavar="N", default="20", help="how many (default 20)")
    parser.add_argument("--json", action="store_true", help="as JSON")


def execute(args: argparse.Namespace) -> int:
    """List the runs."""
    count = parse_count(args.last, source="--last")
    with journal_here() as journal:
        rows = journal.runs(count)
        alive = {run.run_id for run in running(journal)}
    if args.json:
        sys.stdout.write(json.dumps([_object(row, row.run_id in alive) for row in rows], indent=2) + "\n")
        return 0
    if not rows:
        sys.stdout.write("no runs yet; begin with `steadyrun ramp`\n")
    for row in rows:
        sys.stdout.write(_line(row, row.run_id in alive) + "\n")
    return 0


def _object(row: RunRow, alive: bool) -> dict[str, object]:
    return {
        "run_id": row.run_id,
        "kind": row.kind.value if row.kind else None,
        "started_unix_s": row.started_wall,
        "ended_unix_s": row.ended_wall,
        "exit_code": row.exit_code,
        "running": alive,
        "status": row.status,
        "command": [as_utf8(word) for word in row.argv],
    }


def _line(row: RunRow, alive: bool) -> str:
    began = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(row.started_wall))
    kind = row.kind.value if row.kind else "?"
    if alive:
        how = f"runs (process {row.pid})"
    elif row.ended_wall is None:
        how = "has no end in the journal; `steadyrun recover` looks into it"
    else:
        took = row.ended_wall - row.started_wall
        how = f"exit {row.exit_code}, {format_duration(took) if took >= 0 else 'the clock was set back'}"
    told = "  ".join(part for part in (row.status, _command(row.argv)) if part)
    return f"{row.run_id}  {began}  {kind:<6}  {how:<28}  {told}".rstrip()


def _command(argv: tuple[str, ...]) -> str:
    """Return a command on one line, cut where it is long: what a terminal or a pipe cannot break on."""
    line = one_line(shlex.join(argv))
    return line if len(line) <= COMMAND_MOST else line[: COMMAND_MOST - 3] + "..."
