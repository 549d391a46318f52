"""The guard's law over seeded machines and loads: a small part of what `make simulate` plays.

And that the simulation can fail: without the law, or with one that is broken, the faults are there.
"""

import pytest
from simulation.guards import Ours
from simulation.play import Sort, faults, play, play_law, sort

SEEDS = (*range(60), 172, 1060, *range(2000, 2040))


@pytest.fixture(scope="module")
def scenarios():
    return [sort(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def dangerous(scenarios):
    return [each for each in scenarios if each.sort is Sort.DANGEROUS]


def broken(each, **changes):
    return each, play(each.scenario, lambda world: Ours(each.scenario.seed, world, changes), adj=Ours.adj)


def test_no_machine_is_lost_no_load_left_frozen_no_harmless_load_killed(scenarios):
    found = faults((each, play_law("steadyrun", each)) for each in scenarios)
    assert (found.lost, found.left_frozen, found.harmless_killed, found.others_killed) == ((), (), (), ())


def test_there_is_something_to_lose_and_something_to_leave_alone(scenarios, dangerous):
    assert len(dangerous) >= 5
    assert sum(each.sort is Sort.HARMLESS for each in scenarios) >= 50


def test_without_a_law_they_are_lost(dangerous):
    assert len(faults((each, each.bare) for each in dangerous).lost) == len(dangerous)


def test_with_thresholds_out_of_reach_they_are_lost(dangerous):
    blind = {"floor": 0, "black": 0, "protected_full": 99.0, "host_full": 99.0, "futile": 1e9}
    blind |= {"frames_silent": 1e9}
    assert faults(broken(each, **blind) for each in dangerous).lost


def test_a_law_that_never_ends_a_freeze_is_found_out(dangerous):
    stuck = {"frozen_max": 1e9, "black": 0, "stall_max": 1e9, "reds_max": 99, "futile": 1e9, "floor": 2**40}
    found = faults(broken(each, **stuck) for each in dangerous)
    assert found.left_frozen


def test_a_law_that_is_too_eager_is_found_out(scenarios):
    calm = [each for each in scenarios if each.sort is Sort.HARMLESS][:20]
    assert faults(broken(each, black=2**40, kill_least=0) for each in calm).harmless_killed
