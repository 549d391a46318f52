"""How the machine fared over all tries, counted once for every summary."""

import pytest
from evidence import attempt, plan

from steadyrun.model.fate import Fate, fate_of, machine_words
from steadyrun.model.record import State
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
        (Fate(0, 0, 0, 1), "the machine could not be judged in 1 try on the way"),
    ],
)
def test_it_is_said_in_half_a_sentence(fate, words):
    assert machine_words(fate) == words
    assert fate.held_throughout is (words == "the machine held throughout")
