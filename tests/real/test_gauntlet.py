"""The gauntlet here: each scenario under `run`, then with something killed, a full disk, a clock set back.

Moments are drawn from GAUNTLET_SEED, other ones each time unless it is set; it is in the failure's message.
"""

import contextlib
import ctypes
import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from gauntlet import LASTING, MEMORY, MIB, MIXTURES, SCENARIOS, TASKS, moment
from program import a_ramp_runs, executable, our_cgroups
from small_disks import full_disk
from test_ramp import PLAN, RAMP, process_of, report

from conftest import TOKEN, bearing, until
from steadyrun.contain.choose import choose
from steadyrun.model.containment import BackendName

pytest_plugins = ("apart",)
pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_left", "enforced")]

MISSING = os.environ.get("GAUNTLET_MISSING", "").split()
"""Limits that are known not to be in force where this runs: then a record has to name them."""
COUNTS_TASKS = tuple(int(word) for word in os.uname().release.split(".")[:2]) >= (6, 1)
"""The kernel keeps the most tasks there were (`pids.peak`, 6.1); before, ten looks a second may miss them."""
SEED = int(os.environ.get("GAUNTLET_SEED") or int.from_bytes(os.urandom(2), "big"))
CHOSEN = sorted({*MIXTURES, *random.Random(SEED).sample(sorted(LASTING), 3)})
"""Beside those whose guard is killed: all mixtures, and others each time."""
SET_CLOCK = Path(__file__).with_name("set_clock.py")
IPC_RMID = 0
THRASHED = 1000
"""Pages taken back from swap, 4 MiB, by choice: it swaps in all the time, on an emulated disk too."""


@pytest.fixture
def enforced(facts):
    if choose(facts).backend is BackendName.POLL:
        pytest.skip("the kernel enforces nothing here")


@pytest.fixture
def alone():
    assert until(lambda: not a_ramp_runs(), 120, every=0.2)


class Playing:
    """One scenario with the word that all its processes bear."""

    def __init__(self, scenario, folder):
        self.scenario, self.token = scenario, os.urandom(8).hex()
        self.shm = f"/dev/shm/gauntlet-{self.token}"
        self.mark = folder / f"started-{self.token}"
        self.env = {TOKEN: self.token, "SHM_FILE": self.shm, "STARTED_FILE": str(self.mark)}

    def words(self, *options):
        limits = (
            "--memory",
            f"{MEMORY}M",
            "--tasks",
            str(self.scenario.tasks),
            "--timeout",
            f"{self.scenario.seconds}s",
            *(("--swap", f"{self.scenario.swap}M") if self.scenario.swap else ()),
        )
        return ("run", "--json", "out.json", *limits, *options, "--", *self.scenario.argv())

    def left(self):
        return bearing(self.token)


@pytest.fixture
def play(tmp_path):
    """Begin a scenario; at the end nobody of it may be left, and what it left in the machine is removed."""
    begun = []

    def begin(name):
        needed = SCENARIOS[name].swap
        if needed and free_swap() < needed * MIB:
            pytest.skip(f"the machine has less than {needed} MiB of free swap")
        begun.append(Playing(SCENARIOS[name], tmp_path))
        return begun[-1]

    yield begin
    for playing in begun:
        left = playing.left()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(playing.shm)
        assert left == [], "processes were left"


def free_swap():
    """Return how much more the machine can swap, bytes."""
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("SwapFree:"))


def swapped_in():
    """Return how many pages the machine took back from swap since it booted."""
    with open("/proc/vmstat") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("pswpin "))


def remove_segments(output):
    """Remove the SysV segments that a load named; they outlive all their users (shmctl(2))."""
    for number in re.findall(r"^segment (\d+)$", output, re.M):
        ctypes.CDLL(None).shmctl(int(number), IPC_RMID, None)


def check_record(scenario, told):
    """Hold the record of a run against what must hold in its scenario."""
    assert told["termination"] in scenario.ends, told["cause"]
    assert (told["survivors"], told["removed"]) == (0, True)
    assert told["memory_peak_bytes"] <= MEMORY * MIB
    assert told["tasks_peak"] <= scenario.tasks
    assert [each["name"] for each in told["limits_not_in_force"]] == MISSING
    if told["termination"] != "exited":
        assert told["cause"]
    if scenario.full and COUNTS_TASKS:
        assert told["tasks_peak"] == scenario.tasks
    if scenario.leaves:
        assert told["left_behind"] > 0


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_is_held_and_the_record_says_how_it_ended(steadyrun, play, name):
    playing, before = play(name), swapped_in()
    done = steadyrun(*playing.words(), env=playing.env)
    if playing.scenario.swap:
        assert swapped_in() - before > THRASHED
    remove_segments(done.stdout)
    told = json.loads((steadyrun.cwd / "out.json").read_text())
    check_record(playing.scenario, told)
    if playing.scenario.code is not None:
        assert done.returncode == playing.scenario.code, done.stderr
    assert not re.search(r"/steadyrun/\w+/\w+\.py", done.stderr), done.stderr
    assert playing.left() == []


