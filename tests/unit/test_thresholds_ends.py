"""No setting switches the guard off: at either end of each it still acts on a machine at its worst."""

import pytest
from readings import frames, psi
from stories import FREEZE, KILL, LOOSEN, RULES, TIGHTEN, Story

from steadyrun.guard.pressure import reds_within
from steadyrun.guard.signs import silences_within
from steadyrun.model.thresholds import SPANS, Usual
from steadyrun.units import MIB

RED = {"available": 900 * MIB}
ENDS = {"clean", "reds_max", "frozen_max"}
"""These three are tried together: how many freezes are in sight at once depends on all of them."""


def told(usual=Usual(), wall_time=None, **settings):  # noqa: B008
    thresholds = RULES.thresholds._replace(**settings)
    return Story(RULES._replace(thresholds=thresholds, usual=usual, wall_time=wall_time))


def waiting(**settings):
    """Something of the session waits all the time, and at no time all of it."""
    return told(**settings).go(4.0, some=1.0)


def late(**settings):
    return told(**settings).go(4.0, frames=frames(p99_ms=1100.0))


def stalled(**settings):
    return told(**settings).go(1.5, stall=1.0)


def ground_down(**settings):
    """All that runs waits for memory, which is low; what is protected is not known."""
    story = told(**settings)
    story.blind = True
    for tenth in range(15):
        story.go(0.1, available=1536 * MIB, host={"psi_memory": psi(tenth * 0.1)})
    return story


def silent(**settings):
    story = told(**settings)
    for tenth in range(250):
        story.go(0.1, frames=frames(silent=tenth * 0.1))
    return story


def used_to_stalls(**settings):
    """It stalled a third of the time before the load was there."""
    return told(Usual(protected_some=0.3, protected_full=0.3, host_full=0.3), **settings).go(1.5, stall=1.0)


def ever_stalled(**settings):
    return told(**settings).go(32.0, stall=1.0)


def in_vain(**settings):
    story = told(**settings)
    for tenth in range(650):
        story.go(0.1, host={"scanned_pages": tenth * 100_000, "stolen_pages": 0})
    return story


def again_and_again(refill, **settings):
    """It fills the memory so long after each thaw."""
    story = told(**settings)
    for _ in range(25):
        story.go(0.3, **RED).go(story.rules.thresholds.clean + refill)
    return story


def late_once(**settings):
    return told(**settings).go(3.5, frames=frames(p99_ms=100.0)).go(5 * 601.0)


def out_of_time(**settings):
    return told(wall_time=1.0, **settings).go(603.0)


WORST = {
    "protected_some": (waiting, TIGHTEN),
    "frames_late": (late, TIGHTEN),
    "protected_full": (stalled, FREEZE),
    "host_full": (ground_down, FREEZE),
    "frames_silent": (silent, FREEZE),
    "usual_factor": (used_to_stalls, FREEZE),
    "stall_max": (ever_stalled, KILL),
    "futile": (in_vain, KILL),
    "loosen_after": (late_once, LOOSEN),
    "term_grace": (out_of_time, KILL),
}


def test_each_setting_is_tried_at_its_ends():
    assert WORST.keys() | ENDS == SPANS.keys()


@pytest.mark.parametrize("end", ["least", "most"])
@pytest.mark.parametrize("name", WORST)
def test_at_either_end_of_a_setting_the_guard_still_acts(name, end):
    story_of, act = WORST[name]
    assert act in story_of(**{name: getattr(SPANS[name], end)}).acts()


@pytest.mark.parametrize("refill", [0.5, 10.0])
@pytest.mark.parametrize("clean", [SPANS["clean"].least, RULES.thresholds.clean, SPANS["clean"].most])
@pytest.mark.parametrize("reds", [int(SPANS["reds_max"].least), int(SPANS["reds_max"].most)])
@pytest.mark.parametrize("frozen", [SPANS["frozen_max"].least, SPANS["frozen_max"].most])
def test_a_load_that_fills_the_memory_again_and_again_is_killed_whatever_is_set(refill, clean, reds, frozen):
    acts = again_and_again(refill, clean=clean, reds_max=reds, frozen_max=frozen).acts()
    assert acts.count(FREEZE) == reds
    assert acts[-1] is KILL


@pytest.mark.parametrize("frozen", [SPANS["frozen_max"].least, SPANS["frozen_max"].most])
def test_a_load_that_is_frozen_for_memory_is_killed_in_the_end(frozen):
    story = told(frozen_max=frozen)
    story.rules = story.rules._replace(tightens=False)
    assert story.go(frozen + 1.0, **RED).acts()[:2] == [FREEZE, KILL]


def test_at_its_usual_settings_freezes_count_for_a_minute_and_silences_for_ten_seconds():
    assert (reds_within(RULES.thresholds), silences_within(RULES.thresholds)) == (60.0, 10.0)


def test_freezes_as_long_as_one_may_be_are_in_each_others_sight():
    story = told(frozen_max=SPANS["frozen_max"].most)
    for _ in range(3):
        story.go(0.3, **RED).go(0.8 * SPANS["frozen_max"].most, available=1536 * MIB).go(3.0)
    assert story.acts()[-1] is KILL
