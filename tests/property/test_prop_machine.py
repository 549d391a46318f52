"""What must hold for every order of events: a frozen load is thawed or killed, pressure never loosens.

The stories are told in stretches, as a machine is: some looks in a row at which memory, stalls, frames,
reclaim and what the load moves are alike. So they reach what takes many looks: a trial, a step back.
"""

from typing import NamedTuple

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from readings import frames, psi, reading

from steadyrun.guard import law
from steadyrun.guard.deeds import running_time
from steadyrun.guard.grip import TIGHTEST, Grip
from steadyrun.guard.held import LEFT_ALONE, Decision, Held, Stage, same
from steadyrun.guard.law import Kind, Level
from steadyrun.guard.machine import PASS_ON_EVERY, look, step
from steadyrun.guard.machine import judged as judged_in
from steadyrun.guard.pressure import worth_killing
from steadyrun.guard.signs import Past, remember
from steadyrun.model.action import Action
from steadyrun.model.given import (
    Continued,
    Counted,
    Freed,
    Input,
    MemberEnded,
    Paused,
    Rules,
    StopAsked,
    Ticked,
)
from steadyrun.model.limits import Limits
from steadyrun.model.machine import reserve_of
from steadyrun.model.outcome import Ending, MemberExit
from steadyrun.model.thresholds import Thresholds, Usual
from steadyrun.units import GIB, MIB

RESERVE = reserve_of(24 * GIB)
THRESHOLDS = Thresholds.of(RESERVE)
BELOW_FLOOR, BLACK = RESERVE.floor - MIB, RESERVE.black - MIB
some_memory = st.sampled_from([None, BLACK, BELOW_FLOOR, RESERVE.floor, RESERVE.reserve, 20 * GIB])
shares = st.sampled_from([0.0, 0.0, 0.0, 0.04, 0.08, 0.5])


def mostly(these, others, *, one_in):
    return st.integers(1, one_in).flatmap(lambda drawn: others if drawn == 1 else these)


class Machine(NamedTuple):
    """What a machine is like for some looks; shares are of the time, rates of a second."""

    available: int | None = 20 * GIB
    host: float | None = 0.0
    session: float | None = 0.0
    some: float = 0.0
    p99_ms: float | None = 0.3
    silent: float = 0.01
    scanned: int = 0
    moved: int = 0
    io: float = 0.0
    memory: int | None = GIB
    swap_free: int = 0
    late: bool = False
    kills: int | None = 0


