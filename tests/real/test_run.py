"""`steadyrun run` as a user meets it: transparent, contained, and truthful about how it ended."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import denying
import pytest
from program import executable, has_ended

from conftest import until

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_left")]
HOG = "b = bytearray(200 << 20)"


@pytest.mark.parametrize("code", [0, 1, 3, 77, 124, 255])
def test_the_commands_exit_code_is_ours(steadyrun, code):
    assert steadyrun("run", "-q", "--", "sh", "-c", f"exit {code}").returncode == code


def test_standard_streams_directory_environment_and_arguments_pass_through(steadyrun):
    (steadyrun.cwd / "text").write_text("words\n")
    text = os.open(steadyrun.cwd / "text", os.O_RDONLY)
    done = steadyrun(
        "run", "-q", "--", "sh", "-c", 'cat; pwd; echo "$MARK" "$@" >&2', "sh", "--memory", "a b", "--",
        env={"MARK": "passed"}, stdin=text, timeout=20,
    )  # fmt: skip
    assert done.stdout == f"words\n{steadyrun.cwd}\n"
    assert done.stderr == "passed --memory a b --\n"


def test_a_plain_command_adds_nothing_to_its_output(steadyrun):
    done = steadyrun("run", "--memory", "100M", "--", "echo", "hello")
    assert (done.stdout, done.stderr) == ("hello\n", "")


def test_over_the_memory_limit_is_137_with_one_line_that_names_limit_peak_and_next_step(steadyrun):
    done = steadyrun("run", "--memory", "64M", "--", "python3", "-c", HOG)
    assert done.returncode == 137
    (line,) = done.stderr.splitlines()
    assert "killed at its memory limit, 64 MiB" in line
    assert "peak 64 MiB" in line
    assert "try --memory 100M" in line


def test_its_report_is_a_short_page_that_says_how_it_ended_and_what_to_type_next(steadyrun):
    steadyrun("run", "--memory", "64M", "--", "python3", "-c", HOG)
    (run_id,) = steadyrun.run_ids()
    page = steadyrun("report", run_id).stdout
    assert "killed at its memory limit of 64 MiB" in page
    assert f"steadyrun run --memory 100M --tasks 4096 -- python3 -c '{HOG}'" in page
    assert "Phase" not in page
    told = json.loads(steadyrun("report", run_id, "--json").stdout)
    assert (told["kind"], told["termination"], told["run_exit_code"]) == ("run", "memory-limit", 137)
    assert told["oom_kills"] == 1


def test_an_oom_killed_child_is_no_success_even_when_the_command_says_so(steadyrun):
    done = steadyrun("run", "--memory", "64M", "--", "sh", "-c", f"python3 -c '{HOG}'; exit 0")
    assert done.returncode == 137


INNER = """
d=/sys/fs/cgroup/memory$(sed -n 's/.*:memory://p' /proc/self/cgroup)
test -f $d/memory.oom_control || exit 77
mkdir $d/inner && echo 32M > $d/inner/memory.limit_in_bytes || exit 77
(echo 0 > $d/inner/cgroup.procs; exec python3 -c "$HOG")
echo inner $?
sleep 1
"""


def test_an_oom_kill_at_a_limit_that_the_command_set_itself_does_not_end_it(steadyrun):
    done = steadyrun("run", "--memory", "256M", "--", "env", f"HOG={HOG}", "sh", "-c", INNER)
    if done.returncode == 77:
        pytest.skip("no legacy memory hierarchy to make a cgroup in")
    assert (done.returncode, done.stdout) == (0, "inner 137\n")
    assert "steadyrun" not in done.stderr


def test_a_task_limit_that_was_met_is_told_also_when_the_command_made_do_with_less(steadyrun):
    tries = "for _ in range(9):\n try:\n  if os.fork() == 0: time.sleep(60)\n except OSError: pass"
    forks = f"import os, time\n{tries}"
    done = steadyrun("run", "--tasks", "5", "--json", "end.json", "--", sys.executable, "-c", forks)
    assert done.returncode == 0
    assert "refused 5 times at its task limit, 5; try --tasks 10" in done.stderr
    assert json.loads((steadyrun.cwd / "end.json").read_text())["forks_refused"] == 5
    assert "5 more refused" in steadyrun("report", *steadyrun.run_ids()).stdout


def test_more_cores_than_there_are_are_said_to_limit_nothing(steadyrun):
    cores = len(os.sched_getaffinity(0))
    done = steadyrun("run", "--memory", "64M", "--cpus", str(cores + 1), "--", "true")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"--cpus {cores + 1} limits nothing here: there" in done.stderr
    assert steadyrun("run", "--memory", "64M", "--cpus", str(cores), "--", "true").stderr == ""


def test_wall_time_is_124_and_the_deaf_are_killed(steadyrun):
    began = time.monotonic()
    done = steadyrun("run", "--timeout", "0.5s", "--", "sh", "-c", "trap '' TERM; sleep 60; sleep 60")
    assert done.returncode == 124
    assert "wall time" in done.stderr
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("no-such-command", 127, "no such command"),
        ("/etc/passwd", 126, "not executable"),
        ("/", 126, "not exec"),
    ],
)
def test_what_cannot_start_is_told_as_a_shell_does(steadyrun, command, code, says):
    done = steadyrun("run", "-q", "--", command)
    assert (done.returncode, says in done.stderr) == (code, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--memory", "0", "--", "true"], "--memory"),
        (["--memory", "512", "--", "true"], "expected at least 1 MiB"),
        (["--memory", "5X", "--", "true"], "--memory: expected a size"),
        (["--memory", "-5G", "--", "true"], "--memory: expected a size such as 500M"),
        (["--memory", "900T", "--", "true"], "--memory: expected at most"),
        (["--timeout", "soon", "--", "true"], "--timeout: expected a duration"),
        (["--cpus", "-1", "--", "true"], "--cpus"),
        (["--cpu-weight", "0", "--", "true"], "--cpu-weight"),
        (["--memmory", "5M", "--", "true"], "--memmory"),
        (["--memory", "5M"], "expected a command after --"),
        ([], "expected a command after --"),
    ],
)
def test_bad_words_are_125_with_one_message_and_nothing_run(steadyrun, words, says):
    done = steadyrun("run", *words)
    assert (done.returncode, done.stdout) == (125, "")
    assert says in done.stderr.splitlines()[0]


def test_what_the_command_leaves_behind_is_ended_and_told(steadyrun):
    done = steadyrun("run", "--memory", "100M", "--", "sh", "-c", "setsid sleep 300 & echo $!; exit 4")
    assert done.returncode == 4
    assert "left 1 process" in done.stderr
    assert until(lambda: has_ended(int(done.stdout)))


def test_the_outcome_is_written_as_json_with_units_in_its_keys(steadyrun):
    file = steadyrun.cwd / "outcome.json"
    steadyrun("run", "--memory", "64M", "--json", file, "--", "python3", "-c", HOG)
    found = json.loads(file.read_text())
    assert found["termination"] == "memory-limit"
    assert found["memory_peak_bytes"] == found["memory_max_bytes"] == 64 << 20
    assert found["oom_kills"] >= 1
    assert found["cpu_s"] > 0
    assert found["wall_s"] > 0
    assert found["removed"] is True
    assert found["limits_not_in_force"] == []


def test_where_no_outcome_can_be_written_nothing_is_started(steadyrun):
    done = steadyrun("run", "--json", "nowhere/outcome.json", "--", "touch", "started")
    assert done.returncode == 125
    assert "there is no folder" in done.stderr
    assert "mkdir -p" in done.stderr
    assert not (steadyrun.cwd / "started").exists()


def test_a_command_that_dies_by_a_signal_makes_us_die_by_it(steadyrun):
    assert steadyrun("run", "-q", "--", "sh", "-c", "kill -USR1 $$").returncode == -signal.SIGUSR1


LOOP = "while :; do sleep 0.05; done"


def test_term_and_hup_are_passed_on_to_the_command(steadyrun):
    for number, name in ((signal.SIGTERM, "TERM"), (signal.SIGHUP, "HUP")):
        script = f"trap 'echo got {name}; exit 9' {name}; echo up; while :; do sleep 0.05; done"
        run = steadyrun.start("run", "-q", "--", "sh", "-c", script)
        assert run.stdout.readline() == "up\n"
        run.send_signal(number)
        out, _ = run.communicate(timeout=20)
        assert (out, run.returncode) == (f"got {name}\n", 9)


def test_an_interrupt_from_the_terminal_is_the_commands_to_answer(steadyrun):
    """The terminal sends INT to the whole process group; here the test does."""
    run = steadyrun.start(
        "run", "-q", "--", "sh", "-c", "trap 'echo bye; exit 5' INT; echo up; while :; do sleep 0.05; done",
        start_new_session=True,
    )  # fmt: skip
    assert run.stdout.readline() == "up\n"
    os.killpg(run.pid, signal.SIGINT)
    out, _ = run.communicate(timeout=20)
    assert (out, run.returncode) == ("bye\n", 5)


TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


COUNTS_INT = "import signal, sys, time; seen = []; {asks}; time.sleep(1.0); print(len(seen))"
HEARS_INT = "signal.signal(signal.SIGINT, lambda *_: seen.append(1)); print('up', flush=True)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_an_interrupt_sent_to_run_alone_is_passed_on_to_the_command(steadyrun, number):
    """As a supervisor or `Popen.send_signal` does: no terminal gives it to the command."""
    run = steadyrun.start("run", "-q", "--", "sh", "-c", f"trap 'exit 9' {number:d}; echo up; {LOOP}")
    assert run.stdout.readline() == "up\n"
    run.send_signal(number)
    _, err = run.communicate(timeout=20)
    assert (run.returncode, err) == (9, "")


def test_an_interrupt_that_a_shell_had_its_background_jobs_ignore_stays_ignored(steadyrun):
    steadyrun.before = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
    counts = COUNTS_INT.format(asks="print('up', flush=True)")
    run = steadyrun.start("run", "-q", "--", sys.executable, "-c", counts)
    assert run.stdout.readline() == "up\n"
    run.send_signal(signal.SIGINT)
    assert run.communicate(timeout=20) == ("0\n", "")
    assert run.returncode == 0


def test_a_key_is_the_commands_once(steadyrun):
    ours, theirs = pty.openpty()
    steadyrun.before = (sys.executable, "-I", "-S", "-c", TERMINAL)
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    counts = COUNTS_INT.format(asks=HEARS_INT)
    run = steadyrun.start("run", "-q", "--", sys.executable, "-c", counts, **streams)
    os.close(theirs)
    try:
        with open(ours, "rb", buffering=0, closefd=False) as screen:
            assert screen.readline() == b"up\r\n"
            os.write(ours, b"\x03")
            assert screen.readline() == b"^C1\r\n"
        assert run.wait(20) == 0
    finally:
        run.kill()
        run.wait()
        os.close(ours)


def test_an_interrupt_that_the_command_sends_to_its_own_group_is_its_own_once(steadyrun):
    to_its_group = "import os; os.kill(0, signal.SIGINT)"
    run = steadyrun.start(
        "run", "-q", "--", sys.executable, "-c", COUNTS_INT.format(asks=f"{HEARS_INT}; {to_its_group}"),
        start_new_session=True,
    )  # fmt: skip
    assert run.communicate(timeout=20) == ("up\n1\n", "")
    assert run.returncode == 0


def test_the_outcome_lands_in_the_folder_that_was_named_whatever_the_load_makes_of_the_path(steadyrun):
    """Where root runs a user's load, the path leads through a folder of the user's."""
    for name in ("out", "elsewhere"):
        (steadyrun.cwd / name).mkdir()
    bend = "mv out moved && ln -s elsewhere out"
    done = steadyrun("run", "--json", "out/end.json", "--", "sh", "-c", bend)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (steadyrun.cwd / "moved").iterdir()] == ["end.json"]
    assert list((steadyrun.cwd / "elsewhere").iterdir()) == []


def test_ctrl_z_stops_the_load_too_and_fg_goes_on(steadyrun):
    """A load that left the process group is stopped as well: its containment is frozen."""
    ticks = steadyrun.cwd / "ticks"
    run = steadyrun.start(
        "run", "-q", "--", "sh", "-c",
        f"setsid sh -c 'while :; do echo >> {ticks}; sleep 0.02; done' & echo up; wait",
        process_group=0,  # a job of this process, as a shell's
    )  # fmt: skip
    assert run.stdout.readline() == "up\n"
    assert until(lambda: ticks.exists() and ticks.stat().st_size > 3)
    os.killpg(run.pid, signal.SIGTSTP)
    stopped = until(lambda: os.waitid(os.P_PID, run.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT))
    assert stopped.si_status == signal.SIGTSTP
    size = ticks.stat().st_size
    time.sleep(4.0)  # longer than the keeper's patience with a guard that gives no sign of life
    assert ticks.stat().st_size == size
    os.killpg(run.pid, signal.SIGCONT)
    assert until(lambda: ticks.stat().st_size > size)
    os.killpg(run.pid, signal.SIGTERM)
    _, err = run.communicate(timeout=20)
    assert "frozen" not in err, "the shell tells of a Ctrl-Z"
    assert "goes on" not in err


@pytest.mark.parametrize("bare", [True, False], ids=["bare", "contained"])
def test_ctrl_z_where_nobody_could_say_fg_stops_nothing(steadyrun, bare):
    """As in `ssh -t HOST steadyrun run ...`: the command leads the terminal's session, without a shell."""
    ours, theirs = pty.openpty()
    script = ("sh", "-c", "trap 'echo again' CONT; echo up; sleep 1.5; exit 7")
    steadyrun.before = (sys.executable, "-I", "-S", "-c", TERMINAL)
    words = [*steadyrun.before, *script] if bare else ["run", "--memory", "100M", "--", *script]
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    run = subprocess.Popen(words, **streams) if bare else steadyrun.start(*words, **streams)
    os.close(theirs)
    try:
        assert os.read(ours, 100) == b"up\r\n"
        os.write(ours, b"\x1a")
        assert run.wait(20) == 7
        assert os.read(ours, 1000) == b"^Z"
    finally:
        run.kill()
        run.wait()
        os.close(ours)


