"""The judge: one table a verdict, each row one thing that is wrong on an otherwise healthy machine."""

from __future__ import annotations

import pytest
from evidence import (
    BOOT,
    RESERVE,
    baseline,
    evidence,
    frames,
    host,
    limits,
    observation,
    outcome,
    phase,
    probe,
    read_back,
    view,
    worst,
)

from steadyrun.model.desktop import ProbeName, Seen
from steadyrun.model.outcome import Ending
from steadyrun.model.plan import LoadKind, LoadSpec
from steadyrun.model.record import State
from steadyrun.model.verdict import Answer
from steadyrun.ramp.judge import judge
from steadyrun.units import GIB, MIB

SSH = ProbeName.SSH
GONE = probe(SSH, Seen.ABSENT, None)
HIDDEN = probe(SSH, Seen.UNKNOWN, None)
OTHER = probe(SSH, identity="id-2")
NAMELESS = probe(SSH, identity=None)


def judged(seen=None, *, of=None, base=None, given=None, weak=False):
    return judge(base or baseline(), of or phase(), given or limits(), seen or evidence(), RESERVE, weak=weak)


def answers(verdict):
    return {check.name: check.answer for check in verdict.checks}


def test_a_healthy_phase_is_passed_with_every_check_yes():
    result = judged()
    assert result.state is State.PASSED
    assert set(answers(result.host).values()) == {Answer.YES}
    assert set(answers(result.job).values()) == {Answer.YES, Answer.NOT_APPLICABLE}
    assert result.findings == ()


def after(**changes):
    return evidence(after=observation(**changes))


HOST_TABLE = [
    ("same boot", after(boot_id="another"), Answer.NO),
    ("same boot", after(boot_id=""), Answer.UNKNOWN),
    ("same boot", evidence(before=observation(boot_id="")), Answer.UNKNOWN),
    ("SSH", after(desktop=view(SSH=GONE)), Answer.NO),
    ("SSH", after(desktop=view(SSH=OTHER)), Answer.NO),
    ("SSH", after(desktop=view(SSH=HIDDEN)), Answer.UNKNOWN),
    ("SSH", after(desktop=view(SSH=NAMELESS)), Answer.UNKNOWN),
    ("SSH", after(desktop=view(SSH=None)), Answer.UNKNOWN),
    ("SSH", evidence(during=(view(), view(SSH=GONE))), Answer.NO),
    ("SSH", evidence(during=(view(SSH=OTHER),)), Answer.NO),
    ("SSH", evidence(during=(view(SSH=HIDDEN), view())), Answer.UNKNOWN),
    ("SSH", evidence(during=(view(SSH=HIDDEN), view(SSH=GONE))), Answer.NO),
    ("SSH", evidence(during=(view(SSH=None),)), Answer.YES),
    ("SSH", evidence(during=()), Answer.YES),
    ("SSH", evidence(before=observation(desktop=view(SSH=OTHER))), Answer.NO),
    ("canary p99", evidence(worst=worst(frames_p99_ms=34.0)), Answer.YES),
    ("canary p99", evidence(worst=worst(frames_p99_ms=34.1)), Answer.NO),
    ("canary p99", evidence(worst=worst(frames_p99_ms=None)), Answer.UNKNOWN),
    ("worst frame gap", evidence(worst=worst(frames_gap_ms=250.0)), Answer.YES),
    ("worst frame gap", evidence(worst=worst(frames_gap_ms=251.0)), Answer.NO),
    ("worst frame gap", evidence(worst=worst(frames_silent=0.3)), Answer.NO),
    ("worst frame gap", evidence(worst=worst(frames_gap_ms=None, frames_silent=None)), Answer.UNKNOWN),
    ("no OOM kill outside", evidence(oom_kills_outside=1), Answer.NO),
    ("no OOM kill outside", evidence(oom_kills_outside=None), Answer.UNKNOWN),
    (
        "available memory over the reserve",
        evidence(worst=worst(mem_available=RESERVE.reserve)),
        Answer.YES,
    ),
    (
        "available memory over the reserve",
        evidence(worst=worst(mem_available=RESERVE.reserve - 1)),
        Answer.NO,
    ),
    (
        "available memory over the reserve",
        after(host=host(mem_available=RESERVE.reserve - 1)),
        Answer.NO,
    ),
    ("available memory over the reserve", evidence(worst=worst(samples=0)), Answer.UNKNOWN),
    ("available memory over the reserve", evidence(worst=worst(mem_available=None)), Answer.UNKNOWN),
    ("recovered in time", evidence(recovery=None), Answer.NO),
    ("recovered in time", evidence(recovery=None, recovery_awaited=False), Answer.UNKNOWN),
    ("recovered in time", evidence(recovery=120.0), Answer.YES),
    ("available memory over the reserve", after(host=host(mem_available=None)), Answer.YES),
    ("canary p99", after(frames=None), Answer.YES),
    ("worst frame gap", after(frames=None), Answer.YES),
    ("worst frame gap", evidence(worst=worst(frames_gap_ms=None, frames_silent=0.2666)), Answer.YES),
    ("worst frame gap", evidence(worst=worst(frames_gap_ms=None, frames_silent=0.2667)), Answer.NO),
    ("recovered in time", evidence(recovery=121.0), Answer.NO),
    ("not ended for the machine's sake", evidence(outcome=outcome(Ending.HOST_MEMORY)), Answer.NO),
    ("not ended for the machine's sake", evidence(outcome=outcome(Ending.HOST_PRESSURE)), Answer.NO),
    ("not ended for the machine's sake", evidence(outcome=outcome(Ending.GUARD_GONE)), Answer.UNKNOWN),
    ("not ended for the machine's sake", evidence(outcome=outcome(Ending.CONDUCTOR_GONE)), Answer.UNKNOWN),
    ("not ended for the machine's sake", evidence(outcome=outcome(Ending.UNKNOWN)), Answer.UNKNOWN),
    ("not ended for the machine's sake", evidence(outcome=outcome(Ending.MEMORY_LIMIT)), Answer.YES),
    ("not ended for the machine's sake", evidence(outcome=outcome(Ending.WALL_TIME)), Answer.YES),
    ("not ended for the machine's sake", evidence(outcome=None), Answer.UNKNOWN),
]


