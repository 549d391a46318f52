"""The page as a person reads it: the whole document against golden files, and what it may never say."""

import os
import re
from pathlib import Path

import pytest
import records

from steadyrun.model.desktop import DesktopView, Probe, ProbeName, Seen
from steadyrun.model.fate import fate_of, machine_words
from steadyrun.model.record import State
from steadyrun.model.verdict import Answer
from steadyrun.report.progress import render_progress
from steadyrun.report.totals import totals

GOLDEN = Path(__file__).parent / "golden"

# The headings of the log that was kept by hand, in its order.
REFERENCE_HEADINGS = (
    "# System Optimization Progress - Conservative Approach",
    "## System Information",
    "## Progress Tracking",
    "### Phase 0: Baseline (Post-Reboot)",
    "### Testing Results",
    "### Issues Found",
    "### Solutions Applied",
    "## Conservative Approach Strategy",
    "### Principle: Start extremely restrictive, gradually loosen",
    "### Phase 1: Ultra-Conservative (Single Process, 500MB)",
    "### Phase 2: Conservative (Single Process, 1GB)",
    "### Phase 3: Moderate (4 Processes, 2GB total)",
    "### Phase 4: Progressive (8 Processes, 4GB total)",
    "### Phase 5: Advanced (Original Test with Limits)",
    "## Current Status:",
    "### Phase 1: Ultra-Conservative (Single Process, 500MB) - COMPLETED ✅",
    "### Phase 2: Conservative (Single Process, 1GB) - COMPLETED ✅",
    "### Phase 3: Moderate (4 Processes, 2GB total) - COMPLETED ✅",
    "### Phase 4: Progressive (8 Processes, 4GB total) - COMPLETED ✅",
    "## Current Progress Summary",
    "### ✅ PASSED TESTS (4/4 phases), the final test apart",
    "### System Performance",
    "### Ready for Final Test",
    "### Phase 5: Advanced (Original Test with Limits) - COMPLETED ✅",
    "## CONSERVATIVE APPROACH SUCCESS",
    "### Final Results Summary",
    "### Key Achievement",
    "### Conservative Approach Success",
    "## SYSTEM OPTIMIZATION ACHIEVED",
)


@pytest.mark.parametrize("name", records.ALL)
def test_the_whole_page_is_the_golden_one(name):
    page = render_progress(records.ALL[name]())
    path = GOLDEN / f"{name}.md"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(page, encoding="utf-8")
    assert page == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("passed", ("SUCCESS ✅; exit code 0", "memory 8000 MiB", "steadyrun run --memory 8000M -- python3")),
        (
            "host-failure",
            ("NOT FINISHED ⚠️ (2 of 5 phases", "phase that passed, 2", "steadyrun ramp --resume"),
        ),
        ("halfway", ("2 of 5 phases passed", "phase that passed, 2")),
        ("just-begun", ("0 of 5 phases passed", "none: no phase has passed")),
        ("weak", ("containment not guaranteed",)),
    ],
)
def test_the_verdict_and_how_to_go_on_stand_on_the_first_screen(name, words):
    top = "\n".join(render_progress(records.ALL[name]()).splitlines()[:12])
    assert "## In Short" in top
    for each in words:
        assert each in top


def test_the_headings_of_the_manual_log_stand_in_their_order():
    lines = iter(render_progress(records.passed()).splitlines())
    for heading in REFERENCE_HEADINGS:
        assert any(line.startswith(heading) for line in lines), heading


def test_every_attempt_says_all_that_the_manual_log_said():
    page = render_progress(records.passed())
    section = page.split("### Phase 3: Moderate (4 Processes, 2GB total) - COMPLETED")[1].split("\n### ")[0]
    names = re.findall(r"^- \*\*(.+?)\*\*:", section, re.M)
    assert names == [
        "Time",
        "Test",
        "Limits",
        "Results",
        "Status",
        "Issues Found",
        "Solutions Applied",
        "Observation",
        "Next",
    ]
    for text in (
        "3.23 → 4.40 → 2.97",
        "session stable since 15:47:21 PST",
        "lightdm active",
        "1952 MiB of 2000 MiB",
    ):
        assert text in section


