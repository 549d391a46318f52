"""`steadyrun ramp`: the main job. Here: what is asked, what is said, the plan shown before anything runs.

The ramp itself is the conductor's, a process outside this session (`ramp/process.py`); this client
starts it, shows what it publishes, and passes Ctrl-C on.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from steadyrun.cli.busy import busy
from steadyrun.cli.enter import wait_for_enter
from steadyrun.cli.follow import Follower, Interrupts, progress_mode
from steadyrun.cli.guard_settings import changes
from steadyrun.cli.identity import environment_of, expect_working_directory, owner_of, run_as
from steadyrun.cli.options import LIMITS, add_options
from steadyrun.cli.parser import Parser, run_id
from steadyrun.cli.ramp_lasting import (
    boot_unit_for,
    boot_words,
    report_base,
    session_words,
    wait_until_settled,
)
from steadyrun.cli.ramp_plan import describe, goes_on_words, has_all_passed, plan_for
from steadyrun.cli.records import find_run, journal_here, rewrite_reports
from steadyrun.cli.settings import Settings, settings_here
from steadyrun.contain.decide import decide, reasons
from steadyrun.errors import EXIT_OK, CannotContainError, DecisionNeededError, UsageError
from steadyrun.journal.identity import new_run_id
from steadyrun.journal.owners import Owners
from steadyrun.journal.place import state_dir
from steadyrun.journal.rows import IntentKind
from steadyrun.journal.write import Journal, open_journal
from steadyrun.kernel.reader import boot_id
from steadyrun.model.change import BootUnit
from steadyrun.model.containment import Choice
from steadyrun.model.fate import went_down_between
from steadyrun.model.machine import MachineFacts
from steadyrun.model.plan import Plan, RunAs
from steadyrun.model.record import RunKind, RunRecord
from steadyrun.ramp.feed import MachineLock
from steadyrun.ramp.headway import FRUITLESS_MOST, fruitless_boots, took_machine_down
from steadyrun.ramp.launch import launch
from steadyrun.ramp.order import RampOrder
from steadyrun.ramp.outlive import TAKEN_OVER, hold_lasting
from steadyrun.recovery.clean_up import recover
from steadyrun.report.files import expect_room, prepare_folder

EPILOG = """\
Nothing is installed, nothing lasting is changed, no sudo is called. The ramp goes on when this
terminal is closed, and on systemd when the session ends (for which it switches lingering on for you
while it runs); Ctrl-C asks it to stop, twice insists; `steadyrun stop` does so from elsewhere.

exit code: 0 all well; 1 the job did not do its work, or that is unknown, and the host held; 2 usage
or plan wrong; 3 cannot contain here; 4 baseline unhealthy, not started; 5 the host did not hold, or
that is unknown; 6 an earlier ramp took the machine down and wants a decision; 74 the journal or the
report cannot be written; 75 another ramp runs; 128+n ended by signal n.

examples:
  steadyrun ramp --dry-run                    what would be done here
  steadyrun ramp -- pytest -n auto            to the command that used to crash the machine
  steadyrun ramp --ok-exit 1 -- pytest -n 4   a failed test (exit code 1) is no failed ramp
  steadyrun ramp --print-plan > my.toml       a plan to edit; then: steadyrun ramp my.toml
