"""`steadyrun ramp` from end to end with a small plan, and with each of its processes killed in the middle."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from program import a_ramp_runs, executable, has_ended, our_cgroups

from conftest import until
from steadyrun.kernel.kmsg import KernelLog
from steadyrun.model.containment import BackendName
from steadyrun.model.limits import CPU_WEIGHT_DEFAULT
from steadyrun.ramp.baseline import CPU_IDLE_LEAST

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_left", "alone")]

_HEAD = """
name = "small"
baseline = "0.6s"
"""
_HOGS = """
[[phase]]
number = 1
name = "Tiny"
summary = "1 process, 32 MB"
goal = "containment"
method = "1 process"
expected = "easy"
load = "hog"
processes = 1
memory = "32MB"
hold = "0.3s"
memory_max = "64M"

[[phase]]
number = 2
name = "Small"
summary = "2 processes"
goal = "more"
method = "2 processes"
expected = "easy"
load = "hog"
processes = 2
memory = "32MB"
hold = "0.3s"
memory_max = "128M"
"""
_COMMAND = """
[[phase]]
number = {number}
name = "Real"
summary = "the command"
goal = "the command"
method = "as it is"
expected = "it ends"
load = "command"
command = ["true"]
memory_max = "256M"
"""
PLAN = _HEAD + _HOGS + _COMMAND.format(number=3)
ALONE = _HEAD + _COMMAND.format(number=1)
"""For what is the same after one phase as after three: each takes two seconds with its settling."""
RAMP = ("ramp", "plan.toml", "--yes", "--progress", "text", "--report", "report", "--force")
RESUME = ("ramp", "--resume", *RAMP[2:])


@pytest.fixture
def alone(tmp_path):
    """One ramp at a time on a machine: wait for one of another test session to end."""
    assert until(lambda: not a_ramp_runs(), 120, every=0.2)


@pytest.fixture
def ramp(steadyrun):
    (steadyrun.cwd / "plan.toml").write_text(PLAN)
    return steadyrun


@pytest.fixture
def short(steadyrun):
    """Give a ramp of the command's phase alone."""
    (steadyrun.cwd / "plan.toml").write_text(ALONE)
    return steadyrun


def report(program):
    folder = program.cwd / "report" / "latest"
    return (folder / "PROGRESS.md").read_text(), json.loads((folder / "report.json").read_text())


FELT_FROM_OUTSIDE = {"canary p99", "worst frame gap"}
"""Checks that somebody else's work on a shared machine can fail, whatever the ramp does."""


def disturbed(program, exit_code):
    """Tell whether nothing but late frames kept a ramp from passing: noise, not what is tested."""
    if exit_code != 5:
        return False
    _, data = report(program)
    host = data["attempts"][-1]["host"] if data["attempts"] else None
    failed = {check["name"] for check in (host or {"checks": ()})["checks"] if check["answer"] == "no"}
    return bool(failed) and failed <= FELT_FROM_OUTSIDE


def undisturbed(program, *words, tries=3, **options):
    """Run a ramp, again where late frames alone ended it."""
    for _ in range(tries):
        done = program(*words, **options)
        if not disturbed(program, done.returncode):
            break
    return done


def settled(data):
    """Name phase and state of every attempt that said something about the ramp: no late frames."""
    return [(a["label"].partition(".")[0], a["state"]) for a in data["attempts"] if a["state"] != "DEGRADED"]


def process_of(run_id_of, word):
    """Return the pid of the process of this ramp whose command line holds `word`."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if word.encode() in line and int(parent[3]) in _sessions(run_id_of):
            return int(pid)
    return None


def _sessions(client):
    """Return the sessions of everything that descends from the client, the conductor's own included."""
    children, sessions = {client.pid}, set()
    stats = {}
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            stats[int(pid)] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
    for _ in range(6):
        children |= {pid for pid, fields in stats.items() if int(fields[1]) in children}
    for pid in children:
        if pid in stats:
            sessions.add(int(stats[pid][3]))
    return sessions


def start_with_a_long_command(program, seconds=4):
    """Start a ramp whose command writes when it runs; return it once it does."""
    mark = program.cwd / "running"
    for _ in range(3):
        run = program.start(*RAMP, "--", "sh", "-c", f"touch {mark}; sleep {seconds}")
        until(lambda run=run: mark.exists() or run.poll() is not None, 60)
        if mark.exists() or not disturbed(program, run.returncode):
            break
    assert mark.exists(), run.communicate(timeout=60)
    return run