def test_the_page_ends_with_tomorrows_exact_command():
    assert render_progress(records.passed()).endswith(
        "```sh\nsteadyrun run --memory 8000M -- python3 chat.py --test\n```\n"
    )


def test_rendering_twice_gives_the_same_page():
    assert render_progress(records.crashed_and_resumed()) == render_progress(records.crashed_and_resumed())


def test_while_it_runs_what_is_not_reached_is_to_be_filled():
    page = render_progress(records.halfway())
    assert "### Phase 4: Progressive (8 Processes, 4GB total)\n\n(to be filled)" in page
    assert "- **Multi-process handling**: not tested yet" in page
    assert "SUCCESS" not in page
    assert "ACHIEVED" not in page
    assert "Not run." not in page


def test_a_weak_containment_is_said_at_every_verdict():
    page = render_progress(records.weak())
    for line in page.splitlines():
        if line.startswith(
            ("- **Status**: ✅ PASSED", "Host verdict:", "Job verdict:", "## CONSERVATIVE APPROACH S")
        ):
            assert "containment not guaranteed" in line
        if line.startswith(("## SYSTEM OPTIMIZATION", "### ✅ PASSED TESTS", "- Phase 1 ")):
            assert "containment not guaranteed" in line


def test_without_a_desktop_there_is_no_praise_for_it():
    page = render_progress(records.headless_machine())
    assert "no desktop on this machine: not applicable" in page
    assert "Desktop restarts: not applicable" in page
    for praise in ("Perfect", "session stable", "desktop stayed"):
        assert praise not in page


@pytest.mark.parametrize("name", ["host-failure", "crashed-and-resumed", "halfway", "just-begun"])
def test_a_ramp_that_has_not_passed_claims_no_success(name):
    page = render_progress(records.ALL[name]())
    assert "SUCCESS" not in page
    assert "OPTIMIZATION ACHIEVED" not in page
    assert "exactly this" not in page


def test_a_host_failure_names_what_was_lost_and_what_was_done():
    page = render_progress(records.host_failure())
    assert "Desktop restarts: 1" in page
    assert "❌ Interrupted (1 restart in 15 looks, worst gap between frames 2400 ms)" in page
    assert (
        "guard: kill, because available memory 0.5 GiB &lt; 0.6 GiB" in page
        or "available memory 0.5 GiB < 0.6" in page
    )
    assert "Not Ready for Final Test (2 of 4 phases before it passed)" in page
    assert "steadyrun ramp --resume" in page


def test_a_crash_counts_as_a_crash_and_a_reboot_and_not_as_a_desktop_restart():
    record = records.crashed_and_resumed()._replace(
        end=records.RunEnd(records.START + 700, 5, "stopped here")
    )
    page = render_progress(record)
    assert "- System crashes: 1" in page
    assert "- Reboots: 1" in page
    assert "- Desktop restarts: 0" in page
    assert "the machine went down once" in page


CLAIMS_OF_A_MACHINE_THAT_NEVER_WENT_DOWN = (
    "held throughout",
    "answered throughout",
    "and the desktop stayed",
    "Perfect",
    "Excellent (recovered",
    "SUCCESS ✅\n",
    "System crashes: 0",
    "Reboots: 0",
)


@pytest.mark.parametrize("name", ["crashed-and-resumed", "crashed-and-finished", "booted-between"])
def test_after_a_crash_no_sentence_says_that_there_was_none(name):
    page = render_progress(records.ALL[name]())
    for claim in CLAIMS_OF_A_MACHINE_THAT_NEVER_WENT_DOWN:
        assert claim not in page, claim