CALM = Machine()
MOODS = (
    CALM,
    CALM,
    CALM,
    CALM._replace(available=RESERVE.floor),
    CALM._replace(available=BELOW_FLOOR),
    CALM._replace(available=BELOW_FLOOR, memory=100 * MIB),
    CALM._replace(available=BLACK),
    CALM._replace(available=None),
    CALM._replace(session=0.5),
    CALM._replace(session=0.5, memory=100 * MIB),
    CALM._replace(some=0.08, swap_free=4 * GIB),
    CALM._replace(p99_ms=30.0, io=0.5, moved=50 * MIB),
    CALM._replace(silent=0.7),
    CALM._replace(scanned=50_000),
)
any_machine = st.builds(
    Machine,
    available=some_memory | st.integers(0, 24 * GIB),
    host=st.none() | shares,
    session=st.none() | shares,
    some=shares,
    p99_ms=st.none() | st.sampled_from([0.3, 0.3, 30.0]),
    silent=st.sampled_from([0.01, 0.01, 0.01, 0.7]),
    scanned=st.sampled_from([0, 0, 0, 100, 50_000]),
    moved=st.sampled_from([0, 50 * MIB]),
    io=shares,
    memory=st.sampled_from([None, 100 * MIB, GIB, GIB]),
    swap_free=st.sampled_from([0, 4 * GIB]),
    late=st.sampled_from([False, False, False, True]),
    kills=mostly(st.sampled_from([None, 0]), st.just(1), one_in=10),
)
machines = mostly(st.sampled_from(MOODS), any_machine, one_in=4)
looks, gaps = st.sampled_from([1, 2, 5, 40, 130]), st.sampled_from([0.01, 0.05, 0.1, 0.1, 1.0, 15.0])
stretches = st.tuples(machines, looks, gaps)
kills = st.sampled_from([None, 0, 1])
words = st.one_of(
    st.builds(lambda left, kills: lambda at: Counted(at, left, kills), st.integers(0, 3), kills),
    st.builds(lambda code: lambda at: MemberEnded(at, MemberExit(7, code, None)), st.integers(0, 255)),
    st.builds(lambda now: lambda at: StopAsked(at, Ending.STOPPED, "asked", now), st.booleans()),
    st.sampled_from([Paused, Continued]),
)
beginnings = st.lists(stretches, min_size=2, max_size=8)
endings = st.lists(mostly(stretches, words, one_in=3), max_size=8)
stories = st.builds(list.__add__, beginnings, endings)
rules = st.builds(
    Rules,
    st.just(THRESHOLDS),
    st.integers(1, 3),
    st.sampled_from([None, None, 1.0, 60.0]),
    usual=st.sampled_from([Usual(), Usual(), Usual(0.03, 0.04, 0.06, 0.012)]),
    limits=st.just(Limits(memory_max=8 * GIB)),
    cores=st.just(4.0),
    tightens=st.sampled_from([True, True, False]),
    throttles=st.booleans(),
)
QUICKLY = settings(max_examples=1000, phases=[Phase.generate], derandomize=True, database=None)
"""For what is looked for and found, not made small."""


class Teller:
    """Turns stretches into looks: time goes on, and counters grow by what each look finds."""

    def __init__(self):
        self.at = self.host = self.session = self.some = self.io = self.scanned = self.stolen = self.moved = (
            0.0
        )

    def look(self, machine, gap):
        self.at = round(self.at + gap, 6)
        self.host += (machine.host or 0.0) * gap
        self.session += (machine.session or 0.0) * gap
        self.some += max(machine.some, machine.session or 0.0) * gap
        self.io += machine.io * gap
        self.scanned += machine.scanned * gap
        self.moved += machine.moved * gap
        host = {
            "psi_memory": None if machine.host is None else psi(self.host),
            "psi_io": psi(self.io),
            "scanned_pages": int(self.scanned),
            "stolen_pages": 0,
            "swap_free": machine.swap_free,
        }
        seen = reading(
            self.at,
            machine.available,
            host=host,
            frames=None if machine.p99_ms is None else frames(machine.p99_ms, machine.silent),
            protected=() if machine.session is None else (("session", self.some, self.session),),
            memory=machine.memory,
            working_set=machine.memory,
            io_read=int(self.moved),
            oom_kills=machine.kills,
        )
        return Ticked(self.at, seen._replace(late=machine.late))

    def tell(self, story):
        for each in story:
            if callable(each):
                self.at += 0.001
                yield each(self.at)
            else:
                machine, looks, gap = each
                for _ in range(looks):
                    yield self.look(machine, gap)


class Turn(NamedTuple):
    """One input, the state before and after it, and what was decided."""

    given: Input
    before: Held
    held: Held
    decisions: tuple[Decision, ...]

    def did(self, action):
        return action in [decision.action for decision in self.decisions]


def play(story, rules, teller=None):
    held, log = Held(), []
    for each in [Freed(0.0), *(teller or Teller()).tell(story)]:
        before = held
        held, decisions = step(held, each, rules)
        log.append(Turn(each, before, held, decisions))
    return held, log


def judged(turn, rules):
    """What the law says of a look; `None`: no look, or one that is discarded."""
    given = turn.given
    if not isinstance(given, Ticked) or (given.reading.late and not turn.before.late_before):
        return None
    return judged_in(turn.before, given.reading, rules)


