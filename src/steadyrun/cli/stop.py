"""`steadyrun stop`: ends a run from any terminal: thaw, TERM, a grace, kill, clean up.

Whoever is asked is asked also where the journal does not answer (`stop_stalled.py`).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time

from steadyrun.cli.parser import Parser, run_id
from steadyrun.cli.records import is_seen, journal_here, running
from steadyrun.cli.stop_stalled import Owner, journal_answers, owners_here, stop_stalled
from steadyrun.errors import EXIT_HOST_FAILED, UsageError
from steadyrun.journal.rows import RunRow
from steadyrun.kernel.processes import pid_alive
from steadyrun.model.record import RunKind
from steadyrun.recovery.clean_up import recover
from steadyrun.run.front import STOP_SIGNAL
from steadyrun.units import Seconds

PATIENCE = Seconds(20.0)
"""A load has 5 s between TERM and KILL; a ramp then still looks at the machine once."""
LOOK_EVERY_S = 0.05


def configure(parser: Parser) -> None:
    """Say which options there are."""
    parser.add_argument(
        "run", nargs="?", type=run_id, metavar="RUN", help="its id, or the start of it; default: the only one"
    )
    parser.add_argument("--all", action="store_true", help="every run of yours")
    parser.add_argument("--now", action="store_true", help="kill at once, without a grace")


def execute(args: argparse.Namespace) -> int:
    """Stop the run and wait until nothing of it is left."""
    if args.all and args.run is not None:
        raise UsageError(f"expected a run or --all, found both: {args.run} --all", hint="leave one out")
    if not journal_answers():
        owners = owners_here()
        if owners:

            def ask(owner: Owner) -> None:
                _ask(owner.process.pid, owner.process.started, owner.kind, now=args.now)

            still = stop_stalled(owners, args.run, every=args.all, ask=ask, patience=PATIENCE)
            return EXIT_HOST_FAILED if still else 0
    with journal_here() as journal:
        runs = running(journal)
        chosen = runs if args.all else _choose(runs, args.run)
        hidden = [run for run in chosen if not is_seen(run)]
        seen = [run for run in chosen if run not in hidden]
        for run in seen:
            _ask(run.pid, run.pid_started, run.kind, now=args.now)
        left = [run for run in seen if not _wait_for_end(run)]
        recovered = recover(journal)
    for line in recovered.done:
        sys.stdout.write(f"{line}\n")
    for line in recovered.failed:
        sys.stderr.write(f"steadyrun: {line}; `steadyrun recover` tries again\n")
    for run in seen:
        sys.stdout.write(f"{run.run_id}: {'still there' if run in left else 'ended'}\n")
    if args.all and not chosen:
        sys.stdout.write("nothing of yours runs\n")
    for run in hidden:
        sys.stdout.write(f"{run.run_id}: its process is not seen from here (a container?); stop it there\n")
    return EXIT_HOST_FAILED if left or hidden or recovered.failed else 0


def _choose(runs: tuple[RunRow, ...], asked: str | None) -> tuple[RunRow, ...]:
    found = tuple(run for run in runs if asked is None or run.run_id.startswith(asked))
    if not found:
        what = f"a run {asked}" if asked else "one"
        raise UsageError(
            f"expected {what} to stop, found none that runs", hint="`steadyrun history` lists the runs"
        )
    if len(found) > 1:
        names = ", ".join(run.run_id for run in found)
        raise UsageError(f"expected one run to stop, found {len(found)}: {names}", hint="name one, or --all")
    return found


def _ask(pid: int, started: int, kind: RunKind | None, *, now: bool) -> None:
    """Send the request to the very process that owns the run: a pid alone may be another's by now."""
    number = STOP_SIGNAL if kind is RunKind.RUN else signal.SIGTERM
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if pid_alive(pid, started):
            for _ in range(2 if now else 1):
                signal.pidfd_send_signal(fd, number)
                time.sleep(LOOK_EVERY_S)  # two equal signals at once would arrive as one
            signal.pidfd_send_signal(fd, signal.SIGCONT)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def _wait_for_end(run: RunRow) -> bool:
    until = time.monotonic() + PATIENCE
    while is_seen(run):
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_EVERY_S)
    return True
