"""The keeper alone: a process that knows nothing but a pipe and paths, and ends the load of a dead guard."""

import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from program import has_ended

from conftest import PYTHON, bearing, until
from steadyrun.guard import keeper
from steadyrun.guard.keeping import Keeper, _arguments
from steadyrun.model.containment import BackendName

pytestmark = pytest.mark.real

HOSTILE = Path(__file__).with_name("hostile")
SILENCE = 0.4
"""Seconds, in place of the keeper's three."""
BEATING = "import os, time\nwhile True:\n    os.write(1, b'.')\n    time.sleep(0.05)"
MANY_SILENCES = 3 * SILENCE


@pytest.fixture(params=["cgroup1", "legacy", "poll"])
def held(request, hold, backend_named):
    """A containment of each kind: killed by cgroup.kill, by the freezer, by a walk of /proc."""
    if request.param == "legacy":
        return hold(request.getfixturevalue("legacy_backend"))
    return hold(backend_named(BackendName(request.param)))


class Kept:
    """A keeper process, and the pipe whose write end stands for the guard."""

    def __init__(self, held, *, program=keeper.__file__, silence=SILENCE, words=None):
        read_end, self.guard = os.pipe2(os.O_CLOEXEC)
        words = _arguments(held.containment.made) if words is None else words
        self.process = subprocess.Popen([*PYTHON, program, *words, "silence", str(silence)], stdin=read_end)
        os.close(read_end)

    def say(self, word):
        os.write(self.guard, word)

    def hang_up(self):
        if self.guard >= 0:
            os.close(self.guard)
            self.guard = -1

    def end(self):
        self.hang_up()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


@pytest.fixture
def keep():
    made = []

    def start(*arguments, **options):
        made.append(Kept(*arguments, **options))
        return made[-1]

    yield start
    for each in made:
        each.end()


def start_load(held):
    """Start a load that ignores TERM and has a child in a session of its own; return once both run."""
    held.start(
        "/bin/sh", "-c", "trap '' TERM HUP INT; setsid sleep 300 & setsid sleep 301 & echo up; sleep 302"
    )
    assert held.read_line() == "up"
    assert until(lambda: len(bearing(held.token)) == 4)


def is_gone(held):
    held._reap()
    return not bearing(held.token) and held.backend.reopen(held.containment.made) is None


def directories_gone(held):
    return not any(os.path.exists(path) for path in held.plan.directories)


def test_a_dead_guard_costs_the_load_its_life_and_its_directories(held, keep):
    start_load(held)
    kept = keep(held)
    kept.hang_up()
    assert until(lambda: not bearing(held.token) or held._reap())
    assert until(lambda: kept.process.poll() == 0)
    assert directories_gone(held)


def test_a_guard_that_died_before_the_keeper_ran_is_found_dead(held, keep):
    """`run -- true` is over before an interpreter has started: the end of the pipe waits for it."""
    start_load(held)
    read_end, write_end = os.pipe()
    os.close(write_end)
    words = [*_arguments(held.containment.made), "silence", "60"]
    done = subprocess.run([*PYTHON, keeper.__file__, *words], stdin=read_end, timeout=20, check=False)
    os.close(read_end)
    assert done.returncode == 0
    assert until(lambda: held._reap() or not bearing(held.token))
    assert directories_gone(held)


def test_a_guard_killed_with_minus_nine_is_noticed_at_once(held, keep):
    start_load(held)
    kept = keep(held, silence=600)
    guard = subprocess.Popen([*PYTHON, "-c", BEATING], stdout=kept.guard)
    kept.hang_up()
    assert not until(lambda: kept.process.poll() is not None, 0.5)
    guard.kill()
    guard.wait()
    assert until(lambda: kept.process.poll() == 0)
    assert until(lambda: held._reap() or not bearing(held.token))


