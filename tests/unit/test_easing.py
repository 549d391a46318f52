"""Late frames that no grip mends: told as stories of a machine at ten looks a second."""

import pytest
from readings import frames, psi
from stories import FREEZE, LOOSEN, RULES, THAW, TIGHTEN, Story

from steadyrun.guard.easing import EASED
from steadyrun.guard.grip import Grip
from steadyrun.units import MIB


def late(ms):
    return {"frames": frames(p99_ms=ms)}


def test_a_grip_that_changes_nothing_is_taken_back_at_once_and_the_load_left_alone_for_a_minute():
    story = Story().go(12.0, **late(30.0))
    assert story.acts() == [TIGHTEN] * 3 + [LOOSEN]
    assert story.held.grip == Grip()
    assert story.done[-1].cause.startswith(
        "held as tightly as can be, and still the canary's frames were 30 ms"
    )
    assert story.done[-1].cause.endswith("not because of this load")
    assert story.go(EASED - 6.0, **late(30.0)).acts() == [TIGHTEN] * 3 + [LOOSEN]
    again = story.go(14.0, **late(30.0)).acts()
    assert again == ([TIGHTEN] * 3 + [LOOSEN]) * 2


def test_it_is_held_for_a_few_seconds_of_each_minute():
    story, held = Story(), 0
    for _ in range(6000):
        story.go(0.1, **late(30.0))
        held += story.held.grip.step > 0
    assert held <= 0.12 * 6000


@pytest.mark.parametrize(("then", "taken_back"), [(14.0, False), (16.0, True), (60.0, True)])
def test_a_grip_that_helped_stays_until_the_frames_are_well(then, taken_back):
    story = Story().go(5.0, **late(90.0)).go(30.0, **late(3 * then))
    assert (LOOSEN in story.acts()) is taken_back


def test_one_window_that_is_better_says_that_it_may_help():
    story = Story().go(6.0, **late(90.0))
    for _ in range(10):
        story.go(1.0, **late(42.0)).go(2.0, **late(90.0))
    assert LOOSEN not in story.acts()


def test_frames_three_times_as_late_as_those_of_others_count_at_once():
    story = Story().go(12.0, **late(30.0))
    story.done.clear()
    assert story.go(5.0, **late(89.0)).acts() == []
    assert story.go(3.0, **late(91.0)).acts()[0] is TIGHTEN


@pytest.mark.parametrize(("late_for", "acts"), [(12.0, []), (0.0, [FREEZE, TIGHTEN])])
def test_the_machines_stall_does_not_count_with_frames_that_others_made_late(late_for, acts):
    story = Story().go(late_for, **late(30.0))
    story.done.clear()
    for tenth in range(15):
        waited = {"psi_memory": psi(tenth * 0.05), "psi_io": psi()}
        story.go(0.1, **late(30.0), host=waited)
    assert story.acts() == acts


def test_where_something_besides_frames_made_the_grip_it_stays():
    story = Story().go(4.0, some=0.2).go(20.0, **late(30.0))
    assert TIGHTEN in story.acts()
    assert LOOSEN not in story.acts()
    story = Story().go(4.0, **late(30.0)).go(3.0, some=0.2, **late(30.0)).go(20.0, **late(30.0))
    assert LOOSEN not in story.acts()


def test_frames_that_are_late_while_it_is_frozen_are_usual_here():
    low = {"available": 900 * MIB}
    story = Story().go(1.5, **late(30.0), **low).go(30.0, **late(30.0))
    assert story.acts() == [FREEZE, THAW]
    assert story.held.usual_late == 0.03


def test_what_is_held_for_silence_and_frozen_in_vain_is_let_go():
    silent = {"frames": frames(silent=2.0)}
    story = Story().go(3.5, **silent)
    assert story.acts() == [FREEZE, TIGHTEN, THAW, LOOSEN]
    assert story.held.grip == Grip()
    assert story.go(10.0, **silent).acts() == [FREEZE, TIGHTEN, THAW, LOOSEN]


def test_late_frames_leave_no_trace_in_a_load_that_cannot_be_tightened():
    story = Story(RULES._replace(tightens=False)).go(1.0, **late(30.0))
    before = story.held._replace(past=None)
    assert story.go(20.0, **late(30.0)).held._replace(past=None) == before
