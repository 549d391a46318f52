"""Whose the OOM kills of a phase were."""

import pytest

from steadyrun.model.oom import OomAccount, OomKill
from steadyrun.ramp.oom import account

LIMIT = OomKill(10, "worker", at_limit=True)
MACHINE = OomKill(20, "gnome-shell", at_limit=False)


@pytest.mark.parametrize(
    ("before", "after", "inside", "logged", "outside", "elsewhere"),
    [
        (5, 5, None, None, 0, 0),  # none at all need no telling apart
        (None, 5, 0, (), None, 0),
        (5, None, 0, (), None, 0),
        (5, 7, 2, None, 0, 0),
        (5, 7, 1, None, 1, 0),  # the log cannot be read: it counts
        (5, 7, None, None, None, 0),
        (5, 7, 1, (LIMIT, LIMIT), 0, 1),
        (5, 7, 0, (LIMIT, LIMIT), 0, 2),
        (5, 7, 1, (LIMIT, MACHINE), 1, 0),
        (5, 7, 0, (LIMIT, MACHINE), 1, 1),
        (5, 7, 0, (MACHINE, MACHINE), 2, 0),
        (5, 8, 1, (LIMIT, LIMIT), 2, 0),  # the log has fewer than the counter: it explains nothing
        (5, 7, None, (LIMIT, LIMIT), 0, 0),
        (5, 7, None, (LIMIT, MACHINE), None, 0),
        (5, 6, 2, (LIMIT,), 0, 0),  # a cgroup that counts one victim twice
        (7, 5, 0, (), 0, 0),
    ],
)
def test_kills_are_sorted_by_whose_they_were(before, after, inside, logged, outside, elsewhere):
    found = account(before, after, inside, logged)
    assert (found.outside, found.elsewhere) == (outside, elsewhere)


def test_victims_of_a_machine_without_memory_are_named_first_and_the_loads_own_are_not():
    assert account(0, 2, 1, (LIMIT, MACHINE)).victims == ("gnome-shell (pid 20)",)
    assert account(0, 1, 1, (LIMIT,)) == OomAccount(0, 0, ())


@pytest.mark.parametrize(("seen", "outside"), [(0, None), (1, None), (2, 0), (3, 0)])
def test_a_containment_that_went_before_it_was_counted_has_what_was_seen_in_it(seen, outside):
    assert account(5, 7, None, None, seen).outside == outside
