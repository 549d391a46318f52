"""`steadyrun doctor`: what this machine can contain and watch, proved; and what mends each lack.

Prints commands and never runs one of them; what it makes for the proofs is gone when it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from steadyrun.cli.parser import Parser
from steadyrun.cli.records import journal_here
from steadyrun.cli.settings import settings_here
from steadyrun.cli.terminal import text_width
from steadyrun.doctor.facts import DoctorFacts
from steadyrun.doctor.guard import judge_guard
from steadyrun.doctor.judge import as_typed, judge_all, mode_of, what_is_held
from steadyrun.doctor.proofs import Proved, prove_here, working_directory
from steadyrun.doctor.read import read_doctor_facts
from steadyrun.doctor.rung import Level, Rung
from steadyrun.errors import EXIT_OK, SteadyrunError, UsageError
from steadyrun.journal.place import choose_dir
from steadyrun.model.codec import encode
from steadyrun.model.containment import AS_ROOT
from steadyrun.model.record import Proof
from steadyrun.model.verdict import Answer
from steadyrun.report.escape import one_line
from steadyrun.units import format_duration

SCHEMA = 1
WIDTH = 80
SETTINGS = "settings"
OUR_OWN = (SETTINGS, "journal")
"""Rungs that say nothing of the machine; nothing starts without them all the same."""
EPILOG = """\
Looks at everything a contained load needs, and proves it with three tiny ones (64 MiB, a few
seconds). Changes nothing that lasts, calls no sudo: the `mend:` lines are for you to type.

exit status: 0 a load is held here; 3 it is not, the last line says why

examples:
  steadyrun doctor
  steadyrun doctor -q        only what is not ok
  steadyrun doctor --json
