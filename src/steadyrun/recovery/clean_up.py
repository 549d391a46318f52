"""Undoing what ended runs left: carries out what `journal/recover.py` planned. Done at each start.

Ends and removes only containments that our own journal names, by inode where one was recorded, and
takes back only the changes that it names.
"""

from __future__ import annotations

import time
from typing import assert_never

from steadyrun.contain.base import Containment
from steadyrun.contain.facts import clean_up, read_facts
from steadyrun.contain.open import open_backend
from steadyrun.errors import JournalUnwritableError, SteadyrunError
from steadyrun.journal.owners import Owners, living
from steadyrun.journal.recover import AttemptMark, Undo, UndoKind, plan_recovery
from steadyrun.journal.rows import IntentKind
from steadyrun.journal.write import Journal
from steadyrun.kernel.reader import boot_id
from steadyrun.model.codec import decode
from steadyrun.model.run import State
from steadyrun.named import NamedTuple
from steadyrun.recovery.undo import kill_and_remove
from steadyrun.units import Seconds


class Recovered(NamedTuple):
    """What was found and done, each a line for people."""

    told: tuple[str, ...]
    """What became of runs without an end."""
    done: tuple[str, ...]
    failed: tuple[str, ...]
    """What could not be undone, and is tried again at the next start."""
    marked: tuple[str, ...] = ()
    """Runs whose record has an end now; their reports on disk are from before it."""


def recover(
    journal: Journal, *, keep: frozenset[IntentKind] = frozenset(), owners: Owners | None = None
) -> Recovered:
    """Find runs that nobody looks after any more, end what they left, and say so in the journal.

    Args:
        journal: Whose runs.
        keep: Kinds of intents to leave open, for a ramp that takes them over.
        owners: The caller's; what it owns itself is looked at all the same.

    Raises:
        JournalUnwritableError: The journal cannot be written; everything is ended all the same.
    """
    runs, intents = journal.unfinished()
    if owners is None:
        alive = living(journal.directory, runs)
    else:
        alive = frozenset(run.run_id for run in runs if owners.lives(run))
    here = boot_id()
    plan = plan_recovery(runs, intents, boot_id=here, alive=alive, keep=keep)
    done: list[str] = []
    failed: list[str] = []
    unwritten: JournalUnwritableError | None = None
    for undo in plan.undo:
        try:
            found = _undo(undo)
        except SteadyrunError as error:
            failed.append(f"{undo.run_id}: {error.message}")
            continue
        try:
            journal.fulfil(undo.intent_id, undo.how)
        except JournalUnwritableError as error:  # a full disk is no reason to let the others run
            unwritten = unwritten or error
        if found:
            done.append(f"{undo.run_id}: {found}")
    if unwritten is not None:
        raise unwritten
    for mark in plan.marks:
        journal.mark(_with_evidence(mark, journal, here) if isinstance(mark, AttemptMark) else mark)
    probes = clean_up(now=Seconds(time.time()))
    if probes:
        done.append(f"removed {probes} empty cgroups that a killed start left")
    told = tuple(f"{finding.title} ({finding.evidence})" for finding in plan.findings)
    marked = tuple(dict.fromkeys(mark.run_id for mark in plan.marks))
    return Recovered(told, tuple(done), tuple(failed), marked)


def _with_evidence(mark: AttemptMark, journal: Journal, here: str) -> AttemptMark:
    if mark.state is not State.CRASHED:
        return mark
    from steadyrun.recovery.crashes import with_evidence  # not on the way of a plain `run`

    return with_evidence(mark, journal, here)


def _undo(undo: Undo) -> str:
    """Carry out one undo; return what was found and ended, empty when there was nothing.

    Raises:
        SteadyrunError: It is still there.
    """
    match undo.kind:
        case UndoKind.CLOSE:
            return ""
        case UndoKind.REMOVE_MADE | UndoKind.REMOVE_PLANNED:
            return _end_containment(undo)
        case UndoKind.DISABLE_LINGERING:
            from steadyrun.model.change import Lingering
            from steadyrun.recovery.lasting import restore_lingering

            return restore_lingering(decode(Lingering, undo.payload))
        case UndoKind.REMOVE_BOOT_UNIT:
            from steadyrun.model.change import BootUnit
            from steadyrun.recovery.lasting import remove_boot_unit

            return remove_boot_unit(decode(BootUnit, undo.payload))
        case _:
            assert_never(undo.kind)


def _end_containment(undo: Undo) -> str:
    """Kill and remove what is left of a containment.

    Raises:
        SteadyrunError: It is still there.
    """
    containment = _reopen(undo)
    if containment is None:
        return ""
    where = containment.made.plan.parent
    count = len(containment.pids())
    if not kill_and_remove(containment):
        raise SteadyrunError(f"its containment below {where} is still busy")
    return f"ended {count} processes that were left and removed their containment below {where}"


def _reopen(undo: Undo) -> Containment | None:
    """Take hold of what is left; `None`: nothing is."""
    assert undo.plan is not None  # of these two kinds
    backend = open_backend(undo.plan.backend, read_facts())
    if undo.made is not None:
        return backend.reopen(undo.made)
    return backend.reopen_planned(undo.plan)
