"""`steadyrun report`: the record of a run again, from the journal, in any format."""

from __future__ import annotations

import argparse
import os
import sys

from steadyrun.cli.parser import Parser, run_id
from steadyrun.cli.records import find_run, journal_here
from steadyrun.model.record import RunKind
from steadyrun.report.files import write_atomic
from steadyrun.report.formats import FORMATS


def configure(parser: Parser) -> None:
    """Say which options there are."""
    parser.add_argument(
        "run",
        nargs="?",
        type=run_id,
        metavar="RUN",
        help="its id, or the start of it; default: the last ramp",
    )
    usual, *others = (each.words for each in FORMATS.values())
    words = " or ".join((f"{usual} (default)", *others))
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--format", choices=list(FORMATS), help=words)
    one.add_argument(
        "--json", action="store_const", const="json", dest="format", help="the same as --format json"
    )
    parser.add_argument("--output", metavar="FILE", help="write it to FILE instead of standard output")


def execute(args: argparse.Namespace) -> int:
    """Render the record."""
    with journal_here() as journal:
        record = journal.record(find_run(journal, args.run, kind=RunKind.RAMP))
    text = FORMATS[args.format or next(iter(FORMATS))].render(record)
    if args.output:
        write_atomic(os.path.abspath(args.output), text, durable=True)
    else:
        sys.stdout.write(text)
    return 0