def is_well(judgement):
    """Nobody waits, nothing is unknown: memory alone may be below the reserve."""
    low = judgement.level is Level.YELLOW and judgement.kind is Kind.MEMORY
    return low or judgement.level is Level.GREEN


@given(stories, rules, some_memory, st.sampled_from([None, 100 * MIB, GIB]))
def test_a_load_left_alone_after_any_story_is_never_left_frozen(story, rules, available, memory):
    teller = Teller()
    held, _ = play(story, rules, teller)
    unmoved = frozen = held.stage is Stage.FROZEN
    for _ in range(70):
        held, _ = step(held, teller.look(Machine(available, memory=memory), 1.0), rules)
        unmoved = unmoved and held.stage is Stage.FROZEN
    assert not (frozen and unmoved)


@given(stories, rules)
def test_a_load_stays_frozen_for_its_longest_time_only_while_the_machine_is_found_well(story, rules):
    for turn in play(story, rules)[1]:
        found, frozen_for = judged(turn, rules), turn.given.at - turn.held.since
        if found and turn.held.stage is Stage.FROZEN and frozen_for >= rules.thresholds.frozen_max:
            assert found.level is Level.GREEN
            assert turn.given.at - turn.held.clean_since < rules.thresholds.clean


@given(stories, rules)
def test_what_is_to_end_is_under_its_own_limits_and_a_kill_does_not_wait_for_them(story, rules):
    for turn in play(story, rules)[1]:
        if turn.held.stage in (Stage.ENDING, Stage.KILLING):
            assert turn.held.grip == Grip()
            assert turn.did(Action.LOOSEN) == (turn.before.grip != Grip())
        order = [each.action for each in turn.decisions]
        if Action.LOOSEN in order and Action.KILL in order:
            assert order.index(Action.KILL) < order.index(Action.LOOSEN)
        if Action.LOOSEN in order and Action.TERM in order:
            assert order.index(Action.LOOSEN) < order.index(Action.TERM)


@given(stories, rules)
def test_after_the_end_the_machine_is_silent(story, rules):
    over = False
    for turn in play(story, rules)[1]:
        assert not (over and turn.decisions)
        over = over or turn.held.stage is Stage.OVER


@given(stories, rules)
def test_nothing_is_thawed_below_the_reserve_but_on_trial_or_found_not_to_be_why_or_no_worse_for_long(
    story, rules
):
    for turn in play(story, rules)[1]:
        if not turn.did(Action.THAW) or turn.did(Action.TERM) or not isinstance(turn.given, Ticked):
            continue
        found, available = judged(turn, rules), turn.given.reading.host.mem_available
        frozen_for = turn.given.at - turn.before.since
        if turn.held.trial.least is not None:
            assert rules.tightens
            assert available > RESERVE.black
            assert (found.level, found.kind) == (Level.RED, Kind.MEMORY)
            assert turn.held.grip.step == TIGHTEST
        elif turn.held.spared_until == turn.given.at + LEFT_ALONE:
            small = not worth_killing(turn.given.reading, rules)
            assert found.kind is Kind.FRAMES or small
            assert frozen_for >= rules.thresholds.stall_max
        elif found.level is Level.YELLOW and frozen_for >= rules.thresholds.frozen_max:
            assert len(turn.held.reds) == rules.thresholds.reds_max - 1
        else:
            assert available >= RESERVE.reserve


def is_found_in_vain(turn):
    """Tell whether late frames were found not to be the load's doing."""
    now = turn.given.at
    return turn.held.usual_until == now + LEFT_ALONE or turn.held.spared_until == now + LEFT_ALONE


