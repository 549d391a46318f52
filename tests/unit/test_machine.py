import pytest
from readings import THRESHOLDS, psi, reading

from steadyrun.guard.deeds import kill, running_time, term
from steadyrun.guard.grip import Grip
from steadyrun.guard.held import Decision, Held, Stage
from steadyrun.guard.machine import judged, step
from steadyrun.guard.signs import Past, remember
from steadyrun.model.action import LET_GO, Action
from steadyrun.model.given import (
    Continued,
    Counted,
    Freed,
    MemberEnded,
    Paused,
    Rules,
    StopAsked,
    Ticked,
)
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import Ending, MemberExit
from steadyrun.units import GIB, MIB

RULES = Rules(THRESHOLDS, members=1, wall_time=None)
RED, BLACK = 900 * MIB, 100 * MIB


def tick(at, available=20 * GIB, *, late=False, **load):
    return Ticked(at, reading(at, available, seq=int(at * 10), **load)._replace(late=late))


def ended(at, code=0, signal=None, pid=7):
    return MemberEnded(at, MemberExit(pid, code, signal))


def play(*inputs, rules=RULES):
    held, done = Held(), []
    for given in (Freed(0.0), *inputs):
        held, decisions = step(held, given, rules)
        done += [d.action for d in decisions]
    return held, done


def test_a_calm_load_that_exits_alone_is_finished_without_a_deed():
    held, done = play(tick(1.0), ended(2.0), Counted(2.0, 0, 0))
    assert (held.stage, held.ending, done) == (Stage.OVER, Ending.EXITED, [Action.FINISH])


def test_below_the_floor_the_load_is_frozen_and_thawed_after_the_machine_was_clean_for_a_while():
    held, done = play(tick(1.0, RED), tick(2.0), tick(3.9))
    assert (held.stage, done) == (Stage.FROZEN, [Action.FREEZE])
    held, done = play(tick(1.0, RED), tick(2.0), tick(4.0))
    assert (held.stage, done) == (Stage.RUNNING, [Action.FREEZE, Action.THAW])
    assert held.frozen_total == pytest.approx(3.0)


def test_between_floor_and_reserve_a_frozen_load_stays_frozen_and_the_clean_time_begins_anew():
    _, done = play(tick(1.0, RED), tick(2.0), tick(3.0, 1536 * MIB), tick(4.0), tick(5.9))
    assert done == [Action.FREEZE]


def test_a_black_reading_freezes_first_and_kills_only_when_the_next_look_says_so_too():
    held, done = play(tick(1.0, BLACK))
    assert (held.stage, done) == (Stage.FROZEN, [Action.FREEZE])
    held, done = play(tick(1.0, BLACK), tick(1.01, BLACK))
    assert (held.stage, held.ending, done) == (
        Stage.KILLING,
        Ending.HOST_MEMORY,
        [Action.FREEZE, Action.KILL],
    )
    held, done = play(tick(1.0, BLACK), tick(1.01, RED), tick(1.02, BLACK))
    assert done == [Action.FREEZE]


def test_a_load_frozen_for_too_long_is_killed():
    held, done = play(tick(1.0, RED), tick(30.9, RED))
    assert done == [Action.FREEZE]
    held, done = play(tick(1.0, RED), tick(31.0, RED))
    assert (done, held.ending) == ([Action.FREEZE, Action.KILL], Ending.HOST_MEMORY)


def test_an_unknown_reading_neither_freezes_nor_thaws():
    _, done = play(tick(1.0, None), tick(2.0, RED), tick(9.0, None), tick(10.0, None))
    assert done == [Action.FREEZE]


def test_a_late_tick_is_discarded_once_and_counts_when_it_comes_twice():
    assert play(tick(9.0, RED, late=True))[1] == []
    assert play(tick(9.0, RED, late=True), tick(18.0, RED, late=True))[1] == [Action.FREEZE]


def test_wall_time_asks_first_and_kills_after_the_grace():
    rules = RULES._replace(wall_time=10.0)
    assert play(tick(9.9), rules=rules)[1] == []
    held, done = play(tick(10.0), rules=rules)
    assert (held.ending, done) == (Ending.WALL_TIME, [Action.THAW, Action.TERM])
    assert play(tick(10.0), tick(14.9), rules=rules)[1] == [Action.THAW, Action.TERM]
    assert play(tick(10.0), tick(15.0), rules=rules)[1] == [Action.THAW, Action.TERM, Action.KILL]


