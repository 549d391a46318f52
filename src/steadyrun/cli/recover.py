"""`steadyrun recover`: undo whatever a crash left behind. Also done at each start."""

from __future__ import annotations

import argparse
import sys

from steadyrun.cli.parser import Parser
from steadyrun.cli.records import journal_here, rewrite_reports
from steadyrun.errors import EXIT_CANNOT_CONTAIN
from steadyrun.recovery.clean_up import recover


def configure(parser: Parser) -> None:
    """Say which options there are."""
    parser.epilog = "Exit code 3 when something could not be undone; it is tried again at the next start."


def execute(_args: argparse.Namespace) -> int:
    """Recover and say what was found."""
    with journal_here() as journal:
        recovered = recover(journal)
        rewrite_reports(journal, recovered.marked)
    for line in (*recovered.told, *recovered.done):
        sys.stdout.write(line + "\n")
    for line in recovered.failed:
        sys.stderr.write(f"steadyrun: {line}\n")
    if not (recovered.told or recovered.done or recovered.failed):
        sys.stdout.write("nothing to recover\n")
    return EXIT_CANNOT_CONTAIN if recovered.failed else 0