"""
_COLOUR = {"ok": "32", "degraded": "33", "missing": "31;1", "unknown": "35", "not applicable": "2"}
_MARK = {
    Level.OK: "ok",
    Level.DEGRADED: "degraded",
    Level.MISSING: "missing",
    Level.UNKNOWN: "unknown",
    Level.NOT_APPLICABLE: "-",
}
_FINE = (Level.OK, Level.NOT_APPLICABLE)
_MEND = "  mend: "
_AFTER_OPERATOR = re.compile(r"(?<= \|) |(?<= &&) ")
_PROOF_LEVEL = {
    Answer.YES: Level.OK,
    Answer.NO: Level.MISSING,
    Answer.UNKNOWN: Level.UNKNOWN,
    Answer.NOT_APPLICABLE: Level.NOT_APPLICABLE,
}
_PROOF_MARK = {
    Answer.YES: "held",
    Answer.NO: "FAILED",
    Answer.UNKNOWN: "unknown",
    Answer.NOT_APPLICABLE: "-",
}


class Found(NamedTuple):
    """Everything that is printed."""

    facts: DoctorFacts
    rungs: tuple[Rung, ...]
    proved: Proved


class Page(NamedTuple):
    """How it is printed."""

    width: int
    colour: bool
    quiet: bool
    verbose: bool


def configure(parser: Parser) -> None:
    """Say which options there are."""
    parser.usage = "steadyrun doctor [-q | -v] [--json]"
    parser.epilog = EPILOG
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument("-q", "--quiet", action="store_true", help="only what is not ok, and the last line")
    how_much.add_argument("-v", "--verbose", action="store_true", help="also what each proof tries")
    parser.add_argument("--json", action="store_true", help="as JSON")


def execute(args: argparse.Namespace) -> int:
    """Look, prove, print. 0: every proof held; 3: this machine cannot contain a load."""
    facts = read_doctor_facts(_state_directory(), working_directory())
    rungs = tuple(r._replace(remedy=as_typed(facts, r.remedy)) for r in judge_all(facts))
    proved = prove_here(facts, journal_here)
    found = Found(facts, (*rungs, settings_rung(), proved.journal, *judge_guard(proved.means)), proved)
    if args.json:
        sys.stdout.write(json.dumps(as_object(found), indent=2) + "\n")
    else:
        page = Page(text_width(WIDTH), _coloured(), args.quiet, args.verbose)
        sys.stdout.write("\n".join(lines_of(found, page)) + "\n")
    return proved.exit_code


def settings_rung() -> Rung:
    """Judge the settings that a command started here would read: with a wrong one it does not start."""
    try:
        settings = settings_here()
    except UsageError as error:
        said = f"{error.message}: {error.hint}" if error.hint else error.message
        return Rung(SETTINGS, Level.MISSING, said, "")
    return Rung(SETTINGS, Level.OK, ", ".join(settings.names()) or "none set: the defaults", "")


def as_object(found: Found) -> dict[str, object]:
    """Return what was found for programs; `remedy` is null where there is none."""
    choice = found.facts.choice
    return {
        "schema": SCHEMA,
        "rungs": [
            {"name": r.name, "level": r.level.value, "evidence": r.evidence, "remedy": r.remedy or None}
            for r in found.rungs
        ],
        "proofs": [
            {
                "name": p.name,
                "what": p.what,
                "answer": p.answer.value,
                "evidence": p.evidence,
                "took_s": round(p.took, 3),
            }
            for p in found.proved.proofs
        ],
        "containment": {
            "backend": choice.backend.value,
            "cgroup_mode": mode_of(found.facts.containment.mounts).value,
            "capabilities": sorted(c.value for c in found.facts.capabilities),
            "obstacles": [
                {"backend": o.backend.value, "reason": o.reason, "remedy": as_typed(found.facts, o.remedy)}
                for o in choice.obstacles
            ],
        },
        "means": encode(found.proved.means),
        "exit_code": found.proved.exit_code,
    }


def lines_of(found: Found, page: Page) -> Iterator[str]:
    """Yield the lines for people: rungs, proofs, one closing sentence."""
    shown = [r for r in found.rungs if not page.quiet or r.level not in _FINE]
    proofs = [p for p in found.proved.proofs if not page.quiet or p.answer is not Answer.YES]
    across = max([len(r.name) for r in shown] + [len(p.name) for p in proofs] + [0])
    for rung in shown:
        yield from _rung_lines(rung, page, across)
    if proofs and not page.quiet:
        yield ""
        yield "proofs"
    for proof in proofs:
        yield from _proof_lines(proof, page, across)
    if shown or proofs:
        yield ""
    yield from textwrap.wrap(closing(found), page.width, break_long_words=False, break_on_hyphens=False)


def _rung_lines(rung: Rung, page: Page, across: int) -> Iterator[str]:
    yield from _entry(_MARK[rung.level], rung.level, rung.name, rung.evidence, page, across)
    if rung.remedy:
        yield from remedy_lines(rung.remedy, page.width)


def remedy_lines(remedy: str, width: int) -> Iterator[str]:
    """Yield a remedy so that it can be copied: broken only where a shell goes on by itself."""
    command, _, note = remedy.partition("#")
    parts = [one_line(command)]
    if len(_MEND) + len(parts[0]) > width:
        parts = _AFTER_OPERATOR.split(parts[0])
    yield _MEND + parts[0]
    yield from (" " * len(_MEND) + part for part in parts[1:])
    if note:
        indent = " " * len(_MEND)
        yield from textwrap.wrap(
            f"({one_line(note)})", width, initial_indent=indent, subsequent_indent=indent
        )


def _proof_lines(proof: Proof, page: Page, across: int) -> Iterator[str]:
    said = f"{proof.evidence} ({format_duration(proof.took)})" if proof.took else proof.evidence
    if page.verbose and proof.what:
        said = f"{proof.what}: {said}"
    level = _PROOF_LEVEL[proof.answer]
    yield from _entry(_PROOF_MARK[proof.answer], level, proof.name, said, page, across)


def _entry(mark: str, level: Level, name: str, evidence: str, page: Page, across: int) -> Iterator[str]:
    """Yield a mark, a name and the evidence, wrapped below itself."""
    column = 10 + across + 2
    room = max(page.width - column, 24)
    said = textwrap.wrap(one_line(evidence), room, break_long_words=False, break_on_hyphens=False) or [""]
    padded = f"{mark:<10}"
    if page.colour:
        padded = f"\x1b[{_COLOUR[level.value]}m{mark}\x1b[0m{' ' * (10 - len(mark))}"
    yield f"{padded}{name:<{across}}  {said[0]}".rstrip()
    yield from (" " * column + line for line in said[1:])


def closing(found: Found) -> str:
    """Return the last sentence: what this machine can contain, and what to type next."""
    if found.proved.exit_code != EXIT_OK:
        return f"This machine cannot contain a load: {_why_not(found)}. {_what_then(found)}"
    limits, count = what_is_held(found.facts), len(found.proved.proofs)
    held = f"This machine contains a load: all {count} proofs held. It can limit {limits}."
    first = [r.name for r in found.rungs if r.level is Level.MISSING and r.name in OUR_OWN]
    if first:
        mend = f"Mend the {' and the '.join(first)} first (above), then type"
        return f"{held} {mend}: steadyrun ramp -- YOUR COMMAND"
    return f"{held} Type next: steadyrun ramp -- YOUR COMMAND"


def _why_not(found: Found) -> str:
    failed = [p for p in found.proved.proofs if p.answer is not Answer.YES]
    missing = [r.name for r in found.rungs if r.level is Level.MISSING and r.name not in OUR_OWN]
    if missing:
        return f"what is missing is marked above ({', '.join(missing)})"
    return "; ".join(f"{p.name}: {p.evidence}" for p in failed) or "nothing could be proved"


def _what_then(found: Found) -> str:
    remedies = [r.remedy for r in found.rungs if r.level is Level.MISSING and r.remedy]
    if (as_root := as_typed(found.facts, AS_ROOT)) in remedies:
        return f"Root may make cgroups here, and runs the load as you. Type: {as_root}"
    if remedies:
        return "Mend it as said above, then type again: steadyrun doctor"
    return "`steadyrun doctor --json` holds the details of what was tried."


def _state_directory() -> str | None:
    try:
        return choose_dir(os.environ, os.geteuid())
    except SteadyrunError:
        return None


def _coloured() -> bool:
    """Tell whether colour helps: on a terminal that has it, and nobody said no (no-color.org)."""
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    return sys.stdout.isatty() and not dumb and not os.environ.get("NO_COLOR")
