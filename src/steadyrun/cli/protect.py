"""`steadyrun protect`: the machine itself made robust: a bare command meets a wall before the desktop does.

Without an option it shows what it would change and why. Calls no sudo, installs nothing, restarts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from steadyrun.cli.enter import wait_for_enter
from steadyrun.cli.options import add_options
from steadyrun.cli.parser import Parser
from steadyrun.cli.protect_json import plan_object, status_object, undone_object
from steadyrun.cli.protect_words import (
    applied_lines,
    joined,
    mended_lines,
    plan_lines,
    status_closing,
    status_lines,
    to_undo_lines,
    undone_lines,
)
from steadyrun.cli.settings import settings_here
from steadyrun.cli.terminal import text_width
from steadyrun.errors import EXIT_JOB_FAILED, EXIT_OK, CannotContainError
from steadyrun.journal.place import choose_dir
from steadyrun.model.finding import Finding
from steadyrun.protect.change import Plan
from steadyrun.protect.disk import Disk
from steadyrun.protect.facts import Facts
from steadyrun.protect.plan import plan
from steadyrun.protect.protection import Protection
from steadyrun.protect.read import read_facts
from steadyrun.protect.record import NOTHING
from steadyrun.protect.room import TOO_FULL
from steadyrun.protect.shares import Profile

WIDTH = 100
EPILOG = """\
As root for the machine; as a user for your own part of it. Every file carries our name, every change is
written down before it is made, and --undo puts back every byte and value that was there before, also after
a crash in the middle.

exit status: 0 done, or all in force; 1 not all of it is in force, or something had to be left; 3 it cannot
be done here, the message says what to do instead; 74 it cannot be written down; 75 another one is at it

examples:
  steadyrun protect                 what would be changed, and why
  sudo steadyrun protect            the same for the whole machine
  sudo steadyrun protect --apply
  steadyrun protect --status        what is in force, read from the kernel
  sudo steadyrun protect --undo
"""


def configure(parser: Parser) -> None:
    """Say which options there are."""
    parser.usage = (
        "steadyrun protect [--apply | --undo | --status] [--profile NAME] [--json] [--dry-run] [--yes]"
        " [--force]"
    )
    parser.epilog = EPILOG
    deed = parser.add_mutually_exclusive_group()
    deed.add_argument("--apply", action="store_true", help="make the changes")
    deed.add_argument("--undo", action="store_true", help="take them back")
    deed.add_argument("--status", action="store_true", help="what is in force now")
    names = [each.value for each in Profile]
    parser.add_argument("--profile", choices=names, help="what the machine is for (default: as it looks)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, then stop")
    parser.add_argument(
        "--force",
        action="store_true",
        help="put up walls also where what runs does not fit behind them: the kernel kills there",
    )
    add_options(parser, "yes")


def execute(args: argparse.Namespace, root: str = "/") -> int:
    """Do what was asked for, and return the exit code; on another root than the machine's for tests alone."""
    here = Here(root)
    if args.undo:
        return _undo(args, here)
    if args.status:
        return _status(args, here)
    if args.apply and not args.dry_run:
        return _apply(args, here)
    found = here.plan(args.profile)
    if found.obstacle:
        return _cannot(found, args)
    return _show(found, args, here)


class Here:
    """The machine and what was done to it so far."""

    def __init__(self, root: str) -> None:
        self._root = root

    def facts(self) -> Facts:
        """Read what the machine is like."""
        return read_facts(root=self._root, env=os.environ, euid=os.geteuid(), program=(sys.executable, "-P"))

    def plan(self, profile: str | None) -> Plan:
        """Plan for the profile asked for, else for the one that is applied, else as the machine looks."""
        if profile is None:
            record = self.protection().record()
            begun = record.last() if record.standing() else None
            profile = None if begun is None else begun.profile
        return plan(self.facts(), None if profile is None else Profile(profile))

    def protection(self) -> Protection:
        """Open what was done so far; no directory is made for merely looking at it.

        Raises:
            JournalUnwritableError: There is no place for it.
        """
        return Protection(choose_dir(os.environ, os.geteuid()), Disk(self._root), root=self._root)


