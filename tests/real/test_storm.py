"""The storm in a real containment: many runnable, memory to the byte, and nobody outlives its parent."""

import json
import os
import signal
import time

import pytest

from conftest import until
from steadyrun.model.limits import CPU_WEIGHT_LOWEST
from steadyrun.model.plan import LoadKind, LoadSpec
from steadyrun.ramp.loads.members import members_for
from steadyrun.ramp.loads.work import work_of
from steadyrun.units import Bytes, Seconds

pytestmark = pytest.mark.real
MB, MIB = 10**6, 2**20
OVERHEAD_MB = 80
"""90 forked interpreters beside the memory asked for: 60 MB measured."""


def storm(size, hold, processes=90):
    load = LoadSpec(LoadKind.STORM, processes=processes, memory=Bytes(size), hold=Seconds(hold))
    return load, members_for(load, cwd="/", env={})[0].argv


def test_ninety_processes_finish_at_the_lowest_weight_with_all_their_memory(contained):
    contained.apply(memory_max=200 * MIB, swap_max=0, cpu_weight=CPU_WEIGHT_LOWEST, tasks_max=200)
    load, argv = storm(40 * MB, 2)
    began = time.monotonic()
    waiting = contained.start(*argv)
    assert until(lambda: len(contained.containment.pids()) == 91, 10)
    assert contained.wait(waiting, 40) == 0
    assert 2 <= time.monotonic() - began < 20
    out = contained.read_all()
    words, done = work_of(load, out)
    assert done is True, words
    assert json.loads(out)["processes"] == 90
    assert 40 * MB <= contained.sample().memory_peak < (40 + OVERHEAD_MB) * MB
    assert contained.containment.pids() == ()


def test_the_processes_want_to_run_all_at_once(contained):
    contained.start(*storm(0, 30)[1])
    assert until(lambda: len(contained.containment.pids()) == 91, 10)
    children = contained.containment.pids()

    def all_runnable():
        states = [state(pid) for pid in children]
        return states.count("R") >= 88

    assert until(all_runnable, 10)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_processes_end_when_their_parent_does(contained, number):
    waiting = contained.start(*storm(10 * MB, 60, 30)[1])
    assert until(lambda: len(contained.containment.pids()) == 31, 10)
    os.kill(waiting.pid, number)
    assert contained.wait(waiting) == -number
    assert until(lambda: not contained.containment.pids(), 10)


def test_nobody_goes_before_the_slowest_is_full(contained):
    contained.apply(memory_max=700 * MIB, swap_max=0)
    load, argv = storm(400 * MB, 4, 4)
    waiting = contained.start(*argv)
    assert until(lambda: len(contained.containment.pids()) == 5, 10)
    slow = next(pid for pid in contained.containment.pids() if pid != waiting.pid)
    os.kill(slow, signal.SIGSTOP)
    time.sleep(4.5)
    assert len(contained.containment.pids()) == 5, "one went before all were full"
    assert contained.sample().memory_peak < 400 * MB
    os.kill(slow, signal.SIGCONT)
    assert contained.wait(waiting, 20) == 0
    words, done = work_of(load, contained.read_all())
    assert done is True, words
    assert contained.sample().memory_peak >= 400 * MB


def test_a_storm_whose_slowest_never_fills_was_never_there_at_once(contained):
    load, argv = storm(40 * MB, 1, 4)
    waiting = contained.start(*argv)
    assert until(lambda: len(contained.containment.pids()) == 5, 10)
    slow = next(pid for pid in contained.containment.pids() if pid != waiting.pid)
    os.kill(slow, signal.SIGSTOP)
    assert until(lambda: len(contained.containment.pids()) == 2, 20)
    os.kill(slow, signal.SIGCONT)
    assert contained.wait(waiting, 20) == 0
    words, done = work_of(load, contained.read_all())
    assert done is False
    assert "never all at once" in words


def test_a_lost_process_is_told(contained):
    waiting = contained.start(*storm(MB, 1.5, 8)[1])
    assert until(lambda: len(contained.containment.pids()) == 9, 10)
    victim = next(pid for pid in contained.containment.pids() if pid != waiting.pid)
    os.kill(victim, signal.SIGKILL)
    assert contained.wait(waiting, 20) == 1
    out = contained.read_all()
    assert json.loads(out)["lost"] == 1
    assert work_of(storm(MB, 1.5, 8)[0], out)[1] is False


def test_a_storm_throttled_hard_ends_at_twice_its_time_and_says_what_it_reached(contained):
    contained.apply(cpu_max=0.1)
    load, argv = storm(500 * MB, 1, 20)
    began = time.monotonic()
    assert contained.wait(contained.start(*argv), 60) == 0
    assert time.monotonic() - began < 30
    _, done = work_of(load, contained.read_all())
    assert done is not None


def state(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "gone"
