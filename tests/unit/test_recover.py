"""What recovery decides, as a table."""

from __future__ import annotations

import pytest
from journal_values import BOOT, OTHER_BOOT, a_made, a_plan

from steadyrun.journal.recover import AttemptMark, RunMark, UndoKind, plan_recovery
from steadyrun.journal.rows import Intent, IntentKind, OpenAttempt, RunRow
from steadyrun.model.codec import encode
from steadyrun.model.record import RunKind, State
from steadyrun.units import Seconds

NOBODY: frozenset[str] = frozenset()


def a_run(run_id="r1", boot_id=BOOT, attempts=(), ended=None):
    return RunRow(run_id, RunKind.RAMP, boot_id, 7, 8, Seconds(1.0), ended, None, "", tuple(attempts))


def an_intent(kind=IntentKind.CONTAINMENT, boot_id=BOOT, payload=None, detail=None, run_id="r1"):
    payload = encode(a_plan()) if payload is None else payload
    return Intent(1, run_id, boot_id, kind, payload, Seconds(1.0), detail)


def decide(runs=(), intents=(), boot_id=BOOT, alive=NOBODY):
    return plan_recovery(tuple(runs), tuple(intents), boot_id=boot_id, alive=alive)


def test_nothing_open_needs_nothing():
    assert decide() == ((), (), ())


@pytest.mark.parametrize("boot_id", [BOOT, OTHER_BOOT, ""])
def test_a_run_whose_owner_lives_is_left_alone(boot_id):
    run = a_run(attempts=[OpenAttempt(1, "1", BOOT, State.RUNNING)])
    assert decide([run], [an_intent()], boot_id=boot_id, alive=frozenset({"r1"})) == ((), (), ())


def test_a_made_containment_is_removed_by_its_inodes():
    (undo,) = decide(intents=[an_intent(detail=encode(a_made()))]).undo
    assert (undo.kind, undo.made, undo.plan) == (UndoKind.REMOVE_MADE, a_made(), a_plan())


def test_a_containment_without_inodes_is_removed_by_its_planned_name():
    (undo,) = decide(intents=[an_intent()]).undo
    assert (undo.kind, undo.made, undo.plan) == (UndoKind.REMOVE_PLANNED, None, a_plan())


def test_a_note_that_cannot_be_read_falls_back_to_the_planned_name():
    (undo,) = decide(intents=[an_intent(detail={"hologram": 1})]).undo
    assert (undo.kind, undo.plan) == (UndoKind.REMOVE_PLANNED, a_plan())


@pytest.mark.parametrize(
    ("kind", "same", "other"),
    [
        (IntentKind.CONTAINMENT, UndoKind.REMOVE_PLANNED, UndoKind.CLOSE),
        (IntentKind.LINGERING, UndoKind.DISABLE_LINGERING, UndoKind.DISABLE_LINGERING),
        (IntentKind.BOOT_UNIT, UndoKind.REMOVE_BOOT_UNIT, UndoKind.REMOVE_BOOT_UNIT),
        (IntentKind.INHIBIT, UndoKind.CLOSE, UndoKind.CLOSE),
    ],
)
def test_each_kind_is_undone_as_far_as_it_outlives_its_owner_or_the_boot(kind, same, other):
    for boot_id, expected in ((BOOT, same), (OTHER_BOOT, other), ("", same)):
        (undo,) = decide(intents=[an_intent(kind, boot_id=boot_id)]).undo
        assert undo.kind is expected
        assert undo.how
        if expected in (UndoKind.DISABLE_LINGERING, UndoKind.REMOVE_BOOT_UNIT):
            assert undo.payload == encode(a_plan())


@pytest.mark.parametrize("kind", [IntentKind.LINGERING, IntentKind.BOOT_UNIT])
def test_what_a_ramp_takes_over_is_left_open(kind):
    plan = plan_recovery((), (an_intent(kind),), boot_id=BOOT, alive=NOBODY, keep=frozenset({kind}))
    assert plan == ((), (), ())


@pytest.mark.parametrize(
    "intent",
    [
        an_intent(kind=None),
        an_intent(payload={"hologram": 1}),
        an_intent()._replace(payload=None),
        an_intent(IntentKind.LINGERING)._replace(payload=None),
    ],
)
def test_what_this_version_cannot_undo_is_left_alone_and_told(intent):
    plan = decide(intents=[intent])
    assert plan.undo == ()
    assert [f.code for f in plan.findings] == ["intent-left-alone"]
    assert "intent 1" in plan.findings[0].evidence