def _show(found: Plan, args: argparse.Namespace, here: Here) -> int:
    protection = here.protection()
    pending, record = protection.pending(found), protection.record()
    if args.json:
        return _print(plan_object(found, pending, record), EXIT_OK)
    sys.stdout.write(joined(plan_lines(found, pending, record, text_width(WIDTH))))
    return EXIT_OK


def _cannot(found: Plan, args: argparse.Namespace) -> int:
    """Say why not and what else there is.

    Raises:
        CannotContainError: Always, but for a program that asked.
    """
    if args.json:
        return _print(plan_object(found, (), NOTHING), CannotContainError.exit_code)
    raise CannotContainError(f"protect: {found.obstacle}", hint=found.remedy)


def _apply(args: argparse.Namespace, here: Here) -> int:
    found = here.plan(args.profile)
    if found.obstacle:
        return _cannot(found, args)
    protection = here.protection()
    left = protection.mend()
    if left is not None:
        found = here.plan(args.profile)
    if args.json and _too_full(found, args):
        pending = protection.pending(found)
        return _print(plan_object(found, pending, protection.record()), CannotContainError.exit_code)
    _expect_room(found, args)
    if not args.json:
        sys.stdout.write(joined(mended_lines(left, text_width(WIDTH))) if left is not None else "")
        _show(found, args, here)
        sys.stdout.flush()
        wait_for_enter(
            "Enter applies it, Ctrl-C leaves everything as it is. ",
            yes=args.yes or bool(settings_here().flag("yes")),
        )
        _expect_room(here.plan(args.profile), args)  # some time has passed until Enter
    applied = protection.apply(found)
    record = protection.record()
    code = EXIT_OK if applied.status.holds() and not applied.trouble else EXIT_JOB_FAILED
    if args.json:
        told = status_object(applied.status, record)
        changed = [change.path for change in applied.changes]
        return _print({**told, "changed": changed, "trouble": list(applied.trouble)}, code)
    sys.stdout.write("\n" + joined(applied_lines(applied, text_width(WIDTH))))
    sys.stdout.write(status_closing(applied.status, record, found.facts) + "\n")
    return code


def _too_full(found: Plan, args: argparse.Namespace) -> list[Finding]:
    return [each for each in found.findings if each.code == TOO_FULL and not args.force]


def _expect_room(found: Plan, args: argparse.Namespace) -> None:
    """Refuse walls that what runs now does not fit behind.

    Raises:
        CannotContainError: There is one, and it is not forced.
    """
    full = _too_full(found, args)
    if full:
        raise CannotContainError(
            f"protect: {'; '.join(each.title for each in full)}. {full[0].evidence}; nothing was changed",
            hint=full[0].remedy,
        )


def _undo(args: argparse.Namespace, here: Here) -> int:
    protection = here.protection()
    if args.dry_run:
        sys.stdout.write(joined(to_undo_lines(protection.record())))
        return EXIT_OK
    undone = protection.undo()
    code = EXIT_JOB_FAILED if undone.left or undone.trouble else EXIT_OK
    if args.json:
        return _print(undone_object(undone), code)
    sys.stdout.write(joined(undone_lines(undone, text_width(WIDTH))))
    return code


def _status(args: argparse.Namespace, here: Here) -> int:
    protection, facts = here.protection(), here.facts()
    record = protection.record()
    if not record.standing():
        found = plan(facts)
        if found.obstacle:
            return _cannot(found, args)
    status = protection.status(facts)
    whole = bool(record.standing()) and not record.undoing() and not record.unfinished()
    code = EXIT_OK if whole and status.holds() else EXIT_JOB_FAILED
    if args.json:
        return _print(status_object(status, record), code)
    sys.stdout.write(joined(status_lines(status, text_width(WIDTH))))
    sys.stdout.write(status_closing(status, record, facts) + "\n")
    return code


def _print(told: dict[str, Any], code: int) -> int:
    sys.stdout.write(json.dumps({**told, "exit_code": code}, indent=2) + "\n")
    return code
