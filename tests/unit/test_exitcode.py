"""The exit code of `run`, one row for each way a load ends."""

import errno

import pytest
from evidence import outcome

from steadyrun.model.outcome import Ending
from steadyrun.run.exitcode import exit_code


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (outcome(exit_code=0), 0),
        (outcome(exit_code=7), 7),
        (outcome(exit_code=None, signal=9), 137),
        (outcome(exit_code=None, signal=11), 139),
        (outcome(exit_code=None, signal=None), 125),
        (outcome(Ending.WALL_TIME), 124),
        (outcome(Ending.MEMORY_LIMIT), 137),
        (outcome(Ending.HOST_MEMORY), 137),
        (outcome(Ending.HOST_PRESSURE), 137),
        (outcome(Ending.STOPPED, signal=2), 130),
        (outcome(Ending.STOPPED, signal=9), 137),
        (outcome(Ending.STOPPED, signal=None), 143),
        (outcome(Ending.NOT_STARTED, start_errno=errno.ENOENT), 127),
        (outcome(Ending.NOT_STARTED, start_errno=errno.ENOTDIR), 127),
        (outcome(Ending.NOT_STARTED, start_errno=errno.EACCES), 126),
        (outcome(Ending.NOT_STARTED, start_errno=None), 126),
        (outcome(Ending.CONDUCTOR_GONE), 125),
        (outcome(Ending.GUARD_GONE), 125),
        (outcome(Ending.CONTAINMENT_GONE), 125),
        (outcome(Ending.UNKNOWN), 125),
    ],
)
def test_each_end_has_its_code(ended, code):
    assert exit_code(ended) == code


def test_every_way_to_end_is_in_the_table():
    rows = test_each_end_has_its_code.pytestmark[0].args[1]
    assert {ended.ending for ended, _ in rows} == set(Ending)


def test_an_end_that_is_not_known_is_never_a_success():
    for ending in Ending:
        assert exit_code(outcome(ending, exit_code=None, signal=None)) != 0