def test_an_open_attempt_of_another_boot_is_a_crash_of_the_machine():
    run = a_run(boot_id=OTHER_BOOT, attempts=[OpenAttempt(3, "3", OTHER_BOOT, State.RUNNING)])
    plan = decide([run])
    attempt, end = plan.marks
    assert isinstance(attempt, AttemptMark)
    assert (attempt.run_id, attempt.serial, attempt.state) == ("r1", 3, State.CRASHED)
    assert attempt.finding.title == "The machine went down while Phase 3 of run r1 was going on."
    assert end == RunMark("r1", 5, attempt.finding.title, "Crashed (machine) in Phase 3")
    assert plan.findings == (attempt.finding,)


def test_an_open_attempt_of_this_boot_was_interrupted():
    run = a_run(attempts=[OpenAttempt(6, "5.2", BOOT, State.RECOVERING)])
    attempt, end = decide([run]).marks
    assert isinstance(attempt, AttemptMark)
    assert (attempt.serial, attempt.state) == (6, State.INTERRUPTED)
    assert isinstance(end, RunMark)
    assert (end.exit_code, end.status) == (130, "Interrupted in Phase 5.2")
    assert end.reason.startswith("Phase 5.2 of run r1 was interrupted")


@pytest.mark.parametrize(("theirs", "ours"), [("", BOOT), (BOOT, ""), ("", "")])
def test_an_unknown_boot_is_never_called_a_crash(theirs, ours):
    run = a_run(boot_id=theirs, attempts=[OpenAttempt(1, "1", theirs, State.RUNNING)])
    attempt, end = decide([run], boot_id=ours).marks
    assert (attempt.state, end.exit_code) == (State.INTERRUPTED, 130)


@pytest.mark.parametrize(
    ("boot_id", "code", "finding"), [(OTHER_BOOT, 5, "machine-crashed"), (BOOT, 130, "run-interrupted")]
)
def test_a_run_between_attempts_is_ended_too(boot_id, code, finding):
    plan = decide([a_run(boot_id=boot_id)])
    (end,) = plan.marks
    assert isinstance(end, RunMark)
    assert end.exit_code == code
    assert [f.code for f in plan.findings] == [finding]


def test_an_ended_run_keeps_its_end_while_its_loose_attempt_is_closed():
    run = a_run(ended=Seconds(5.0), attempts=[OpenAttempt(1, "1", BOOT, State.RUNNING)])
    assert [type(mark) for mark in decide([run]).marks] == [AttemptMark]
    assert decide([a_run(ended=Seconds(5.0))]) == ((), (), ())


# What a mutated recovery got away with before these were written


def marks_of(run):
    return {type(mark): mark for mark in decide([run]).marks}


def test_a_run_of_an_earlier_boot_whose_attempt_is_of_this_one_was_interrupted():
    """A resumed ramp goes on in another boot than it began in."""
    marks = marks_of(a_run(boot_id=OTHER_BOOT, attempts=[OpenAttempt(1, "1", BOOT, State.RUNNING)]))
    assert marks[AttemptMark].state is State.INTERRUPTED
    assert (marks[RunMark].exit_code, marks[RunMark].status) == (130, "Interrupted in Phase 1")


def test_a_run_of_this_boot_whose_attempt_is_of_an_earlier_one_took_the_machine_down():
    marks = marks_of(a_run(boot_id=BOOT, attempts=[OpenAttempt(2, "5.2", OTHER_BOOT, State.RUNNING)]))
    assert marks[AttemptMark].state is State.CRASHED
    assert (marks[RunMark].exit_code, marks[RunMark].status) == (5, "Crashed (machine) in Phase 5.2")


@pytest.mark.parametrize("theirs", [BOOT, OTHER_BOOT])
def test_only_what_can_be_resumed_is_said_to_be(theirs):
    with_attempt = decide([a_run(boot_id=theirs, attempts=[OpenAttempt(1, "1", theirs, State.RUNNING)])])
    assert all("--resume" in finding.remedy for finding in with_attempt.findings)
    (without,) = decide([a_run(boot_id=theirs)]).findings
    assert ("--resume" in without.remedy) is (theirs == OTHER_BOOT)  # where a plain ramp asks how to go on
    (single,) = decide([a_run(boot_id=theirs)._replace(kind=RunKind.RUN)]).findings
    assert "--resume" not in single.remedy