def test_a_guard_that_beats_is_left_alone_and_one_that_is_stopped_is_dead(held, keep):
    start_load(held)
    kept = keep(held)
    guard = subprocess.Popen([*PYTHON, "-c", BEATING], stdout=kept.guard)
    try:
        assert not until(lambda: kept.process.poll() is not None, MANY_SILENCES)
        assert len(bearing(held.token)) == 4
        os.kill(guard.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        assert until(lambda: kept.process.poll() == 0)
        assert time.monotonic() - stopped >= SILENCE - 0.1
        assert until(lambda: held._reap() or not bearing(held.token))
        assert directories_gone(held)
    finally:
        guard.kill()
        guard.wait()


def test_a_frozen_load_is_ended_as_well(held, keep):
    start_load(held)
    held.containment.freeze()
    assert until(held.containment.is_frozen)
    kept = keep(held)
    kept.hang_up()
    assert until(lambda: kept.process.poll() == 0)
    assert until(lambda: held._reap() or not bearing(held.token))
    assert directories_gone(held)


@pytest.mark.parametrize("name", ["forker.py", "burrow.py", "stopped.py"])
def test_a_hostile_load_is_ended_where_the_kernel_holds_it(contained, keep, name):
    contained.apply(tasks_max=200)
    contained.start(*PYTHON, str(HOSTILE / name))
    assert contained.read_line()
    kept = keep(contained)
    kept.hang_up()
    assert until(lambda: kept.process.poll() == 0, 20.0)
    contained._reap()
    assert until(lambda: not bearing(contained.token))
    assert directories_gone(contained)


def test_an_announced_silence_is_no_death_until_the_next_sign_of_life(held, keep):
    start_load(held)
    kept = keep(held)
    kept.say(keeper.BEAT + keeper.PAUSE)
    assert not until(lambda: kept.process.poll() is not None, MANY_SILENCES)
    assert len(bearing(held.token)) == 4
    kept.say(keeper.BEAT)
    assert until(lambda: kept.process.poll() == 0)
    assert until(lambda: held._reap() or not bearing(held.token))


def test_a_guard_that_dies_while_it_is_paused_is_dead(held, keep):
    start_load(held)
    kept = keep(held)
    kept.say(keeper.PAUSE)
    kept.hang_up()
    assert until(lambda: kept.process.poll() == 0)
    assert until(lambda: held._reap() or not bearing(held.token))


def test_a_keeper_that_slept_itself_listens_once_more_before_it_kills(held, keep):
    """A suspend stops guard and keeper alike: the silence was everybody's."""
    start_load(held)
    kept = keep(held)
    kept.say(keeper.BEAT)
    assert until(lambda: _is_polling(kept.process.pid))
    os.kill(kept.process.pid, signal.SIGSTOP)
    time.sleep(SILENCE + keeper.OVERSLEPT_S + 0.2)
    os.kill(kept.process.pid, signal.SIGCONT)
    time.sleep(SILENCE / 2)
    kept.say(keeper.BEAT)
    assert not until(lambda: kept.process.poll() is not None, SILENCE / 2)
    assert len(bearing(held.token)) == 4
    assert until(lambda: kept.process.poll() == 0)


def _is_polling(pid):
    """Tell whether it waits: its state is S and it has read all there was."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_a_directory_that_is_another_one_by_now_is_left_alone(contained, keep):
    start_load(contained)
    words = [
        "0:" + word.partition(":")[2] if name == "dir" else word
        for name, word in _pairs(_arguments(contained.containment.made))
    ]
    names = _arguments(contained.containment.made)[::2]
    kept = keep(contained, words=[each for pair in zip(names, words, strict=True) for each in pair])
    kept.hang_up()
    assert until(lambda: kept.process.poll() == 0)
    assert len(bearing(contained.token)) == 4
    assert not directories_gone(contained)


def _pairs(words):
    return list(zip(words[::2], words[1::2], strict=True))


def test_it_needs_nothing_of_steadyrun_and_no_setting(contained, keep, tmp_path):
    """The file alone, elsewhere, with nothing installed: it cannot fail for what the guard failed for."""
    start_load(contained)
    kept = keep(contained, program=shutil.copy(keeper.__file__, tmp_path / "alone.py"))
    kept.hang_up()
    assert until(lambda: kept.process.poll() == 0)
    assert until(lambda: is_gone(contained))


def test_a_guard_that_ends_well_dismisses_it_and_nothing_is_touched(held):
    start_load(held)
    before = set(os.listdir("/proc/self/fd"))
    ours = Keeper(held.containment.made)
    ours.beat(0.0)
    ours.dismiss()
    assert has_ended(ours.pid)
    assert set(os.listdir("/proc/self/fd")) <= before
    assert len(bearing(held.token)) == 4


def test_a_dead_keeper_does_not_stop_its_guard(contained):
    ours = Keeper(contained.containment.made)
    os.kill(ours.pid, signal.SIGKILL)
    assert select.select([ours.pidfd], [], [], 10)[0]
    for second in range(3):
        ours.beat(float(second))
    ours.pause()
    ours.dismiss()


def test_the_started_keeper_is_patient_for_three_seconds():
    assert keeper._parse([])["silence"] == [str(keeper.SILENCE_S)] == ["3.0"]
