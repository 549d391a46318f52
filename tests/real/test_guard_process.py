"""The guard of a ramp alone, with this test as its conductor: what it says, and what it does without one."""

import json
import os
import select
import signal
import socket
import subprocess
import time
from itertools import pairwise

import pytest
from program import has_ended

from conftest import MIB, TOKEN, bearing, until
from steadyrun.guard.start import python_command
from steadyrun.model.action import Action
from steadyrun.model.codec import decode_event, encode
from steadyrun.model.containment import BackendName
from steadyrun.model.event import (
    Acted,
    Control,
    Ended,
    Order,
    Prepared,
    Refused,
    Released,
    Ruled,
    Sampled,
)
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import Ending
from steadyrun.model.plan import Member
from steadyrun.model.thresholds import Thresholds
from steadyrun.units import GIB

pytestmark = pytest.mark.real

DEAF = "trap '' TERM HUP; setsid sleep 300 & echo up; while :; do sleep 1; done"


class Guarded:
    """A guard process, and the conductor's end of its channel."""

    def __init__(self, backend, folder):
        self.backend = backend
        self.token = os.urandom(8).hex()
        self.plan = backend.plan(f"test-{self.token}")
        self.log = folder / "load.log"
        self.mark = folder / "mark"
        self.socket, self._theirs = socket.socketpair()
        self._data = b""
        self.process = None
        self.events = []

    def begin(self, *members, send=True, small_pipe=False, limits=None, **thresholds):
        """Start the guard and give it its order: these members (shell scripts) under these limits."""
        if small_pipe:
            for end in (self.socket, self._theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        env = {"PATH": os.defpath, TOKEN: self.token}
        order = Order(
            plan=self.plan,
            limits=limits or Limits(memory_max=100 * MIB, tasks_max=50),
            members=tuple(Member(("/bin/sh", "-c", script), "/", env) for script in members),
            thresholds=Thresholds(GIB, GIB // 2, GIB // 4)._replace(**thresholds),
            run_as=None,
            frames_fd=None,
            stdout_fd=log,
            stderr_fd=log,
        )
        with self._theirs as theirs:
            command = python_command("steadyrun.guard.process", str(theirs.fileno()), bare=True)
            self.process = subprocess.Popen(command, pass_fds=(theirs.fileno(), log), start_new_session=True)
        os.close(log)
        if send:
            self.socket.sendall(json.dumps(encode(order)).encode() + b"\n")
        return self

    def say(self, word):
        self.socket.sendall(json.dumps(word.value).encode() + b"\n")

    def hear(self, kind=None, seconds=20.0):
        """Read until an event of that kind came; return it. Without a kind: to the end of the channel."""
        end = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self.socket], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no {kind} within {seconds} s, but {self.events[-3:]}"
            try:
                part = self.socket.recv(1 << 20)
            except ConnectionResetError:
                part = b""
            *lines, self._data = (self._data + part).split(b"\n")
            new = [decode_event(json.loads(line)) for line in lines]
            self.events += new
            found = [event for event in new if kind is not None and isinstance(event, kind)]
            if found:
                return found[0]
            if not part:
                assert kind is None, f"the guard hung up before {kind}; it said {self.events}"
                return None

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def released(self):
        """Prepare and release; return what was prepared once the load has written its first line."""
        prepared = self.hear(Prepared)
        self.say(Control.RELEASE)
        assert until(lambda: self.log.exists() and self.log.stat().st_size, 10)
        return prepared

    def nothing_is_left(self):
        """Tell whether no process of the load and no directory of its containment is there."""
        made = [path for path in self.plan.directories if os.path.exists(path)]
        return not bearing(self.token) and not made

    def clean_up(self):
        self.socket.close()
        if self.process is not None and self.process.poll() is None:
            if not until(lambda: self.process.poll() is not None, 10):
                self.process.kill()
            self.process.wait()
        for pid in bearing(self.token):
            os.kill(pid, signal.SIGKILL)
        assert until(self.nothing_is_left, 10)


@pytest.fixture(params=["cgroup1", "poll"])
def guard(request, backend_named, tmp_path):
    made = Guarded(backend_named(BackendName(request.param)), tmp_path)
    yield made
    made.clean_up()


def test_the_whole_conversation_of_a_load_that_ends_by_itself(guard):
    guard.begin(f"echo ran; touch {guard.mark}; exit 3")
    prepared = guard.hear(Prepared)
    assert prepared.guard_pid == guard.process.pid
    assert {r.name for r in prepared.readback} == {"memory_max", "swap_max", "tasks_max"}
    (pid,) = prepared.pids
    assert not has_ended(pid)
    assert not guard.mark.exists()
    guard.say(Control.RELEASE)
    guard.hear()
    assert guard.mark.exists()
    kinds = [type(event) for event in guard.events if not isinstance(event, Sampled)]
    assert kinds[:3] == [Prepared, Ruled, Released]
    assert kinds[-1] is Ended
    assert guard.of(Sampled)
    outcome = guard.events[-1].outcome
    assert (outcome.ending, outcome.exit_code, outcome.survivors, outcome.removed) == (
        Ending.EXITED, 3, 0, True,
    )  # fmt: skip
    assert guard.process.wait(10) == 0
    assert has_ended(prepared.keeper_pid)
    assert guard.nothing_is_left()


LEAVES = """
for procs in $(cut -d: -f2 /proc/self/cgroup | sed 's|^name=||'); do
  f=/sys/fs/cgroup/$procs/cgroup.procs; test -w $f && echo $$ > $f
done
test -w /sys/fs/cgroup/unified/cgroup.procs && echo $$ > /sys/fs/cgroup/unified/cgroup.procs
"""


def test_what_left_the_containment_is_counted_ended_and_told(guard):
    if os.geteuid() != 0:
        pytest.skip("only a privileged load can do this")
    guard.begin(f"{LEAVES}\nsetsid sh -c 'sleep 300 & sleep 300' & sleep 0.5; echo up; exit 0")
    guard.released()
    guard.hear()
    outcome = guard.events[-1].outcome
    assert (outcome.ending, outcome.left_behind, outcome.survivors) == (Ending.EXITED, 3, 0)
    assert bearing(guard.token) == []


def test_without_its_conductor_the_load_is_killed_and_nothing_stays(guard):
    guard.begin(DEAF, DEAF)
    prepared = guard.released()
    guard.socket.close()
    assert guard.process.wait(10) == 0
    assert guard.nothing_is_left()
    assert has_ended(prepared.keeper_pid)


@pytest.mark.parametrize("when", ["before the order", "with the order unread", "before the release"])
def test_without_its_conductor_before_the_release_the_load_never_runs(guard, when):
    guard.begin(f"touch {guard.mark}; sleep 300", send=when != "before the order")
    if when == "before the release":
        guard.hear(Prepared)
    guard.socket.close()
    assert guard.process.wait(10) == 0
    assert guard.nothing_is_left()
    assert not guard.mark.exists()


@pytest.mark.parametrize("when", ["before the release", "while it runs"])
def test_a_guard_killed_with_minus_nine_leaves_nothing(guard, when):
    guard.begin(f"echo up; touch {guard.mark}; sleep 300", DEAF)
    prepared = guard.hear(Prepared) if when == "before the release" else guard.released()
    if when == "while it runs":
        assert until(guard.mark.exists, 10)
    guard.process.kill()
    guard.process.wait()
    assert until(guard.nothing_is_left, 10)
    assert until(lambda: has_ended(prepared.keeper_pid), 10)
    assert guard.mark.exists() is (when == "while it runs")


def test_a_conductor_that_reads_nothing_does_not_stop_the_guard_and_loses_no_event(guard):
    """Its pipe is full after a few readings; wall time and grace are the guard's to keep all the same."""
    guard.begin(
        f"trap 'date +%s.%N > {guard.mark}' TERM; echo up; while :; do sleep 0.02; done",
        small_pipe=True,
        limits=Limits(memory_max=100 * MIB, wall_time=1.0),
        term_grace=0.5,
    )
    guard.released()
    assert until(lambda: not bearing(guard.token), 10)
    guard.hear()
    released, ended = guard.of(Released)[0], guard.of(Ended)[0]
    acts = {act.action: act.at - released.at for act in guard.of(Acted)}
    assert 1.0 <= acts[Action.TERM] < 1.3
    assert 1.5 <= acts[Action.KILL] < 1.8
    assert ended.outcome.ending is Ending.WALL_TIME
    assert ended.dropped == 0
    assert guard.mark.exists()
    seen = [event.reading.host.at for event in guard.of(Sampled)]
    assert max(b - a for a, b in pairwise(seen)) < 1.0, "a reader who sleeps would have cost seconds"
    assert len(seen) >= 12


@pytest.mark.parametrize(
    ("words", "ending", "by"),
    [
        ([Control.STOP], Ending.STOPPED, Action.TERM),
        ([Control.KILL], Ending.STOPPED, Action.KILL),
    ],
)
def test_a_wish_to_stop_is_carried_out(guard, words, ending, by):
    guard.begin(f"trap 'echo bye >> {guard.mark}; exit 0' TERM; echo up; while :; do sleep 0.02; done")
    guard.released()
    for word in words:
        guard.say(word)
    guard.hear()
    assert guard.events[-1].outcome.ending is ending
    assert by in {act.action for act in guard.of(Acted)}
    assert guard.mark.exists() is (by is Action.TERM)


def test_the_second_wish_insists(guard):
    guard.begin(DEAF, term_grace=60.0)
    guard.released()
    guard.say(Control.STOP)
    guard.say(Control.STOP)
    guard.hear()
    assert [act.action for act in guard.of(Acted)][:3] == [Action.THAW, Action.TERM, Action.KILL]
    assert guard.events[-1].outcome.ending is Ending.STOPPED


def test_a_wish_to_stop_before_the_release_ends_a_load_that_never_ran(guard):
    guard.begin(f"touch {guard.mark}; sleep 300")
    guard.hear(Prepared)
    guard.say(Control.STOP)
    guard.hear()
    assert guard.events[-1].outcome.ending is Ending.STOPPED
    assert guard.nothing_is_left()
    assert not guard.mark.exists()


def test_a_wish_to_stop_that_comes_with_the_order_is_not_lost(guard):
    """A conductor that is asked to stop in that very moment says both at once."""
    guard.begin(f"touch {guard.mark}; sleep 300")
    guard.say(Control.STOP)
    guard.hear()
    assert guard.events[-1].outcome.ending is Ending.STOPPED
    assert not guard.mark.exists()


@pytest.mark.parametrize("guard", ["cgroup1"], indirect=True)
def test_what_cannot_be_contained_is_refused_and_nothing_stays(guard):
    taken = guard.backend.create(guard.plan)
    try:
        guard.begin(f"touch {guard.mark}")
        guard.hear()
        (refused,) = guard.events
        assert isinstance(refused, Refused)
        assert (refused.exit_code, bool(refused.message)) == (3, True)
    finally:
        until(taken.remove)
        taken.close()
    assert not guard.mark.exists()


def test_signals_meant_for_others_do_not_end_the_guard(guard):
    guard.begin("echo up; sleep 0.5; exit 4")
    guard.released()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(guard.process.pid, number)
    guard.hear()
    assert guard.events[-1].outcome.exit_code == 4


def test_members_are_guarded_together_and_the_first_bad_end_is_the_loads(guard):
    guard.begin("exit 0", "sleep 0.2; exit 7", "sleep 0.1")
    guard.hear(Prepared)
    guard.say(Control.RELEASE)
    guard.hear()
    outcome = guard.events[-1].outcome
    assert (len(outcome.members), outcome.exit_code, outcome.ending) == (3, 7, Ending.EXITED)


def test_a_low_memory_reading_freezes_and_then_kills(guard):
    """Thresholds above what the machine has stand for a machine that is out of memory.

    One process: a shell stopped in the middle of vfork(2) waits uninterruptibly, which a polled
    freeze cannot tell from running.
    """
    guard.begin("exec sleep 300", reserve=1 << 60, floor=1 << 59, black=0, frozen_max=1.5, clean=0.1)
    guard.hear(Prepared)
    guard.say(Control.RELEASE)
    guard.hear()
    acts = [act.action for act in guard.of(Acted)]
    assert acts[0] is Action.FREEZE
    outcome = guard.events[-1].outcome
    assert outcome.ending is Ending.HOST_MEMORY
    assert outcome.frozen >= 1.5
