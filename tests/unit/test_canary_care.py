"""The canary's replacement: known by pid and start, and no failure to start one ends the ramp."""

import errno
import subprocess

import pytest

from steadyrun.guard.frames import CanaryProcess
from steadyrun.ramp.canary_care import CanaryCare


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


class Starter:
    def __init__(self, pid):
        self.pid, self.full, self.tries = pid, True, 0

    def __call__(self, fd):
        self.tries += 1
        if self.full:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return CanaryProcess(self.pid, -1, -1)


def ended():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_machine_that_starts_no_process_is_asked_again_and_told_once(sleeper):
    dead = subprocess.Popen(["sleep", "60"])
    start = Starter(sleeper.pid)
    care = CanaryCare(5, dead.pid, start=start)
    assert care.restart_if_dead() is None
    assert start.tries == 0
    dead.kill()
    dead.wait()
    told = [care.restart_if_dead() for _ in range(4)]
    assert start.tries == 4
    assert [f.code for f in told if f] == ["canary-missing"]
    assert f"pid {dead.pid} ended" in told[0].evidence
    start.full = False
    again = care.restart_if_dead()
    assert again.code == "canary-restarted"
    assert f"pid {dead.pid} ended" in again.evidence
    assert care.restart_if_dead() is None
    assert start.tries == 5


def test_a_pid_that_is_somebody_elses_by_now_is_no_living_canary(sleeper):
    start = Starter(sleeper.pid)
    care = CanaryCare(5, sleeper.pid, start=start)
    assert care.restart_if_dead() is None
    care._started -= 1  # as if another process had that pid since
    assert care.restart_if_dead().code == "canary-missing"


def test_a_canary_that_was_gone_from_the_beginning_is_replaced(sleeper):
    start = Starter(sleeper.pid)
    start.full = False
    care = CanaryCare(5, ended(), start=start)
    assert care.restart_if_dead().code == "canary-restarted"
