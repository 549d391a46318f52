"""The schedule: what was tried on the left, the next step on the right."""

from __future__ import annotations

import pytest
from evidence import CEILING, RAM, attempt, killed_at_limit, limits, outcome, phase, plan, verdict

from steadyrun.model.outcome import Ending
from steadyrun.model.plan import LoadKind
from steadyrun.model.record import State
from steadyrun.model.verdict import Answer
from steadyrun.ramp.schedule import Finish, RunPhase, most_memory, next_step
from steadyrun.units import GIB, MIB, Bytes

PLAN = plan()
ONE, TWO, THREE, FOUR, FIVE = PLAN.phases
PASSED = tuple(attempt(p) for p in PLAN.phases)


def step(*attempts, of=PLAN, carried=(), ceiling=CEILING, ram=RAM):
    return next_step(of, attempts, ceiling=ceiling, effective_ram=ram, carried=tuple(carried))


def memory_mib(found):
    assert isinstance(found, RunPhase), found
    return found.limits.memory_max / MIB


def test_it_begins_with_phase_1_under_the_limits_of_the_plan():
    found = step()
    assert (found.phase, found.label, found.limits, found.announcement) == (ONE, "1", ONE.limits, "")
    assert found.status == "Ready for Phase 1"


@pytest.mark.parametrize(
    ("of", "most_mib"),
    [
        (plan(300, command=True, tries=4), 1012),
        (plan(300, command=True, tries=1), 300),
        (plan(300, command=False, tries=4), 300),
        (plan(300, 20_000, tries=4), 22_118),
        (plan(2000, 300, command=True, tries=1), 2000),
    ],
)
def test_the_most_memory_of_any_try_is_known_before_the_first(of, most_mib):
    assert most_memory(of, ceiling=CEILING, effective_ram=RAM) // MIB == most_mib


def test_a_ramp_that_goes_on_may_get_more_than_one_that_begins():
    of = plan(300, tries=2)
    broke_off = attempt(of.phases[0], State.INTERRUPTED, memory_mib=450)
    assert most_memory(of, ceiling=CEILING, effective_ram=RAM, carried=(broke_off,)) == 675 * MIB


def test_a_passed_phase_is_followed_by_the_next():
    assert step(*PASSED[:2]).phase is THREE


def test_it_is_over_with_0_when_every_phase_passed():
    found = step(*PASSED)
    assert isinstance(found, Finish)
    assert (found.exit_code, found.passed_limits, found.status) == (0, FIVE.limits, "All phases passed")


def test_a_failed_host_ends_the_loosening_and_goes_back_to_what_held():
    found = step(PASSED[0], attempt(TWO, State.FAILED, host=Answer.NO))
    assert (found.exit_code, found.passed_limits) == (5, ONE.limits)
    assert "back to the last limits that held, 500 MiB" in found.reason
    assert "graphical session: worst" in found.reason


def test_an_unknown_host_ends_the_loosening_too():
    found = step(PASSED[0], attempt(TWO, State.UNKNOWN, host=Answer.UNKNOWN))
    assert (found.exit_code, found.passed_limits) == (5, ONE.limits)


def test_a_try_without_verdicts_is_not_a_host_that_held():
    assert step(attempt(ONE, State.FAILED)._replace(host=None)).exit_code == 5


def test_a_host_that_did_not_hold_is_5_also_when_the_command_was_killed_at_its_limit():
    killed = killed_at_limit(FIVE)._replace(host=verdict(Answer.NO))
    assert step(*PASSED[:4], killed).exit_code == 5


def test_a_built_in_load_that_did_not_do_its_work_ends_with_1():
    end = outcome(Ending.MEMORY_LIMIT, oom_kills=1)
    found = step(*PASSED[:2], attempt(THREE, State.FAILED, end=end))
    assert (found.exit_code, found.passed_limits) == (1, TWO.limits)
    assert "the built-in load did not do its work: memory-limit" in found.reason


def test_a_storm_killed_at_its_limit_is_not_given_more():
    storm = plan(500, 8000, command=False)
    found = step(attempt(storm.phases[0]), killed_at_limit(storm.phases[1]), of=storm)
    assert found.exit_code == 1


