"""The canary of `steadyrun run`: there while a command lasts, and nowhere else."""

import json
import os
import re
import signal

import pytest
from program import executable, has_ended

from conftest import until
from steadyrun.guard.frames import FramesReader

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_left")]


def canaries(guard):
    """Return the canaries among the children of a process."""
    with open(f"/proc/{guard}/task/{guard}/children") as file:
        pids = [int(word) for word in file.read().split()]
    return [pid for pid in pids if b"canary.py" in words(pid)]


def words(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def shown(canary):
    """Return how many frames it showed; the shared memory is its standard output."""
    with open(f"/proc/{canary}/fd/1", "rb") as memory:
        reader = FramesReader(memory.fileno())
    try:
        return len(reader.entries(0))
    finally:
        reader.close()


@pytest.fixture
def lasting(steadyrun):
    """Start a run that lasts, with a canary; give it, the canary, and where it writes how it ended."""

    def start(*more, **options):
        end = steadyrun.cwd / "end.json"
        run = steadyrun.start("run", "--json", end.name, *more, "--", "sleep", "60", **options)
        assert until(lambda: canaries(run.pid), 10)
        (canary,) = canaries(run.pid)
        assert until(lambda: shown(canary) > 20, 10)
        return run, canary, end

    return start


def ended(run, end, number=signal.SIGTERM):
    run.send_signal(number)
    run.wait(20)
    return json.loads(end.read_text())


def status(pid, key):
    with open(f"/proc/{pid}/status") as file:
        return next(line.split()[1] for line in file if line.startswith(key))


def test_it_is_an_ordinary_process_beside_the_guard_and_ends_with_the_run(lasting):
    run, canary, end = lasting()
    assert os.sched_getscheduler(canary) == os.SCHED_OTHER
    assert os.getpriority(os.PRIO_PROCESS, canary) == 0
    with open(f"/proc/{canary}/oom_score_adj") as file:
        assert file.read() == "0\n"
    with open(f"/proc/{canary}/cgroup") as its, open(f"/proc/{run.pid}/cgroup") as guards:
        assert its.read() == guards.read()
    assert os.getsid(canary) == canary, "no signal of the terminal reaches it"
    assert 9000 < float(status(canary, "VmRSS")) < 15000
    assert len(os.listdir(f"/proc/{canary}/fd")) <= 4
    told = ended(run, end)
    assert has_ended(canary)
    assert 0 <= told["canary"]["late_ms"] < 1000
    assert 0 < told["canary"]["cpu_s"] < 1
    assert told["means"]["known"]["frames"] > 0


def test_the_page_of_the_run_says_what_it_saw(lasting, steadyrun):
    run, _, end = lasting("-v")
    ended(run, end)
    page = steadyrun("report", *steadyrun.run_ids()).stdout
    assert re.search(r"Desktop.*: the canary's frames were at most [0-9.]+ ms late", page)


def test_a_command_of_a_moment_has_none_and_that_is_unknown(steadyrun):
    steadyrun("run", "--json", "end.json", "--", "true")
    assert json.loads((steadyrun.cwd / "end.json").read_text())["canary"] is None
    assert (
        "unknown: no canary showed a frame (the command was over before it came"
        in steadyrun("report", *steadyrun.run_ids()).stdout
    )


@pytest.mark.parametrize(
    ("before", "options", "env", "why"),
    [
        ((), ("--no-canary",), {}, "--no-canary"),
        ((), (), {"STEADYRUN_NO_CANARY": "true"}, "--no-canary"),
        (("nice", "-n", "5"), (), {}, "a nice value makes everything here give way"),
        ((executable(), "run", "--no-canary", "-q", "--"), (), {}, "within another load"),
    ],
    ids=["asked", "set", "nice", "within another load"],
)
def test_where_nobody_wants_it_or_it_is_served_as_no_desktop_is_there_is_none(
    steadyrun, before, options, env, why
):
    steadyrun.before = before
    done = steadyrun("run", "-v", "--json", "end.json", *options, "--", "sleep", "3", env=env)
    assert done.returncode == 0
    assert why in done.stderr
    told = json.loads((steadyrun.cwd / "end.json").read_text())
    assert told["canary"] is None
    assert why in told["no_canary"]


def test_a_killed_guard_leaves_none(lasting):
    run, canary, _ = lasting()
    run.kill()
    run.wait(10)
    assert until(lambda: has_ended(canary), 10)


def test_it_rests_with_a_stopped_job_and_comes_again_with_it(lasting):
    run, canary, end = lasting(process_group=0)  # a job of this process, as a shell's
    os.killpg(run.pid, signal.SIGTSTP)
    assert until(lambda: os.waitid(os.P_PID, run.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT))
    assert until(lambda: has_ended(canary))
    os.killpg(run.pid, signal.SIGCONT)
    assert until(lambda: [pid for pid in canaries(run.pid) if pid != canary], 10)
    acts = [each["action"] for each in ended(run, end)["actions"]]
    assert acts == ["freeze", "thaw"], "those of the terminal alone: nobody was silent"


def test_one_that_was_killed_comes_again(lasting):
    run, canary, end = lasting()
    os.kill(canary, signal.SIGKILL)
    assert until(lambda: canaries(run.pid) not in ([], [canary]), 10)
    assert ended(run, end)["actions"] == [], "a canary that died is no late frame"


def test_one_that_shows_nothing_freezes_the_load_which_is_found_not_to_be_why(lasting):
    run, canary, end = lasting()
    os.kill(canary, signal.SIGSTOP)
    heard = []
    while not heard or "goes on" not in heard[-1]:
        heard.append(run.stderr.readline())
        assert heard[-1]
    assert "the command is frozen: the canary showed no frame" in "".join(heard)
    assert "not because of this load" in heard[-1]
    assert {each["action"] for each in ended(run, end)["actions"]} >= {"freeze", "tighten", "thaw", "loosen"}
