"""Undoing what ended runs left: carries out what `journal/recover.py` planned. Done at each start.

Ends and removes only containments that our own journal names, by inode where one was recorded.
"""

from __future__ import annotations

from typing import NamedTuple

from steadyrun.contain.base import Containment
from steadyrun.contain.facts import read_facts
from steadyrun.contain.open import open_backend
from steadyrun.errors import SteadyrunError
from steadyrun.guard.undo import kill_and_remove
from steadyrun.journal.recover import Undo, UndoKind, plan_recovery
from steadyrun.journal.write import Journal
from steadyrun.kernel.reader import boot_id, pid_alive


class Recovered(NamedTuple):
    """What was found and done, each a line for people."""

    told: tuple[str, ...]
    """What became of runs without an end."""
    done: tuple[str, ...]
    failed: tuple[str, ...]
    """What could not be undone, and is tried again at the next start."""


def recover(journal: Journal) -> Recovered:
    """Find runs whose process is gone, end what they left, and say so in the journal.

    Raises:
        JournalUnwritableError: The journal cannot be written.
    """
    runs = journal.open_runs()
    alive = frozenset(run.run_id for run in runs if pid_alive(run.pid, run.pid_started))
    plan = plan_recovery(runs, journal.open_intents(), boot_id=boot_id(), alive=alive)
    done: list[str] = []
    failed: list[str] = []
    for undo in plan.undo:
        try:
            found = _undo(undo)
        except SteadyrunError as error:
            failed.append(f"{undo.run_id}: {error.message}")
            continue
        journal.fulfil(undo.intent_id, undo.how)
        if found:
            done.append(f"{undo.run_id}: {found}")
    for mark in plan.marks:
        journal.mark(mark)
    told = tuple(f"{finding.title} ({finding.evidence})" for finding in plan.findings)
    return Recovered(told, tuple(done), tuple(failed))


def _undo(undo: Undo) -> str:
    """Carry out one undo; return what was found and ended, empty when there was nothing.

    Raises:
        SteadyrunError: It is still there.
    """
    if undo.kind is UndoKind.CLOSE:
        return ""
    containment = _reopen(undo)
    if containment is None:
        return ""
    where = containment.made.plan.parent
    count = len(containment.pids())
    if not kill_and_remove(containment):
        raise SteadyrunError(f"its containment below {where} is still busy")
    return f"ended {count} processes that were left and removed their containment below {where}"


def _reopen(undo: Undo) -> Containment | None:
    """Take hold of what is left; a kind that this version does not know is left alone, loudly."""
    if undo.plan is None:
        raise SteadyrunError(f"{undo.kind.value} is not known to this version; it was left as it is")
    backend = open_backend(undo.plan.backend, read_facts())
    if undo.made is not None:
        return backend.reopen(undo.made)
    return backend.reopen_planned(undo.plan)