@pytest.mark.parametrize(("name", "seen", "expected"), HOST_TABLE)
def test_a_host_check_answers_what_the_evidence_says(name, seen, expected):
    result = judged(seen)
    assert answers(result.host)[name] is expected
    assert result.host.answer is expected


@pytest.mark.parametrize(("name", "seen", "expected"), [r for r in HOST_TABLE if r[2] is not Answer.YES])
def test_a_host_that_is_not_well_never_passes(name, seen, expected):
    assert judged(seen).state is not State.PASSED


@pytest.mark.parametrize("name", list(ProbeName))
def test_what_was_absent_at_the_baseline_is_not_applicable_whatever_comes(name):
    absent = probe(name, Seen.ABSENT, None)
    result = judged(
        after(desktop=view(**{name.name: None})), base=baseline(desktop=view(**{name.name: absent}))
    )
    assert answers(result.host)[name.value] is Answer.NOT_APPLICABLE
    assert result.state is State.PASSED


@pytest.mark.parametrize("name", list(ProbeName))
def test_every_probe_that_is_gone_after_the_load_fails_the_host(name):
    gone = probe(name, Seen.ABSENT, None)
    assert judged(after(desktop=view(**{name.name: gone}))).state is State.FAILED


def test_a_session_that_ended_is_called_that_whenever_it_was_seen():
    gone = probe(ProbeName.SESSION, Seen.ABSENT, None)
    for seen in (after(desktop=view(SESSION=gone)), evidence(during=(view(SESSION=gone),))):
        made = judged(seen)
        check = next(c for c in made.host.checks if c.name == ProbeName.SESSION.value)
        assert check.answer is Answer.NO
        assert check.why.startswith("graphical session ended: ")
        assert [f.title for f in made.findings if f.code == "session-lost"] == ["Graphical session ended"]


