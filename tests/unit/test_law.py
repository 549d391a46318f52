import pytest
from readings import THRESHOLDS, reading

from steadyrun.guard import law
from steadyrun.guard.law import Level
from steadyrun.units import GIB, MIB


@pytest.mark.parametrize(
    ("available", "level"),
    [
        (20 * GIB, Level.GREEN),
        (2 * GIB, Level.GREEN),
        (2 * GIB - 1, Level.YELLOW),
        (1 * GIB, Level.YELLOW),
        (1 * GIB - 1, Level.RED),
        (512 * MIB, Level.RED),
        (512 * MIB - 1, Level.BLACK),
        (0, Level.BLACK),
        (None, Level.UNKNOWN),
    ],
)
def test_available_memory_is_judged_by_reserve_floor_and_half_the_floor(available, level):
    assert law.judge(reading(available=available), THRESHOLDS).level is level


def test_the_cause_names_the_figure_and_the_threshold():
    cause = law.judge(reading(available=900 * MIB), THRESHOLDS).cause
    assert cause == "available memory 900 MiB is below the floor, 1 GiB"


@pytest.mark.parametrize(
    ("available", "expected"),
    [(20 * GIB, 0.1), (1 * GIB + 420_000_000, 0.05), (1 * GIB, 0.01), (0, 0.01), (None, 0.1)],
)
def test_the_guard_looks_more_often_the_nearer_the_floor(available, expected):
    assert law.next_tick(reading(available=available), THRESHOLDS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("expected", "actual", "late"), [(0.1, 0.3, False), (0.1, 1.1, True), (0.5, 1.1, False), (0.5, 2.6, True)]
)
def test_only_a_tick_that_missed_by_far_is_late(expected, actual, late):
    assert law.is_late(expected, actual) is late