"""

LIMITS_ARE_IN_THE_PLAN = (
    "the limits of a ramp are in its plan: steadyrun ramp --print-plan > plan.toml, then "
    "steadyrun ramp plan.toml; one command under one limit: steadyrun run"
)
NEWEST = object()
"""What `--resume` without an id means."""
AFTER_BOOT = "--after-boot"
"""Said by the unit of `--resume-on-boot`, and by nobody else."""


def configure(parser: Parser) -> None:
    """Say which options there are."""
    parser.takes_command = True
    parser.usage = "steadyrun ramp [PLAN] [options] [-- COMMAND [ARG ...]]"
    parser.epilog = EPILOG
    parser.elsewhere = {option.flag: LIMITS_ARE_IN_THE_PLAN for option in LIMITS}
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="a plan as --print-plan writes it (TOML)")
    add_options(parser, "yes")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, then stop")
    parser.add_argument("--print-plan", action="store_true", help="write the plan as TOML, then stop")
    parser.add_argument(
        "--resume",
        nargs="?",
        type=run_id,
        const=NEWEST,
        metavar="RUN",
        help="go on from the last phase that passed",
    )
    parser.add_argument(
        "--anew", action="store_true", help="begin anew although the last ramp took the machine down"
    )
    parser.add_argument(
        "--resume-on-boot",
        action="store_true",
        help="write a unit that goes on with this ramp after a crash (shown before, removed at the end)",
    )
    parser.add_argument(AFTER_BOOT, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--force", action="store_true", help="begin although the baseline is not healthy")
    add_options(parser, "tries")
    parser.add_argument(
        "--ok-exit",
        metavar="CODES",
        help="exit codes of the command that are a success beside 0: 1,5",
    )
    add_options(parser, "problem", "goal", "report", "progress")
    parser.add_argument(
        "--accept-weak", action="store_true", help="go on where limits are only polled; no storm"
    )
    parser.add_argument("--user", metavar="NAME", help="as root: run the loads as this user")
    parser.add_argument("-q", "--quiet", action="store_true", help="say only how it ended")


def execute(args: argparse.Namespace) -> int:
    """Carry out a ramp and return its exit code."""
    if args.has_dashes and not args.argv:
        raise UsageError(
            "expected a command after --, found none", hint="without -- the last phase is a built-in storm"
        )
    if args.anew and args.resume is not None:
        raise UsageError("expected --resume or --anew, found both", hint="--anew begins from the start")
    if args.after_boot and _had_ended():
        return EXIT_OK
    expect_working_directory()  # before anything is shown
    settings = settings_here()
    machine = _machine()
    user = run_as(args.user)
    earlier, owners = (None, None) if args.resume is None else _earlier(args)
    if earlier is not None:
        _expect_resumable(earlier, args)
    plan = plan_for(args, settings, machine, user, earlier=None if earlier is None else earlier.header.plan)
    if args.print_plan:
        from steadyrun.ramp.planprint import print_plan

        sys.stdout.write(print_plan(plan))
        return 0
    if earlier is not None and _is_done(args, plan, machine, earlier):
        run_id = earlier.header.run_id
        _warn(f"ramp {run_id} came to its end and every phase passed: there is nothing to go on with")
        _warn(f"`steadyrun report {run_id}` shows it; without --resume a ramp begins anew")
        return EXIT_OK
    _, choice = decide(accept_weak=args.accept_weak, say=_warn)
    _refuse_weak(choice, args.accept_weak)
    unit = boot_unit_for(args, settings, user)
    expect_room(report_base(args, settings), owner=owner_of(user))
    lock = None if args.dry_run else _lock()
    if not args.quiet:
        carried = () if earlier is None else earlier.attempts
        lasts = (*goes_on_words(plan, machine, earlier), *session_words(), *boot_words(unit))
        sys.stdout.write(describe(plan, machine, choice, user, lasts=lasts, carried=carried))
        sys.stdout.flush()
    if lock is None:
        return 0
    return _ramp(args, settings, _Decided(machine, user, plan, choice, earlier, unit), lock, owners)


def _is_done(args: argparse.Namespace, plan: Plan, machine: MachineFacts, earlier: RunRecord) -> bool:
    """Tell whether there is nothing to go on with. What a crashed ramp left its conductor takes over."""
    return earlier.end is not None and not args.resume_on_boot and has_all_passed(plan, machine, earlier)


class _Decided(NamedTuple):
    """What a ramp is to be, before anything of it is begun."""

    machine: MachineFacts
    user: RunAs | None
    plan: Plan
    choice: Choice
    earlier: RunRecord | None
    """The ramp it goes on from."""
    unit: BootUnit | None
    """What goes on with it after a crash."""


def _ramp(
    args: argparse.Namespace, settings: Settings, decided: _Decided, lock: MachineLock, owners: Owners | None
) -> int:
    state = state_dir(os.environ, os.geteuid())
    with open_journal(state, boot_id=boot_id()) as journal:
        _recover(journal, keep=_taken_over(args), owners=owners)
        if decided.earlier is None and not args.anew:
            _want_decision(journal)
    wait_for_enter(
        "Save your work. Enter begins, Ctrl-C leaves: ", yes=args.yes or bool(settings.flag("yes"))
    )
    if decided.unit is not None and decided.earlier is not None:
        wait_until_settled()
    with Interrupts() as interrupts:
        order = _order(decided, folder=_folder(args, settings, decided.user), state=state, force=args.force)
        held = -1 if owners is None else owners.fd
        launched = launch(order._replace(lock_fd=lock.fd, owners_fd=held, guard=changes(settings)))
        lock.close()
        if owners is not None:
            owners.close()  # now the conductor's alone
        return Follower(launched, progress_mode(args, settings), interrupts).follow()


def _machine() -> MachineFacts:
    from steadyrun.desktop.facts import machine_facts

    machine = machine_facts()
    if machine.effective_ram is None:
        raise CannotContainError(
            "/proc/meminfo: expected MemTotal, found none; without it no reserve can be kept"
        )
    return machine


def _refuse_weak(choice: Choice, accepted: bool) -> None:
    if not choice.backend.is_weak:
        return
    if not accepted:
        raise CannotContainError(
            f"no containment that the kernel holds is to be had here ({reasons(choice)})",
            hint="`steadyrun doctor` names what mends it; --accept-weak goes on with polled limits",
        )


def _lock() -> MachineLock:
    try:
        return MachineLock()
    except OSError:
        raise busy(MachineLock.holder(), state=state_dir(os.environ, os.geteuid())) from None


def _recover(
    journal: Journal, *, keep: frozenset[IntentKind] = frozenset(), owners: Owners | None = None
) -> None:
    recovered = recover(journal, keep=keep, owners=owners)
    rewrite_reports(journal, recovered.marked)
    for line in (*recovered.told, *recovered.done, *recovered.failed):
        _warn(line)


def _warn(line: str) -> None:
    sys.stderr.write(f"steadyrun: {line}\n")
    sys.stderr.flush()


def _earlier(args: argparse.Namespace) -> tuple[RunRecord, Owners | None]:
    """Return the ramp to go on from, recovered first so that it is known how it ended, and who holds it.

    Raises:
        DecisionNeededError: It went on by itself after boots, and gets nowhere.
    """
    with journal_here() as journal:
        owners = hold_lasting(journal) if args.resume_on_boot else None
        _recover(journal, keep=_taken_over(args), owners=owners)
        record = journal.record(
            find_run(journal, None if args.resume is NEWEST else args.resume, kind=RunKind.RAMP)
        )
        if owners is not None and fruitless_boots(_and_before(journal, record)) >= FRUITLESS_MOST:
            owners.close()
            _recover(journal)  # also what a ramp that goes on would have taken over: the unit, lingering
            raise DecisionNeededError(
                f"the machine went down {FRUITLESS_MOST} boots in a row before the ramp got any further; "
                "expected a person to decide how to go on",
                hint=f"`steadyrun report {record.header.run_id}` shows the last; `steadyrun ramp --resume` "
                "tries once more, `steadyrun ramp --anew` begins from the start",
            )
        return record, owners


def _expect_resumable(record: RunRecord, args: argparse.Namespace) -> None:
    """Refuse to go on with what is no ramp, or with its command in another directory than it ran in.

    Raises:
        UsageError: It is so.
    """
    header = record.header
    if header.kind is not RunKind.RAMP:
        raise UsageError(
            f"{header.run_id}: expected a ramp to go on with, found a {header.kind.value}",
            hint="`steadyrun history` says which runs are ramps",
        )
    here = expect_working_directory()
    if not args.plan and not args.argv and header.argv and header.cwd != here:
        again = f"cd {shlex.quote(header.cwd)} && steadyrun ramp --resume {header.run_id}"
        raise UsageError(
            f"ramp {header.run_id} ran its command in {header.cwd}, this is {here}",
            hint=f"{again}; to run one here: steadyrun ramp --resume {header.run_id} -- COMMAND",
        )


def _had_ended() -> bool:
    """Tell whether the newest ramp came to an end of its own before the boot; then clean up what it left.

    The machine may go down between a ramp's end and the removal of its unit: a person who stopped a ramp and
    switched the machine off does not find it running again.
    """
    with journal_here() as journal:
        latest = journal.latest(RunKind.RAMP)
        if latest is None or journal.record(latest).end is None:
            return False
        _recover(journal)
        _warn(f"ramp {latest} had come to its end before the boot: there is nothing to go on with")
        return True


def _and_before(journal: Journal, record: RunRecord) -> Iterator[RunRecord]:
    """Yield a ramp and those it went on from, newest first, as far as they are known."""
    yield record
    while record.header.resumed_from is not None:
        try:
            record = journal.record(record.header.resumed_from)
        except UsageError:
            return
        yield record


def _taken_over(args: argparse.Namespace) -> frozenset[IntentKind]:
    """Return what recovery leaves to the conductor: all that its own unit lives by, after a boot."""
    return TAKEN_OVER if args.resume is not None and args.resume_on_boot else frozenset()


def _want_decision(journal: Journal) -> None:
    """Refuse to do again what took the machine down, in whatever the ramp was doing.

    Raises:
        DecisionNeededError: The newest ramp did.
    """
    latest = journal.latest(RunKind.RAMP)
    record = None if latest is None else journal.record(latest)
    if record is not None and took_machine_down(record):
        between = f"while no phase of the last ramp ({latest}) was running"
        raise DecisionNeededError(
            f"the machine went down, or was booted, {between}"
            if went_down_between(record)
            else f"the last ramp ({latest}) took the machine down; a new one would do the same",
            hint="`steadyrun ramp --resume` goes on, below what crashed; "
            f"`steadyrun report {latest}` shows it; `steadyrun ramp --anew` begins from the start",
        )


def _folder(args: argparse.Namespace, settings: Settings, user: RunAs | None) -> tuple[str, str]:
    """Make the folder of a new run; return its id and the folder."""
    run_id = new_run_id()
    stamp = time.strftime("%Y-%m-%d-%H%M%S") + f"-{run_id}"
    return run_id, prepare_folder(report_base(args, settings), stamp, owner=owner_of(user))


def _order(decided: _Decided, *, folder: tuple[str, str], state: str, force: bool) -> RampOrder:
    run_id, report_dir = folder
    plan, user, earlier = decided.plan, decided.user, decided.earlier
    return RampOrder(
        run_id=run_id,
        plan=plan,
        argv=plan.phases[-1].load.argv,
        cwd=expect_working_directory(),
        env=environment_of(user),
        user=user.name if user else os.environ.get("USER", str(os.geteuid())),
        report_dir=report_dir,
        state_dir=state,
        backend=decided.choice.backend,
        weak=decided.choice.backend.is_weak,
        force=force,
        run_as=user,
        machine=decided.machine,
        resumed_from=None if earlier is None else earlier.header.run_id,
        frames_fd=-1,
        canary_pid=-1,
        canary_pipe=-1,
        lock_fd=-1,
        boot_unit=decided.unit,
    )