def test_a_report_that_cannot_be_written_is_74_and_named_before_anything_runs(ramp):
    done = ramp("ramp", "--yes", "--report", "/dev/null/x", "--", "touch", "started")
    assert (done.returncode, ramp.run_ids()) == (74, [])
    assert "/dev/null/x: expected a folder that can be written" in done.stderr
    assert "--report DIR" in done.stderr
    assert not (ramp.cwd / "started").exists()
    assert "74 the journal or the\nreport cannot be written" in ramp("ramp", "--help").stdout


def test_a_small_ramp_passes_every_phase_and_ends_with_tomorrows_command(ramp):
    done = undisturbed(ramp, *RAMP)
    assert done.returncode == 0, done.stdout + done.stderr
    page, data = report(ramp)
    assert "PASSED TESTS (2/2 phases)" in page
    assert re.search(r"steadyrun run --memory 256M .*-- true", page)
    assert [p["answer"] for p in data["proofs"]] == ["yes"] * 3
    assert "phase 1 Tiny: passed" in done.stdout


def test_what_a_ramp_proved_is_what_run_uses_from_then_on(short):
    assert undisturbed(short, *RAMP).returncode == 0
    done = short("run", "--", "true")
    assert "256 MiB of memory, proven by ramp" in done.stderr
    other = short("run", "--", "sh", "-c", "exit 3")
    assert other.returncode == 3
    assert "no ramp has passed on this machine as it is with this command or the built-in" in other.stderr


def test_a_command_killed_at_its_limit_is_tried_again_with_more_until_it_fits(ramp):
    done = undisturbed(
        ramp, *RAMP, "--tries", "2", "--", "python3", "-c", "b = bytearray(300 << 20)", timeout=120
    )  # fmt: skip
    assert "phase 3.2" in done.stdout
    assert done.returncode == 0, done.stdout
    page, _ = report(ramp)
    assert "Phase 3.2: Real" in page
    assert re.search(r"steadyrun run --memory 384M .*-- python3", page)


def test_a_command_that_fails_by_itself_is_exit_one_and_no_fault_of_the_host(short):
    done = undisturbed(short, *RAMP, "--", "sh", "-c", "echo some words; exit 7")
    assert done.returncode == 1, done.stdout + done.stderr
    _, data = report(short)
    attempt = data["attempts"][-1]
    assert (attempt["host"]["answer"], attempt["job"]["answer"]) == ("yes", "no")
    assert (short.cwd / "report/latest/phase-1.log").read_text() == "some words\n"


def test_an_exit_code_that_was_said_to_be_a_success_passes_the_ramp(short):
    done = undisturbed(short, *RAMP, "--ok-exit", "7", "--", "sh", "-c", "exit 7")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tomorrow" in report(short)[0]


def test_the_dry_run_shows_the_plan_and_starts_nothing(ramp):
    before = our_cgroups()
    done = ramp("ramp", "plan.toml", "--dry-run")
    assert done.returncode == 0
    assert "Phase 3: Real" in done.stdout
    assert "at most" in done.stdout
    assert our_cgroups() == before
    assert not (ramp.cwd / "steadyrun-report").exists()
    assert not ramp.state.exists()


def test_a_boot_does_not_go_on_with_a_ramp_that_had_ended(short):
    done = undisturbed(short, *RAMP, "--", "true")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = short("history").stdout
    again = short("ramp", "--resume", "--resume-on-boot", "--after-boot", *RAMP[2:], "--", "touch", "ran")
    assert (again.returncode, again.stdout) == (0, "")
    assert "had come to its end before the boot" in again.stderr
    assert not (short.cwd / "ran").exists()
    plain = short(*RESUME, "--", "true")
    assert (plain.returncode, plain.stdout) == (0, "")
    assert "there is nothing to go on with" in plain.stderr
    assert short("history").stdout == runs


def test_the_conductor_killed_leaves_nothing_and_resume_goes_on_after_the_last_pass(ramp):
    run = start_with_a_long_command(ramp, 60)
    os.kill(process_of(run, "steadyrun.ramp.process"), signal.SIGKILL)
    run.communicate(timeout=30)
    assert until(lambda: ramp("recover").stdout != "", 5)
    page = ramp("report").stdout
    assert "INTERRUPTED" in page
    (ramp.cwd / "running").unlink()
    resumed = undisturbed(ramp, *RESUME, "--", "true")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    states = settled(report(ramp)[1])
    assert list(dict.fromkeys(states)) == [
        ("1", "PASSED"), ("2", "PASSED"), ("3", "INTERRUPTED"), ("3", "PASSED"),
    ]  # fmt: skip