def test_time_frozen_and_time_paused_are_not_wall_time():
    rules = RULES._replace(wall_time=10.0)
    held, done = play(tick(2.0, RED), tick(3.0), tick(5.0), tick(12.9), rules=rules)
    assert Action.TERM not in done
    assert running_time(held, 12.9) == pytest.approx(9.9)
    held, done = play(Paused(2.0), Continued(7.0), tick(14.9), rules=rules)
    assert done == [Action.FREEZE, Action.THAW]
    assert Action.TERM in play(Paused(2.0), Continued(7.0), tick(15.0), rules=rules)[1]


def test_a_load_the_guard_froze_is_not_thawed_by_its_terminal():
    assert play(tick(1.0, RED), Paused(1.5), Continued(2.0))[1] == [Action.FREEZE]


def test_a_kill_by_the_kernel_kills_the_rest_and_names_the_hard_limit():
    held, done = play(tick(1.0, oom_kills=1))
    assert (held.ending, done) == (Ending.MEMORY_LIMIT, [Action.KILL])


def test_a_kill_at_a_limit_that_the_load_set_itself_is_its_own_business():
    held, done = play(tick(1.0, oom_kills=1, limit_kills=0), ended(2.0), Counted(2.0, 0, 0))
    assert (held.ending, done) == (Ending.EXITED, [Action.FINISH])


def test_a_kill_by_the_kernel_is_seen_even_when_the_command_then_exits_zero():
    held, done = play(ended(1.0, 0), Counted(1.0, 0, 1))
    assert (held.ending, done) == (Ending.MEMORY_LIMIT, [Action.FINISH])


def test_what_the_command_left_behind_is_killed_until_nobody_is_left():
    held, done = play(ended(1.0), Counted(1.0, 2, 0), Counted(1.1, 1, 0), Counted(1.2, 0, 0))
    assert done == [Action.KILL, Action.KILL, Action.FINISH]
    assert (held.ending, held.cause) == (Ending.EXITED, "the command ended and left 2 behind")


def test_with_several_members_the_load_is_over_when_the_last_has_ended():
    rules = RULES._replace(members=2)
    assert play(ended(1.0), Counted(1.0, 0, 0), rules=rules)[0].stage is Stage.RUNNING
    assert play(ended(1.0), ended(2.0, pid=8), Counted(2.0, 0, 0), rules=rules)[0].stage is Stage.OVER


def test_a_request_to_stop_thaws_so_that_it_is_heard_and_a_second_one_kills():
    ask = StopAsked(2.0, Ending.STOPPED, "asked")
    held, done = play(tick(1.0, RED), ask)
    assert done == [Action.FREEZE, Action.THAW, Action.TERM]
    held, done = play(ask, ask._replace(at=2.5))
    assert (held.ending, done) == (Ending.STOPPED, [Action.THAW, Action.TERM, Action.KILL])
    assert play(ask._replace(now=True))[1] == [Action.KILL]


def test_nothing_is_released_when_it_is_stopped_behind_its_barrier():
    held, decisions = step(Held(), StopAsked(0.0, Ending.STOPPED, "asked"), RULES)
    assert (held.stage, decisions) == (Stage.KILLING, (Decision(Action.KILL, "asked"),))


def test_the_first_cause_stays_the_cause():
    rules = RULES._replace(wall_time=10.0)
    held, _ = play(
        tick(10.0), StopAsked(11.0, Ending.STOPPED, "asked"), ended(11.1), Counted(11.1, 0, 0), rules=rules
    )
    assert (held.ending, held.cause) == (Ending.WALL_TIME, "it ran for its wall time, 10 s")


def test_while_ending_a_black_machine_shortens_the_grace():
    _, done = play(StopAsked(1.0, Ending.STOPPED, "asked"), tick(1.1, BLACK))
    assert done[-1] is Action.KILL


def test_a_polled_limit_kills_where_no_kernel_holds_it():
    rules = RULES._replace(polled_memory=GIB)
    assert play(tick(1.0, memory=GIB), rules=rules)[1] == []
    held, done = play(tick(1.0, memory=GIB + 1), rules=rules)
    assert (held.ending, done) == (Ending.MEMORY_LIMIT, [Action.KILL])
    assert "(polled)" in held.cause


def test_a_decision_carries_the_number_of_the_reading_that_made_it():
    held, _ = step(Held(), Freed(0.0), RULES)
    _, decisions = step(held, tick(4.2, RED), RULES)
    assert decisions[0].seq == 42


# What a mutated machine got away with before these were written


def test_a_paused_load_does_not_use_up_its_wall_time_while_it_is_paused():
    rules = RULES._replace(wall_time=10.0)
    held, done = play(Paused(2.0), tick(14.0), rules=rules)
    assert (done, running_time(held, 14.0)) == ([Action.FREEZE], pytest.approx(2.0))


