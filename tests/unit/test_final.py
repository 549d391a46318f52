"""The end of the page, sentence by sentence: praise is for what was seen alone."""

import pytest
import records

from steadyrun.errors import EXIT_DECISION_NEEDED
from steadyrun.model.desktop import Seen
from steadyrun.model.record import RunKind, State
from steadyrun.model.run import Down
from steadyrun.report.final import final_results, final_words, go_on_words, is_success
from steadyrun.report.summary import memory_words
from steadyrun.report.totals import totals


def ended(record, code=0, reason="it ended"):
    return record._replace(end=records.RunEnd(records.START + 900, code, reason))


def lines(record):
    return "\n".join(final_results(record).results)


def seen_as(record, name, seen):
    """Change what the looks during the phases saw of one probe."""

    def view(one):
        probes = tuple(p._replace(seen=seen) if p.name is name else p for p in one.probes)
        return one._replace(probes=probes)

    def attempt(one):
        return one._replace(evidence=one.evidence._replace(during=tuple(map(view, one.evidence.during))))

    return record._replace(attempts=tuple(map(attempt, record.attempts)))


def frames_unknown(record):
    def attempt(one):
        worst = one.evidence.worst._replace(frames_gap_ms=None, frames_p99_ms=None)
        return one._replace(evidence=one.evidence._replace(worst=worst))

    return record._replace(attempts=tuple(map(attempt, record.attempts)))


def test_every_phase_passed_and_the_run_did_not_end_well_is_no_success():
    assert is_success(records.passed())
    assert not is_success(ended(records.passed(), 74))
    assert "NOT FINISHED" in final_results(ended(records.passed(), 74)).headline


def test_a_ramp_of_no_phase_at_all_is_no_success():
    empty = records.passed()
    empty = empty._replace(header=empty.header._replace(plan=None), attempts=())
    assert not is_success(empty)


def test_a_boot_between_two_phases_is_not_called_a_machine_that_went_down():
    record = records.host_failure()
    down = Down("r0", records.BOOT, "1", records.START, records.START + 9)
    headline = final_results(ended(record._replace(header=record.header._replace(downs=(down,))), 5)).headline
    assert "THE MACHINE WENT DOWN" not in headline
    assert "went down or was booted once" in headline


@pytest.mark.parametrize("probe", [records.ProbeName.SESSION, records.ProbeName.SSH])
def test_looks_that_could_not_be_told_are_counted_and_take_the_praise(probe):
    record = seen_as(records.passed(), probe, Seen.UNKNOWN)
    looks = (
        totals(record).desktop.unknown if probe is records.ProbeName.SESSION else totals(record).ssh.unknown
    )
    assert looks > 0
    told = lines(record)
    if probe is records.ProbeName.SSH:
        assert f"not told at {looks} of" in told
        assert "answered throughout" not in told
    else:
        assert f"could not be told at {looks} looks" in told
        assert "and the desktop stayed" not in final_results(record).closing


def test_where_there_is_no_desktop_unknown_looks_are_nobodys():
    headless = records.ALL["headless"]()
    assert "not applicable" in lines(headless)
    assert "could not be told" not in lines(headless)


def test_a_command_that_took_the_machine_down_before_it_passed_is_told():
    record = records.passed()
    last = record.attempts[-1]
    crash = last._replace(state=State.CRASHED, evidence=None, host=None, job=None)
    assert final_words(record).endswith("it did not crash the system")
    words = final_words(record._replace(attempts=(*record.attempts[:-1], crash, last)))
    assert "it took the machine down under 8000 MiB of memory" in words
    assert "did not crash" not in words


def test_how_it_behaved_is_unknown_only_where_nothing_is_known():
    behaviour = next(line for line in final_results(records.passed()).achievement if "behavior" in line.name)
    assert "at a load of up to 36.01" in behaviour.text
    half = final_results(frames_unknown(records.passed())).achievement
    (half,) = (line for line in half if "behavior" in line.name)
    assert "36.01" in half.text
    assert half.text != "unknown"


def test_a_phase_without_a_summary_is_told_by_its_limits():
    record = records.passed()
    plan = record.header.plan
    bare = plan._replace(phases=(plan.phases[0]._replace(summary=""), *plan.phases[1:]))
    started = final_results(record._replace(header=record.header._replace(plan=bare))).approach[0]
    assert "memory 500 MiB" in started.text


def test_how_to_go_on_depends_on_what_it_was_and_how_it_ended():
    lost = ended(records.host_failure(), 5)._replace(tomorrow=None)
    assert "steadyrun ramp --resume" in go_on_words(lost)
    assert "--anew" in go_on_words(ended(lost, EXIT_DECISION_NEEDED))
    single = lost._replace(header=lost.header._replace(kind=RunKind.RUN))
    assert "--resume" not in go_on_words(single)
    assert "steadyrun ramp -- COMMAND" in go_on_words(single)
    assert "No command was recorded" in go_on_words(records.passed()._replace(tomorrow=None))


def test_memory_is_not_praised_where_kills_outside_are_unknown():
    record = records.passed()

    def untold(one):
        return one._replace(evidence=one.evidence._replace(oom_kills_outside=None))

    unknown = record._replace(attempts=tuple(map(untold, record.attempts)))
    assert memory_words(record, totals(record)).startswith("Excellent")
    assert "unknown" in memory_words(unknown, totals(unknown))
    assert "Excellent" not in memory_words(unknown, totals(unknown))
