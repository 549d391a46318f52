"""The hog in a real containment: exact bytes, little beside them, killed inside a smaller limit."""

import json
import os
import signal
import subprocess
import time

import pytest

from conftest import PYTHON, until
from steadyrun.model.plan import LoadKind, LoadSpec
from steadyrun.ramp.loads import hog
from steadyrun.ramp.loads.members import members_for
from steadyrun.ramp.loads.work import work_of
from steadyrun.units import Bytes, Seconds

pytestmark = pytest.mark.real
MB, MIB = 10**6, 2**20


def words(size, hold, processes=1):
    load = LoadSpec(LoadKind.HOG, processes=processes, memory=Bytes(size), hold=Seconds(hold))
    return load, members_for(load, cwd="/", env={})[0].argv


def test_500_mb_are_reached_under_500_mib_with_the_interpreter(contained):
    contained.apply(memory_max=500 * MIB)
    load, argv = words(500 * MB, 0.5)
    assert contained.wait(contained.start(*argv), 30) == 0
    out = contained.read_all()
    report = json.loads(out)
    assert work_of(load, out)[1] is True
    assert report["reached_bytes"] == 500 * MB
    assert report["touched_pages"] >= 500 * MB // 4096
    seen = contained.sample()
    assert 500 * MB <= seen.memory_peak < 500 * MIB
    assert seen.oom_kills == 0


def test_in_a_limit_too_small_it_is_killed_and_reports_nothing(contained):
    contained.apply(memory_max=50 * MIB, swap_max=0)
    load, argv = words(100 * MB, 5)
    assert contained.wait(contained.start(*argv), 30) == -signal.SIGKILL
    assert work_of(load, contained.read_all()) == (None, False)
    assert contained.sample().memory_peak <= 50 * MIB


def test_several_hogs_report_on_one_pipe_without_mixing():
    load, argv = words(5 * MB, 0.1, processes=4)
    out = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout
    assert work_of(load, out)[1] is True


SLOW_MB = 250
"""Of each of three: more than is filled in the moment between its start and its stop."""


@pytest.fixture
def one_is_slow(contained):
    """Three hogs, one stopped before it is full: the first one, the stopped one, what they are."""
    contained.apply(memory_max=3 * SLOW_MB * MB + 50 * MIB, swap_max=0)
    load, argv = words(SLOW_MB * MB, 0.3, processes=3)
    first = contained.start(*argv)
    assert until(lambda: len(contained.containment.pids()) == 3, 10)
    slow = next(pid for pid in contained.containment.pids() if pid != first.pid)
    os.kill(slow, signal.SIGSTOP)
    assert until(lambda: contained.sample().memory > 2 * SLOW_MB * MB, 30)
    assert contained.sample().memory < 3 * SLOW_MB * MB
    time.sleep(1.0)  # three times as long as they hold
    assert len(contained.containment.pids()) == 3, "one went before all were full"
    return first, slow, load


def test_hogs_of_different_speed_hold_all_at_once(contained, one_is_slow):
    first, slow, load = one_is_slow
    os.kill(slow, signal.SIGCONT)
    assert contained.wait(first, 30) == 0
    assert work_of(load, contained.read_all())[1] is True
    assert contained.sample().memory_peak >= 3 * SLOW_MB * MB


def test_nobody_waits_for_a_hog_that_died(contained, one_is_slow):
    first, slow, load = one_is_slow
    os.kill(slow, signal.SIGKILL)
    assert contained.wait(first, 30) == 1
    said, done = work_of(load, contained.read_all())
    assert (said.partition(";")[0], done) == ("2 of 3 processes finished", False)


def test_the_others_end_when_the_first_hog_does(contained, one_is_slow):
    first, slow, _ = one_is_slow
    os.kill(slow, signal.SIGCONT)
    os.kill(first.pid, signal.SIGKILL)
    assert contained.wait(first) == -signal.SIGKILL
    assert until(lambda: not contained.containment.pids(), 10)


def test_it_holds_for_its_time_and_touches_at_a_low_rate():
    _, argv = words(50 * MB, 2)
    began = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=30)
    assert 2 <= time.monotonic() - began < 8
    assert json.loads(out)["rounds"] >= 1
    assert json.loads(out)["touched_pages"] <= 3 * -(-50 * MB // 4096)


def test_memory_that_is_refused_is_exit_1_and_said():
    limited = (
        f"ulimit -v 100000; exec {' '.join(PYTHON)} {hog.__file__} --bytes {500 * MB} --hold 0 --processes 1"
    )
    done = subprocess.run(["sh", "-c", limited], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["reached_bytes"] == 0
    assert "Cannot allocate memory" in done.stderr


def test_it_ends_by_the_signal_it_is_sent():
    _, argv = words(MB, 60)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    with open(f"/proc/{process.pid}/statm") as file:
        assert until(lambda: file.seek(0) == 0 and int(file.read().split()[1]) > 1000)
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM
    assert process.stdout.read() == b""
    process.stdout.close()