def test_a_frozen_load_has_run_as_long_as_before_it_was_frozen():
    held, _ = play(tick(2.0, RED))
    assert running_time(held, 9.0) == pytest.approx(2.0)
    assert running_time(Held(), 9.0) == 0.0


def test_two_late_ticks_with_one_in_time_between_are_each_discarded():
    _, done = play(tick(9.0, RED, late=True), tick(9.1), tick(18.0, RED, late=True))
    assert done == []


def test_the_kill_is_repeated_at_every_look_until_nobody_is_left():
    ask = StopAsked(1.0, Ending.STOPPED, "asked", now=True)
    _, done = play(
        ask, tick(1.1), tick(1.2, RED), Counted(1.3, 2, 0), ended(1.4, signal=9), Counted(1.4, 0, 0)
    )
    assert done == [Action.KILL] * 4 + [Action.FINISH]


@pytest.mark.parametrize("now", [False, True])
def test_a_load_that_is_being_killed_is_not_asked_again(now):
    kill = StopAsked(1.0, Ending.STOPPED, "asked", now=True)
    held, done = play(kill, StopAsked(1.1, Ending.CONDUCTOR_GONE, "gone", now=now))
    assert (done, held.ending) == ([Action.KILL], Ending.STOPPED)


@pytest.mark.parametrize("seen", [tick(1.0, RED), tick(1.0, BLACK), tick(1.0, oom_kills=1)])
def test_a_load_behind_its_barrier_is_not_touched_by_a_reading(seen):
    assert step(Held(), seen, RULES)[1] == ()


def test_a_release_that_comes_too_late_does_not_bring_a_load_back():
    held, _ = step(Held(), StopAsked(0.0, Ending.STOPPED, "asked"), RULES)
    assert step(held, Freed(0.1), RULES) == (held, ())


def test_a_polled_limit_does_not_fire_on_an_unknown_usage():
    assert play(tick(1.0, memory=None), rules=RULES._replace(polled_memory=GIB))[1] == []


def test_a_load_frozen_while_paused_is_guarded_as_any_other_and_its_pause_is_not_wall_time():
    held, done = play(Paused(1.0), tick(3.0, RED), tick(4.0), tick(6.0))
    assert done == [Action.FREEZE, Action.FREEZE, Action.THAW]
    assert (held.paused_at, held.frozen_total) == (None, pytest.approx(5.0))


def test_a_pause_of_a_paused_load_and_a_continuation_of_a_running_one_do_nothing():
    assert play(Paused(1.0), Paused(2.0))[1] == [Action.FREEZE]
    assert play(Continued(1.0))[1] == []


def test_a_kill_by_the_kernel_while_members_live_kills_them_and_is_the_cause():
    rules = RULES._replace(members=2)
    held, done = play(ended(1.0, signal=9, code=None), Counted(1.0, 1, 1), rules=rules)
    assert (held.stage, done) == (Stage.KILLING, [Action.KILL])
    assert (held.ending, held.cause) == (Ending.MEMORY_LIMIT, "the kernel killed at the hard limit")


def test_a_kill_by_the_kernel_after_a_stop_does_not_change_why_it_ended():
    held, _ = play(StopAsked(1.0, Ending.STOPPED, "asked"), ended(1.1), Counted(1.1, 0, 1))
    assert (held.ending, held.cause) == (Ending.STOPPED, "asked")


@pytest.mark.parametrize(
    "inputs",
    [
        (tick(1.0, RED), StopAsked(3.0, Ending.STOPPED, "asked")),
        (tick(1.0, RED), StopAsked(3.0, Ending.STOPPED, "asked", now=True)),
        (Paused(1.0), StopAsked(3.0, Ending.STOPPED, "asked")),
        (Paused(1.0), StopAsked(3.0, Ending.STOPPED, "asked", now=True)),
        (tick(1.0, RED), ended(3.0), Counted(3.0, 0, 0)),
        (Paused(1.0), ended(3.0), Counted(3.0, 0, 0)),
    ],
)
def test_time_at_rest_is_counted_however_the_rest_ends(inputs):
    assert play(*inputs)[0].frozen_total == pytest.approx(2.0)


def test_what_was_left_behind_after_a_stop_is_killed_under_the_first_cause():
    held, done = play(StopAsked(1.0, Ending.STOPPED, "asked"), ended(1.1), Counted(1.1, 3, 0))
    assert done[-1] is Action.KILL
    assert (held.ending, held.cause) == (Ending.STOPPED, "asked")


