"""Machine and user at their worst: a full disk, files of /proc that say nothing, a signal at any moment."""

import json
import os
import re
import signal
import sqlite3
import sys
import time
from pathlib import Path

import pytest
from program import a_ramp_runs, of_this_test
from small_disks import full_disk, small_disk
from test_ramp import PLAN, RAMP

from conftest import until
from steadyrun.journal.rows import IntentKind
from steadyrun.journal.write import open_journal
from steadyrun.kernel.reader import boot_id
from steadyrun.model.change import BootUnit

pytest_plugins = ("apart",)
pytestmark = pytest.mark.real


@pytest.fixture
def alone():
    assert until(lambda: not a_ramp_runs(), 120, every=0.2)


def one_message(stderr):
    """Return the message and its hint; fail on a traceback or a third line."""
    lines = stderr.splitlines()
    assert 1 <= len(lines) <= 2, stderr
    return lines[0]


def test_a_state_directory_on_a_full_disk_stops_a_ramp_before_it_begins(apart, alone):
    done = apart(full_disk(apart.state), *RAMP)
    assert done.returncode == 74, done.stdout + done.stderr
    assert "journal" in one_message(done.stderr) or str(apart.state) in one_message(done.stderr)
    assert not (apart.cwd / "report").exists()


def test_a_state_directory_on_a_full_disk_is_a_warning_for_run(apart):
    done = apart(full_disk(apart.state), "run", "--memory", "64M", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "no record" in done.stderr or "without a record" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_disk_that_fills_up_in_the_middle_of_a_phase_ends_the_ramp_with_74_and_nothing_stays(apart, alone):
    fill = f"head -c 100M /dev/zero > {apart.state}/fill; touch full; sleep 3; touch through"
    done = apart(small_disk(apart.state, "2m"), *RAMP, "--", "sh", "-c", fill)
    assert (apart.cwd / "full").exists(), done.stdout + done.stderr
    assert done.returncode == 74, done.stdout + done.stderr
    assert re.search(r"journal|full|No space", done.stderr), done.stderr
    assert "Traceback" not in done.stderr + (apart.cwd / "report/latest/conductor.log").read_text()
    assert (apart.cwd / "through").exists()  # readings that cannot be kept are no reason to end a load
    assert json.loads((apart.cwd / "report/latest/report.json").read_text())["end"]["exit_code"] == 74
    assert "Not finished" in (apart.cwd / "report/latest/PROGRESS.md").read_text()


HOLD_THE_JOURNAL = """
import sqlite3, sys, time
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
time.sleep(12)
"""


@pytest.mark.long
def test_a_journal_that_is_held_for_longer_than_an_opening_waits_does_not_end_the_load(steadyrun, alone):
    """As a commit on a stalled disk holds it."""
    (steadyrun.cwd / "plan.toml").write_text(PLAN)
    done = steadyrun(*RAMP, "--", sys.executable, "-c", HOLD_THE_JOURNAL, steadyrun.state / "journal.db")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_report_folder_that_fills_up_does_not_end_the_ramp(apart, alone):
    """The page is a copy of the journal: a warning in the record, which the journal still has."""
    prepare = f"mkdir -p report; {small_disk('report', '300k')}"
    fill = "head -c 100M /dev/zero > report/fill; sleep 1; rm report/fill; exit 0"
    done = apart(prepare, *RAMP, "--", "sh", "-c", fill)
    assert done.returncode == 0, done.stdout + done.stderr


NO_PSI = "mount -t tmpfs none /proc/pressure"


def hide(path):
    return f"mount --bind /dev/null {path}"


def test_without_psi_a_run_is_contained_all_the_same(apart):
    done = apart(NO_PSI, "run", "--memory", "64M", "--json", "out.json", "--", "true")
    assert (done.returncode, done.stderr) == (0, "")


def test_without_psi_a_ramp_goes_on_and_its_figures_are_unknown(apart, alone):
    done = apart(NO_PSI, *RAMP)
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads((apart.cwd / "report/latest/report.json").read_text())
    assert data["baseline"]["psi_memory_some_frac"] is None
    assert {each["name"]: each["answer"] for each in data["baseline"]["checks"]}["memory PSI some"] != "yes"


def test_without_psi_the_doctor_says_so(apart):
    done = apart(NO_PSI, "doctor", "--json")
    rungs = {rung["name"]: rung for rung in json.loads(done.stdout)["rungs"]}
    assert rungs["pressure (PSI)"]["level"] != "ok"
    assert rungs["pressure (PSI)"]["remedy"]


def test_without_meminfo_nothing_is_started(apart, alone):
    ramp = apart(hide("/proc/meminfo"), *RAMP)
    assert ramp.returncode == 3, ramp.stdout + ramp.stderr
    assert "/proc/meminfo: expected MemTotal" in one_message(ramp.stderr)
    run = apart(hide("/proc/meminfo"), "run", "--", "touch", "ran")
    assert run.returncode == 125
    assert "/proc/meminfo: expected MemTotal" in one_message(run.stderr)
    assert not (apart.cwd / "ran").exists()


@pytest.mark.parametrize("entry", ["loadavg", "vmstat", "stat", "uptime", "cpuinfo", "swaps", "mounts"])
def test_a_run_does_not_need_every_entry_of_proc(apart, entry):
    done = apart(hide(f"/proc/{entry}"), "run", "--memory", "64M", "--", "true")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("entry", ["loadavg", "vmstat", "uptime"])
def test_a_ramp_tells_what_it_could_not_read_as_unknown_and_ends_in_good_order(apart, alone, entry):
    done = apart(hide(f"/proc/{entry}"), *RAMP)
    assert done.returncode in (0, 5), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    data = json.loads((apart.cwd / "report/latest/report.json").read_text())
    assert data["end"]["exit_code"] == done.returncode


def test_without_a_boot_id_nothing_can_be_written_down(apart, alone):
    """A crash of the machine could not be told from a run that was left."""
    hidden = hide("/proc/sys/kernel/random/boot_id")
    ramp = apart(hidden, *RAMP)
    assert ramp.returncode == 74
    assert "expected the id of this boot" in one_message(ramp.stderr)
    run = apart(hidden, "run", "--memory", "64M", "--", "echo", "ran")
    assert (run.returncode, run.stdout) == (0, "ran\n")
    assert "no record" in run.stderr


def test_without_a_word_about_mounts_a_run_is_polled_and_says_so(apart):
    done = apart("mount --bind /dev/null /proc/$$/mountinfo", "run", "--memory", "64M", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "limits are polled, not enforced" in done.stderr


def before_ours(code, err):
    """Tell whether a Ctrl-C met the interpreter in its own start: no line of ours had run."""
    return code == 1 and ("init_import_site" in err or "Fatal Python error: init_" in err)


MOMENTS = [0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 2.6]


@pytest.mark.parametrize("after", MOMENTS)
def test_ctrl_c_at_any_moment_of_a_ramp_stops_it_and_leaves_nothing(steadyrun, nothing_left, alone, after):
    (steadyrun.cwd / "plan.toml").write_text(PLAN)
    run = steadyrun.start(*RAMP, "--", "sleep", "60", start_new_session=True)
    time.sleep(after)
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate(timeout=40)
    if not before_ours(run.returncode, err):
        assert run.returncode in (130, -signal.SIGINT), (run.returncode, out, err)
    assert "bug" not in err
    assert until(lambda: not of_this_test(steadyrun), 10), of_this_test(steadyrun)
    assert until(lambda: not a_ramp_runs(), 10, every=0.2)
    if steadyrun.run_ids():
        data = json.loads(steadyrun("report", "--format", "json").stdout)
        assert data["end"]["exit_code"] == 130


IN_A_CALLBACK = """
import os, signal, sys, weakref

class AtAnImport:
    def find_spec(name, path=None, target=None):
        if name == "steadyrun.cli.settings":
            lock = AtAnImport()
            watched = weakref.ref(lock, lambda _: os.kill(os.getpid(), signal.SIGINT))
            del lock

sys.meta_path.insert(0, AtAnImport)
"""


@pytest.mark.parametrize("words", [("ramp", "--yes", "--", "touch", "ran"), ("run", "--", "touch", "ran")])
def test_ctrl_c_in_a_callback_of_the_import_system_is_not_lost(steadyrun, nothing_left, words):
    """As in that of `_get_module_lock`, whose KeyboardInterrupt Python prints and forgets."""
    (steadyrun.cwd / "sitecustomize.py").write_text(IN_A_CALLBACK)
    done = steadyrun(*words, env={"PYTHONPATH": str(steadyrun.cwd)})
    assert (done.returncode, done.stderr) == (130, "")
    assert not (steadyrun.cwd / "ran").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("after", [0.01, 0.03, 0.05, 0.07, 0.09, 0.12, 0.15, 0.2])
def test_a_signal_at_any_moment_of_a_run_leaves_nothing(steadyrun, nothing_left, number, after):
    run = steadyrun.start("run", "--memory", "64M", "--", "sleep", "60", start_new_session=True)
    time.sleep(after)
    os.killpg(run.pid, number)
    _, err = run.communicate(timeout=20)
    if not before_ours(run.returncode, err):
        assert run.returncode in (-number, 128 + number), (run.returncode, err)
    assert "bug" not in err
    assert until(lambda: not of_this_test(steadyrun), 10), of_this_test(steadyrun)
    steadyrun("recover")


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/etc/systemd/system").is_dir(), reason="root's unit folder"
)
def test_a_resumed_ramp_takes_the_lasting_changes_over_from_whoever_waited_with_them(apart, alone):
    """The client holds the crashed run while the machine settles; its conductor gets that, and lets it go."""
    assert apart("true", *RAMP, "--", "true").returncode == 0
    with open_journal(str(apart.state), boot_id=boot_id()) as journal:
        first = journal.latest()
        unit = BootUnit("/etc/systemd/system/steadyrun-resume.service", "/etc/systemd/system/x/y", "", ())
        journal.intend(first, IntentKind.BOOT_UNIT, unit)
    units = (
        "mount -t tmpfs none /etc/systemd/system && mount -t tmpfs none /run && mkdir -p /run/systemd/system"
    )
    done = apart(units, *RAMP[:1], "--resume", "--resume-on-boot", *RAMP[2:], "--", "true")
    assert done.returncode == 0, done.stdout + done.stderr
    with sqlite3.connect(apart.state / "journal.db") as db:
        how = [
            json.loads(text) for (text,) in db.execute("SELECT done_how FROM intents WHERE kind='boot-unit'")
        ]
    second = json.loads((apart.cwd / "report/latest/report.json").read_text())["header"]["run_id"]
    assert second != first
    assert how[0] == f"taken over by run {second}"
    assert len(how) == 3, how
    assert all(how)