@pytest.mark.parametrize(
    "claim", [c for c in CLAIMS_OF_A_MACHINE_THAT_NEVER_WENT_DOWN if not c.endswith("0")] + ["crashes: 0"]
)
def test_a_machine_that_never_went_down_earns_each_of_these_sentences(claim):
    record = records.passed()
    end = record.end._replace(reason=f"all phases passed, {machine_words(fate_of(record.attempts))}")
    assert claim in render_progress(record._replace(end=end))


def test_after_a_crash_every_summary_tells_it():
    page = render_progress(records.crashed_and_finished())
    final = page.split("## CONSERVATIVE APPROACH SUCCESS ✅ ")[1]
    assert final.startswith("(after the machine went down once)")
    for name in ("Memory", "Desktop", "SSH", "**Desktop session**", "**System behavior**"):
        line = next(line for line in final.splitlines() if line.startswith(f"- {name}:"))
        assert "went down once" in line, line
    assert "exit code 0: all 5 phases passed, the machine went down once on the way" in final
    assert "- Desktop restarts: 0 (and lost with the machine once)" in final
    closing = final.split("ACHIEVED ✅\n\n")[1].splitlines()[0]
    assert "the machine went down once on the way, and apart from that the desktop stayed" in closing


def test_a_boot_that_ended_between_two_phases_is_told_where_it_happened_and_in_every_summary():
    page = render_progress(records.booted_between_and_finished())
    words = "went down or was booted once while no phase was running"
    assert f"SUCCESS ✅ (after the machine {words})" in page
    assert "- System crashes: ⚠️ 0 in a phase; 1 more, or boots by somebody" in page
    assert "- Reboots: 1\n" in page
    heading = "### After Phase 2 - THE MACHINE WENT DOWN OR WAS BOOTED"
    assert page.index("### Phase 2: Conservative (Single Process, 1GB) - ") < page.index(heading)
    assert page.index(heading) < page.index("### Phase 3: Moderate (4 Processes, 2GB total) - ")
    assert "UNKNOWN - a crash of the machine, or somebody's boot" in page
    assert "After Phase 2: THE MACHINE WENT DOWN OR WAS BOOTED" in page.split("### Issues Found")[0]
    for name in ("Memory", "Desktop", "SSH", "**Desktop session**", "**System behavior**"):
        line = next(line for line in page.splitlines() if line.startswith(f"- {name}:") and words in line)
        assert "❌" in line or "⚠️" in line or "System behavior" in name, line


def test_what_passed_with_less_than_planned_is_not_told_as_planned():
    page = render_progress(records.crashed_and_finished())
    assert "- **Loosened up to**: Advanced (with 2100 MiB instead of 8000 MiB)" in page
    for line in page.splitlines():
        if "COMPLETED ✅" in line and ("Phase 4" in line or "Phase 5" in line):
            assert "instead of" in line, line
    assert "instead of" not in render_progress(records.passed())


def test_the_last_readings_before_a_crash_count_among_the_extremes():
    page = render_progress(records.crashed_and_finished())
    assert "as little as 260 MiB available, reserve 2.3 GiB" in page
    assert "never less than" not in page


def test_the_evidence_of_a_crash_stands_in_its_section():
    page = render_progress(records.crashed_and_resumed())
    section = page.split("### Phase 4: Progressive (8 Processes, 4GB total) - CRASHED (machine)")[1]
    section = section.split("\n### ")[0]
    for text in (
        "(the machine went down, last seen 15:51:19 PST)",
        "Last reading: 15:51:19 PST (5.4 s into the phase)",
        "300 MiB available (at least 260 MiB in the 4.9 s before)",
        "Load then: 31.20",
        "memory some 61 %, memory full 42 %, I/O full 7.0 %",
        "(systemd's journal): 15:51:17 PST `INFO: task kworker/0:1:11 blocked for more than 120 seconds.`",
        "(pstore): unknown: /sys/fs/pstore: Permission denied",
        "Found: by the next start of steadyrun at 15:58:21 PST, after a boot at 15:57:11 PST",
        "went on after the boot as Phase 4.2, with 1400 MiB of memory",
    ):
        assert text in section, text


