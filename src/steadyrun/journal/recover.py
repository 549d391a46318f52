"""Decides what has to be undone after runs that ended without a word: rows in, deeds out.

Pure: no clock, file, process or database. Whoever carries it out tells the journal afterwards
(`fulfil` with the undo's `how`, `mark` with each mark); then the same question has an empty answer.

The rules:

- A run whose owner lives is left alone.
- A cgroup and a process do not survive a reboot: an open intent of another boot is only closed,
  unless it is of a kind that lasts (lingering, a unit that resumes after a boot).
- In this boot a containment is killed and removed: by inode where those were noted, else by the
  planned name, which holds the run's random id.
- An open attempt of another boot took the machine down with it, as far as anybody can tell: CRASHED.
  One of this boot was only left by its owner: INTERRUPTED.
- An unknown boot id (empty) is neither this boot nor another one: undone as of this boot (which
  harms nobody: the inodes or the random name must match), and never called a crash.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, assert_never

from steadyrun.errors import EXIT_HOST_FAILED, EXIT_INTERRUPTED, FormatError
from steadyrun.journal.rows import Intent, IntentKind, OpenAttempt, RunRow
from steadyrun.model.codec import decode
from steadyrun.model.containment import ContainmentMade, ContainmentPlan
from steadyrun.model.crash import Crash
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.run import WENT_DOWN, RunKind, State
from steadyrun.named import NamedTuple

CRASHED, INTERRUPTED = "machine-crashed", "run-interrupted"
RESUMABLE = frozenset({CRASHED, INTERRUPTED})
"""Codes of the findings whose remedy is to go on with `ramp --resume`."""


class UndoKind(Enum):
    """What is to be done to the machine for one open intent."""

    REMOVE_MADE = "remove-made"
    """Kill and remove the containment; each directory only where its inode matches."""
    REMOVE_PLANNED = "remove-planned"
    """Kill and remove what is there of the containment under its planned name."""
    DISABLE_LINGERING = "disable-lingering"
    REMOVE_BOOT_UNIT = "remove-boot-unit"
    CLOSE = "close"
    """Nothing: what was intended is gone by itself. The intent is closed in the journal."""


class Undo(NamedTuple):
    """One open intent of a run that is over, and what ends it."""

    kind: UndoKind
    intent_id: int
    run_id: str
    how: str
    """What `fulfil` writes once it is done."""
    plan: ContainmentPlan | None = None
    """REMOVE_PLANNED and REMOVE_MADE."""
    made: ContainmentMade | None = None
    """REMOVE_MADE."""
    payload: dict[str, Any] | None = None
    """DISABLE_LINGERING and REMOVE_BOOT_UNIT: as it was intended."""


class AttemptMark(NamedTuple):
    """How an open attempt is to be recorded."""

    run_id: str
    serial: int
    state: State
    """CRASHED or INTERRUPTED."""
    finding: Finding
    boot_id: str = ""
    """That it ran in."""
    crash: Crash | None = None
    """Of a CRASHED one, what was found of it; added by whoever carries this out."""
    more: tuple[Finding, ...] = ()
    """About that."""


class RunMark(NamedTuple):
    """How a run without an end is to be recorded."""

    run_id: str
    exit_code: int
    reason: str
    status: str


Mark = AttemptMark | RunMark


class RecoveryPlan(NamedTuple):
    """All that is to be done, in this order: undo, then mark."""

    undo: tuple[Undo, ...]
    marks: tuple[Mark, ...]
    findings: tuple[Finding, ...]


def plan_recovery(
    runs: tuple[RunRow, ...],
    intents: tuple[Intent, ...],
    *,
    boot_id: str,
    alive: frozenset[str],
    keep: frozenset[IntentKind] = frozenset(),
) -> RecoveryPlan:
    """Say what has to be undone and how open rows are to be marked.

    Args:
        runs: Those with something open (`Reader.open_runs`), in any order.
        intents: The open ones (`Reader.open_intents`).
        boot_id: Of this boot; empty when it could not be read.
        alive: Ids of the runs whose owner process (pid and start time) still lives.
        keep: Kinds that are left open, for a ramp that takes them over.
    """
    undo: list[Undo] = []
    marks: list[Mark] = []
    findings: list[Finding] = []
    for intent in intents:
        if intent.run_id not in alive and intent.kind not in keep:
            decided = _undo(intent, survived=not _other_boot(intent.boot_id, boot_id))
            if isinstance(decided, Finding):
                findings.append(decided)
            else:
                undo.append(decided)
    for run in runs:
        if run.run_id not in alive:
            run_marks, finding = _mark_run(run, boot_id)
            marks.extend(run_marks)
            findings.extend(finding)
    return RecoveryPlan(tuple(undo), tuple(marks), tuple(findings))


def _other_boot(theirs: str, ours: str) -> bool:
    """Tell whether two boot ids are known and differ."""
    return bool(theirs and ours and theirs != ours)


def _undo(intent: Intent, *, survived: bool) -> Undo | Finding:
    """Return what ends one intent, or why it has to be left alone.

    Args:
        intent: Open, of a run that is over.
        survived: The machine has not been booted since (or that is not known).
    """
    match intent.kind:
        case IntentKind.CONTAINMENT:
            return _undo_containment(intent) if survived else _close(intent, "the machine was booted since")
        case IntentKind.LINGERING:
            return _with_payload(UndoKind.DISABLE_LINGERING, intent, "lingering switched off")
        case IntentKind.BOOT_UNIT:
            return _with_payload(UndoKind.REMOVE_BOOT_UNIT, intent, "unit removed")
        case IntentKind.INHIBIT:
            return _close(intent, "the lock ended with its owner")
        case None:
            return _left_alone(intent, "expected a kind this version knows, found another")
        case _:
            assert_never(intent.kind)


def _undo_containment(intent: Intent) -> Undo | Finding:
    """Return the removal of a containment: by its inodes, else by its name, else a finding."""
    how = "killed and removed by recovery"
    if intent.detail is not None:
        try:
            made = decode(ContainmentMade, intent.detail)
        except FormatError:
            pass  # a note of a newer version: the name is still ours
        else:
            return Undo(UndoKind.REMOVE_MADE, intent.id, intent.run_id, how, plan=made.plan, made=made)
    try:
        plan = decode(ContainmentPlan, intent.payload)
    except FormatError as error:
        return _left_alone(intent, error.message)
    return Undo(UndoKind.REMOVE_PLANNED, intent.id, intent.run_id, how, plan=plan)


def _close(intent: Intent, how: str) -> Undo:
    """Return the undo that does nothing but close the intent."""
    return Undo(UndoKind.CLOSE, intent.id, intent.run_id, how)


def _with_payload(kind: UndoKind, intent: Intent, how: str) -> Undo | Finding:
    """Return an undo that needs what was intended; a finding where that cannot be read."""
    if intent.payload is None:
        return _left_alone(intent, "expected an object, found something else")
    return Undo(kind, intent.id, intent.run_id, how, payload=intent.payload)


def _left_alone(intent: Intent, why: str) -> Finding:
    """Return the finding for an intent that this version cannot undo."""
    return Finding(
        code="intent-left-alone",
        severity=Severity.WARNING,
        title=f"Something run {intent.run_id} began cannot be undone by this version of steadyrun.",
        evidence=f"intent {intent.id}: {why}",
        remedy="pip install --upgrade steadyrun && steadyrun recover",
    )


def _mark_run(run: RunRow, boot_id: str) -> tuple[list[Mark], list[Finding]]:
    """Return the marks of one run that is over, and what the reader should know about it."""
    found = [_finding(run, attempt, boot_id) for attempt in run.open_attempts]
    marks: list[Mark] = [
        AttemptMark(
            run.run_id,
            attempt.serial,
            State.CRASHED if _other_boot(attempt.boot_id, boot_id) else State.INTERRUPTED,
            finding,
            attempt.boot_id,
        )
        for attempt, finding in zip(run.open_attempts, found, strict=True)
    ]
    if run.ended_wall is None:
        ended = _finding(run, run.open_attempts[-1] if run.open_attempts else None, boot_id)
        if not found:
            found.append(ended)
        crashed = _other_boot(_boot_of(run), boot_id)
        marks.append(
            RunMark(
                run.run_id,
                # The signal of an interrupted one is not known: the usual one.
                EXIT_HOST_FAILED if crashed else EXIT_INTERRUPTED,
                reason=ended.title,
                status=_status(run, crashed=crashed),
            )
        )
    return marks, found


def _boot_of(run: RunRow) -> str:
    """Return the boot id a run was last known to be in: of its last open attempt, else its own."""
    return run.open_attempts[-1].boot_id if run.open_attempts else run.boot_id


def _status(run: RunRow, *, crashed: bool) -> str:
    """Return the status line of a run that ended without a word."""
    where = f" in Phase {run.open_attempts[-1].label}" if run.open_attempts else ""
    return f"{WENT_DOWN}{where}" if crashed else f"Interrupted{where}"


def _finding(run: RunRow, attempt: OpenAttempt | None, boot_id: str) -> Finding:
    """Return what the reader should know about a run, or one attempt of it, that never ended."""
    doing = f"Phase {attempt.label} of run {run.run_id}" if attempt else f"run {run.run_id}"
    theirs = attempt.boot_id if attempt else run.boot_id
    if _other_boot(theirs, boot_id):
        return Finding(
            code=CRASHED,
            severity=Severity.PROBLEM,
            title=f"The machine went down{'' if attempt else ', or was booted,'} while {doing} was going on.",
            evidence=f"it ran in boot {theirs}, this is boot {boot_id}; its end was never written",
            remedy=_after_crash(run, attempt),
        )
    return Finding(
        code=INTERRUPTED,
        severity=Severity.WARNING,
        title=f"{doing[0].upper()}{doing[1:]} was interrupted: its process ended without writing an end.",
        evidence=f"pid {run.pid} is gone, the machine was not booted since",
        remedy="steadyrun ramp --resume goes on from the last phase that passed" if attempt else "",
    )


def _after_crash(run: RunRow, attempt: OpenAttempt | None) -> str:
    if attempt is not None:
        return "steadyrun ramp --resume goes on more carefully"
    if run.kind is RunKind.RAMP:
        return "no load of a phase was running: steadyrun ramp --resume goes on, --anew begins from the start"
    return "steadyrun ramp finds out how much this machine can carry"
