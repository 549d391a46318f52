"""`steadyrun report`: the record of a run again, from the journal, in any format."""

from __future__ import annotations

import argparse
import os
import sys

from steadyrun.cli.parser import Parser
from steadyrun.cli.records import find_run, journal_here
from steadyrun.model.record import RunKind, RunRecord
from steadyrun.report.files import write_atomic
from steadyrun.report.json import render_json
from steadyrun.report.progress import render_progress
from steadyrun.report.single import render_single, render_single_json


def configure(parser: Parser) -> None:
    """Say which options there are."""
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="its id, or the start of it; default: the last ramp"
    )
    parser.add_argument("--format", choices=["md", "json"], default="md", help="Markdown (default) or JSON")
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="the same as --format json"
    )
    parser.add_argument("--output", metavar="FILE", help="write it to FILE instead of standard output")


def execute(args: argparse.Namespace) -> int:
    """Render the record."""
    with journal_here() as journal:
        record = journal.record(find_run(journal, args.run, kind=RunKind.RAMP))
    text = _rendered(record, as_json=args.format == "json")
    if args.output:
        write_atomic(os.path.abspath(args.output), text, durable=True)
    else:
        sys.stdout.write(text)
    return 0


def _rendered(record: RunRecord, *, as_json: bool) -> str:
    """Return a ramp's whole page, a short one for everything else."""
    if record.header.kind is RunKind.RAMP:
        return render_json(record) if as_json else render_progress(record)
    return render_single_json(record) if as_json else render_single(record)