def test_what_could_not_be_told_at_the_baseline_stays_unknown():
    assert judged(base=baseline(desktop=view(SSH=HIDDEN))).state is State.UNKNOWN


def test_late_frames_are_held_against_twice_the_baseline_on_a_slow_desktop():
    slow = baseline(frames=frames(p99=30.0))
    assert judged(evidence(worst=worst(frames_p99_ms=60.0)), base=slow).state is State.PASSED
    assert judged(evidence(worst=worst(frames_p99_ms=61.0)), base=slow).state is State.DEGRADED


def test_late_frames_are_held_against_33_ms_on_a_fast_desktop():
    fast = baseline(frames=frames(p99=1.0))
    assert judged(evidence(worst=worst(frames_p99_ms=33.0)), base=fast).state is State.PASSED
    assert judged(evidence(worst=worst(frames_p99_ms=33.5)), base=fast).state is State.DEGRADED


def test_without_a_canary_at_the_baseline_its_checks_are_not_applicable():
    result = judged(evidence(worst=worst(frames_p99_ms=None, frames_gap_ms=None)), base=baseline(frames=None))
    found = answers(result.host)
    assert found["canary p99"] is found["worst frame gap"] is Answer.NOT_APPLICABLE
    assert result.state is State.PASSED


def test_a_check_names_the_figures_before_worst_after_and_the_threshold():
    result = judged(evidence(worst=worst(frames_gap_ms=300.0), after=observation(frames=frames(worst=40.0))))
    check = next(c for c in result.host.checks if c.name == "worst frame gap")
    assert (check.before, check.worst, check.after) == ("20 ms", "300 ms", "40 ms")
    assert "250 ms" in check.why


COMMAND = phase(5, 8000, LoadKind.COMMAND)

JOB_TABLE = [
    ("exit status", evidence(outcome=outcome(exit_code=3)), Answer.NO),
    ("exit status", evidence(outcome=outcome(exit_code=None, signal=11)), Answer.NO),
    ("exit status", evidence(outcome=outcome(exit_code=None)), Answer.UNKNOWN),
    ("exit status", evidence(outcome=outcome(Ending.WALL_TIME)), Answer.NO),
    ("exit status", evidence(outcome=outcome(Ending.CONTAINMENT_GONE)), Answer.NO),
    ("exit status", evidence(outcome=outcome(Ending.NOT_STARTED)), Answer.NO),
    ("exit status", evidence(outcome=None), Answer.UNKNOWN),
    *(
        ("exit status", evidence(outcome=outcome(ending)), Answer.UNKNOWN)
        for ending in (Ending.UNKNOWN, Ending.GUARD_GONE, Ending.CONDUCTOR_GONE)
    ),
    ("exit status", evidence(outcome=outcome(exit_code=0, signal=9)), Answer.NO),
    ("not killed at the memory limit", evidence(outcome=outcome(oom_kills=1)), Answer.NO),
    ("not killed at the memory limit", evidence(outcome=outcome(oom_kills=None)), Answer.UNKNOWN),
    ("not killed at the memory limit", evidence(outcome=outcome(Ending.MEMORY_LIMIT)), Answer.NO),
    ("within its wall time", evidence(outcome=outcome(Ending.WALL_TIME)), Answer.NO),
    ("finished its work", evidence(work_done=False), Answer.NO),
    ("finished its work", evidence(work_done=None), Answer.UNKNOWN),
    ("peak within the hard limit", evidence(outcome=outcome(memory_peak=500 * MIB)), Answer.YES),
    ("peak within the hard limit", evidence(outcome=outcome(memory_peak=500 * MIB + 1)), Answer.NO),
    ("peak within the hard limit", evidence(outcome=outcome(memory_peak=None)), Answer.UNKNOWN),
    ("no process left", evidence(outcome=outcome(survivors=1)), Answer.NO),
    ("no process left", evidence(outcome=outcome(survivors=None)), Answer.UNKNOWN),
    ("containment removed", evidence(outcome=outcome(removed=False)), Answer.NO),
    ("limits applied", evidence(readback=(read_back(), read_back("tasks_max", held=False))), Answer.NO),
    ("limits applied", evidence(readback=()), Answer.UNKNOWN),
    ("limits applied", evidence(readback=(read_back(), read_back("io_weight", held=False))), Answer.YES),
    ("limits applied", evidence(readback=(read_back(), read_back("swap_max", held=False))), Answer.YES),
]


