"""What pressure makes of a load: told as stories of a machine at ten looks a second."""

from itertools import pairwise

import pytest
from readings import frames, psi, reading
from stories import FREEZE, KILL, LOOSEN, RULES, THAW, TIGHTEN, Story

from steadyrun.guard.grip import TIGHTEST
from steadyrun.guard.held import Stage
from steadyrun.guard.machine import step
from steadyrun.guard.pressure import worth_killing
from steadyrun.model.given import Ticked
from steadyrun.model.outcome import Ending
from steadyrun.units import GIB, MIB

LATE = {"frames": frames(p99_ms=30.0)}
LOW = {"available": 1536 * MIB}
RED = {"available": 900 * MIB}
UNREAD = {"available": None}


def test_late_frames_take_half_of_the_cores_with_each_window_and_no_more_than_three_times():
    story = Story().go(7.0, **LATE)
    assert story.acts() == [TIGHTEN] * 3
    assert [d.grip.step for d in story.done] == [1, 2, TIGHTEST]
    assert all(b.seq - a.seq >= 10 for a, b in pairwise(story.done))  # looks: a window
    assert "2 of 4 cores" in story.done[0].cause
    assert "30 ms late" in story.done[0].cause


def test_after_ten_clean_seconds_each_it_is_loosened_a_step_at_a_time():
    story = Story().go(7.0, **LATE)
    story.done.clear()
    assert story.go(11.0).acts() == []  # two windows pass before the machine counts as well
    assert story.go(2.0).acts() == [LOOSEN]
    assert story.go(30.0).acts() == [LOOSEN] * 3
    assert story.held.grip.step == 0
    assert "its own limits again" in story.done[-1].cause
    assert story.go(30.0).acts() == [LOOSEN] * 3


def test_pressure_in_between_begins_the_ten_seconds_anew():
    story = Story().go(3.0, **LATE)
    story.done.clear()
    assert LOOSEN not in story.go(8.0).go(2.0, **LATE).go(9.0).acts()


def test_a_containment_that_cannot_be_tightened_is_left_alone():
    assert Story(RULES._replace(tightens=False)).go(10.0, **LATE).acts() == []


def test_low_memory_alone_tightens_nothing():
    assert Story().go(60.0, **LOW).acts() == []


def test_the_disk_is_tightened_only_when_it_is_short_and_the_load_uses_it():
    story = Story()
    for i in range(40):
        busy = {"host": {"psi_io": psi(i * 0.05)}, "io_read": i * 8 * MIB, "io_write": 0}
        story.go(0.1, **LATE, **busy)
    first = story.done[0].grip
    assert first.read == pytest.approx(40 * MIB, rel=0.2)
    assert story.done[1].grip.read == first.read // 2
    assert "reads 40" in story.done[0].cause
    assert Story().go(5.0, **LATE).done[0].grip.read is None


@pytest.mark.parametrize(
    ("throttles", "free", "high"), [(True, 2 * GIB, True), (True, 0, False), (False, 2 * GIB, False)]
)
def test_the_throttle_limit_is_used_only_where_there_is_one_and_swap_is_free(throttles, free, high):
    story = Story(RULES._replace(throttles=throttles))
    story.go(4.0, stall=0.06, host={"swap_free": free})
    assert story.acts()[0] is TIGHTEN
    assert story.done[0].grip.high is high
    assert ("throttled over 7.2 GiB" in story.done[0].cause) is high


def test_late_frames_set_no_throttle_limit():
    story = Story(RULES._replace(throttles=True)).go(4.0, **LATE, host={"swap_free": 2 * GIB})
    assert story.acts()[0] is TIGHTEN
    assert not any(d.grip.high for d in story.done)


def test_a_stall_freezes_at_once_and_the_load_goes_on_under_the_tightest_grip():
    story = Story().go(0.2, stall=1.0)
    assert story.acts() == [FREEZE, TIGHTEN]
    story.go(8.0)
    assert story.acts() == [FREEZE, TIGHTEN, THAW]
    assert (story.held.stage, story.held.grip.step) == (Stage.RUNNING, TIGHTEST)


