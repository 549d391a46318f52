"""A stop reaches the load while the disk of the state directory is stalled.

The disk is an ext4 of the test's own on a loop device, in a mount namespace of its own, and stalls by
ioctl_fifreeze(2): whoever writes to it waits uninterruptibly until it is thawed.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from program import a_ramp_runs, executable, has_ended, of_this_test, our_cgroups
from test_ramp import ALONE, RAMP, process_of, report

from conftest import until
from steadyrun.ramp.feed import listen

pytestmark = pytest.mark.real

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
"""`_IOWR('X', 119, int)` and 120 (include/uapi/linux/fs.h)."""
SOON_S = 8.0
"""For a load that ends by TERM; who waits for the disk waits for ever."""
DEAF = "trap '' TERM; echo $$ > pid; touch running; while :; do sleep 0.1; done"
HEARS = "echo $$ > pid; touch running; exec sleep 300"


class Stalling:
    """The command on a state directory whose disk can be stalled."""

    def __init__(self, program, holder):
        self.program, self.holder, self.cwd = program, holder, program.cwd
        self._disk = os.open(f"/proc/{holder}/root{program.state}", os.O_RDONLY | os.O_DIRECTORY)

    def start(self, *words):
        line = ["nsenter", "-t", str(self.holder), "-m", f"--wd={self.cwd}", executable(), *map(str, words)]
        process = subprocess.Popen(
            line, env=self.program.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.program.started.append(process)
        return process

    def run_ids(self):
        out, _ = self.start("history", "--json", "--last", "1000").communicate(timeout=30)
        return [row["run_id"] for row in json.loads(out)]

    def start_load(self, *words):
        """Start a run or a ramp whose load writes its pid; return it and that pid."""
        started = self.start(*words)
        mark = self.cwd / "running"
        assert until(lambda: mark.exists() or started.poll() is not None, 60)
        assert mark.exists(), started.communicate(timeout=60)
        return started, int((self.cwd / "pid").read_text())

    @contextlib.contextmanager
    def stalled(self):
        fcntl.ioctl(self._disk, FIFREEZE, 0)
        try:
            yield
        finally:
            fcntl.ioctl(self._disk, FITHAW, 0)

    def close(self):
        with contextlib.suppress(OSError):  # not frozen
            fcntl.ioctl(self._disk, FITHAW, 0)
        os.close(self._disk)


@pytest.fixture
def stalling(steadyrun, tmp_path):
    assert until(lambda: not a_ramp_runs(), 120, every=0.2)
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "mkfs.ext4"))):
        pytest.skip("needs root, unshare, nsenter and mkfs.ext4")
    (steadyrun.cwd / "plan.toml").write_text(ALONE)
    steadyrun.state.mkdir()
    disk = tmp_path / "disk.ext4"
    with open(disk, "wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True)
    mount = (
        f"mount -o loop {disk} {steadyrun.state} && chmod 700 {steadyrun.state} && echo up && exec sleep 900"
    )
    holder = subprocess.Popen(["unshare", "-m", "sh", "-c", mount], stdout=subprocess.PIPE, text=True)
    try:
        if holder.stdout.readline() != "up\n":
            pytest.skip("no loop device to be had")
        stalling = Stalling(steadyrun, holder.pid)
        try:
            yield stalling
            assert until(lambda: not of_this_test(steadyrun), 10), of_this_test(steadyrun)
            ids = stalling.run_ids()
            assert [path for path in our_cgroups() if any(run_id in path for run_id in ids)] == []
        finally:
            stalling.close()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def until_written(stalling):
    """Wait until somebody of this test waits for the disk (state D, in percpu_rwsem_wait)."""
    return until(lambda: "D" in states_of(stalling.program), 10)


def states_of(program):
    states = set()
    wanted = f"STEADYRUN_STATE_DIR={program.state}".encode()
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    states.add((task / "stat").read_text().rpartition(")")[2].split()[0])
    return states


def told_after(run_id, wall):
    """Tell whether the ramp publishes a reading of later than this Unix time."""
    for message in listen(run_id, timeout_s=3.0):
        if message is None:
            break
        if "reading" in message and message["reading"]["host"]["wall"] > wall:
            return True
    return False


def test_ctrl_c_ends_the_load_of_a_ramp(stalling):
    ramp, load = stalling.start_load(*RAMP, "--", "sh", "-c", HEARS)
    with stalling.stalled():
        assert until_written(stalling)
        os.killpg(ramp.pid, signal.SIGINT)
        assert until(lambda: has_ended(load), SOON_S), "the load runs on"
    out, err = ramp.communicate(timeout=60)
    assert ramp.returncode == 130, out + err
    assert report(stalling)[1]["attempts"][-1]["state"] == "STOPPED"


def test_ctrl_c_twice_kills_a_load_that_ignores_term(stalling):
    ramp, load = stalling.start_load(*RAMP, "--", "sh", "-c", DEAF)
    with stalling.stalled():
        assert until_written(stalling)
        os.killpg(ramp.pid, signal.SIGINT)
        time.sleep(0.5)
        assert not has_ended(load)
        os.killpg(ramp.pid, signal.SIGINT)
        assert until(lambda: has_ended(load), 3.5), "the load runs on"  # one that was asked once has 5 s
    ramp.communicate(timeout=60)
    assert report(stalling)[1]["attempts"][-1]["state"] == "STOPPED"


def test_a_ramp_goes_on_meanwhile_and_what_waited_is_in_the_record_afterwards(stalling):
    ramp, _ = stalling.start_load(*RAMP, "--", "sh", "-c", "echo $$ > pid; touch running; sleep 5")
    run_id = report(stalling)[1]["header"]["run_id"]
    with stalling.stalled():
        assert until_written(stalling)
        assert told_after(run_id, time.time() + 1.5)
    out, err = ramp.communicate(timeout=60)
    assert ramp.returncode == 0, out + err
    assert "readings and events of the guard are not in it" not in report(stalling)[0]


def test_a_conductor_that_is_killed_takes_the_load_with_it(stalling):
    """Its thread in state D outlives the kill and holds the guard's socket open."""
    ramp, load = stalling.start_load(*RAMP, "--", "sh", "-c", DEAF)
    conductor = process_of(ramp, "steadyrun.ramp.process")
    with stalling.stalled():
        assert until_written(stalling)
        os.kill(conductor, signal.SIGKILL)
        assert until(lambda: has_ended(load), SOON_S), "the load runs on"
    ramp.communicate(timeout=60)
    assert stalling.start("recover").wait(30) == 0