def test_an_unknown_job_on_a_host_that_held_is_1_and_no_pass():
    found = step(attempt(ONE, State.UNKNOWN, job=Answer.UNKNOWN))
    assert (found.exit_code, found.passed_limits) == (1, None)
    assert "whether the built-in load did its work is not known: exit code 0 (" in found.reason


@pytest.mark.parametrize(
    "end",
    [outcome(exit_code=3), outcome(exit_code=None, signal=11), outcome(Ending.WALL_TIME)],
)
def test_a_command_that_failed_by_itself_is_not_repeated(end):
    found = step(*PASSED[:4], attempt(FIVE, State.FAILED, end=end))
    assert (found.exit_code, found.passed_limits) == (1, FOUR.limits)


def test_the_command_killed_at_its_limit_is_tried_again_with_8_percent_of_ram_more():
    found = step(*PASSED[:4], killed_at_limit(FIVE))
    assert found.label == "5.2"
    assert memory_mib(found) == int(8000 + 0.08 * RAM / MIB)
    assert "killed at 8000 MiB and the machine held: again with" in found.announcement


def test_a_small_limit_grows_by_half_at_most():
    small = plan(500, 1000)
    found = step(attempt(small.phases[0]), killed_at_limit(small.phases[1]), of=small)
    assert memory_mib(found) == 1500


def test_a_worker_killed_at_the_limit_counts_though_the_command_exited():
    end = outcome(exit_code=1, oom_kills=1)
    assert step(*PASSED[:4], attempt(FIVE, State.FAILED, end=end)).label == "5.2"


def test_the_throttle_limit_keeps_its_share_of_the_hard_limit():
    command = phase(1, 1000, LoadKind.COMMAND, limits=limits(1000, memory_high=Bytes(900 * MIB)))
    found = step(killed_at_limit(command), of=plan()._replace(phases=(command,)))
    assert found.limits.memory_high == Bytes(1350 * MIB)


def test_no_try_goes_over_the_ceiling():
    found = step(*PASSED[:4], killed_at_limit(FIVE), ceiling=Bytes(8500 * MIB))
    assert memory_mib(found) == 8500