def test_a_ramp_that_goes_on_without_a_variable_names_it_and_never_what_it_held(short):
    short(*RAMP, "--", "false", env={"MY_TOKEN": "hush-hush"})
    short(*RESUME, "--", "true")
    page, data = report(short)
    (finding,) = [each for each in data["findings"] if each["code"] == "environment-changed"]
    assert finding["evidence"] == "not set any more: MY_TOKEN"
    assert "not set any more: MY_TOKEN" in page
    assert "hush-hush" not in page + json.dumps(data)


def test_the_guard_killed_is_a_host_that_is_not_known_to_have_held(short):
    run = start_with_a_long_command(short, 60)
    os.kill(process_of(run, "steadyrun.guard.process"), signal.SIGKILL)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 5, out
    assert report(short)[1]["attempts"][-1]["state"] == "UNKNOWN"


@pytest.mark.long
def test_a_guard_that_is_stopped_holds_up_the_ramp_for_seconds_only(short):
    run = start_with_a_long_command(short, 300)
    os.kill(process_of(run, "steadyrun.guard.process"), signal.SIGSTOP)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 5, out + err
    page, data = report(short)
    assert data["attempts"][-1]["state"] == "UNKNOWN"
    assert "The guard fell silent and was killed" in page
    assert "its state was T" in page


def test_the_keeper_killed_is_replaced_and_said(short):
    run = start_with_a_long_command(short, 3)
    os.kill(process_of(run, "guard/keeper.py"), signal.SIGKILL)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0, out
    assert "The keeper died" in report(short)[0]