def test_a_start_where_close_range_is_denied_is_a_start_like_any_other(steadyrun):
    """By a container's seccomp filter, as ENOSYS; a kernel before 5.9 says the same."""
    steadyrun.before = (sys.executable, "-I", "-S", denying.__file__, str(denying.CLOSE_RANGE))
    list_fds = "import os; print([fd for fd in range(9999) if os.path.exists(f'/proc/self/fd/{fd}')])"
    done = steadyrun("run", "--memory", "100M", "--", "python3", "-c", list_fds, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 1, 2]\n", "")


@pytest.mark.parametrize("command", ["sleep 300", "trap '' TERM; while :; do sleep 1; done"])
def test_stop_ends_a_run_from_another_terminal(steadyrun, command):
    run = steadyrun.start("run", "--memory", "100M", "--", "sh", "-c", f"echo up; {command}")
    assert run.stdout.readline() == "up\n"
    stopped = steadyrun("stop")
    assert stopped.returncode == 0
    _, err = run.communicate(timeout=20)
    assert run.returncode in (143, 137)
    assert "stopped: asked to stop" in err


def test_a_full_or_unwritable_journal_is_a_warning_and_the_command_runs_contained(steadyrun):
    steadyrun.state.parent.mkdir(exist_ok=True)
    steadyrun.state.write_text("a file where a folder should be")
    done = steadyrun("run", "--memory", "100M", "--", "cat", "/proc/self/cgroup")
    assert done.returncode == 0
    assert "memory:/" in done.stdout
    assert "steadyrun" in done.stdout
    assert "record" in done.stderr
    steadyrun.state.unlink()