@given(stories, rules)
def test_pressure_never_loosens_nor_does_what_is_unknown(story, rules):
    unwell_at = -1.0
    for turn in play(story, rules)[1]:
        found = judged(turn, rules)
        if found and not is_well(found):
            unwell_at = turn.given.at
        if turn.did(Action.LOOSEN) and turn.held.stage in (Stage.ENDING, Stage.KILLING):
            assert turn.held.grip == Grip()  # it is to end
        elif turn.did(Action.LOOSEN) and is_found_in_vain(turn):
            assert found.kind is Kind.FRAMES
            assert turn.held.grip == Grip()
            assert turn.before.grip.step == TIGHTEST
        elif turn.did(Action.LOOSEN):
            assert turn.given.at - unwell_at >= rules.thresholds.loosen_after
        before, after = turn.before.grip, turn.held.grip
        assert (before != after) == (turn.did(Action.TIGHTEN) or turn.did(Action.LOOSEN))
        if not turn.did(Action.LOOSEN):
            assert after.step >= before.step
            assert after.high >= before.high
            assert before.read is None or after.read <= before.read


@given(stories, rules)
def test_for_the_machines_sake_nothing_is_killed_at_one_look_for_frames_alone_or_that_is_small(story, rules):
    for turn in play(story, rules)[1]:
        if turn.held.stage is Stage.KILLING and turn.before.stage in (Stage.RUNNING, Stage.FROZEN):
            if turn.held.ending not in (Ending.HOST_MEMORY, Ending.HOST_PRESSURE):
                continue
            assert turn.before.stage is Stage.FROZEN or turn.before.trial.least is not None
            assert judged(turn, rules).kind is not Kind.FRAMES
            assert worth_killing(turn.given.reading, rules)


@given(stories, rules)
def test_the_load_never_runs_longer_than_it_was_released(story, rules):
    for turn in play(story, rules)[1]:
        assert -1e-6 <= running_time(turn.held, turn.given.at) <= turn.given.at + 1e-6


@given(stories, rules)
def test_a_kill_is_repeated_until_nobody_is_left(story, rules):
    for turn in play(story, rules)[1]:
        if turn.held.stage is Stage.KILLING and isinstance(turn.given, Counted):
            assert turn.did(Action.KILL)


@given(stories, rules)
def test_no_kill_goes_on_for_ever(story, rules):
    killed_at = None
    for turn in play(story, rules)[1]:
        if turn.held.stage is Stage.KILLING and killed_at is None:
            killed_at = turn.given.at
        if killed_at is not None and isinstance(turn.given, Counted):
            assert turn.held.stage is Stage.OVER or turn.given.at - killed_at < rules.thresholds.kill_max
        assert not (turn.held.stage is Stage.OVER and turn.did(Action.KILL))


@pytest.mark.parametrize(
    "is_told",
    [
        *(lambda turn, action=action: turn.did(action) for action in Action),
        lambda turn: turn.held.trial.least is not None,
        lambda turn: turn.held.spared_until is not None,
        lambda turn: turn.held.ending is Ending.HOST_PRESSURE,
    ],
    ids=[*(action.value for action in Action), "trial", "spared", "killed for a stall"],
)
def test_the_stories_hold_what_is_said_of_them(is_told):
    told = st.tuples(stories, rules)
    assert find(told, lambda each: any(map(is_told, play(*each)[1])), settings=QUICKLY)


@given(stories, rules)
def test_what_is_passed_on_is_enough_to_decide_the_same_again(story, rules):
    """Of looks a hundredth of a second apart one in ten is passed on, and each that changed something."""
    held, again, passed_on_at = Held(), Held(), 0.0
    for each in [Freed(0.0), *Teller().tell(story)]:
        before = held
        if isinstance(each, Ticked):
            due = each.at - passed_on_at >= PASS_ON_EVERY
            held, decisions, counts = look(held, each, rules, due=due)
            passed_on_at = each.at if counts else passed_on_at
        else:
            held, decisions = step(held, each, rules)
            counts = not same(held, before)
        if counts:
            again, decided = step(again, each, rules)
            assert decided == decisions
        assert counts or before.stage is Stage.KILLING or not decisions
        assert but_for_the_fill_rate(again) == but_for_the_fill_rate(held)


def but_for_the_fill_rate(held):
    return held._replace(past=held.past._replace(fill=0.0))


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