@pytest.mark.parametrize(("name", "seen", "expected"), JOB_TABLE)
def test_a_job_check_answers_what_the_evidence_says(name, seen, expected):
    result = judged(seen, given=limits(wall_time=60.0))
    assert answers(result.job)[name] is expected
    assert result.job.answer is expected
    if expected is not Answer.YES:
        assert result.state in (State.FAILED, State.UNKNOWN)


def test_a_swap_limit_that_does_not_hold_matters_where_there_is_swap():
    swap = observation(host=host(swap_total=GIB, swap_free=GIB))
    seen = evidence(before=swap, readback=(read_back("swap_max", held=False),))
    assert judged(seen).job.answer is Answer.NO


def test_a_command_says_by_its_exit_status_whether_it_did_its_work():
    result = judged(evidence(work_done=None, work=None), of=COMMAND)
    assert answers(result.job)["finished its work"] is Answer.NOT_APPLICABLE
    assert result.state is State.PASSED


def test_the_peak_is_held_against_the_limits_of_this_try_not_of_the_plan():
    seen = evidence(outcome=outcome(memory_peak=600 * MIB))
    assert judged(seen, given=limits(750)).job.answer is Answer.YES


def test_without_limits_there_is_nothing_to_hold_peak_and_time_against():
    found = answers(judged(given=limits()._replace(memory_max=None)).job)
    assert found["peak within the hard limit"] is found["within its wall time"] is Answer.NOT_APPLICABLE


def test_a_job_that_failed_leaves_the_host_verdict_alone():
    result = judged(evidence(outcome=outcome(exit_code=1)))
    assert (result.host.answer, result.job.answer) == (Answer.YES, Answer.NO)
    assert result.state is State.FAILED


def test_a_guard_that_never_told_leaves_both_verdicts_unknown():
    result = judged(evidence(outcome=None))
    assert (result.host.answer, result.job.answer) == (Answer.UNKNOWN, Answer.UNKNOWN)
    assert result.state is State.UNKNOWN


def test_a_weak_containment_is_named_in_both_verdicts_which_stand():
    seen = evidence(
        outcome=outcome(oom_kills=None), readback=(read_back(), read_back("tasks_max", held=False))
    )
    result = judged(seen, weak=True)
    assert result.state is State.PASSED
    for verdict in (result.host, result.job):
        assert any("containment not guaranteed" in check.why for check in verdict.checks)
    assert judged(seen).state is State.FAILED


def test_a_weak_containment_that_killed_still_fails_the_job():
    assert judged(evidence(outcome=outcome(oom_kills=2)), weak=True).job.answer is Answer.NO


HELD = 450 * MIB
"""What the hog of phase 1 is to reach."""


@pytest.mark.parametrize(
    ("peak", "given", "weak", "answer"),
    [
        (HELD, {}, False, Answer.YES),
        (HELD - 1, {}, False, Answer.NO),
        (HELD - 1, {"swap_max": None}, False, Answer.YES),
        (HELD - 1, {"swap_max": 1}, False, Answer.YES),
        (HELD - 1, {}, True, Answer.YES),
        (None, {}, False, Answer.YES),
    ],
)
def test_what_a_built_in_load_says_it_reached_is_held_against_the_kernels_peak(peak, given, weak, answer):
    seen = evidence(outcome=outcome(memory_peak=peak))
    found = judged(seen, given=limits(**given), weak=weak).job
    assert answers(found)["finished its work"] is answer
    assert (found.answer is Answer.YES) is (answer is Answer.YES and peak is not None)