def test_two_runs_together_are_not_promised_more_than_there_is(steadyrun):
    first = steadyrun.start("run", "--", "sh", "-c", "echo up; sleep 300")
    assert first.stdout.readline() == "up\n"
    available = int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[1])
    second = steadyrun("run", "--memory", f"{available // 2}K", "--", "true")
    assert second.returncode == 125, second.stderr
    assert "not promised to another run" in second.stderr
    assert steadyrun("run", "--memory", "64M", "--", "true").returncode == 0
    assert steadyrun("run", "--", "true").returncode == 0
    steadyrun("stop", "--now")
    first.communicate(timeout=20)


def test_of_several_that_start_at_once_none_is_promised_what_another_was(steadyrun):
    """Each with a limit of its own choice, a part of what there is: the parts add up to less than all."""
    together = [
        steadyrun.start("run", "--json", f"{n}.json", "--", "sh", "-c", "echo up; sleep 300")
        for n in range(4)
    ]
    assert [run.stdout.readline() for run in together] == ["up\n"] * 4
    available = int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024
    steadyrun("stop", "--now", "--all")
    for run in together:
        run.communicate(timeout=20)
    limits = [json.loads((steadyrun.cwd / f"{n}.json").read_text())["memory_max_bytes"] for n in range(4)]
    assert len(set(limits)) == 4, "each saw the one before"
    assert sum(limits) < available


