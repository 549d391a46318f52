import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyrun.errors import UsageError
from steadyrun.model.envelope import Envelope
from steadyrun.model.limits import Limits
from steadyrun.model.machine import Promise, reserve_of
from steadyrun.run.allowance import DEFAULT_TASKS, beyond_cores, choose_limits, room_for_new
from steadyrun.units import GIB, MIB

RESERVE = reserve_of(24 * GIB)
ENVELOPE = Envelope("pytest", Limits(memory_max=8 * GIB, tasks_max=300), None, 0.0, "abc", 24 * GIB, 2, "6")
sizes = st.integers(0, 64 * GIB)


@given(sizes, st.lists(st.builds(Promise, sizes, sizes), max_size=6))
def test_what_is_promised_never_exceeds_what_is_available_less_the_reserve(available, promises):
    room = room_for_new(available, RESERVE, tuple(promises))
    still_open = sum(max(0, p.limit - p.usage) for p in promises)
    assert room == 0 or room + still_open + RESERVE.reserve <= available


def test_what_was_asked_for_is_taken_as_it_is():
    chosen = choose_limits(Limits(memory_max=GIB), ENVELOPE, room=4 * GIB, ceiling=20 * GIB)
    assert (chosen.limits.memory_max, chosen.limits.tasks_max, chosen.why) == (GIB, DEFAULT_TASKS, "")


def test_without_a_wish_the_envelope_rules_as_far_as_there_is_room():
    chosen = choose_limits(Limits(), ENVELOPE, room=20 * GIB, ceiling=20 * GIB)
    assert (chosen.limits.memory_max, chosen.limits.tasks_max) == (8 * GIB, 300)
    assert "proven by ramp abc" in chosen.why
    chosen = choose_limits(Limits(tasks_max=7), ENVELOPE, room=GIB, ceiling=20 * GIB)
    assert (chosen.limits.memory_max, chosen.limits.tasks_max) == (GIB, 7)
    assert "more is not free" in chosen.why


def test_of_an_envelope_the_wall_time_is_not_taken_and_the_swap_is_unless_it_was_asked_for():
    proven = ENVELOPE._replace(limits=Limits(memory_max=GIB, swap_max=2 * GIB, wall_time=9.0, output_max=MIB))

    def chosen(asked):
        return choose_limits(asked, proven, room=20 * GIB, ceiling=20 * GIB).limits

    assert (chosen(Limits()).wall_time, chosen(Limits()).output_max) == (None, None)
    assert chosen(Limits(wall_time=5.0)).wall_time == 5.0
    assert chosen(Limits()).swap_max == 2 * GIB
    assert chosen(Limits(swap_max=GIB)).swap_max == GIB
    assert chosen(Limits(swap_max=None)).swap_max is None


def test_without_an_envelope_the_next_run_is_left_a_quarter_and_it_has_the_lowest_cpu_weight():
    chosen = choose_limits(Limits(), None, room=5 * GIB, ceiling=20 * GIB)
    assert (chosen.limits.memory_max, chosen.limits.cpu_weight) == (5 * GIB * 3 // 4, 1)


@pytest.mark.parametrize(
    ("asked", "room", "says"),
    [
        (30 * GIB, 20 * GIB, "this machine less its reserve"),
        (6 * GIB, 5 * GIB, "free now"),
        (None, 0, "all of it"),
    ],
)
def test_more_than_there_is_is_refused_with_what_to_type(asked, room, says):
    with pytest.raises(UsageError, match=says) as refused:
        choose_limits(Limits(memory_max=asked), None, room=room, ceiling=20 * GIB)
    assert refused.value.hint
    assert room < 6 * MIB or "--memory" in refused.value.hint


def test_a_limit_of_the_settings_is_refused_by_the_name_it_was_set_with():
    with pytest.raises(UsageError, match=r"^steadyrun.toml: memory: expected at most"):
        choose_limits(
            Limits(memory_max=30 * GIB), None, room=GIB, ceiling=20 * GIB, source="steadyrun.toml: memory"
        )


def test_run_after_run_without_limits_there_is_room_for_one_more():
    room = 18 * GIB
    for _ in range(6):
        taken = choose_limits(Limits(), None, room=room, ceiling=20 * GIB).limits.memory_max
        room -= taken
        assert room >= 4 * MIB


@pytest.mark.parametrize("asked", [Limits(), Limits(memory_max=100 * MIB)])
def test_without_any_room_nobody_is_told_to_ask_for_nothing(asked):
    with pytest.raises(UsageError, match="all of it in use or promised") as caught:
        choose_limits(asked, None, room=0, ceiling=20 * GIB)
    assert "--memory 0" not in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("quota", "cores", "words"),
    [
        (None, 2, ""),
        (2.0, 2, ""),
        (2.5, 2, "2.5 limits nothing here: there are 2 cores"),
        (1.5, 1, "1.5 limits nothing here: there is 1 core"),
    ],
)
def test_a_quota_beyond_the_cores_is_told(quota, cores, words):
    assert beyond_cores(quota, cores) == words
