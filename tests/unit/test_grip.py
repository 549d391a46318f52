import pytest

from steadyrun.guard.grip import GRIPPED, TIGHTEST, Grip, gripped, looser, memory_bound, tighter
from steadyrun.model.limits import Limits
from steadyrun.units import GIB, MIB

OWN = Limits(memory_max=4 * GIB, cpu_weight=100, tasks_max=50)


@pytest.mark.parametrize(("step", "cores"), [(0, None), (1, 4.0), (2, 2.0), (3, 1.0)])
def test_each_step_halves_the_cores(step, cores):
    assert gripped(OWN, Grip(step), 8.0).cpu_max == cores


def test_a_quota_of_its_own_is_what_is_halved_and_never_below_a_tenth_of_a_core_or_above_its_own():
    assert gripped(OWN._replace(cpu_max=2.0), Grip(1), 8.0).cpu_max == 1.0
    assert gripped(OWN._replace(cpu_max=0.3), Grip(3), 8.0).cpu_max == 0.1
    assert gripped(OWN._replace(cpu_max=0.05), Grip(3), 8.0).cpu_max == 0.05


def test_only_the_limits_that_a_grip_changes_are_changed():
    under = gripped(OWN, Grip(3, 10 * MIB, 5 * MIB, True), 2.0)
    changed = {name for name in Limits._fields if getattr(under, name) != getattr(OWN, name)}
    assert changed == set(GRIPPED)
    assert under.memory_high == int(0.9 * 4 * GIB)


def test_an_own_limit_that_is_lower_stays():
    own = OWN._replace(io_read_bps=MIB, memory_high=GIB)
    under = gripped(own, Grip(1, 10 * MIB, None, True), 2.0)
    assert (under.io_read_bps, under.memory_high) == (MIB, GIB)


def test_a_rate_is_halved_at_first_and_what_is_left_at_each_step_after():
    grip = tighter(Grip(), to=1, read_rate=100 * MIB)
    assert (grip.read, grip.write) == (50 * MIB, None)
    assert tighter(grip, to=2, read_rate=50 * MIB).read == 25 * MIB
    assert tighter(grip, to=2).read == 50 * MIB
    assert tighter(grip, to=2, read_rate=0.0).read == MIB


def test_a_throttle_limit_stays_when_something_else_tightens():
    assert tighter(Grip(1, high=True), to=2).high


def test_loosening_ends_with_the_loads_own_limits():
    grip = tighter(Grip(), to=TIGHTEST, read_rate=100 * MIB, high=True)
    steps = []
    while grip.step:
        grip = looser(grip)
        steps.append(grip.step)
    assert steps == [2, 1, 0]
    assert grip == Grip()
    assert gripped(OWN, grip, 2.0) == OWN


def test_a_load_waits_for_room_from_its_throttle_limit_on_or_from_its_hard_one():
    assert memory_bound(Limits()) is None
    assert memory_bound(Limits(memory_max=4 * GIB)) == 4 * GIB
    assert memory_bound(Limits(memory_max=4 * GIB, memory_high=GIB)) == GIB
    assert memory_bound(Limits(memory_high=GIB)) == GIB
