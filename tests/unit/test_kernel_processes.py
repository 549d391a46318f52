"""Processes by pid and start, in a tree of files and on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from desktop_tree import Tree

from steadyrun.contain.processes import LOOKED_AT, is_alive, living
from steadyrun.kernel.processes import pid_alive, pid_started, stat_of

HEADLESS = Path(__file__).parents[1] / "real/hostile/headless.py"


@pytest.fixture
def tree(tmp_path):
    found = Tree(tmp_path)
    found.process(42, "a (b) c", ticks=2525)
    return found


def test_a_process_is_its_pid_and_its_start_time(tree):
    assert pid_started(42, tree.root) == 2525
    assert pid_started(44, tree.root) is None
    assert pid_alive(42, 2525, tree.root)
    assert not pid_alive(42, 2524, tree.root)
    assert not pid_alive(44, 2525, tree.root)


@pytest.mark.parametrize(
    ("state", "ended"), [*((each, False) for each in "RSDTtIP"), *((each, True) for each in "ZXx")]
)
def test_a_zombie_and_what_is_dead_have_ended(tree, state, ended):
    tree.process(43, "x", ticks=2600, state=state)
    assert stat_of(43, tree.root).has_ended() is ended
    assert pid_started(43, tree.root) == 2600
    assert pid_alive(43, 2600, tree.root) is not ended


def test_what_is_no_line_of_a_process_is_none(tree):
    tree.file("proc/43/stat", "43 (x")
    assert stat_of(43, tree.root) is None
    assert pid_started(43, tree.root) is None
    assert not pid_alive(43, 0, tree.root)


def test_a_process_of_this_machine_is_alive_until_it_is_a_zombie():
    child = subprocess.Popen(["sleep", "60"])
    try:
        started = pid_started(child.pid)
        assert started is not None
        assert pid_alive(child.pid, started)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert pid_started(child.pid) == started
        assert not pid_alive(child.pid, started)
        assert not is_alive(child.pid)
    finally:
        child.kill()
        child.wait()
    assert pid_started(child.pid) is None


def test_a_process_of_ours_is_over_with_its_main_thread_and_one_of_a_load_with_its_last():
    child = subprocess.Popen([sys.executable, "-I", "-S", HEADLESS], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"ready\n"
        assert not pid_alive(child.pid, pid_started(child.pid))
        assert is_alive(child.pid)
    finally:
        child.kill()
        child.communicate()


def test_of_a_short_list_only_who_is_alive_counts_and_a_long_one_is_believed():
    nobody = 2**22  # above every pid (pid_max is at most that: proc_sys_kernel(5))
    assert living({nobody + 1, os.getpid(), nobody}) == (os.getpid(),)
    crowd = range(nobody, nobody + LOOKED_AT + 1)
    assert living(set(crowd)) == tuple(crowd)