@pytest.mark.parametrize(("words", "load"), [(("stop",), HEARS), (("stop", "--now"), DEAF)])
def test_stop_from_another_terminal_ends_the_load_and_says_so(stalling, words, load):
    ramp, load = stalling.start_load(*RAMP, "--", "sh", "-c", load)
    with stalling.stalled():
        assert until_written(stalling)
        stop = stalling.start(*words)
        assert until(lambda: has_ended(load), SOON_S), "the load runs on"
        out, err = stop.communicate(timeout=SOON_S)
    assert stop.returncode == 0, out + err
    assert "the journal does not answer" in err
    assert "nothing of its load runs" in out
    ramp.communicate(timeout=60)
    assert report(stalling)[1]["attempts"][-1]["state"] == "STOPPED"


def test_stop_ends_a_single_run_that_is_named(stalling):
    run, load = stalling.start_load("run", "--memory", "64M", "--", "sh", "-c", HEARS)
    (run_id,) = stalling.run_ids()
    with stalling.stalled():
        other = stalling.start("stop", run_id[:-1])
        assert "give the whole id" in other.communicate(timeout=SOON_S)[1]
        assert other.returncode == 2
        stop = stalling.start("stop", run_id)
        assert until(lambda: has_ended(load), SOON_S), "the load runs on"
        out, err = stop.communicate(timeout=SOON_S)
    assert (stop.returncode, "nothing of its load runs" in out) == (0, True), out + err
    run.communicate(timeout=30)