def test_several_hogs_have_to_be_there_together():
    several = phase(load=LoadSpec(LoadKind.HOG, 4, 100 * MIB))
    seen = evidence(outcome=outcome(memory_peak=399 * MIB))
    (check,) = [c for c in judged(seen, of=several).job.checks if c.name == "finished its work"]
    assert (check.answer, check.why.partition("; ")[2]) == (
        Answer.NO,
        "never at once: peak 399 MiB of 400 MiB",
    )


def test_a_missed_wall_time_names_the_others_that_had_the_cpus():
    def why(end):
        checks = judged(evidence(outcome=end), given=limits(wall_time=60.0)).job.checks
        return next(c.why for c in checks if c.name == "within its wall time")

    limits_of = "time frozen not counted"
    assert why(STARVED).endswith(
        "; other programs kept the CPUs from the load: 1.7 s of CPU in 60 s, waiting for one 97% of the time"
    )
    assert why(STARVED._replace(cpu=40.0)).endswith(limits_of)
    assert why(STARVED._replace(ending=Ending.EXITED)).endswith(limits_of)


STARVED = outcome(Ending.WALL_TIME, wall=60.0, cpu=1.7, psi_cpu_some=58.0)
"""As it was seen of a hog beside others with a load of 2.7 on 2 cores."""
STATES = [
    (evidence(suspended=1.0), State.PASSED),
    (evidence(suspended=1.1), State.INVALID),
    (evidence(clock_jump=5.0), State.PASSED),
    (evidence(clock_jump=5.1), State.INVALID),
    (evidence(clock_jump=-3600.0), State.INVALID),
    (evidence(suspended=100.0, worst=worst(frames_gap_ms=9e4)), State.INVALID),
    (evidence(suspended=100.0, outcome=outcome(Ending.STOPPED)), State.STOPPED),
    (evidence(outcome=outcome(Ending.STOPPED)), State.STOPPED),
    (evidence(worst=worst(frames_gap_ms=300.0)), State.DEGRADED),
    (evidence(worst=worst(frames_gap_ms=300.0), outcome=outcome(exit_code=1)), State.DEGRADED),
    (evidence(worst=worst(frames_gap_ms=300.0), oom_kills_outside=1), State.FAILED),
    (evidence(worst=worst(frames_gap_ms=300.0), oom_kills_outside=None), State.UNKNOWN),
    (evidence(oom_kills_outside=None, outcome=outcome(exit_code=1)), State.FAILED),
    (evidence(outcome=STARVED), State.INVALID),
    (evidence(outcome=STARVED, oom_kills_outside=1), State.FAILED),
    (evidence(outcome=STARVED, oom_kills_outside=None), State.FAILED),
    (evidence(outcome=STARVED._replace(psi_cpu_some=None)), State.FAILED),
    (evidence(outcome=STARVED._replace(cpu=6.0)), State.FAILED),
    (evidence(outcome=STARVED._replace(psi_cpu_some=30.0)), State.FAILED),
    (evidence(outcome=outcome(survivors=None)), State.UNKNOWN),
]


@pytest.mark.parametrize(("seen", "expected"), STATES)
def test_the_state_follows_from_what_happened_to_the_phase_and_then_the_verdicts(seen, expected):
    assert judged(seen).state is expected


def test_the_observation_says_what_the_load_memory_frames_and_recovery_were():
    said = judged(evidence(worst=worst(load1=36.01))).observation
    for part in ("Load went from 2.00 to 36.01", "490 MiB of 500 MiB", "19 GiB left", "18 ms", "0.5 s"):
        assert part in said


def test_the_observation_says_that_a_load_decreased():
    calm = evidence(after=observation(host=host(load1=1.5)), worst=worst(load1=2.0))
    assert judged(calm).observation.startswith("Load decreased from 2.00 to 1.50")


def test_the_observation_leaves_out_what_is_not_known():
    blind = evidence(worst=worst(load1=None, frames_p99_ms=None), outcome=None, recovery=None)
    assert judged(blind).observation == "The machine was not back near its baseline within 2 min"