def test_the_canary_killed_is_started_again_and_not_held_against_the_machine(short):
    run = start_with_a_long_command(short, 3)
    os.kill(process_of(run, "guard/canary.py"), signal.SIGKILL)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0, out
    assert "canary died and was started again" in report(short)[0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_request_to_stop_ends_the_load_and_is_in_the_record(short, number, code):
    run = start_with_a_long_command(short, 60)
    os.kill(process_of(run, "steadyrun.ramp.process"), number)
    out, _ = run.communicate(timeout=60)
    assert run.returncode in (code, 130), out
    assert report(short)[1]["attempts"][-1]["state"] == "STOPPED"


def test_stop_from_another_terminal_ends_a_ramp(short):
    run = start_with_a_long_command(short, 60)
    assert short("stop", timeout=60).returncode == 0
    run.communicate(timeout=60)
    assert run.returncode in (143, 130)


def test_the_client_killed_does_not_end_the_ramp(short):
    run = start_with_a_long_command(short, 1.5)
    conductor = process_of(run, "steadyrun.ramp.process")
    run.kill()
    run.communicate()
    assert until(lambda: has_ended(conductor), 60)
    assert report(short)[1]["end"]["exit_code"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_client_ended_from_outside_says_that_the_ramp_goes_on(short, number):
    run = start_with_a_long_command(short, 1.5)
    conductor = process_of(run, "steadyrun.ramp.process")
    run.send_signal(number)
    _, err = run.communicate(timeout=30)
    assert run.returncode == 128 + number
    assert "goes on" in err
    assert "steadyrun watch" in err
    assert not has_ended(conductor)
    assert until(lambda: has_ended(conductor), 60)
    assert report(short)[1]["end"]["reason"] != "it was asked to stop"


def test_a_second_ramp_is_busy_and_changes_nothing(short):
    run = start_with_a_long_command(short, 60)
    second = short(*RAMP)
    assert second.returncode == 75
    assert "another ramp runs" in second.stderr
    short("stop", "--now")
    run.communicate(timeout=60)


def test_a_watcher_sees_the_ramp_and_leaves_it_alone(short):
    run = start_with_a_long_command(short, 1.5)
    watch = short.start("watch", "--progress", "text")
    assert watch.stdout.readline()
    watch.send_signal(signal.SIGINT)
    watch.communicate(timeout=20)
    run.communicate(timeout=60)
    assert run.returncode == 0


def test_a_ramp_that_took_the_machine_down_wants_a_decision_before_the_next(ramp):
    """The power cut is played by giving the rows of an interrupted ramp another boot's id."""
    run = start_with_a_long_command(ramp, 60)
    os.kill(process_of(run, "steadyrun.ramp.process"), signal.SIGKILL)
    run.communicate(timeout=30)
    assert until(lambda: not process_of(run, "guard/keeper.py"), 10)
    _another_boot(ramp.state / "journal.db")
    refused = ramp(*RAMP)
    assert refused.returncode == 6
    assert "--resume" in refused.stderr
    assert "CRASHED (machine)" in ramp("report").stdout
    resumed = ramp(*RESUME, "--", "true")
    _, data = report(ramp)
    last = data["attempts"][-1]
    assert last["limits"]["memory_max_bytes"] <= 0.7 * 128 * 2**20, resumed.stdout
    assert last["limits"]["memory_max_bytes"] >= 64 * 2**20


def _another_boot(path):
    import sqlite3

    with sqlite3.connect(path) as connection:
        for table in ("runs", "attempts", "intents"):
            connection.execute(f"UPDATE {table} SET boot_id='11111111-2222-3333-4444-555555555555'")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('memory_max = "64M"', 'memory_mx = "64M"'), "phase[1].memory_mx"),
        (('memory_max = "64M"', "memory_max = 64.5"), "phase[1].memory_max"),
        (('memory_max = "64M"', 'memory_max = "64Q"'), "expected a size"),
        (('memory_max = "256M"', 'memory_max = "900T"'), "expected at most"),
        (('memory_max = "128M"', 'memory_max = "32M"'), "phase"),
        (("[[phase]]", "[[phase"), "plan.toml"),
        (('command = ["true"]', 'command = ["no-such-command"]'), "no-such-command"),
        (('command = ["true"]', 'command = ["/etc/passwd"]'), "not executable"),
    ],
)
def test_a_wrong_plan_is_one_clear_message_exit_two_and_nothing_left(ramp, change, says):
    (ramp.cwd / "plan.toml").write_text(PLAN.replace(*change))
    done = ramp(*RAMP)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert not (ramp.cwd / "report").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["ramp", "nowhere.toml"], 2, "expected a plan"),
        (["ramp", "--tries", "none"], 2, "--tries"),
        (["ramp", "--memory=1G", "--", "true"], 2, "the limits of a ramp are in its plan"),
        (["ramp", "--ok-exit", "x", "--", "true"], 2, "--ok-exit"),
        (["ramp", "--", "no-such-command"], 2, "no-such-command"),
        (["ramp", "--resume"], 2, "expected"),
        (["report", "zzz"], 2, "expected a run zzz"),
        (["report", ""], 2, "an unset variable?"),
        (["stop"], 2, "none that runs"),
        (["stop", ""], 2, "an unset variable?"),
        (["watch", ""], 2, "an unset variable?"),
        (["ramp", "--resume", ""], 2, "an unset variable?"),
        (["watch"], 2, "running ramp"),
        (["history", "--last", "0"], 2, "--last"),
        (["frobnicate"], 2, "no such command"),
    ],
)
def test_bad_words_have_one_message_and_their_code(ramp, words, code, says):
    done = ramp(*words)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr


def test_a_report_folder_that_cannot_be_written_is_said_before_anything_runs(ramp):
    (ramp.cwd / "file").write_text("")
    done = ramp("ramp", "plan.toml", "--yes", "--report", "file/below")
    assert (done.returncode, done.stdout) == (74, "")
    assert "--report" in done.stderr


def test_an_unwritable_state_directory_is_exit_74(ramp):
    ramp.state.write_text("a file where a folder should be")
    done = ramp(*RAMP)
    assert done.returncode == 74
    ramp.state.unlink()


def test_a_terminal_that_hangs_up_does_not_end_the_ramp(short):
    run = start_with_a_long_command(short, 1.5)
    conductor = process_of(run, "steadyrun.ramp.process")
    run.send_signal(signal.SIGHUP)
    os.kill(conductor, signal.SIGHUP)
    run.communicate(timeout=30)
    assert until(lambda: has_ended(conductor), 60)
    assert report(short)[1]["end"]["exit_code"] == 0


