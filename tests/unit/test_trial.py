"""A load that is frozen below the floor: tried under the tightest grip while nobody waits, never for long."""

import pytest
from readings import THRESHOLDS, frames, psi
from stories import FREEZE, KILL, LOOSEN, RULES, THAW, TIGHTEN, Story

from steadyrun.guard.grip import TIGHTEST
from steadyrun.guard.held import Stage
from steadyrun.model.outcome import Ending
from steadyrun.units import GIB, MIB, Bytes

PEAK = {"available": 900 * MIB}
STEP = (THRESHOLDS.floor - THRESHOLDS.black) // 4


def on_trial():
    """Return the story of a load that was frozen at its peak and runs on trial."""
    return Story().go(3.5, **PEAK)


def test_a_load_at_its_own_peak_is_held_tightly_thawed_on_trial_and_left_alone_once_it_comes_down():
    story = on_trial()
    assert story.acts() == [FREEZE, TIGHTEN, THAW]
    assert story.done[1].grip.step == TIGHTEST
    assert "it may be at a peak of its own" in story.done[2].cause
    story.go(5.0, **PEAK).go(5.0, available=2 * GIB)
    assert (story.acts(), story.held.stage) == ([FREEZE, TIGHTEN, THAW], Stage.RUNNING)
    assert story.held.trial.least is None


def test_the_grip_has_a_second_to_be_in_force_before_the_thaw():
    tightened, thawed = (next(d.seq for d in on_trial().done if d.action is kind) for kind in (TIGHTEN, THAW))
    assert thawed - tightened >= 10


def test_a_trial_that_costs_memory_is_broken_off_and_the_next_one_waits_twice_as_long():
    story = on_trial().go(0.1, available=900 * MIB - STEP - MIB)
    assert story.acts()[-1] is FREEZE
    assert story.done[-1].cause.startswith("tried, and available memory")
    assert story.go(3.8, **PEAK).acts()[-1] is FREEZE
    assert story.go(0.4, **PEAK).acts()[-1] is THAW


def test_trials_that_fail_do_not_count_as_so_many_freezes_but_their_time_frozen_adds_up():
    story, fallen = on_trial(), {"available": 900 * MIB - STEP - MIB}
    for _ in range(400):
        if story.held.stage is Stage.KILLING:
            break
        story.go(0.1, **(fallen if story.held.trial.least else PEAK))
    assert story.held.ending is Ending.HOST_MEMORY
    assert "frozen for 30 s" in story.held.cause
    assert story.acts().count(THAW) >= 3
    assert 30.0 <= story.now < 34.0


@pytest.mark.parametrize(
    "wrong",
    [
        PEAK | {"stall": 0.3},
        PEAK | {"frames": frames(p99_ms=40.0)},
        PEAK | {"frames": frames(silent=0.7)},
        {"available": None},
    ],
    ids=["somebody stalls", "frames are late", "the canary is silent", "memory is unknown"],
)
def test_a_trial_ends_as_soon_as_somebody_waits_or_nothing_is_known(wrong):
    assert on_trial().go(1.2, **wrong).acts()[3] is FREEZE


def test_a_trial_ends_as_soon_as_reclaim_is_in_vain():
    story = on_trial()
    for tenth in range(12):
        story.go(0.1, **PEAK, host={"scanned_pages": 10_000 * tenth, "stolen_pages": 0})
    assert story.acts()[3] is FREEZE


def test_what_is_judged_before_a_trial_is_all_from_after_the_freeze():
    """Where `stall_max` is set below a window, the window still holds what was before."""
    story = Story(RULES._replace(thresholds=RULES.thresholds._replace(stall_max=0.5))).go(2.0)
    assert story.go(0.9, **PEAK).acts() == [FREEZE]
    assert story.go(0.4, **PEAK).acts() == [FREEZE, TIGHTEN]


def test_a_group_that_waits_although_nobody_stalls_ends_a_trial():
    assert on_trial().go(1.2, some=0.2, **PEAK).acts()[3] is FREEZE


def own_wait(story, **more):
    """All wait for half of the time, and so does the load, at its limit."""
    for tenth in range(12):
        waited = psi(0.05 * tenth)
        story.go(0.1, **PEAK, memory=8 * GIB, psi_memory=waited, host={"psi_memory": waited}, **more)
    return story


def test_what_the_load_waits_for_at_its_own_limit_ends_no_trial_where_groups_are_known_not_to_wait():
    assert own_wait(on_trial()).acts() == [FREEZE, TIGHTEN, THAW]
    story = on_trial()
    story.blind = True
    assert own_wait(story).acts()[3] is FREEZE


def test_below_half_the_floor_a_trial_ends_in_a_kill():
    story = on_trial().go(0.2, available=400 * MIB)
    assert story.acts()[3:] == [FREEZE, KILL, LOOSEN]


def test_a_trial_that_changes_nothing_is_ended_after_half_a_minute():
    story = on_trial().go(29.0, **PEAK)
    assert story.acts() == [FREEZE, TIGHTEN, THAW]
    story.go(1.5, **PEAK)
    assert story.acts()[-1] is KILL
    assert story.held.cause.startswith("held tightly for 30 s and still available memory")


@pytest.mark.parametrize(
    "rules",
    [
        RULES._replace(tightens=False),
        RULES._replace(thresholds=RULES.thresholds._replace(floor=Bytes(920 * MIB), black=Bytes(881 * MIB))),
    ],
    ids=["what cannot be held tightly", "what is near the end"],
)
def test_nothing_is_tried_with(rules):
    assert Story(rules).go(20.0, **PEAK).acts() == [FREEZE]


def test_nothing_is_tried_where_nobody_could_be_seen_to_wait():
    blind = Story()
    blind.blind = True
    assert blind.go(20.0, **PEAK).acts() == [FREEZE]


def test_nothing_is_tried_while_the_whole_machine_waits():
    story = Story().go(0.1, **PEAK)
    for tenth in range(100):
        story.go(0.1, **PEAK, host={"psi_memory": psi(0.01 * tenth)})
    assert THAW not in story.acts()


def test_time_on_trial_is_wall_time_and_ends_at_it():
    story = Story(RULES._replace(wall_time=5.0)).go(10.0, **PEAK)
    assert story.held.ending is Ending.WALL_TIME
