"""A ramp that goes on after each boot comes to an end, also where nothing that crashes lowers a limit."""

import argparse

import pytest
import records
from journal_values import a_header, an_attempt, opened

from steadyrun.cli import ramp
from steadyrun.errors import DecisionNeededError
from steadyrun.journal.recover import plan_recovery
from steadyrun.journal.rows import IntentKind
from steadyrun.model.change import BootUnit
from steadyrun.model.record import RunEnd, RunKind, State
from steadyrun.ramp.headway import fruitless_boots, took_machine_down
from steadyrun.recovery.clean_up import recover
from steadyrun.recovery.lasting import write_boot_unit

STATES = (State.PASSED, State.FAILED, State.DEGRADED, State.READY)


def tried(boot, *tries):
    """Return attempts of one boot, each as (phase, state)."""
    return tuple(
        an_attempt(phase, state=state, boot_id=f"boot-{boot}", label=str(phase)) for phase, state in tries
    )


def a_run(boot, *attempts, status="Crashed (machine)", code=5):
    record = records.just_begun()
    header = record.header._replace(run_id=f"r{boot}", boot_id=f"boot-{boot}", kind=RunKind.RAMP)
    return record._replace(
        header=header, attempts=attempts, status=status, end=RunEnd(9.0, code, "it went down")
    )


def test_each_boot_that_ends_before_anything_was_tried_counts():
    assert fruitless_boots([]) == 0
    assert fruitless_boots([a_run(1)]) == 1
    assert fruitless_boots([a_run(2), a_run(1)]) == 2


@pytest.mark.parametrize("state", STATES[1:])
def test_a_try_that_makes_nothing_different_next_time_is_no_headway(state):
    assert fruitless_boots([a_run(1, *tried(1, (1, state)))]) == 1


@pytest.mark.parametrize("state", [State.PASSED, State.CRASHED])
def test_a_phase_that_passed_or_crashed_is_headway(state):
    first = a_run(1, *tried(1, (1, state)))
    assert fruitless_boots([first]) == 0
    carried = first.attempts
    assert fruitless_boots([a_run(3, *carried), a_run(2, *carried), first]) == 2


def test_a_phase_that_passes_at_every_boot_is_headway_once():
    first = tried(1, (1, State.PASSED))
    second = first + tried(2, (1, State.PASSED))
    third = second + tried(3, (1, State.PASSED))
    assert fruitless_boots([a_run(3, *third), a_run(2, *second), a_run(1, *first)]) == 2


@pytest.mark.parametrize(
    ("status", "code"), [("Stopped", 130), ("All phases passed", 0), ("Ended at Phase 3: host", 5)]
)
def test_a_ramp_that_came_to_an_end_of_its_own_took_nothing_down(status, code):
    ended = a_run(1, status=status, code=code)
    assert not took_machine_down(ended)
    assert fruitless_boots([a_run(2), ended]) == 1


def machine_went_down(folder, unit, runs):
    """Leave the journal of ramps that each took the machine down in its baseline; the last has the unit."""
    before = None
    for number in range(1, runs + 1):
        with opened(folder, boot_id=f"boot-{number}") as journal:
            for mark in plan_recovery(
                journal.open_runs(), (), boot_id=f"boot-{number}", alive=frozenset()
            ).marks:
                journal.mark(mark)
            header = a_header(f"r{number}", boot_id=f"boot-{number}", resumed_from=before, pid=2**22 - 3)
            journal.begin_run(header)
            intent = journal.intend(header.run_id, IntentKind.BOOT_UNIT, unit)
            if number < runs:
                journal.fulfil(intent, "taken over")
        before = header.run_id


@pytest.fixture
def machine(tmp_path, monkeypatch):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("STEADYRUN_STATE_DIR", str(folder))
    unit = BootUnit(str(tmp_path / "x.service"), str(tmp_path / "wants" / "x.service"), "text", ())
    (tmp_path / "wants").mkdir()
    write_boot_unit(unit)
    return folder, unit, tmp_path / "x.service"


RESUMED = argparse.Namespace(resume=ramp.NEWEST, resume_on_boot=True)


def test_after_two_such_boots_a_person_decides_and_the_unit_is_gone(machine):
    folder, unit, file = machine
    machine_went_down(folder, unit, 2)
    with pytest.raises(DecisionNeededError, match="2 boots in a row") as refused:
        ramp._earlier(RESUMED)
    assert refused.value.exit_code == 6
    assert "steadyrun report r2" in refused.value.hint
    assert not file.exists()


def test_after_one_the_ramp_goes_on_and_the_unit_stays(machine):
    folder, unit, file = machine
    machine_went_down(folder, unit, 1)
    record, owners = ramp._earlier(RESUMED)
    owners.close()
    assert record.header.run_id == "r1"
    assert file.exists()


def test_a_person_who_says_resume_is_not_refused(machine):
    folder, unit, _ = machine
    machine_went_down(folder, unit, 3)
    record, _ = ramp._earlier(argparse.Namespace(resume=ramp.NEWEST, resume_on_boot=False))
    assert record.header.run_id == "r3"


def test_a_plain_ramp_asks_also_where_the_machine_went_down_before_any_phase(machine):
    folder, unit, _ = machine
    machine_went_down(folder, unit, 1)
    with opened(folder, boot_id="boot-2") as journal:
        recover(journal)
        with pytest.raises(DecisionNeededError, match="went down, or was booted, while no phase"):
            ramp._want_decision(journal)
