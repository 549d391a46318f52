"""How the machine fared over all tries, counted once for every summary."""

import pytest
import records
from evidence import attempt, plan

from steadyrun.model.fate import Fate, down_words, downs_of, fate_of, machine_words
from steadyrun.model.record import RunEnd, RunKind, State
from steadyrun.model.run import Down
from steadyrun.model.verdict import Answer

ONE = plan().phases[0]
NO, UNKNOWN = Answer.NO, Answer.UNKNOWN


def test_each_try_counts_once_by_the_worst_it_did():
    tried = (
        attempt(ONE),
        attempt(ONE, State.CRASHED),
        attempt(ONE, State.DEGRADED, host=NO),
        attempt(ONE, State.FAILED, host=NO),
        attempt(ONE, State.FAILED, job=NO),
        attempt(ONE, State.UNKNOWN, host=UNKNOWN),
    )
    assert fate_of(tried) == Fate(crashes=1, failed=1, degraded=1, untold=1)


@pytest.mark.parametrize(
    ("fate", "words"),
    [
        (Fate(0, 0, 0, 0), "the machine held throughout"),
        (Fate(1, 0, 0, 0), "the machine went down once on the way"),
        (Fate(2, 1, 0, 0), "the machine went down twice and did not hold in 1 try on the way"),
        (Fate(0, 0, 3, 0), "the machine was worse than it should be in 3 tries on the way"),
        (
            Fate(0, 0, 0, 0, between=1),
            "the machine went down or was booted once while no phase was running on the way",
        ),
        (
            Fate(1, 0, 0, 0, between=2),
            "the machine went down once and went down or was booted twice while no phase was running "
            "on the way",
        ),
        (Fate(0, 0, 0, 1), "the machine could not be judged in 1 try on the way"),
    ],
)
def test_it_is_said_in_half_a_sentence(fate, words):
    assert machine_words(fate) == words
    assert fate.held_throughout is (words == "the machine held throughout")


def test_a_boot_that_ended_between_two_tries_is_no_crash_of_a_try_and_is_told():
    down = Down("r1", "boot-a", "2", 5.0, 9.0)
    fate = fate_of((attempt(ONE),), (down,))
    assert (fate.crashes, fate.between, fate.lost, fate.held_throughout) == (0, 1, 1, False)
    assert down_words(fate) == "went down or was booted once while no phase was running"


def went_down(status, **header):
    record = records.halfway()
    attempts = record.attempts[:2]
    return record._replace(
        header=record.header._replace(**header),
        attempts=attempts,
        status=status,
        end=RunEnd(9e9, 5, "the machine went down"),
    )


def test_the_boots_that_ended_between_two_tries_are_those_of_all_runs_of_the_story():
    earlier = Down("r0", "boot-0", "", 1.0, 2.0)
    record = went_down("Crashed (machine)", downs=(earlier,))
    first, own = downs_of(record)
    assert first == earlier
    assert own == Down(
        record.header.run_id, record.header.boot_id, "2", record.attempts[-1].ended_wall, record.end.wall
    )
    before_any = record._replace(attempts=(), baseline=None)
    assert downs_of(before_any)[-1][2:] == ("", record.header.started_wall, record.end.wall)


@pytest.mark.parametrize(
    "record",
    [
        went_down("Crashed (machine) in Phase 3"),
        went_down("Stopped"),
        went_down("Crashed (machine)", kind=RunKind.RUN),
        went_down("Crashed (machine)")._replace(end=None),
    ],
)
def test_what_did_not_end_between_two_tries_of_a_ramp_is_none_of_them(record):
    assert downs_of(record) == ()


def test_a_try_that_was_only_ready_is_not_what_the_boot_ended_after():
    record = went_down("Crashed (machine)")
    ready = record.attempts[-1]._replace(label="9", state=State.READY, started_wall=None, ended_wall=None)
    (own,) = downs_of(record._replace(attempts=(*record.attempts, ready)))
    assert own.after == "2"