def test_a_plan_leaves_out_what_another_run_was_promised(steadyrun):
    def most():
        said = steadyrun("ramp", "--dry-run").stdout
        return int(re.search(r"The loads get at most (\d+) MiB;", said)[1])

    alone = most()
    available = int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[1])
    run = steadyrun.start("run", "--memory", f"{available * 3 // 4}K", "--", "sh", "-c", "echo up; sleep 300")
    assert run.stdout.readline() == "up\n"
    beside = most()
    steadyrun("stop", "--now")
    run.communicate(timeout=20)
    assert beside < alone


def test_the_load_runs_with_ordinary_priority_and_as_the_first_victim(steadyrun):
    done = steadyrun(
        "run", "-q", "--memory", "100M", "--", "python3", "-c",
        "import os; print(os.sched_getscheduler(0), os.nice(0), open('/proc/self/oom_score_adj').read())",
    )  # fmt: skip
    assert done.stdout.split() == ["0", "0", "1000"]


def test_as_root_for_a_user_the_command_is_that_user(steadyrun):
    os.chmod(steadyrun.cwd, 0o755)
    done = steadyrun("run", "-q", "--user", "nobody", "--memory", "100M", "--", "id", "-un", cwd="/")
    assert done.stdout == "nobody\n"
    done = steadyrun(
        "run",
        "-q",
        "--memory",
        "100M",
        "--",
        "id",
        "-u",
        cwd="/",
        env={"SUDO_UID": "65534", "XDG_CONFIG_HOME": "/nowhere"},
    )
    assert done.stdout == "65534\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs a command as another user")