def test_the_slowest_look_is_the_worst_of_a_probe_that_stayed():
    slow = view(SSH=probe(SSH, latency_ms=80.0))
    check = next(c for c in judged(evidence(during=(view(), slow, view()))).host.checks if c.name == "SSH")
    assert (check.before, check.worst, check.after) == ("SSH 1, 3 ms", "SSH 1, 80 ms", "SSH 1, 3 ms")


def test_the_look_that_differs_is_the_worst_of_a_probe_that_went():
    check = next(c for c in judged(evidence(during=(view(), view(SSH=GONE)))).host.checks if c.name == "SSH")
    assert check.worst == "gone"


def test_oom_kills_outside_are_counted_in_the_check():
    check = next(
        c for c in judged(evidence(oom_kills_outside=3)).host.checks if c.name == "no OOM kill outside"
    )
    assert check.worst == "3"


def test_boot_ids_are_shown_short():
    check = judged().host.checks[0]
    assert check.before == BOOT[:8]


@pytest.mark.parametrize(
    ("code", "answer"), [(0, Answer.YES), (1, Answer.YES), (2, Answer.NO), (None, Answer.UNKNOWN)]
)
def test_the_exit_codes_that_count_as_done_are_the_plans(code, answer):
    command = phase(kind=LoadKind.COMMAND)
    command = command._replace(load=command.load._replace(ok_exits=(0, 1)))
    judged = judge(
        baseline(), command, limits(), evidence(outcome=outcome(exit_code=code)), RESERVE, weak=False
    )
    check = next(c for c in judged.job.checks if c.name == "exit status")
    assert check.answer is answer
    if code is not None:
        assert check.why == "exit code 0 or 1"


def test_a_load_average_that_did_not_move_is_not_said_to_have_decreased():
    seen = evidence(worst=worst(load1=1.0))
    still = seen._replace(before=observation(host=host(load1=1.0)), after=observation(host=host(load1=1.0)))
    assert judged(still).observation.startswith("Load stayed at 1.00")


# What a mutated judge got away with before these were written


def check_of(verdict, name):
    return next(check for check in verdict.checks if check.name == name)


def test_a_stopped_load_did_not_come_to_its_end():
    result = judged(evidence(outcome=outcome(Ending.STOPPED)))
    assert check_of(result.job, "exit status").answer is Answer.UNKNOWN


def test_a_probe_that_was_not_in_the_baseline_at_all_is_not_applicable():
    base = baseline(desktop=view(SSH=None))
    assert answers(judged(base=base).host)["SSH"] is Answer.NOT_APPLICABLE


def test_a_probe_without_an_identity_from_the_beginning_is_the_same_one_as_long_as_it_answers():
    nameless = view(SSH=NAMELESS)
    seen = evidence(
        before=observation(desktop=nameless), during=(nameless,), after=observation(desktop=nameless)
    )
    assert answers(judged(seen, base=baseline(desktop=nameless)).host)["SSH"] is Answer.YES


@pytest.mark.parametrize(
    ("during", "said"),
    [
        ((view(), view(SSH=HIDDEN)), "unknown"),
        ((view(), view(SSH=probe(SSH, identity="id-2", latency_ms=None, label="another"))), "another"),
        ((view(SSH=probe(SSH, latency_ms=None, label="")),), "there"),
        ((view(SSH=probe(SSH, latency_ms=None)), view(SSH=probe(SSH, latency_ms=0.9))), "SSH 1, 3 ms"),
    ],
)
def test_the_worst_look_is_the_one_that_differs_else_the_slowest(during, said):
    before = observation(desktop=view(SSH=None)) if said == "there" else observation()
    found = check_of(judged(evidence(before=before, during=during)).host, "SSH").worst
    assert found == said


def test_a_probe_that_was_never_looked_at_during_the_load_has_no_worst():
    seen = evidence(before=observation(desktop=view(SSH=None)), during=())
    assert check_of(judged(seen).host, "SSH").worst == ""