def test_what_a_kill_does_not_end_is_given_up_after_a_while_under_its_first_cause():
    ask = StopAsked(1.0, Ending.STOPPED, "asked", now=True)
    held, done = play(ask, Counted(60.9, 2, 0))
    assert (held.stage, done) == (Stage.KILLING, [Action.KILL, Action.KILL])
    held, done = play(ask, Counted(61.0, 2, 0))
    assert (held.stage, held.ending, held.cause) == (Stage.OVER, Ending.STOPPED, "asked")
    assert done == [Action.KILL, Action.FINISH]


def test_a_member_that_cannot_be_reaped_is_given_up_as_well():
    ask = StopAsked(1.0, Ending.STOPPED, "asked", now=True)
    assert play(ask, Counted(60.9, 0, 0))[0].stage is Stage.KILLING
    assert play(ask, Counted(61.0, 0, 0))[0].stage is Stage.OVER


# What is to end gets its own limits back


@pytest.mark.parametrize("grip", [Grip(1), Grip(2, 10 * MIB), Grip(3, 10 * MIB, 5 * MIB, True)])
def test_what_is_to_end_gets_its_own_limits_before_the_term_and_after_the_kill(grip):
    held = Held(stage=Stage.FROZEN, grip=grip, gripped_at=3.0)
    loosen = Decision(Action.LOOSEN, LET_GO, 7, Grip())
    asked, decisions = term(held, 5.0, Ending.WALL_TIME, "why", 7)
    assert decisions == (Decision(Action.THAW, "why", 7), loosen, Decision(Action.TERM, "why", 7))
    killed, decisions = kill(held, 5.0, Ending.HOST_MEMORY, "why", 7)
    assert decisions == (Decision(Action.KILL, "why", 7), loosen)
    assert [(each.grip, each.gripped_at) for each in (asked, killed)] == [(Grip(), None)] * 2


def test_a_load_that_nothing_was_taken_from_is_given_nothing_back():
    decisions = term(Held(stage=Stage.RUNNING), 5.0, Ending.STOPPED, "why", 7)[1]
    assert [each.action for each in decisions] == [Action.THAW, Action.TERM]


def stalling(at, share):
    """All of a group has waited for so large a share of the time."""
    return Ticked(at, reading(at, seq=int(at * 10), protected=(("session", share * at, share * at),)))


def test_a_group_that_stalls_while_a_load_is_asked_to_end_does_not_wait_for_its_grace():
    rules = RULES._replace(thresholds=THRESHOLDS._replace(term_grace=60.0))
    asked = [tick(1.0), StopAsked(1.0, Ending.STOPPED, "asked")]
    well = [stalling(at / 10, 0.0) for at in range(11, 50)]
    assert play(*asked, *well, rules=rules)[1][-1] is Action.TERM
    held, done = play(*asked, *(stalling(at / 10, 0.5) for at in range(11, 32)), rules=rules)
    assert (done[-1], held.since) == (Action.KILL, 3.0)  # `stall_max` after it was asked


# The limit from which on a load waits for room of its own


@pytest.mark.parametrize(
    ("changes", "memory", "own"),
    [
        ({}, 7373 * MIB, True),  # nine tenths of 8 GiB
        ({}, 7372 * MIB, False),
        ({"grip": Grip(3)}, 7372 * MIB, False),
        ({"grip": Grip(3, high=True), "gripped_at": 0.0}, 6636 * MIB, True),  # of the throttle limit, 7.2 GiB
        ({"grip": Grip(3, high=True), "gripped_at": 0.0}, 6635 * MIB, False),
        ({"grip": Grip(3, high=True), "gripped_at": 1.1}, 6636 * MIB, False),  # being set, or refused
        ({"stage": Stage.FROZEN}, 8 * GIB, False),  # waits for nothing
    ],
)
def test_a_load_waits_at_the_limit_that_is_in_force(changes, memory, own):
    held = Held(stage=Stage.RUNNING)._replace(**changes)
    rules = RULES._replace(limits=Limits(memory_max=8 * GIB, swap_max=None))
    before, now = (
        reading(at, memory=memory, psi_memory=psi(waited), host={"psi_memory": psi(waited), "psi_io": psi()})
        for at, waited in ((1.0, 0.0), (2.0, 0.5))
    )
    past, _ = remember(Past(), before, rules.thresholds, rules.usual)
    assert judged(held._replace(past=past), now, rules).own is own
    polled = rules._replace(polled_memory=8 * GIB)  # no limit of the kernel's, nothing to wait at
    assert not judged(held._replace(past=past), now, polled).own