def test_a_stall_that_outlives_the_freeze_by_two_seconds_kills():
    story = Story().go(2.1, stall=0.5)
    assert KILL not in story.acts()
    story.go(0.4, stall=0.5)
    assert story.acts()[-1] is KILL
    assert story.held.ending is Ending.HOST_PRESSURE
    assert "still all of session waited for memory" in story.held.cause


def test_a_load_that_holds_too_little_to_be_the_cause_is_thawed_and_left_alone_for_a_minute():
    story = Story().go(30.0, stall=0.5, memory=100 * MIB)
    assert story.acts() == [FREEZE, TIGHTEN, THAW]
    assert "not because of this load, which holds 100 MiB" in story.done[-1].cause
    assert story.held.stage is Stage.RUNNING


@pytest.mark.parametrize("seen", [RED, UNREAD], ids=["below the floor", "unknown"])
def test_what_is_held_tightly_is_not_loosened_while_memory_is(seen):
    story = Story().go(5.0, stall=0.5, memory=100 * MIB)
    assert (story.held.spared_until, story.held.grip.step) == (pytest.approx(62.3, abs=0.2), TIGHTEST)
    story.go(40.0, memory=100 * MIB, **seen)
    assert LOOSEN not in story.acts()
    assert LOOSEN in story.go(11.0, memory=100 * MIB).acts()


def test_a_load_that_was_left_alone_for_a_minute_is_frozen_again_then():
    story = Story().go(3.0, stall=0.5, memory=100 * MIB)
    assert story.acts() == [FREEZE, TIGHTEN, THAW]
    thawed = story.done[-1].seq / 10
    story.go(thawed + 59.5 - story.now, stall=0.5, memory=100 * MIB)
    assert FREEZE not in story.acts()[3:]
    assert FREEZE in story.go(1.0, stall=0.5, memory=100 * MIB).acts()[3:]


def test_a_spared_load_that_grows_is_frozen_after_all():
    story = Story().go(5.0, stall=0.5, memory=100 * MIB).go(0.2, stall=0.5, memory=GIB)
    assert story.acts()[:4] == [FREEZE, TIGHTEN, THAW, FREEZE]


def test_a_small_load_is_not_killed_when_memory_is_black_but_never_left_frozen():
    black = {"available": 100 * MIB, "memory": 100 * MIB}
    story = Story().go(40.0, **black)
    assert story.acts() == [FREEZE, THAW]
    assert Story().go(1.0, available=100 * MIB).acts()[:2] == [FREEZE, KILL]


@pytest.mark.parametrize(
    ("holds", "worth"),
    [
        ({"memory": GIB, "working_set": 100 * MIB, "swap": 0}, False),  # the rest is page cache
        ({"memory": GIB, "working_set": None, "swap": 0}, True),
        ({"memory": 100 * MIB, "working_set": 100 * MIB, "swap": GIB}, True),
        ({"memory": 100 * MIB, "working_set": 100 * MIB, "swap": None}, False),
        ({"memory": None, "working_set": None, "swap": 0}, True),
    ],
)
def test_what_the_end_of_a_load_would_bring_is_its_working_set_and_its_swap(holds, worth):
    assert worth_killing(reading(**holds), RULES) is worth


def test_a_load_of_unknown_size_may_be_the_cause():
    story = Story().go(1.0, available=100 * MIB, memory=None)
    assert story.acts()[:2] == [FREEZE, KILL]


def test_three_reds_in_a_minute_kill_at_the_next_look_and_over_a_longer_time_they_do_not():
    def reds(pause):
        story = Story()
        for _ in range(3):
            story.go(0.2, **RED).go(pause)
        return story

    quick = reds(5.0)
    assert quick.acts()[:6] == [FREEZE, THAW, FREEZE, THAW, FREEZE, KILL]
    assert quick.held.cause.startswith("frozen for the 3. time within 60 s: available memory 900 MiB")
    assert KILL not in reds(35.0).acts()


def test_a_third_red_that_is_over_at_the_next_look_does_not_kill():
    story = Story()
    for _ in range(3):
        story.go(0.1, **RED).go(5.0)
    assert story.acts() == [FREEZE, THAW] * 3


def test_frozen_for_memory_it_may_stay_so_for_half_a_minute():
    story = Story(RULES._replace(tightens=False)).go(29.0, **RED)
    assert story.acts() == [FREEZE]
    assert story.go(1.2, **RED).acts()[-1] is KILL
    assert story.held.ending is Ending.HOST_MEMORY


