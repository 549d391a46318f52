"""`steadyrun watch`: a live view of a running ramp from another terminal; Ctrl-C only leaves."""

from __future__ import annotations

import argparse

from steadyrun.cli.follow import Show, progress_mode
from steadyrun.cli.parser import Parser, run_id
from steadyrun.cli.records import journal_here, running
from steadyrun.cli.settings import settings_here
from steadyrun.errors import UsageError
from steadyrun.model.record import RunKind
from steadyrun.ramp.feed import listen


def configure(parser: Parser) -> None:
    """Say which options there are."""
    parser.add_argument(
        "run",
        nargs="?",
        type=run_id,
        metavar="RUN",
        help="its id, or the start of it; default: the one that runs",
    )
    parser.add_argument("--progress", choices=["auto", "bar", "text"], help="live view or lines")


def execute(args: argparse.Namespace) -> int:
    """Show the ramp until it ends."""
    args.quiet = False
    with journal_here() as journal:
        ramps = [run.run_id for run in running(journal) if run.kind is RunKind.RAMP]
    found = [run for run in ramps if args.run is None or run.startswith(args.run)]
    if not found:
        raise UsageError(
            "expected a running ramp to watch, found none",
            hint=f"`steadyrun report {args.run or ''}".rstrip() + "` shows one that is over; "
            "`steadyrun history` lists the runs",
        )
    show = Show(progress_mode(args, settings_here()), "Ctrl-C leaves; `steadyrun stop` ends the ramp")
    try:
        for message in listen(found[0], timeout_s=1.0):
            if message is not None:
                show.hear(message)
    except ConnectionError:
        raise UsageError(f"ramp {found[0]}: expected a live feed, found none: it is just ending") from None
    finally:
        show.close()
    return 0