def test_output_beyond_its_cap_is_counted_and_dropped(short):
    (short.cwd / "plan.toml").write_text(ALONE + 'output_max = "10K"\n')
    done = undisturbed(short, *RAMP, "--", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x")
    assert done.returncode == 0, done.stdout
    assert (short.cwd / "report/latest/phase-1.log").stat().st_size == 10 * 1024
    evidence = report(short)[1]["attempts"][-1]["evidence"]
    assert evidence["output_bytes"] == 3_000_000


def test_the_page_is_the_truth_at_every_moment_while_it_runs(ramp):
    run = start_with_a_long_command(ramp, 1)
    folder = ramp.cwd / "report/latest"
    assert until(lambda: "Phase 3 is running" in (folder / "PROGRESS.md").read_text(), 3)
    page = (folder / "PROGRESS.md").read_text()
    assert "Phase 2: Small (2 processes) - COMPLETED" in page
    run.communicate(timeout=60)


def test_the_plan_is_told_with_the_most_memory_and_time_and_how_to_stop(ramp):
    done = ramp("ramp", "--dry-run")
    assert "The loads get at most" in done.stdout
    assert re.search(r"It takes about .*, at most ", done.stdout)
    assert "Ctrl-C stops it" in done.stdout


def test_it_does_not_begin_where_others_leave_its_loads_no_cpu(ramp, hold, backend_named):
    others = hold(backend_named(BackendName.CGROUP1))
    others.apply(cpu_weight=CPU_WEIGHT_DEFAULT)
    for _ in os.sched_getaffinity(0):
        others.python("while True: pass")
    (ramp.cwd / "plan.toml").write_text(PLAN.replace("[[phase]]", "[[phase]]\ncpu_weight = 1"))
    done = ramp(*(word for word in RAMP if word != "--force"))
    assert done.returncode == 4, done.stdout + done.stderr
    page, data = report(ramp)
    (check,) = [c for c in data["baseline"]["checks"] if c["name"] == "idle CPU time"]
    assert check["answer"] == "no", check
    assert data["baseline"]["cpu_idle_cores"] < CPU_IDLE_LEAST
    assert data["attempts"] == []
    assert "stop what keeps the cores busy (top)" in page


FULL_DISK = """
mount -t tmpfs -o size=1m,mode=700 tmpfs "$STATE" && "$@" recover
dd if=/dev/zero of="$STATE/filler" bs=4k 2>/dev/null
"$@" run --memory 64M -- echo contained || exit 99
exec "$@" ramp plan.toml --yes --force --progress text --report report
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a private mount of its own needs root")
def test_a_disk_that_is_full_stops_a_ramp_with_the_reason_and_not_a_run(ramp):
    """The mount is in a namespace of the test's own and gone with it."""
    ramp.state.mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", FULL_DISK, "sh", executable()],
        cwd=ramp.cwd, env=ramp.env | {"STATE": str(ramp.state)}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert "\ncontained\n" in done.stdout, done.stderr
    assert "goes on without a record" in done.stderr
    assert done.returncode == 74, done.stdout + done.stderr
    assert done.stderr.splitlines()[-2].endswith("expected room on the disk, found: database or disk is full")
    assert done.stderr.splitlines()[-1] == f"  df -h {ramp.state}"


@pytest.mark.skipif(KernelLog().new_kills() is None, reason="the kernel's log cannot be read here")
def test_a_kill_at_somebody_elses_limit_is_not_held_against_the_machine(short):
    """Two runs of `steadyrun run` die at their own limit while the ramp's command runs."""
    other = f"{executable()} run -q --memory 32M -- python3 -c 'b = bytearray(200 << 20)'; true"
    run = start_with_a_long_command(short, 4)
    for _ in range(2):
        subprocess.run(["sh", "-c", other], env=short.env, capture_output=True, check=True, timeout=30)
    out, _ = run.communicate(timeout=60)
    assert "no OOM kill outside" not in out
    evidence = report(short)[1]["attempts"][-1]["evidence"]
    assert evidence["oom_kills_outside"] == 0
    assert evidence["oom_kills_elsewhere"] == 2
    assert "Something else on the machine was killed at a memory limit of its own" in report(short)[0]


@pytest.mark.parametrize("words", [["ramp", "--"], ["ramp", "--resume", "--anew"]])
def test_words_that_lack_their_half_are_refused_before_anything_runs(ramp, words):
    done = ramp(*words)
    assert (done.returncode, done.stdout, ramp.run_ids()) == (2, "", [])
    assert "expected" in done.stderr
