"""When a run has a canary, at times that the test gives."""

import errno
import mmap
import os
import struct

import pytest

from steadyrun.guard.canary import MAGIC, SIZE, W_CPU
from steadyrun.model.run import FramesSeen
from steadyrun.model.sample import Frames
from steadyrun.run.canary import (
    AFTER,
    LOOK_EVERY,
    RETRY_LAST,
    FrontCanary,
    is_in_ours,
    why_no_desktop,
)


class FakeLoop:
    """A loop whose clock the test moves."""

    def __init__(self):
        self.at, self.calm, self.reader = 100.0, True, None

    def now(self):
        return self.at

    def is_calm(self):
        return self.calm

    def look_at(self, reader):
        assert self.reader is None, "there is one shared memory"
        self.reader = reader


class FakeProcess:
    def __init__(self):
        self.lives, self.did, self.pid = True, [], 0

    def alive(self):
        return self.lives

    def close(self):
        self.did.append("close")

    def dismiss(self):
        self.did.append("dismiss")


class Starts:
    """Starts that succeed or fail, and when they were tried."""

    def __init__(self, loop):
        self.loop, self.at, self.made, self.fds, self.fails = loop, [], [], [], False

    def __call__(self, fd):
        self.fds.append(fd)
        self.at.append(round(self.loop.at - 100.0, 3))
        if self.fails:
            raise OSError(errno.EAGAIN, "no process")
        self.made.append(FakeProcess())
        return self.made[-1]


@pytest.fixture
def loop():
    return FakeLoop()


@pytest.fixture
def starts(loop):
    return Starts(loop)


@pytest.fixture
def alone():
    return [True]


@pytest.fixture
def canary(starts, alone):
    made = FrontCanary(start=starts, is_alone=lambda: alone[0])
    yield made
    made.close()


def go(canary, loop, seconds):
    until = loop.at + seconds
    while loop.at < until - 1e-9:
        canary.look(loop)
        loop.at += 0.1


def test_a_command_that_is_over_within_a_second_has_none(canary, loop, starts):
    go(canary, loop, AFTER - 0.05)
    assert starts.at == []
    canary.close()
    assert canary.seen() is None
    assert canary.why_unseen().startswith("the command was over before it came")


def test_one_that_lasts_has_one(canary, loop, starts):
    go(canary, loop, 30.0)
    assert len(starts.at) == 1
    assert AFTER <= starts.at[0] < AFTER + 2 * LOOK_EVERY
    assert loop.reader is not None
    canary.close()
    canary.close()
    assert starts.made[0].did == ["dismiss"]


def test_a_load_that_is_at_its_worst_gets_none_until_it_is_not(canary, loop, starts):
    loop.calm = False
    go(canary, loop, 20.0)
    assert starts.at == []
    loop.calm = True
    go(canary, loop, 2.0)
    assert len(starts.at) == 1


def test_none_is_forked_while_another_thread_is_at_work(canary, loop, starts, alone):
    alone[0] = False
    go(canary, loop, 5.0)
    assert starts.at == []
    alone[0] = True
    go(canary, loop, 2.0)
    assert len(starts.at) == 1


def test_while_the_job_is_stopped_there_is_none_and_afterwards_as_at_the_beginning(canary, loop, starts):
    go(canary, loop, 5.0)
    canary.rest()
    assert starts.made[0].did == ["dismiss"]
    loop.at += 600.0
    went_on = loop.at - 100.0
    go(canary, loop, 5.0)
    assert went_on + AFTER <= starts.at[1] < went_on + AFTER + 2 * LOOK_EVERY


def test_its_memory_is_made_once_and_let_go_of(canary, loop, starts):
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(4):
        go(canary, loop, 10.0)
        starts.made[-1].lives = False
    assert len(set(starts.fds)) == 1
    canary.close()
    assert set(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ValueError, match="released"):
        loop.reader.cpu_s()


def test_what_it_took_is_told_once_it_is_closed(canary, loop, starts):
    go(canary, loop, 5.0)
    shared = mmap.mmap(starts.fds[0], SIZE)
    struct.pack_into("@Q", shared, 0, MAGIC)
    struct.pack_into("@Q", shared, 8 * W_CPU, 250_000_000)
    canary.take(Frames(1.0, 60, 0.1, 9.0, 3.0, 0.0))
    canary.close()
    assert canary.seen() == FramesSeen(9.0, 3.0, 0.25)
    assert canary.why_unseen() == ""


def test_one_that_died_is_buried_and_comes_again_ever_more_rarely(canary, loop, starts):
    for _ in range(2000):
        go(canary, loop, 0.1)
        if starts.made:
            starts.made[-1].lives = False
    pauses = [later - sooner for sooner, later in zip(starts.at, starts.at[1:], strict=False)]
    assert pauses[0] < 4.0
    assert pauses[-1] == pytest.approx(RETRY_LAST, abs=2.5)
    assert all(each.did == ["close"] for each in starts.made[:-1])


def test_one_that_lived_for_long_comes_again_soon(canary, loop, starts):
    for _ in range(3):
        go(canary, loop, RETRY_LAST + 5.0)
        starts.made[-1].lives = False
        before = loop.at - 100.0
        go(canary, loop, 4.0)
        assert before <= starts.at[-1] <= before + 3.0


def test_a_machine_without_a_process_to_spare_is_asked_again_later(canary, loop, starts):
    starts.fails = True
    go(canary, loop, 8.0)
    assert 2 <= len(starts.at) <= 4
    assert canary.why_unseen() == "none could be started: [Errno 11] no process"
    starts.fails = False
    go(canary, loop, 10.0)
    assert len(starts.made) == 1


def test_the_worst_is_remembered_and_what_is_unknown_is_not(canary):
    canary.take(None)
    canary.take(Frames(1.0, 0, None, None, None, 2.0))
    canary.take(Frames(1.0, 1, 0.1, 0.1, None, 2.0))
    assert canary.seen() is None
    canary.take(Frames(1.0, 60, 0.1, 9.0, 3.0, 0.0))
    canary.take(Frames(1.0, 60, 0.1, 4.0, 12.0, 0.0))
    canary.take(Frames(1.0, 60, 0.1, 4.0, 1.0, 0.0))
    assert canary.seen() == FramesSeen(9.0, 12.0, None)


def test_a_process_that_gives_way_to_others_is_served_as_no_desktop():
    pid = os.fork()
    if pid == 0:
        try:
            os.nice(5)
            os._exit(7 if "nice value" in why_no_desktop() else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


@pytest.mark.parametrize(
    ("cgroups", "ours"),
    [
        (b"0::/user.slice/user-1000.slice/session-2.scope\n", False),
        (b"0::/user.slice/user@1000.service/app.slice/steadyrun-g1-1.service/load\n", True),
        (b"4:cpu:/steadyrun-g1-1\n3:memory:/steadyrun/g1-1\n", True),
        (b"4:cpu:/\n3:memory:/steadyrun/g1-1\n", True),
        (b"0::/notsteadyrun-1/steadyruns\n", False),
    ],
)
def test_a_load_of_ours_is_known_by_its_cgroup(cgroups, ours):
    assert is_in_ours(cgroups) is ours