@pytest.mark.parametrize("name", CHOSEN)
def test_a_guard_that_is_killed_at_any_moment_leaves_nobody(steadyrun, play, name):
    playing = play(name)
    after = moment(SEED, name, 0.02, 1.2)
    run = steadyrun.start(*playing.words(), env=playing.env, stdout=subprocess.DEVNULL)
    time.sleep(after)
    run.kill()
    run.wait()
    where = f"GAUNTLET_SEED={SEED}, killed after {after:.3f} s"
    assert until(lambda: not playing.left(), 15, every=0.05), where
    told = steadyrun("recover")
    assert told.returncode == 0, told.stderr + where
    assert until(lambda: not _of_runs(steadyrun), 5), where


def _of_runs(program):
    return [path for path in our_cgroups() if any(run_id in path for run_id in program.run_ids())]


def test_on_a_full_disk_it_is_held_as_well(apart, play):
    playing = play(MIXTURES[0])
    done = apart(full_disk(apart.state), *playing.words(), env=playing.env)
    check_record(playing.scenario, json.loads((apart.cwd / "out.json").read_text()))
    assert "record" in done.stderr


def python_of_the_command():
    """Return the interpreter that the installed command runs with."""
    return Path(executable()).read_text().splitlines()[0].removeprefix("#!")


def test_with_the_clock_set_back_an_hour_it_is_held_and_its_time_is_its_own(steadyrun, play):
    playing, mark = play("zombies"), steadyrun.cwd / "set-back"
    line = [python_of_the_command(), str(SET_CLOCK), str(mark), *playing.words()]
    env = steadyrun.env | playing.env
    run = subprocess.Popen(line, cwd=steadyrun.cwd, env=env, stderr=subprocess.PIPE, text=True)
    steadyrun.started.append(run)
    assert until(playing.mark.exists, 20)
    mark.touch()
    _, told = run.communicate(timeout=60)
    assert run.returncode == 124, told
    record = json.loads((steadyrun.cwd / "out.json").read_text())
    check_record(playing.scenario, record)
    assert 1.5 <= record["wall_s"] < 30
    assert "the clock was set back" in steadyrun("history").stdout
    page = steadyrun("report", record["run_id"]).stdout
    assert "the clock was set back" in page


# The same under a ramp, whose conductor, guard and canary are processes of their own


def command_of(playing):
    return ("--", *playing.scenario.argv())


@pytest.fixture
def ramp(steadyrun, alone):
    steadyrun.limits = PLAN.replace('memory_max = "256M"', f'memory_max = "{MEMORY}M"\nwall_time = "1.5s"')
    steadyrun.limits = steadyrun.limits.partition("[[phase]]\nnumber = 2")[0] + _last(steadyrun.limits)
    (steadyrun.cwd / "plan.toml").write_text(steadyrun.limits)
    return steadyrun


def _last(plan):
    """Return the last phase of the small plan, as its second: the first proves enough here."""
    return "[[phase]]\nnumber = 2" + plan.partition("number = 3")[2] + f"tasks_max = {TASKS}\n"


def until_it_plays(ramp, playing):
    """Start the ramp until its last phase runs, from which a late frame of a busy machine may keep it."""
    for _ in range(3):
        client = ramp.start(*RAMP, "--tries", "1", *command_of(playing), env=playing.env)
        until(lambda: playing.mark.exists() or client.poll() is not None, 60)  # noqa: B023
        if playing.mark.exists():
            return client
    raise AssertionError(client.communicate(timeout=60))


@pytest.mark.parametrize("victim", ["ramp.process", "guard.process", "canary.py"])
def test_a_process_of_a_ramp_killed_at_any_moment_leaves_nobody(ramp, play, victim):
    playing = play("stopped tree, zombies, slow balloon, output flood")
    after = moment(SEED, victim, 0.0, 0.8)
    client = until_it_plays(ramp, playing)
    time.sleep(after)
    pid = process_of(client, victim)
    if pid is not None:  # the load ended first
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    said, _ = client.communicate(timeout=90)
    where = f"GAUNTLET_SEED={SEED}, killed after {after:.3f} s: {said}"
    assert until(lambda: not playing.left(), 20, every=0.05), where
    assert ramp("recover").returncode == 0
    assert until(lambda: not _of_runs(ramp), 5), where
    state = report(ramp)[1]["attempts"][-1]["state"]
    assert state in ("FAILED", "UNKNOWN", "INTERRUPTED", "DEGRADED"), where


def test_a_clock_set_back_an_hour_makes_a_phase_say_nothing_of_the_machine(ramp, play):
    playing, mark = play("zombies"), ramp.cwd / "set-back"
    line = [python_of_the_command(), str(SET_CLOCK), str(mark), *RAMP, "--tries", "1", *command_of(playing)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    client = subprocess.Popen(line, cwd=ramp.cwd, env=ramp.env | playing.env, **pipes)
    ramp.started.append(client)
    assert until(playing.mark.exists, 60), client.communicate(timeout=60)
    mark.touch()
    said, _ = client.communicate(timeout=90)
    _, data = report(ramp)
    states = [attempt["state"] for attempt in data["attempts"]]
    assert "INVALID" in states, said
    jumps = [a["evidence"]["clock_jump_s"] for a in data["attempts"] if a["state"] == "INVALID"]
    assert all(-3700 < jump < -3500 for jump in jumps), jumps
