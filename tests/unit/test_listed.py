"""Killing by listings: newcomers, strangers, the processor, and an end."""

import itertools
import os
import resource
import signal
import subprocess
import time

import pytest

from conftest import until
from steadyrun.contain.listed import KILL_FOR, kill_listed

SLEEP = ("/bin/sleep", "600")


@pytest.fixture
def sleepers():
    """Start processes that sleep; all are ended and reaped."""
    made = []

    def start():
        made.append(subprocess.Popen(SLEEP))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.wait()


def ended(process):
    """Tell what signal ended it; `None` while it lives."""
    code = until(process.poll, seconds=5.0)
    return None if code is None else -code


def test_who_turns_up_in_a_later_listing_is_killed_by_the_same_call(sleepers):
    first, second = sleepers(), sleepers()
    listings = itertools.chain([{first.pid}] * 2, itertools.repeat({first.pid, second.pid}))
    kill_listed(lambda: next(listings))
    assert (ended(first), ended(second)) == (signal.SIGKILL, signal.SIGKILL)


def test_who_is_listed_no_more_once_its_descriptor_is_held_is_left_alone(sleepers):
    stranger = sleepers()
    listings = itertools.chain([{stranger.pid}], itertools.repeat(set()))
    assert kill_listed(lambda: next(listings)) == set()
    time.sleep(0.05)
    assert stranger.poll() is None


def test_more_than_can_be_held_at_once_are_all_killed(sleepers):
    many = [sleepers() for _ in range(130)]
    pids = {process.pid for process in many}
    assert kill_listed(lambda: pids) == pids
    assert {ended(process) for process in many} == {signal.SIGKILL}


def test_it_ends_though_there_is_always_somebody_new():
    unused = itertools.count(2**22 + 1)  # above the highest pid there can be (proc(5), pid_max)
    before = time.monotonic()
    kill_listed(lambda: {next(unused)})
    assert KILL_FOR <= time.monotonic() - before < KILL_FOR + 1


def scheduling():
    policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    return policy, os.sched_getparam(0).sched_priority, os.getpriority(os.PRIO_PROCESS, 0)


def scheduling_within():
    seen = []
    kill_listed(lambda: seen.append(scheduling()) or set())
    return seen[0]


def test_it_has_the_processor_for_itself_and_gives_it_back():
    before = scheduling()
    policy, _, nice = scheduling_within()
    assert scheduling() == before
    if os.geteuid() != 0:
        pytest.skip("only root has a priority to take")
    assert policy == os.SCHED_FIFO or nice == -20


def test_a_caller_in_real_time_keeps_its_own_policy():
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(7))
    except OSError:
        pytest.skip("no real time here")
    try:
        assert scheduling_within()[:2] == scheduling()[:2] == (os.SCHED_RR, 7)
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def test_a_user_who_may_have_real_time_gives_it_back_too():
    if os.geteuid() != 0:
        pytest.skip("only root can become such a user")
    was = resource.getrlimit(resource.RLIMIT_RTPRIO)
    try:
        resource.setrlimit(resource.RLIMIT_RTPRIO, (1, 1))
    except ValueError:
        pytest.skip("CAP_SYS_RESOURCE is missing")
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            os.setresuid(65534, 65534, 65534)
            before = scheduling()
            policy, _, _ = scheduling_within()
            failed = 0 if (policy, scheduling()) == (os.SCHED_FIFO, before) else 2
        finally:
            os._exit(failed)
    resource.setrlimit(resource.RLIMIT_RTPRIO, was)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
