"""What makes a try void: three things from outside, and nothing of the load's own."""

import pytest
import records
from evidence import attempt, evidence, outcome, phase, reading

from steadyrun.cli.plain import line_for
from steadyrun.model.outcome import Ending
from steadyrun.model.record import State
from steadyrun.model.validity import CLOCK_SET, SLEPT, STARVED, is_starved, why_void
from steadyrun.report.judged import status_words
from steadyrun.units import Bytes, Microseconds, Seconds

HUNGRY = outcome(Ending.WALL_TIME, wall=60.0, cpu=1.7, psi_cpu_some=58.0)
"""Beside others with a load of 2.7 on 2 cores."""


def throttled(seconds):
    counters = reading(load=Bytes(0)).load
    return counters._replace(cpu_throttled=Microseconds(int(seconds * 1e6)))


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (evidence(), None),
        (evidence(suspended=Seconds(1.1)), SLEPT),
        (evidence(clock_jump=Seconds(-5.1)), CLOCK_SET),
        (evidence(outcome=HUNGRY), STARVED),
        (evidence(outcome=HUNGRY, suspended=Seconds(9.0)), SLEPT),
        (evidence(outcome=None), None),
    ],
)
def test_a_try_is_void_for_what_came_from_outside(seen, why):
    assert why_void(seen) == why


@pytest.mark.parametrize(
    ("ending", "changes", "work_done", "void"),
    [
        (Ending.EXITED, {}, False, True),
        (Ending.EXITED, {}, True, False),
        (Ending.EXITED, {}, None, False),
        (Ending.EXITED, {"exit_code": 1}, False, False),
        (Ending.EXITED, {"oom_kills": 1}, False, False),
        (Ending.WALL_TIME, {}, None, True),
        *((each, {}, False, False) for each in Ending if each not in (Ending.EXITED, Ending.WALL_TIME)),
    ],
)
def test_others_on_the_cpus_excuse_only_what_more_time_would_have_mended(ending, changes, work_done, void):
    end = outcome(ending, wall=60.0, cpu=1.7, psi_cpu_some=58.0)._replace(**changes)
    assert (why_void(evidence(outcome=end, work_done=work_done)) == STARVED) is void


@pytest.mark.parametrize(
    ("changes", "starved"),
    [
        ({}, True),
        ({"cpu": Seconds(5.9)}, True),
        ({"cpu": Seconds(6.0)}, False),
        ({"cpu": None}, False),
        ({"psi_cpu_some": Seconds(30.1)}, True),
        ({"psi_cpu_some": Seconds(30.0)}, False),
        ({"psi_cpu_some": None}, False),
        ({"wall": Seconds(0.0)}, False),
        ({"wall": Seconds(120.0)}, False),
        ({"wall": Seconds(120.0), "frozen": Seconds(60.0)}, True),
        ({"last": throttled(0.0)}, True),
        ({"last": throttled(57.0)}, False),
        ({"last": throttled(200.0)}, False),
    ],
)
def test_a_load_is_starved_that_waits_for_others_not_for_its_own_quota(changes, starved):
    assert is_starved(HUNGRY._replace(**changes)) is starved


def test_a_try_that_says_nothing_is_told_with_its_reason_on_the_page_and_in_the_lines():
    void = attempt(phase(), State.INVALID, end=HUNGRY)
    assert status_words(void).startswith(f"⚠️ INVALID - this try says nothing about its limits ({STARVED})")
    record = records.passed()
    (line,) = [
        line
        for line in line_for(record._replace(attempts=()), record._replace(attempts=(void,)))
        if "INVALID" in line
    ]
    assert line.endswith(f"says nothing: {STARVED}")