def test_a_canary_whose_normal_lateness_is_unknown_is_held_against_33_ms():
    base = baseline(frames=frames(p99=None))
    assert (
        answers(judged(evidence(worst=worst(frames_p99_ms=33.0)), base=base).host)["canary p99"] is Answer.YES
    )
    assert (
        answers(judged(evidence(worst=worst(frames_p99_ms=33.1)), base=base).host)["canary p99"] is Answer.NO
    )


def test_what_is_not_known_is_called_so_in_the_figures():
    result = judged(evidence(oom_kills_outside=None, recovery=None, outcome=outcome(survivors=None)))
    assert check_of(result.host, "no OOM kill outside").worst == "unknown"
    assert check_of(result.host, "recovered in time").after == "not yet"
    assert check_of(result.job, "no process left").after == "unknown"


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (outcome(Ending.NOT_STARTED, start_error="no such command"), "not started: no such command"),
        (outcome(Ending.NOT_STARTED), "not started: no reason was given"),
        (outcome(Ending.WALL_TIME), "wall-time"),
        (outcome(exit_code=None, signal=11), "signal 11"),
        (outcome(exit_code=None), "unknown"),
        (outcome(exit_code=3), "exit code 3"),
    ],
)
def test_how_a_load_ended_is_said_in_the_check(end, said):
    assert check_of(judged(evidence(outcome=end)).job, "exit status").after == said


@pytest.mark.parametrize(("kills", "said"), [(None, "killed"), (3, "3 killed")])
def test_how_many_were_killed_is_said_where_it_is_known(kills, said):
    result = judged(evidence(outcome=outcome(Ending.MEMORY_LIMIT, oom_kills=kills)))
    assert check_of(result.job, "not killed at the memory limit").after == said


def test_without_a_memory_limit_the_check_says_so():
    check = check_of(judged(given=limits()._replace(memory_max=None)).job, "not killed at the memory limit")
    assert (check.answer, check.why) == (Answer.YES, "no memory limit")


def test_a_weak_containment_does_not_claim_what_it_cannot_count_or_hold():
    seen = evidence(outcome=outcome(oom_kills=None), readback=(read_back(held=False),))
    found = answers(judged(seen, weak=True).job)
    assert found["not killed at the memory limit"] is Answer.NOT_APPLICABLE
    assert found["limits applied"] is Answer.NOT_APPLICABLE
    counted = answers(judged(evidence(outcome=outcome(oom_kills=0)), weak=True).job)
    assert counted["not killed at the memory limit"] is Answer.YES


def test_a_command_that_was_over_before_it_was_polled_did_its_work_all_the_same():
    quick = evidence(outcome=outcome(oom_kills=None, memory_peak=None))
    assert judged(quick, weak=True).state is State.PASSED
    assert judged(quick).state is State.UNKNOWN


def test_the_note_of_a_weak_containment_is_no_yes():
    result = judged(weak=True)
    notes = [c for c in (*result.host.checks, *result.job.checks) if "not guaranteed: without" in c.why]
    assert [note.answer for note in notes] == [Answer.NOT_APPLICABLE] * 2


@pytest.mark.parametrize(("found", "said"), [("max", "found max"), (None, "found unreadable")])
def test_a_limit_that_is_not_in_force_is_named_with_what_was_found(found, said):
    seen = evidence(readback=(read_back(held=False, found=found),))
    check = check_of(judged(seen).job, "limits applied")
    assert (check.answer, check.after) == (Answer.NO, f"memory_max asked 524288000, {said}")


def test_a_containment_that_stayed_is_said_to_be_there():
    assert check_of(judged(evidence(outcome=outcome(removed=False))).job, "containment removed").after == (
        "still there"
    )


def test_the_observation_of_a_load_without_a_limit_or_with_an_unknown_end_leaves_those_out():
    said = judged(
        evidence(worst=worst(mem_available=None)), given=limits()._replace(memory_max=None)
    ).observation
    assert "memory peaked at 490 MiB, 99 of" in said
    unknown_after = judged(evidence(after=observation(host=host(load1=None)))).observation
    assert "oad" not in unknown_after.split(",")[0]