def test_frozen_for_memory_that_cannot_be_read_any_more_it_is_killed_after_half_a_minute():
    story = Story().go(0.1, **RED).go(29.8, **UNREAD)
    assert story.acts() == [FREEZE]
    assert story.go(0.2, **UNREAD).acts() == [FREEZE, KILL]
    assert story.held.cause == "frozen for 30 s and still available memory could not be read"


def test_a_small_load_frozen_for_memory_that_cannot_be_read_any_more_goes_on_after_half_a_minute():
    story = Story().go(0.1, **RED, memory=100 * MIB).go(31.0, **UNREAD, memory=100 * MIB)
    assert (story.acts(), story.held.stage) == ([FREEZE, THAW], Stage.RUNNING)


def test_between_floor_and_reserve_it_is_thawed_after_half_a_minute_and_killed_when_it_drives_on():
    story = Story().go(0.1, **RED).go(31.0, **LOW)
    assert story.acts() == [FREEZE, THAW]
    assert story.go(0.2, **RED).acts()[-2:] == [FREEZE, KILL]


def test_silence_of_the_canary_that_a_freeze_does_not_end_is_not_the_loads_doing():
    silent = {"frames": frames(silent=2.0)}
    story = Story().go(20.0, **silent)
    assert story.acts() == [FREEZE, TIGHTEN, THAW, LOOSEN]
    assert "not because of this load" in story.done[-1].cause
    assert KILL not in story.go(120.0, **silent).acts()


def test_silence_that_a_freeze_ends_never_kills_however_often_it_comes():
    story = Story()
    for _ in range(6):
        story.go(1.2, frames=frames(silent=2.0)).go(16.0)
    assert story.acts().count(FREEZE) == 6
    assert KILL not in story.acts()
    assert story.held.stage is Stage.RUNNING


def test_freezes_for_silence_are_no_reds_of_which_the_third_kills():
    story = Story()
    for _ in range(2):
        story.go(1.2, frames=frames(silent=2.0)).go(12.0)
    assert story.acts().count(FREEZE) == 2
    assert KILL not in story.go(0.5, **RED).acts()
    assert story.held.stage is Stage.FROZEN


def test_a_third_red_after_which_only_the_canary_is_silent_does_not_kill():
    story, silent = Story(), {"frames": frames(silent=0.7)}
    for _ in range(2):
        story.go(0.2, **RED).go(5.0)
    story.go(0.1, **silent).go(0.5).go(0.1, **RED)
    assert story.acts() == [FREEZE, THAW] * 2 + [FREEZE]
    story.go(1.5, **silent)
    assert (story.acts()[5:], story.held.stage) == ([], Stage.FROZEN)
    assert story.go(3.0, **silent).acts()[5] is THAW


def test_frames_that_stay_late_thaw_nothing_while_memory_is_unknown():
    story = Story().go(0.1, **RED).go(29.5, **LATE, **UNREAD)
    assert story.acts() == [FREEZE]
    assert Story().go(0.1, **RED).go(29.5, **LATE).acts()[:2] == [FREEZE, THAW]


def test_a_stall_from_before_the_freeze_is_not_one_that_outlives_it():
    """Where `stall_max` is set below a window, the window still holds what was before."""
    story = Story(RULES._replace(thresholds=RULES.thresholds._replace(stall_max=0.5)))
    story.go(0.2, stall=1.0).go(0.8)
    assert story.acts() == [FREEZE, TIGHTEN]


def test_a_decision_names_the_reading_that_made_it():
    story = Story().go(3.0).go(0.2, stall=1.0)
    assert [d.seq for d in story.done] == [32, 32]


def test_one_late_look_forgets_what_grew_meanwhile():
    story = Story().go(2.0)
    asleep = reading(20.0, protected=(("session", 9.0, 9.0),))
    held, decisions = step(story.held, Ticked(20.0, asleep._replace(late=True)), RULES)
    assert decisions == ()
    awake = reading(20.1, protected=(("session", 9.0, 9.0),))
    assert step(held, Ticked(20.1, awake), RULES)[1] == ()
