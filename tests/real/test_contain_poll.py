"""Polled containment: what a look costs others, seen with real processes."""

import os
import signal
from collections import Counter

import pytest

from conftest import PYTHON, until
from steadyrun.contain import poll_walk
from steadyrun.contain.poll import PollBackend

pytestmark = pytest.mark.real

PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"

DAEMON = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={}, start_new_session=True)
time.sleep(60)
"""


@pytest.fixture
def reads(monkeypatch):
    """Count by pid how often an environment is read, which takes its process's mmap lock."""
    counted, read = Counter(), poll_walk._environment

    def environment(pid):
        found = read(pid)
        counted[pid] += bool(found)
        return found

    monkeypatch.setattr(poll_walk, "_environment", environment)
    return counted


def test_the_environment_of_each_process_is_read_once(hold, reads):
    contained = hold(PollBackend())
    contained.python(PARENT)
    assert until(lambda: len(contained.containment.pids()) == 2)
    ours = contained.containment.pids()
    before = Counter(reads)
    for _ in range(3):
        contained.sample()
    assert contained.containment.pids() == ours
    assert reads[os.getpid()] == 1
    assert {pid: reads[pid] - before[pid] for pid in ours} == dict.fromkeys(ours, 0)
    assert max(reads.values()) <= 3  # its own member until it is released


def test_inside_another_polled_load_a_daemon_without_an_environment_is_the_inner_ones(hold, monkeypatch):
    """The member waits with the outer marker, which is not what it has once it is released."""
    monkeypatch.setenv("STEADYRUN_CONTAINMENT", "outer-1")
    contained = hold(PollBackend())
    waiting = contained.wait_in(*PYTHON, "-c", DAEMON)
    assert contained.containment.pids() == (waiting.pid,)
    waiting.release()
    assert waiting.start_error() is None
    assert until(lambda: len(contained.containment.pids()) == 2)
    os.kill(waiting.pid, signal.SIGKILL)
    assert contained.wait(waiting) == -signal.SIGKILL
    assert len(contained.containment.pids()) == 1
    contained.containment.kill()
    assert until(lambda: not contained.containment.pids())


def test_a_member_that_waited_unmarked_is_found_once_it_is_released(hold, reads):
    contained = hold(PollBackend())
    waiting = contained.wait_in("sleep", "60")
    assert contained.containment.pids() == (waiting.pid,)
    assert contained.containment._walk._released is False
    waiting.release()
    assert waiting.start_error() is None
    contained.containment.pids()
    assert contained.containment._walk._released is True