def test_what_another_user_may_not_reach_is_named(steadyrun):
    reachable = Path(tempfile.mkdtemp(dir="/tmp", prefix="steadyrun-test-"))
    try:
        reachable.chmod(0o755)
        (reachable / "hidden").mkdir(mode=0o700)
        shutil.copy("/bin/sh", reachable / "hidden/own")
        for name, first, mode in (("apart", "hidden/own", 0o755), ("plain", "hidden/own", 0o644)):
            (reachable / name).write_text(f"#!{reachable}/{first}\necho ran\n")
            (reachable / name).chmod(mode)
        hidden = f"{reachable}/hidden"
        for command, said in (
            (
                "apart",
                f"apart: not executable: no permission for {hidden}, its interpreter is {hidden}/own\n",
            ),
            ("plain", "plain: not executable\n"),
            ("hidden/own", f"hidden/own: not executable: no permission for {hidden}\n"),
        ):
            done = steadyrun("run", "-q", "--user", "nobody", "--", reachable / command, cwd="/")
            assert (done.returncode, done.stderr) == (126, f"steadyrun: {reachable}/{said}")
        done = steadyrun("run", "-q", "--user", "nobody", "--", "true", cwd=hidden)
        assert f"true: its working directory cannot be entered: {hidden}: Permission denied" in done.stderr
    finally:
        shutil.rmtree(reachable)


