"""What counts as within budget: nothing that was not measured."""

import pytest
from bench import guard_cost, lateness, overshoot, survivors
from bench.__main__ import table
from bench.tools import Row


@pytest.mark.parametrize(
    ("budget", "held", "missed"),
    [("<= 1", True, False), ("<= 1", False, True), ("<= 1", None, True), ("", None, False)],
)
def test_a_budget_that_was_not_measured_is_missed(budget, held, missed):
    assert Row("x", "1", budget, held).is_missed() is missed


@pytest.mark.parametrize(
    "row",
    [
        lateness._row(None, 17.0, 17.0),
        lateness._row(17.0, None, 17.0),
        lateness._row(17.0, 17.0, None),
        overshoot._row(None, 1),
        survivors._row("steadyrun", None),
        *(row for name in guard_cost.BUDGETS for row in guard_cost._rows(name, None)),
    ],
    ids=lambda row: f"{row.what}: {row.value}",
)
def test_each_benchmark_that_could_not_measure_misses_its_budget(row):
    assert row.is_missed()
    assert row.budget in table([row])


@pytest.mark.parametrize(("during", "missed"), [(25.5, False), (25.6, True)])
def test_frames_may_be_half_as_late_again_as_idle(during, missed):
    assert lateness._row(16.0, during, 17.0).is_missed() is missed


@pytest.mark.parametrize(("during", "missed"), [(7.0, False), (7.1, True)])
def test_frames_that_were_hardly_late_have_five_milliseconds(during, missed):
    assert lateness._row(2.0, during, 1.0).is_missed() is missed
