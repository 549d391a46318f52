"""What a `run` says at its end, and what it tells to try: never more than the machine gives."""

import pytest
import records
from hypothesis import given
from hypothesis import strategies as st

from steadyrun.cli.run import is_plain
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import NO_SUCH_COMMAND, Ending
from steadyrun.report.ending import explain, more_memory
from steadyrun.units import GIB, MIB

ARGV = ("make", "-j")
CEILING = 12 * GIB + 123_456


def killed(memory, **changes):
    limits = Limits(memory_max=memory)
    end = records.outcome(limits, wall=3.0, ending=Ending.MEMORY_LIMIT, peak=memory, tasks=8)
    return end._replace(**changes), limits


def said(outcome, limits, ceiling=CEILING):
    return "\n".join(explain(outcome, limits, ARGV, ceiling=ceiling))


def test_a_kill_at_the_limit_names_half_as_much_again():
    assert said(*killed(64 * MIB)) == (
        "killed at its memory limit, 64 MiB: peak 64 MiB, 1 OOM kill; try --memory 100M, or fewer workers"
    )
    assert "try --memory 6G" in said(*killed(4 * GIB))


def test_what_is_suggested_ends_at_the_most_that_a_load_may_have_here():
    assert "try --memory 12G, or fewer workers" in said(*killed(10 * GIB))


def test_at_the_most_that_a_load_may_have_other_ways_are_named():
    words = said(*killed(12 * GIB))
    assert "--memory" not in words
    assert "a load may have 12.0 GiB here at most" in words
    assert "8 tasks peaked at 12 GiB, about 1536 MiB each, so start with 4" in words


def test_where_the_most_is_not_known_no_limit_is_suggested():
    assert "--memory" not in said(*killed(GIB), ceiling=None)


@given(st.integers(1, 2**45), st.integers(0, 2**45))
def test_a_suggestion_is_more_than_before_and_no_more_than_the_machine_gives(had, ceiling):
    more = more_memory(Limits(memory_max=had), ceiling, None)
    assert more is None or had < more <= ceiling


def test_a_suggestion_is_more_than_the_peak_where_a_polled_limit_was_passed():
    assert more_memory(Limits(memory_max=60 * MIB), 8 * GIB, 137 * MIB) > 137 * MIB


def test_wall_time_suggests_twice_as_long():
    outcome, _ = killed(GIB, ending=Ending.WALL_TIME, cause="wall time of 30 s is over")
    assert said(outcome, Limits(wall_time=30.0)) == "ended: wall time of 30 s is over; try --timeout 60s"


def test_a_task_limit_that_was_met_is_named_with_twice_as_many():
    refused = records.outcome(Limits(), wall=1.0, peak=MIB)._replace(forks_refused=3)
    words = "a new process or thread was refused 3 times at its task limit"
    assert said(refused, Limits(tasks_max=5)) == f"{words}, 5; try --tasks 10, or fewer workers"
    assert said(refused, Limits()) == f"{words}; try a higher --tasks, or fewer workers"


def test_a_plain_exit_says_nothing_and_everything_else_is_not_plain():
    plain = records.outcome(Limits(), wall=1.0, peak=MIB)
    assert is_plain(plain)
    assert explain(plain, Limits(), ARGV, ceiling=CEILING) == []
    for changes in (
        {"left_behind": 1},
        {"survivors": 2},
        {"forks_refused": 1},
        {"removed": False},
        {"signal": 9, "oom_kills": 1, "limit_kills": 0},
        *(
            {"ending": ending, "start_error": "no such file"}
            for ending in Ending
            if ending is not Ending.EXITED
        ),
    ):
        other = plain._replace(**changes)
        assert not is_plain(other), changes
        assert explain(other, Limits(), ARGV, ceiling=CEILING), changes


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("pytset", NO_SUCH_COMMAND, "pytset: no such command; check its spelling and PATH"),
        ("make -j4", NO_SUCH_COMMAND, "make -j4: no such command; a line of shell goes as: sh -c 'make -j4'"),
        ("./x", "not executable", "./x: not executable"),
    ],
)
def test_a_command_that_is_not_there_is_told_with_what_to_try(name, error, said):
    outcome, _ = killed(GIB, ending=Ending.NOT_STARTED, start_error=error, oom_kills=0)
    assert explain(outcome, Limits(), (name,), ceiling=CEILING)[0] == said
