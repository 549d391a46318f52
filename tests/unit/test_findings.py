"""Findings: each thing that can be found, and that nothing is found on a healthy machine."""

from __future__ import annotations

import errno

import pytest
from evidence import (
    RESERVE,
    baseline,
    evidence,
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

from steadyrun.model.action import LET_GO, Action
from steadyrun.model.desktop import ProbeName, Seen
from steadyrun.model.event import Acted
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.outcome import Ending
from steadyrun.model.plan import LoadKind
from steadyrun.model.verdict import Answer, Check, Scope, Verdict
from steadyrun.ramp.findings import NOT_APPLIED, findings_of
from steadyrun.ramp.judge import judge
from steadyrun.units import GIB, MIB

SWAP = observation(host=host(swap_total=GIB, swap_free=GIB))


def acted(action, seq=7):
    return Acted(1.0, 1.0, seq, action, "available memory 1 GiB is below the floor", 0.001)


def found(seen, *, given=None, **more):
    judged = judge(baseline(), phase(), given or limits(), seen, RESERVE, **({"weak": False} | more))
    return judged.findings


TABLE = [
    ("oom-kill-inside", evidence(outcome=outcome(Ending.MEMORY_LIMIT, oom_kills=3)), "3 OOM kills inside"),
    ("oom-kill-inside", evidence(outcome=outcome(oom_kills=1)), "peak 490 MiB of 500 MiB"),
    ("oom-kill-outside", evidence(oom_kills_outside=2), "2 OOM kills outside"),
    (
        "oom-kill-outside",
        evidence(oom_kills_outside=1, oom_victims=("gnome-shell (pid 20)",)),
        "1 OOM kill outside the containment: gnome-shell (pid 20)",
    ),
    ("oom-kill-elsewhere", evidence(oom_kills_elsewhere=1), "1 OOM kill at the limits of other cgroups"),
    ("limit-not-applied", evidence(readback=(read_back(held=False, found=None),)), "found unreadable"),
    ("limit-not-applied", evidence(readback=(read_back("io_weight", held=False),)), "asked 524288000"),
    ("memory-high-missing", evidence(readback=(read_back("memory_high", held=False),)), "asked 524288000"),
    ("survivors", evidence(outcome=outcome(survivors=2)), "2 found alive"),
    (
        "tasks-refused",
        evidence(outcome=outcome(forks_refused=1, exit_code=3)),
        "refused once at its task limit",
    ),
    ("suspend-detected", evidence(suspended=3.0), "3 s of sleep|3.0 s of sleep"),
    ("clock-jump", evidence(clock_jump=-3600.0), "by -3600.0 s"),
    (
        "output-dropped",
        evidence(output_bytes=100 * MIB, output_dropped=36 * MIB),
        "36 MiB of 100 MiB dropped",
    ),
    ("recovery-slow", evidence(recovery=11.0), "11 s"),
    ("recovery-slow", evidence(recovery=None), "not within 2 min"),
    ("swap-used", evidence(before=SWAP, worst=worst(swap_used=17 * MIB)), "17 MiB more than before"),
    ("futile-reclaim", evidence(outcome=outcome(psi_memory_full=2.0)), "50% of 4"),
    ("disk-full", evidence(output_tail="cp: x: No space left on device"), "No space left"),
    ("disk-full", evidence(outcome=outcome(Ending.NOT_STARTED, start_errno=errno.ENOSPC)), "No space left"),
    ("wall-time-reached", evidence(outcome=outcome(Ending.WALL_TIME)), "of unknown"),
    ("load-frozen", evidence(actions=(acted(Action.FREEZE), acted(Action.THAW))), "below the floor"),
    ("load-killed", evidence(actions=(acted(Action.KILL),)), "below the floor"),
    ("frames-late", evidence(worst=worst(frames_p99_ms=90.0)), "canary p99: 17 ms before, 90 ms at worst"),
    ("frames-late", evidence(worst=worst(frames_gap_ms=900.0)), "worst frame gap: 20 ms before, 900 ms"),
    ("memory-under-reserve", evidence(worst=worst(mem_available=GIB)), "1 GiB at worst"),
    ("machine-restarted", evidence(after=observation(boot_id="another")), "another after"),
    (
        "session-lost",
        evidence(after=observation(desktop=view(SESSION=probe(ProbeName.SESSION, Seen.ABSENT, None)))),
        "gone after",
    ),
    (
        "session-unknown",
        evidence(during=(view(SSH=probe(ProbeName.SSH, Seen.UNKNOWN, None)),)),
        "unknown at worst",
    ),
]


@pytest.mark.parametrize(("code", "seen", "words"), TABLE)
def test_it_is_found_with_its_evidence(code, seen, words):
    matching = [f for f in found(seen) if f.code == code]
    assert len(matching) == 1
    assert any(w in matching[0].evidence for w in words.split("|")), matching[0].evidence


def test_nothing_is_found_on_a_healthy_machine():
    assert found(evidence()) == ()


NOTHING = [
    evidence(recovery=10.0),
    evidence(recovery=None, recovery_awaited=False),
    evidence(suspended=1.0, clock_jump=5.0),
    evidence(before=SWAP, worst=worst(swap_used=16 * MIB)),
    evidence(outcome=outcome(psi_memory_full=1.0)),
    evidence(outcome=outcome(wall=0.0)),
    evidence(outcome=outcome(survivors=None, psi_memory_full=None)),
    evidence(worst=worst(swap_used=None)),
    evidence(before=observation(host=host(swap_free=None)), worst=worst(swap_used=GIB)),
    evidence(actions=(acted(Action.KILL, seq=-1), acted(Action.FINISH))),
    evidence(readback=(read_back(), read_back("swap_max", held=False))),
]


@pytest.mark.parametrize("seen", NOTHING)
def test_what_is_usual_is_not_found(seen):
    assert found(seen) == ()


def test_what_was_done_says_how_often_and_how_long_the_load_was_frozen():
    seen = evidence(actions=tuple(acted(Action.FREEZE) for _ in range(3)), outcome=outcome(frozen=2.5))
    assert found(seen)[0].done == "froze the load 3 times, 2.5 s in all"
    once = evidence(actions=(acted(Action.FREEZE),), outcome=None)
    assert found(once)[0].done == "froze the load once, unknown in all"


@pytest.mark.parametrize("ending", [Ending.MEMORY_LIMIT, Ending.WALL_TIME, Ending.STOPPED])
def test_a_kill_that_only_finished_what_somebody_else_ended_is_not_the_guards(ending):
    seen = evidence(actions=(acted(Action.KILL),), outcome=outcome(ending))
    assert "load-killed" not in {f.code for f in found(seen)}


def test_a_command_that_met_its_task_limit_did_not_fail_for_its_own_reasons():
    seen = evidence(outcome=outcome(exit_code=3, forks_refused=2))
    judged = judge(baseline(), phase(kind=LoadKind.COMMAND), limits(), seen, RESERVE, weak=False)
    assert [f.code for f in judged.findings] == ["tasks-refused"]


def test_what_the_guard_found_itself_comes_first():
    died = Finding("canary-died", Severity.WARNING, "The canary died", "pid 7", "", "started it again")
    assert [f.code for f in found(evidence(oom_kills_outside=1), troubles=(died,))] == [
        "canary-died",
        "oom-kill-outside",
    ]


def test_a_note_is_told_once_a_run_and_a_problem_always():
    seen = evidence(readback=(read_back(), read_back("memory_high", held=False)), oom_kills_outside=1)
    told = frozenset({"memory-high-missing", "oom-kill-outside"})
    assert [f.code for f in found(seen, told=told)] == ["oom-kill-outside"]


@pytest.mark.parametrize(
    ("name", "weak", "severity"),
    [
        ("memory_max", False, Severity.PROBLEM),
        ("memory_max", True, Severity.WARNING),
        ("cpu_weight", False, Severity.WARNING),
    ],
)
def test_a_limit_that_holds_nothing_or_was_known_not_to_is_a_warning(name, weak, severity):
    assert found(evidence(readback=(read_back(name, held=False),)), weak=weak)[0].severity is severity


@pytest.mark.parametrize(("took", "severity"), [(11.0, Severity.NOTE), (None, Severity.WARNING)])
def test_a_recovery_that_never_came_is_a_warning_with_what_to_look_at(took, severity):
    slow = found(evidence(recovery=took))[0]
    assert (slow.severity, bool(slow.remedy)) == (severity, took is None)


def test_every_finding_says_what_to_do_or_what_was_done():
    for _, seen, _ in TABLE:
        for finding in found(seen):
            assert finding.remedy or finding.done, finding
            assert finding.title
            assert finding.evidence


def test_what_a_polled_containment_lacks_is_told_once_a_run():
    def lacking(*names, **more):
        seen = evidence(readback=tuple(read_back(name, held=False) for name in names))
        return [f.title for f in found(seen, **more) if f.code == NOT_APPLIED]

    first = lacking("cpu_weight", "io_weight", weak=True)
    assert len(first) == 2
    told = frozenset(first)
    again = lacking("cpu_weight", "tasks_max", weak=True, told=told)
    assert [title.partition(" ")[0] for title in again] == ["tasks_max"]
    assert len(lacking("cpu_weight", "tasks_max", told=told)) == 2, "a limit that the kernel does not hold"


def test_a_command_that_ended_by_itself_is_told_from_one_that_a_limit_ended():
    command = phase(kind=LoadKind.COMMAND)

    def codes(seen, ok_exits=(0,)):
        load = command.load._replace(ok_exits=ok_exits)
        judged = judge(baseline(), command._replace(load=load), limits(), seen, RESERVE, weak=False)
        return [f.code for f in judged.findings]

    red = evidence(outcome=outcome(exit_code=1))
    assert codes(red) == ["own-exit-code"]
    assert codes(red, ok_exits=(0, 1)) == []
    assert codes(evidence(outcome=outcome(exit_code=1, oom_kills=2))) == ["oom-kill-inside"]
    assert found(red) == ()  # a built-in load has no usual exit code


def test_a_note_on_an_exit_code_names_the_option_that_accepts_it():
    red = evidence(outcome=outcome(exit_code=5))
    judged = judge(baseline(), phase(kind=LoadKind.COMMAND), limits(), red, RESERVE, weak=False)
    assert judged.findings[0].remedy.endswith("steadyrun ramp --resume --ok-exit 5")
    judged = judge(baseline(), phase(kind=LoadKind.COMMAND), limits(), red, RESERVE, weak=False, run_id="r1")
    assert judged.findings[0].remedy.endswith("steadyrun ramp --resume r1 --ok-exit 5")


@pytest.mark.parametrize(
    "name", ["same boot", "canary p99", "worst frame gap", "available memory over the reserve"]
)
def test_what_is_unknown_is_not_told_as_if_it_had_happened(name):
    unknown = Check(name, Scope.HOST, Answer.UNKNOWN, "a", "b", "c", "why")
    assert findings_of(phase().load, limits(), evidence(), Verdict(Answer.UNKNOWN, (unknown,))) == ()
    known = unknown._replace(answer=Answer.NO)
    assert len(findings_of(phase().load, limits(), evidence(), Verdict(Answer.NO, (known,)))) == 1


def test_what_a_load_is_given_back_for_its_end_is_not_loosening():
    let_go = acted(Action.LOOSEN)._replace(cause=LET_GO)
    acts = (acted(Action.TIGHTEN), acted(Action.LOOSEN), let_go, acted(Action.TERM))
    (told,) = found(evidence(actions=acts))
    assert (told.code, told.done) == ("load-tightened", "tightened it once, loosened it once")


def test_only_an_ending_at_the_memory_limit_is_told_as_one():
    for ending in (Ending.WALL_TIME, Ending.HOST_MEMORY, Ending.STOPPED):
        codes = [f.code for f in found(evidence(outcome=outcome(ending)))]
        assert "oom-kill-inside" not in codes


def test_a_wall_time_that_was_missed_for_want_of_a_cpu_is_not_to_be_raised():
    slow = outcome(Ending.WALL_TIME, wall=60.0, cpu=40.0, psi_cpu_some=5.0)
    starved = slow._replace(cpu=1.7, psi_cpu_some=58.0)
    (missed,) = found(evidence(outcome=slow))
    assert (missed.code, missed.remedy) == ("wall-time-reached", "raise wall_time of the phase")
    hungry, missed = found(evidence(outcome=starved))
    assert (hungry.code, hungry.done) == ("load-starved", "did not count this try")
    assert (missed.code, missed.remedy) == ("wall-time-reached", "")
    assert missed.evidence.endswith("1.7 s of CPU in 60 s, waiting for one 97% of the time")
    (unknown,) = found(evidence(outcome=starved._replace(psi_cpu_some=None)))
    assert unknown.evidence.endswith("1.7 s of CPU in 60 s, how long it waited for one is not known")


def test_a_load_that_others_kept_from_the_cores_is_told_from_a_slow_one():
    starved = outcome(cpu=0.3, wall=81.0, psi_cpu_some=70.0)
    assert [f.code for f in found(evidence(outcome=starved))] == ["load-starved"]
    for busy in ({"cpu": 40.0}, {"psi_cpu_some": 20.0}, {"psi_cpu_some": None}, {"cpu": None}):
        assert found(evidence(outcome=starved._replace(**busy))) == ()