WITHOUT_KILL = ("setpriv", "--bounding-set=-kill", "--inh-caps=-kill")
"""Root that may not signal another user's processes, like everybody else (capabilities(7), CAP_KILL)."""
ANOTHER_USER = ("setpriv", "--reuid=65533", "--regid=65533", "--clear-groups")


@pytest.fixture
def without_kill(steadyrun):
    """Run the command where another user's process is not its to signal, as sudo is not a user's."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv (util-linux) for a load of another user")
    steadyrun.before = WITHOUT_KILL
    return steadyrun


def test_another_users_process_in_the_load_has_its_grace_and_is_ended_with_it(without_kill):
    began = time.monotonic()
    done = without_kill("run", "--timeout", "0.5s", "--", *ANOTHER_USER, "sh", "-c", "echo $$; sleep 60")
    assert (done.returncode, "Traceback" in done.stderr) == (124, False), done.stderr
    assert "wall time" in done.stderr
    assert has_ended(int(done.stdout))
    assert 5.0 < time.monotonic() - began < 20  # it did not hear the TERM, and nothing ended it before


def test_another_users_command_at_its_memory_limit_is_told_as_such(without_kill):
    hog = f"python3 -c '{HOG}'; exit 0"
    done = without_kill("run", "--memory", "64M", "--", *ANOTHER_USER, "sh", "-c", hog)
    assert done.returncode == 137, done.stderr
    assert "killed at its memory limit, 64 MiB" in done.stderr


def test_a_term_that_another_users_command_cannot_be_given_does_not_end_its_guard(without_kill):
    run = without_kill.start("run", "-q", "--", *ANOTHER_USER, "sh", "-c", "echo up; sleep 1; exit 9")
    assert run.stdout.readline() == "up\n"
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=20)
    assert (run.returncode, err) == (9, "")


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_guard_killed_with_minus_nine_leaves_nobody(steadyrun, when):
    script = "trap '' TERM HUP; setsid sleep 300 & echo $! $$; sleep 300"
    run = steadyrun.start("run", "--memory", "100M", "--", "sh", "-c", script)
    pids = [int(word) for word in run.stdout.readline().split()]
    if when == "later":
        time.sleep(0.5)
    run.kill()
    run.wait()
    assert until(lambda: all(has_ended(pid) for pid in pids), 10)
    assert until(lambda: not steadyrun("recover").stdout.startswith("ended"), 1)


@pytest.mark.long
def test_a_guard_that_somebody_stopped_is_not_dead_and_its_load_waits_for_it(steadyrun):
    """A batch system suspends a job by SIGSTOP to its process group: nothing of it may be lost."""
    script = "echo $$; i=0; while :; do i=$((i+1)); echo $i > count; sleep 0.05; done"
    run = steadyrun.start("run", "-q", "--memory", "100M", "--", "sh", "-c", script)
    pid = int(run.stdout.readline())
    count = steadyrun.cwd / "count"
    time.sleep(1.0)  # its keeper has heard the first sign of life
    os.kill(run.pid, signal.SIGSTOP)
    time.sleep(4.5)
    before = count.read_text()
    time.sleep(1.0)
    assert count.read_text() == before, "it ran on unguarded"
    assert not has_ended(pid)
    os.kill(run.pid, signal.SIGCONT)
    assert until(lambda: count.read_text() not in ("", before), 10)
    time.sleep(4.0)
    assert not has_ended(pid)
    os.kill(run.pid, signal.SIGTERM)
    run.communicate(timeout=20)
    assert run.returncode in (143, -15)


def test_a_guard_killed_while_it_is_stopped_leaves_nobody(steadyrun):
    run = steadyrun.start("run", "-q", "--memory", "100M", "--", "sh", "-c", "echo $$; sleep 300")
    pid = int(run.stdout.readline())
    time.sleep(1.0)
    os.kill(run.pid, signal.SIGSTOP)
    time.sleep(4.0)
    assert not has_ended(pid)
    run.kill()
    assert until(lambda: has_ended(pid), 10)


def test_a_journal_whose_disk_takes_its_time_does_not_cost_the_command_its_life(backend_named):
    """The keeper knows that the guard is about to be silent: seconds, when the disk is in a storm."""
    from steadyrun.guard import keeper
    from steadyrun.guard.hold import prepare
    from steadyrun.guard.rules import rules_of
    from steadyrun.model.containment import BackendName
    from steadyrun.model.limits import Limits
    from steadyrun.model.outcome import Ending
    from steadyrun.model.plan import Member
    from steadyrun.model.thresholds import Thresholds
    from steadyrun.run import front

    backend = backend_named(BackendName.CGROUP1)
    limits = Limits(memory_max=64 << 20)
    member = Member(("/bin/sh", "-c", "exit 6"), "/", {"PATH": os.defpath})
    plan = backend.plan(f"test-{os.urandom(8).hex()}")

    def make(streams):
        return prepare(
            backend, plan, limits, (member,), streams, run_as=None, new_session=False,
            meanwhile=lambda made: time.sleep(keeper.SILENCE_S + 0.5),
        )  # fmt: skip

    outcome = front.guard_in_front(
        make,
        lambda hold: rules_of(Thresholds(0, 0, 0), limits, 1, hold.readback),
        lambda event: None,
    )
    assert (outcome.ending, outcome.exit_code, outcome.removed) == (Ending.EXITED, 6, True)


def test_a_ctrl_c_before_there_is_a_command_to_hear_it_still_ends_the_command(backend_named):
    from steadyrun.guard.hold import prepare
    from steadyrun.guard.rules import rules_of
    from steadyrun.model.containment import BackendName
    from steadyrun.model.limits import Limits
    from steadyrun.model.outcome import Ending
    from steadyrun.model.plan import Member
    from steadyrun.model.thresholds import Thresholds
    from steadyrun.run import front

    backend, limits = backend_named(BackendName.CGROUP1), Limits(memory_max=64 << 20)
    member = Member(("/bin/sleep", "20"), "/", {"PATH": os.defpath})
    plan = backend.plan(f"test-{os.urandom(8).hex()}")

    def make(streams):
        os.kill(os.getpid(), signal.SIGINT)
        return prepare(backend, plan, limits, (member,), streams, run_as=None, new_session=False)

    began = time.monotonic()
    outcome = front.guard_in_front(
        make, lambda hold: rules_of(Thresholds(0, 0, 0), limits, 1, hold.readback), lambda event: None
    )
    assert (outcome.ending, outcome.signal) == (Ending.EXITED, signal.SIGINT)
    assert time.monotonic() - began < 10
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_a_run_in_a_container_is_not_recovered_from_outside(steadyrun):
    """Its pid means nothing here; the lock that its owner holds does (a shared state directory)."""
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("no pid namespace to be had (unshare --pid, as root)")
    line = [*apart, executable(), "run", "--memory", "64M", "--", "sh", "-c", "echo up; sleep 4; echo done"]
    inside = subprocess.Popen(
        line, env=steadyrun.env, cwd=steadyrun.cwd, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    steadyrun.started.append(inside)
    assert inside.stdout.readline() == "up\n"
    recovered = steadyrun("recover")
    assert (recovered.returncode, recovered.stdout) == (0, "nothing to recover\n")
    stopped = steadyrun("stop")
    assert stopped.returncode == 5
    assert "stop it there" in stopped.stdout
    out, err = inside.communicate(timeout=30)
    assert (inside.returncode, out) == (0, "done\n"), err
    assert steadyrun("recover").stdout == "nothing to recover\n"