def test_at_the_ceiling_it_says_what_would_make_it_fit():
    end = {"memory_peak": Bytes(9 * GIB), "tasks_peak": 9}
    killed = killed_at_limit(FIVE, CEILING // MIB, **end)
    found = step(*PASSED[:4], killed, ceiling=Bytes(CEILING // MIB * MIB))
    assert (found.exit_code, found.passed_limits) == (1, FOUR.limits)
    assert "the most a load may have here" in found.reason
    assert "9 tasks peaked at 9 GiB, about 1 GiB each, so start with 4" in found.reason


@pytest.mark.parametrize("tries", [1, 2, 4])
def test_the_command_gets_as_many_tries_as_the_plan_says(tries):
    of = plan(tries=tries)
    found, done = step(*PASSED[:4], of=of), list(PASSED[:4])
    for _ in range(tries):
        assert isinstance(found, RunPhase)
        done.append(killed_at_limit(found.phase)._replace(limits=found.limits, label=found.label))
        found = step(*done, of=of)
    assert found.exit_code == 1
    assert f"after {tries} tr" in found.reason


def test_a_degraded_phase_is_repeated_under_the_same_limits():
    found = step(PASSED[0], attempt(TWO, State.DEGRADED))
    assert (found.label, found.limits) == ("2.2", TWO.limits)
    assert "2 of 3 decide" in found.announcement


def test_a_try_that_others_kept_from_the_cpus_is_made_again_and_says_why_it_cannot_be_judged():
    end = outcome(Ending.WALL_TIME, wall=60.0, cpu=1.7, psi_cpu_some=58.0)
    starved = attempt(TWO, State.INVALID, end=end)
    again = step(PASSED[0], starved)
    assert (again.label, again.limits) == ("2.2", TWO.limits)
    assert "other programs kept the CPUs from the load" in again.announcement
    found = step(PASSED[0], *(starved,) * 3)
    assert (found.exit_code, found.passed_limits) == (5, ONE.limits)
    assert "could not be judged in 3 tries (other programs kept the CPUs from the load)" in found.reason


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("DP", "2.3"),
        ("DPP", "3"),
        ("DPD", 5),
        ("DD", 5),
        ("P", "3"),
    ],
)
def test_two_of_three_decide_about_a_degraded_phase(states, expected):
    tries = [attempt(TWO, State.PASSED if s == "P" else State.DEGRADED) for s in states]
    found = step(PASSED[0], *tries)
    assert (found.exit_code if isinstance(found, Finish) else found.label) == expected


def test_votes_under_smaller_limits_do_not_count():
    tries = (
        attempt(FIVE, State.DEGRADED),
        killed_at_limit(FIVE),
        attempt(FIVE, State.DEGRADED, memory_mib=9000),
    )
    assert isinstance(step(*PASSED[:4], *tries), RunPhase)


@pytest.mark.parametrize("state", [State.INVALID, State.INTERRUPTED])
def test_a_try_that_says_nothing_is_made_twice_again_at_most(state):
    lost = attempt(TWO, state)
    assert step(PASSED[0], lost).limits == TWO.limits
    assert step(PASSED[0], lost, lost).label == "2.3"
    assert step(PASSED[0], lost, lost, lost).exit_code == 5
    assert step(PASSED[0], lost, lost, PASSED[1]).phase is THREE


def test_a_stopped_ramp_is_over_with_130():
    found = step(PASSED[0], attempt(TWO, State.STOPPED))
    assert (found.exit_code, found.passed_limits) == (130, ONE.limits)


def test_a_plan_larger_than_the_machine_is_held_at_the_ceiling_and_says_so():
    found = step(*PASSED[:3], ceiling=Bytes(3000 * MIB))
    assert memory_mib(found) == 3000
    assert found.phase.load.memory < FOUR.load.memory
    assert "3000 MiB instead of 4000 MiB" in found.announcement


def test_a_phase_without_a_memory_limit_gets_the_ceiling():
    free = phase(1, 500, LoadKind.COMMAND, limits=limits(memory_max=None))
    assert step(of=plan()._replace(phases=(free,))).limits.memory_max == CEILING


def test_a_hog_larger_than_its_planned_limit_is_run_as_planned():
    daring = ONE._replace(load=ONE.load._replace(memory=Bytes(GIB)))
    assert step(of=PLAN._replace(phases=(daring,))).phase == daring


def test_a_hog_without_a_limit_is_cut_down_to_the_ceiling():
    free = phase(1, 500, limits=limits(memory_max=None))
    free = free._replace(load=free.load._replace(memory=Bytes(2 * CEILING)))
    found = step(of=PLAN._replace(phases=(free,)))
    assert found.phase.load.memory < CEILING
    assert found.phase.scaled


# -- going on from an earlier run --------------------------------------------------------------------

CRASH = attempt(FOUR, State.CRASHED)


def test_passed_phases_of_the_earlier_run_are_not_repeated():
    found = step(carried=PASSED[:3])
    assert (found.phase, found.label, found.limits) == (FOUR, "4", FOUR.limits)


def test_everything_passed_before_is_over_with_0():
    assert step(carried=PASSED).passed_limits == FIVE.limits


def test_a_pass_of_a_changed_phase_is_repeated():
    old = TWO._replace(limits=limits(600))
    assert step(carried=(PASSED[0], attempt(old))).phase is TWO


@pytest.mark.parametrize("state", [State.INTERRUPTED, State.STOPPED])
def test_a_phase_that_was_broken_off_goes_on_under_its_own_limits(state):
    found = step(carried=(*PASSED[:4], attempt(FIVE, state, memory_mib=9000, label="5.2")))
    assert memory_mib(found) == 9000
    assert "phase 5.2" in found.announcement


def test_after_a_crash_the_next_try_gets_0_7_of_the_last_pass():
    found = step(carried=(*PASSED[:3], CRASH))
    assert (found.phase.number, memory_mib(found)) == (4, 1400)
    assert found.phase.load.memory < FOUR.load.memory
    assert found.phase.limits == FOUR.limits
    assert "took the machine down at 4000 MiB" in found.announcement


def test_after_a_crash_later_phases_grow_in_small_steps_and_stay_below_it():
    now = [attempt(FOUR, memory_mib=1400)]
    found = step(*now, carried=(*PASSED[:3], CRASH))
    assert (found.phase.number, memory_mib(found)) == (5, 2100)
    now.append(killed_at_limit(FIVE, 3500))
    assert memory_mib(step(*now, carried=(*PASSED[:3], CRASH))) == 3600


def test_a_second_crash_is_followed_by_less_than_the_first():
    again = attempt(FOUR, State.CRASHED, memory_mib=1400)
    assert memory_mib(step(carried=(*PASSED[:3], CRASH, again))) == 980


@pytest.mark.parametrize(
    "carried",
    [
        (attempt(ONE, State.CRASHED),),
        (PASSED[0], attempt(TWO, State.CRASHED)),
    ],
)
def test_a_crash_with_too_little_below_it_wants_a_decision(carried):
    found = step(carried=carried)
    assert (found.exit_code, found.status) == (6, "A decision is needed")
    nothing_held = carried[0].state is State.CRASHED
    assert ("nothing held before it" in found.reason) is nothing_held
    assert ("350 MiB would be next" in found.reason) is not nothing_held


def test_0_7_that_is_just_phase_1_needs_no_decision():
    of = plan(700, 1000, 2000)
    carried = (attempt(of.phases[0]), attempt(of.phases[1]), attempt(of.phases[2], State.CRASHED))
    assert memory_mib(step(of=of, carried=carried)) == 700
    of = plan(701, 1000, 2000)
    carried = (attempt(of.phases[0]), attempt(of.phases[1]), attempt(of.phases[2], State.CRASHED))
    assert step(of=of, carried=carried).exit_code == 6


# What a mutated schedule got away with before these were written


def test_a_pass_of_another_command_or_another_number_is_not_a_pass_of_this_phase():
    other_command = FIVE._replace(load=FIVE.load._replace(argv=("make",)))
    assert step(carried=(*PASSED[:4], attempt(other_command))).phase is FIVE
    other_number = FIVE._replace(number=6)
    assert step(carried=(*PASSED[:4], attempt(other_number))).phase is FIVE
    other_processes = ONE._replace(load=ONE.load._replace(processes=2))
    assert step(carried=(attempt(other_processes), *PASSED[1:])).phase is ONE


def test_a_phase_that_failed_in_an_earlier_run_begins_again_under_the_limits_of_the_plan():
    failed = killed_at_limit(FIVE, 9000)
    found = step(carried=(*PASSED[:4], failed))
    assert (found.limits, found.announcement) == (FIVE.limits, "")


def test_a_phase_at_the_ceiling_itself_is_as_planned():
    found = step(of=plan(500), ceiling=Bytes(500 * MIB))
    assert (found.limits.memory_max, found.announcement) == (500 * MIB, "")


def test_a_phase_without_a_memory_limit_gets_the_ceiling_and_says_why():
    first = phase(limits=limits()._replace(memory_max=None))
    found = step(of=plan(500)._replace(phases=(first,)))
    assert found.limits.memory_max == CEILING
    assert "instead of no memory limit" in found.announcement


def test_the_throttle_limit_of_a_phase_without_a_hard_one_stays_below_the_ceiling():
    first = phase(limits=limits()._replace(memory_max=None, memory_high=Bytes(GIB)))
    one = plan(500)._replace(phases=(first,))
    assert step(of=one).limits.memory_high == GIB
    assert step(of=one, ceiling=Bytes(600 * MIB)).limits.memory_high == 600 * MIB


def test_the_throttle_limit_keeps_its_share_when_the_hard_one_grows():
    final = FIVE._replace(limits=FIVE.limits._replace(memory_high=Bytes(7200 * MIB)))
    of = PLAN._replace(phases=(*PLAN.phases[:4], final))
    found = step(*PASSED[:4], killed_at_limit(final), of=of)
    assert found.limits.memory_high == found.limits.memory_max * 9 // 10


def test_a_kill_inside_a_command_that_then_ran_into_its_wall_time_is_no_wish_for_more_memory():
    end = outcome(Ending.WALL_TIME, oom_kills=1)
    assert step(*PASSED[:4], attempt(FIVE, State.FAILED, end=end)).exit_code == 1


def test_only_tries_that_failed_at_the_limit_count_against_the_tries():
    of = plan(tries=2)
    lost = attempt(of.phases[4], State.INVALID, end=outcome(Ending.MEMORY_LIMIT, oom_kills=1))
    found = step(*PASSED[:4], lost, killed_at_limit(of.phases[4]), of=of)
    assert memory_mib(found) > 8000


def test_a_try_without_evidence_is_judged_by_its_state():
    blind = attempt(FIVE, State.FAILED, job=Answer.NO, host=Answer.YES)._replace(evidence=None)
    found = step(*PASSED[:4], blind)
    assert found.exit_code == 1
    assert "the command did not do its work: how it ended is unknown" in found.reason


def test_what_else_failed_stands_beside_how_it_ended():
    end = outcome(exit_code=3)
    failed = attempt(FIVE, State.FAILED, end=end, job=Answer.NO, host=Answer.YES)
    assert "exit code 3 (exit status: after)" in step(*PASSED[:4], failed).reason
    alone = failed._replace(job=None)
    assert step(*PASSED[:4], alone).reason.endswith("its work: exit code 3; the machine held")


def test_a_task_limit_that_was_met_stands_beside_how_it_ended():
    end = outcome(exit_code=3, forks_refused=7)
    failed = attempt(FIVE, State.FAILED, end=end, job=Answer.NO, host=Answer.YES)
    assert "a new process or thread was refused 7 times at its task limit" in step(*PASSED[:4], failed).reason


def test_the_words_of_a_vote_say_which_of_both_cases_it_is():
    degraded = attempt(TWO, State.DEGRADED)
    assert "the machine was degraded (graphical session: worst)" in step(PASSED[0], degraded).announcement
    found = step(PASSED[0], degraded, attempt(TWO))
    assert found.announcement == "1 passed, 1 degraded: once more, 2 of 3 decide"


def test_one_phase_is_not_called_all_phases():
    one = plan(500)
    assert step(attempt(one.phases[0]), of=one).reason.startswith("the phase passed")
    assert step(*PASSED).reason.startswith("all 5 phases passed")


def test_a_ramp_that_went_on_after_a_crash_does_not_say_that_the_machine_held_throughout():
    assert step(*PASSED).reason == "all 5 phases passed, the machine held throughout"
    carried = (*PASSED[:3], CRASH)
    found = step(attempt(FOUR, memory_mib=1400), PASSED[4], carried=carried)
    assert found.exit_code == 0
    assert found.reason == "all 5 phases passed, the machine went down once on the way"


def test_labels_count_on_from_the_run_that_it_goes_on_from():
    found = step(carried=(*PASSED[:3], CRASH))
    assert (found.label, found.status) == ("4.2", "Ready for Phase 4.2")
    again = attempt(FOUR, State.INTERRUPTED, memory_mib=1400)
    assert step(again, carried=(*PASSED[:3], CRASH)).label == "4.3"
    assert step(attempt(FOUR, memory_mib=1400), carried=(*PASSED[:3], CRASH)).label == "5"


def test_the_first_try_after_a_crash_says_where_its_limit_comes_from():
    found = step(carried=(*PASSED[:3], CRASH)).announcement
    assert found.endswith("down at 4000 MiB; 1400 MiB now, 70 % of the 2000 MiB that held before")


def test_after_a_second_crash_it_is_what_held_between_the_two_that_counts():
    between = attempt(FOUR, memory_mib=1400)
    again = attempt(FIVE, State.CRASHED, memory_mib=2100)
    assert memory_mib(step(carried=(*PASSED[:3], CRASH, between, again))) == 980


def test_an_interrupted_try_is_called_that_whatever_its_figures_say():
    end = outcome(Ending.WALL_TIME, wall=60.0, cpu=1.7, psi_cpu_some=58.0)
    again = step(PASSED[0], attempt(TWO, State.INTERRUPTED, end=end))
    assert "(interrupted)" in again.announcement
