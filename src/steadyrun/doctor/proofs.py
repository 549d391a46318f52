"""Carries out the containment proofs for the doctor and writes them into the journal, where there is one.

Without a journal the proofs run all the same: they are tiny and end within seconds. Where an OOM
kill would panic the machine they do not run at all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

from steadyrun.contain.base import Backend
from steadyrun.contain.open import open_backend
from steadyrun.desktop.facts import quick_facts
from steadyrun.doctor.facts import DoctorFacts
from steadyrun.doctor.judge import can_contain, unsafe_to_prove
from steadyrun.doctor.rung import Level, Rung
from steadyrun.doctor.sight import look_at
from steadyrun.errors import EXIT_CANNOT_CONTAIN, EXIT_INTERRUPTED, EXIT_OK, SteadyrunError
from steadyrun.journal.identity import new_run_id, run_header
from steadyrun.journal.owners import Owners
from steadyrun.journal.write import Journal
from steadyrun.model.containment import ContainmentMade, ContainmentPlan
from steadyrun.model.means import Means
from steadyrun.model.record import Proof, RunEnd, RunHeader, RunKind
from steadyrun.model.verdict import Answer
from steadyrun.ramp.conductor import intent_hook
from steadyrun.ramp.proofs import IntentHook, prove
from steadyrun.recovery.clean_up import recover
from steadyrun.units import Seconds


class Proved(NamedTuple):
    """What the proofs said, and whether they could be written down."""

    proofs: tuple[Proof, ...]
    journal: Rung
    exit_code: int
    means: Means | None = None
    """What a guard would have had of the first proof's load; `None`: nothing could be looked at."""


def prove_here(facts: DoctorFacts, open_journal: Callable[[], Journal]) -> Proved:
    """Run the proofs and return what they said; every way out leaves no containment behind.

    Args:
        facts: What the machine is.
        open_journal: Opens the caller's journal; its error becomes a rung.
    """
    try:
        journal = open_journal()
    except SteadyrunError as error:
        return _unrecorded(facts, error)
    with closing(journal):
        try:
            with Owners(journal.directory) as owners:
                return _recorded(facts, journal, owners)
        except SteadyrunError as error:  # it opened and could then not be written
            return _unrecorded(facts, error)


def _unrecorded(facts: DoctorFacts, error: SteadyrunError) -> Proved:
    proofs, means = _proofs(facts, new_run_id(), _write_nothing)
    return Proved(proofs, journal_lacks(error), exit_code(facts, proofs), means)


def journal_lacks(error: SteadyrunError) -> Rung:
    """Return the rung of a journal that cannot be written."""
    said = f"{error.message}: a crash could not be recovered from, `steadyrun ramp` will not start"
    return Rung("journal", Level.MISSING, said, error.hint or "export STEADYRUN_STATE_DIR=~/steadyrun-state")


def exit_code(facts: DoctorFacts, proofs: tuple[Proof, ...]) -> int:
    """Return 0 when the kernel enforces and every proof held, else 3. Unknown is not held."""
    held = bool(proofs) and all(p.answer is Answer.YES for p in proofs)
    return EXIT_OK if held and can_contain(facts) else EXIT_CANNOT_CONTAIN


def _recorded(facts: DoctorFacts, journal: Journal, owners: Owners) -> Proved:
    recovered = recover(journal)
    run_id, code = new_run_id(), EXIT_INTERRUPTED
    proofs: tuple[Proof, ...] = ()
    means: Means | None = None
    backend = open_backend(facts.choice.backend, facts.containment)
    owners.own(run_id)
    journal.begin_run(_header(run_id, backend, weak=not can_contain(facts)))
    try:
        proofs, means = _proofs(facts, run_id, intent_hook(journal, run_id))
        for proof in proofs:
            journal.add_proof(run_id, proof)
        code = exit_code(facts, proofs)
    finally:
        reason = "interrupted" if code == EXIT_INTERRUPTED else f"{len(proofs)} proofs carried out"
        journal.end_run(run_id, RunEnd(Seconds(time.time()), code, reason))
    return Proved(proofs, _journal_rung(journal.path, recovered.done, recovered.failed), code, means)


def _journal_rung(path: str, done: tuple[str, ...], failed: tuple[str, ...]) -> Rung:
    if failed:
        said = f"{path}; an earlier run left what could not be ended: {'; '.join(failed)}"
        return Rung("journal", Level.DEGRADED, said, "steadyrun recover")
    said = f"{path}; ended what an earlier run left: {'; '.join(done)}" if done else path
    return Rung("journal", Level.OK, said, "")


def _proofs(facts: DoctorFacts, run_id: str, intent: IntentHook) -> tuple[tuple[Proof, ...], Means | None]:
    """Return the proofs, and what a guard would have; one that cannot be made answers no, and ends them."""
    unsafe = unsafe_to_prove(facts)
    if unsafe is not None:
        return (Proof("not carried out", "", Answer.UNKNOWN, unsafe, Seconds(0.0)),), None
    backend = open_backend(facts.choice.backend, facts.containment)
    seen: list[Means] = []
    proofs = prove(backend, f"{run_id}-proof", intent, lambda hold: seen.append(look_at(hold)))
    return tuple(_until_error(proofs)), next(iter(seen), None)


def _until_error(proofs: Iterator[Proof]) -> Iterator[Proof]:
    try:
        yield from proofs
    except SteadyrunError as error:
        said = error.message
        yield Proof("containment", "a containment can be made", Answer.NO, said, Seconds(0.0))


def _write_nothing(_plan: ContainmentPlan) -> Callable[[ContainmentMade], Callable[[str], None]]:
    """Take the place of the journal's hook."""
    return lambda _made: lambda _how: None


def _header(run_id: str, backend: Backend, *, weak: bool) -> RunHeader:
    return run_header(
        run_id,
        RunKind.DOCTOR,
        user=os.environ.get("USER", str(os.geteuid())),
        argv=(),
        cwd=working_directory() or "/",
        backend=backend.name,
        weak=weak,
        machine=quick_facts(),
        reserve=None,
    )


def working_directory() -> str | None:
    """Return where we are; `None`: that folder is gone."""
    try:
        return os.getcwd()
    except OSError:
        return None