def test_where_a_decision_is_needed_going_on_is_not_advised():
    record = records.crashed_and_resumed()
    end = records.RunEnd(records.START + 700, 6, "expected a person to decide how to go on")
    page = render_progress(record._replace(attempts=record.attempts[:4], end=end))
    tomorrow = page.split("## Tomorrow")[1]
    assert "`steadyrun ramp --anew my.toml`" in tomorrow
    assert "--resume" not in tomorrow


def test_a_crash_without_evidence_says_that_there_is_none():
    record = records.crashed_and_resumed()
    bare = records.found_of_the_crash()._replace(last=None)
    attempts = tuple(a._replace(crash=bare) if a.crash else a for a in record.attempts)
    assert "Last reading: none of this phase reached the disk" in render_progress(
        record._replace(attempts=attempts)
    )
    attempts = tuple(a._replace(crash=None) for a in record.attempts)
    assert "unknown: nothing was recorded after the load was started" in render_progress(
        record._replace(attempts=attempts)
    )


def test_a_plan_that_ends_with_a_hog_is_not_called_a_storm():
    page = render_progress(records.ends_with_a_hog())
    assert "storm" not in page
    assert "- **Command**: none given; the final test: 8 parallel processes, 500 MB each" in page
    assert "proven safe here for hog" in page


def test_a_session_that_changed_between_two_runs_of_one_boot_counts_once():
    record = records.crashed_and_finished()

    def in_one_boot(one):
        seen = one.evidence
        if seen is not None:
            before, after = (x._replace(boot_id=records.NEXT_BOOT) for x in (seen.before, seen.after))
            one = one._replace(evidence=seen._replace(before=before, after=after))
        return one._replace(boot_id=records.NEXT_BOOT)

    assert totals(record).desktop.restarts == 0
    attempts = tuple(map(in_one_boot, record.attempts))
    assert totals(record._replace(attempts=attempts)).desktop.restarts == 1


def test_a_crash_that_nothing_followed_is_a_reboot_too():
    record = records.crashed_and_resumed()
    head = record.header._replace(boot_id=records.BOOT, started_wall=records.START)
    end = records.RunEnd(records.START + 700, 5, "the machine went down")
    page = render_progress(record._replace(header=head, attempts=record.attempts[:4], end=end))
    assert "- System crashes: 1" in page
    assert "- Reboots: 1" in page
    assert "THE MACHINE WENT DOWN ❌ (3 of 5 phases passed)" in page
    assert "the command" not in page.split("### What Was Reached")[1].split("- **System")[0]


def test_a_passed_state_with_a_verdict_against_it_is_no_success():
    record = records.passed()
    last = record.attempts[-1]._replace(job=records.job_verdict(Answer.NO))
    page = render_progress(record._replace(attempts=(*record.attempts[:-1], last)))
    assert "### Phase 5: Advanced (Original Test with Limits) - NOT ALL PASSED ⚠️" in page
    assert "NOT FINISHED ⚠️ (4 of 5 phases passed)" in page
    assert "SUCCESS" not in page


def test_a_session_that_could_not_be_told_is_not_called_perfect():
    record = records.passed()
    first = record.attempts[0]
    blind = DesktopView(
        records.START + 39,
        (Probe(ProbeName.SESSION, Seen.UNKNOWN, None, "", None, None, "logind: timed out"),),
    )
    first = first._replace(evidence=first.evidence._replace(during=(blind,)))
    page = render_progress(record._replace(attempts=(first, *record.attempts[1:])))
    assert "Perfect" not in page
    assert "could not be told at 1 look" in page


