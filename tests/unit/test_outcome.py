"""The end of a load as a value, and the rules it was held by."""

import errno

import pytest
from evidence import limits, psi, reading

from steadyrun.guard.held import Held
from steadyrun.guard.outcome import outcome_of
from steadyrun.guard.rules import POLLED_TICK, rules_of
from steadyrun.model.containment import Capability
from steadyrun.model.limits import ReadBack
from steadyrun.model.outcome import Ending, MemberExit, StartError
from steadyrun.model.thresholds import Thresholds
from steadyrun.units import GIB, MIB, Bytes, Seconds

FAR = Thresholds(Bytes(0), Bytes(0), Bytes(0))
DONE = Held(released=Seconds(10.0), ending=Ending.EXITED, exits=(MemberExit(7, 0, None),))


def ended(held=DONE, last=None, **changes):
    given = {"cpu_of_members": Seconds(1.5), "start_failed": None, "survivors": 0, "left_behind": 0}
    last = last or reading().load
    return outcome_of(held, Seconds(12.5), last, **(given | {"removed": True} | changes))


def test_a_load_that_ended_well_has_its_code_wall_time_and_figures():
    found = ended()
    assert (found.ending, found.exit_code, found.signal) == (Ending.EXITED, 0, None)
    assert (found.wall, found.start_error) == (2.5, None)


@pytest.mark.parametrize(
    ("exits", "code", "signal"),
    [
        ((MemberExit(1, 0, None), MemberExit(2, 3, None), MemberExit(3, 4, None)), 3, None),
        ((MemberExit(1, 0, None), MemberExit(2, None, 9)), None, 9),
        ((), None, None),
    ],
)
def test_the_first_member_that_failed_says_how_it_ended(exits, code, signal):
    found = ended(DONE._replace(exits=exits))
    assert (found.exit_code, found.signal) == (code, signal)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOENT, "no such command"), (errno.EACCES, "not executable"), (errno.EIO, "EIO")],
)
def test_a_command_that_could_not_be_executed_never_started_whatever_its_code(number, words):
    found = ended(
        DONE._replace(exits=(MemberExit(1, 127, None),)), start_failed=StartError(number, "exec", "")
    )
    assert (found.ending, found.exit_code, found.start_error) == (Ending.NOT_STARTED, None, words)


@pytest.mark.parametrize(
    ("doing", "why", "words"),
    [
        ("exec", "no permission for /root", "not executable: no permission for /root"),
        (
            "chdir",
            "its working directory cannot be entered: /root",
            "its working directory cannot be entered: /root",
        ),
        ("user", "", "not executable"),
    ],
)
def test_what_was_in_the_way_is_told(doing, why, words):
    failed = StartError(errno.EACCES, doing, "", why)
    assert ended(DONE, start_failed=failed).start_error == words


def test_without_a_cause_the_ending_is_unknown_and_never_released_is_no_wall_time():
    found = ended(Held())
    assert (found.ending, found.wall) == (Ending.UNKNOWN, 0.0)


def test_cpu_time_is_the_containments_and_the_members_where_that_counts_none():
    last = reading().load
    assert ended(last=last._replace(cpu_time=2_000_000)).cpu == 2.0
    assert ended(last=last._replace(cpu_time=None)).cpu == 1.5


def test_pressure_becomes_seconds_and_none_stays_none():
    last = reading().load._replace(psi_memory=psi(1_500_000, 500_000), psi_io=None, psi_cpu=None)
    found = ended(last=last)
    assert (found.psi_memory_some, found.psi_memory_full) == (1.5, 0.5)
    assert (found.psi_io_full, found.psi_cpu_some) == (None, None)


@pytest.mark.parametrize(("swap", "throttles"), [(0, False), (GIB, True), (None, True)])
def test_a_load_that_may_not_swap_gets_no_throttle_limit(swap, throttles):
    """It would livelock (Containarium#1454)."""
    asked = limits()._replace(memory_max=GIB, swap_max=swap)
    assert (
        rules_of(FAR, asked, 1, (), capabilities=frozenset({Capability.MEMORY_HIGH})).throttles is throttles
    )


def test_a_memory_limit_that_no_kernel_holds_is_polled_and_looked_at_more_often():
    asked = limits()._replace(memory_max=Bytes(64 * MIB), wall_time=Seconds(9.0))
    missed = ReadBack("memory_max", "1", None, "none", held=False)
    rules = rules_of(FAR, asked, 3, (missed,))
    assert (rules.polled_memory, rules.thresholds.tick) == (64 * MIB, POLLED_TICK)
    assert (rules.members, rules.wall_time) == (3, 9.0)
    for readback in ((), (missed._replace(held=True),)):
        rules = rules_of(FAR, asked, 1, readback)
        assert (rules.polled_memory, rules.thresholds.tick) == (None, FAR.tick)
