"""What must hold for every order of events: a frozen load is thawed or killed, pressure never loosens."""

from hypothesis import given
from hypothesis import strategies as st
from readings import reading

from steadyrun.guard import law
from steadyrun.guard.deeds import running_time
from steadyrun.guard.held import (
    Continued,
    Counted,
    Freed,
    Held,
    MemberEnded,
    Paused,
    Rules,
    Stage,
    StopAsked,
    Ticked,
)
from steadyrun.guard.machine import step
from steadyrun.guard.signs import Past, remember
from steadyrun.model.action import Action
from steadyrun.model.machine import reserve_of
from steadyrun.model.outcome import Ending, MemberExit
from steadyrun.model.thresholds import Thresholds, Usual
from steadyrun.units import GIB, MIB

RESERVE = reserve_of(24 * GIB)
THRESHOLDS = Thresholds.of(RESERVE)
memory = st.none() | st.integers(0, 24 * GIB)


@st.composite
def inputs(draw, at):
    return draw(
        st.sampled_from(
            [
                Ticked(
                    at,
                    reading(at, draw(memory), oom_kills=draw(st.sampled_from([None, 0, 0, 0, 1]))),
                    draw(st.booleans()),
                ),
                MemberEnded(at, MemberExit(7, draw(st.integers(0, 255)), None)),
                Counted(at, draw(st.integers(0, 3)), draw(st.sampled_from([None, 0, 1]))),
                StopAsked(at, Ending.STOPPED, "asked", draw(st.booleans())),
                Paused(at),
                Continued(at),
            ]
        )
    )


@st.composite
def stories(draw):
    at, story = 0.0, []
    for gap in draw(st.lists(st.floats(0.001, 20), max_size=40)):
        at += gap
        story.append(draw(inputs(at)))
    return story


rules = st.builds(Rules, st.just(THRESHOLDS), st.integers(1, 3), st.none() | st.floats(1, 60))


def play(story, rules):
    held, log = Held(), []
    for each in [Freed(0.0), *story]:
        held, decisions = step(held, each, rules)
        log.append((each, held, [d.action for d in decisions]))
    return held, log


@given(stories(), rules)
def test_a_load_left_alone_after_any_story_is_never_left_frozen_or_alive_and_stopped(story, rules):
    held, log = play(story, rules)
    at = max([0.0, *(each.at for each, _, _ in log)])
    frozen = held.stage is Stage.FROZEN
    for i in range(1, 80):
        held, _ = step(held, Ticked(at + i, reading(at + i, RESERVE.floor - 1), False), rules)
    if frozen:
        assert held.stage in (Stage.KILLING, Stage.OVER)


@given(stories(), rules)
def test_after_the_end_the_machine_is_silent(story, rules):
    over = False
    for _, held, actions in play(story, rules)[1]:
        assert not (over and actions)
        over = over or held.stage is Stage.OVER


@given(stories(), rules)
def test_nothing_is_thawed_while_memory_is_below_the_reserve(story, rules):
    for each, _, actions in play(story, rules)[1]:
        if isinstance(each, Ticked) and Action.THAW in actions and Action.TERM not in actions:
            assert each.reading.host.mem_available >= RESERVE.reserve


@given(stories(), rules)
def test_the_load_never_runs_longer_than_it_was_released(story, rules):
    for each, held, _ in play(story, rules)[1]:
        assert -1e-6 <= running_time(held, each.at) <= each.at + 1e-6


@given(stories(), rules)
def test_a_kill_is_repeated_until_nobody_is_left(story, rules):
    for each, held, actions in play(story, rules)[1]:
        if held.stage is Stage.KILLING and isinstance(each, Counted):
            assert Action.KILL in actions


@given(stories(), rules)
def test_no_kill_goes_on_for_ever(story, rules):
    killed_at = None
    for each, held, actions in play(story, rules)[1]:
        if held.stage is Stage.KILLING and killed_at is None:
            killed_at = each.at
        if killed_at is not None and isinstance(each, Counted):
            assert held.stage is Stage.OVER or each.at - killed_at < rules.thresholds.kill_max
        assert not (held.stage is Stage.OVER and Action.KILL in actions)


def level(available):
    given = reading(available=available)
    _, signs = remember(Past(), given, THRESHOLDS, Usual())
    return law.judge(given, signs, THRESHOLDS, Usual()).level


@given(st.integers(0, 24 * GIB), st.integers(0, 24 * GIB))
def test_less_memory_is_never_a_milder_level_nor_a_slower_look(one, other):
    less, more = sorted((one, other))
    assert level(less) >= level(more)
    assert law.next_tick(reading(available=less), THRESHOLDS) <= law.next_tick(
        reading(available=more), THRESHOLDS
    )


@given(st.integers(64 * MIB, 4096 * GIB))
def test_the_reserve_is_at_most_a_third_and_the_floor_half_of_it(ram):
    found = reserve_of(ram)
    assert 0 < found.black <= found.floor <= found.reserve <= ram // 3