def test_a_desktop_that_was_never_told_is_unknown_and_not_absent():
    record = records.headless_machine()
    blind = DesktopView(
        records.START, tuple(Probe(n, Seen.UNKNOWN, None, "", None, None, "no bus") for n in ProbeName)
    )

    def blinded(one):
        before = one.evidence.before._replace(desktop=blind)
        after = one.evidence.after._replace(desktop=blind)
        return one._replace(evidence=one.evidence._replace(before=before, after=after, during=(blind,)))

    attempts = tuple(blinded(a) for a in record.attempts)
    page = render_progress(
        record._replace(baseline=record.baseline._replace(desktop=blind), attempts=attempts)
    )
    assert "- Desktop restarts: unknown (it could not be told whether there is a desktop)" in page
    assert "no desktop" not in page
    assert "no SSH" not in page


def test_a_slow_recovery_is_not_called_immediate():
    record = records.passed()
    last = record.attempts[-1]
    last = last._replace(evidence=last.evidence._replace(recovery=64.0))
    page = render_progress(record._replace(attempts=(*record.attempts[:-1], last)))
    assert "Automatic and slow (at most 64 s after 5 loads)" in page
    assert "Automatic and immediate" not in page


def test_a_late_canary_is_not_called_perfect():
    record = records.passed()
    last = record.attempts[-1]
    worst = last.evidence.worst._replace(frames_gap_ms=600.0)
    last = last._replace(evidence=last.evidence._replace(worst=worst))
    page = render_progress(record._replace(attempts=(*record.attempts[:-1], last)))
    assert "⚠️ Kept, but felt (0 restarts in 54 looks, worst gap between frames 600 ms)" in page


@pytest.mark.parametrize("state", list(State))
def test_every_state_renders_and_only_a_passed_one_is_completed(state):
    record = records.passed()
    page = render_progress(record._replace(attempts=(record.attempts[0]._replace(state=state),)))
    heading = next(line for line in page.splitlines() if line.startswith("### Phase 1") and " - " in line)
    assert ("COMPLETED" in heading) is (state is State.PASSED)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State.STOPPED, "Excellent (2 of 2 tests passed"),
        (State.INVALID, "Excellent (2 of 2 tests passed"),
        (State.FAILED, "⚠️ Not without trouble (2 of 3 tests passed"),
    ],
)
def test_a_try_that_says_nothing_of_the_load_is_no_trouble_with_it(state, words):
    record = records.passed()
    last = record.attempts[-1]._replace(state=state)
    page = render_progress(record._replace(attempts=(*record.attempts[:-1], last)))
    assert f"Multi-process handling**: {words}" in page


def test_unknown_verdicts_name_what_could_not_be_read():
    record = records.passed()
    verdict = records.host_verdict(Answer.UNKNOWN, session=Answer.UNKNOWN, why="logind did not answer")
    attempt = record.attempts[0]._replace(state=State.UNKNOWN, host=verdict)
    page = render_progress(record._replace(attempts=(attempt,)))
    assert "whether the machine held is not known (host verdict: unknown): graphical session" in page


def test_what_users_and_commands_wrote_stays_text():
    page = render_progress(records.hostile())
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    page.encode("utf-8")
    outside = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", page, flags=re.M | re.S)
    assert not re.search(r"^# not a heading", outside, re.M)
    assert not re.search(r"^#+ heading", page, re.M)


def test_times_are_in_the_machines_zone_and_say_so():
    facts = records.machine(timezone="Europe/Berlin")
    record = records.passed()
    page = render_progress(record._replace(header=record.header._replace(machine=facts)))
    assert "- **Date**: 2025-11-08" in page
    assert "- **Time**: 00:49:21 CET (UTC+01:00, Europe/Berlin)" in page


def test_a_zone_without_a_name_falls_back_to_utc_and_says_so():
    facts = records.machine(timezone="../../etc/passwd")
    record = records.passed()
    page = render_progress(record._replace(header=record.header._replace(machine=facts)))
    assert "23:49:21 UTC" in page
    assert "Times are in UTC." in page


def test_a_ramp_of_roots_says_that_a_load_may_leave():
    record = records.passed()
    words = "a load that runs as root is not held against its will"
    assert words not in render_progress(record)
    assert words in render_progress(record._replace(header=record.header._replace(uid=0)))
