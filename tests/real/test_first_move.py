"""The head start of a start: it changes nothing, and is over and reaped."""

import os
import time

import pytest

from steadyrun.contain import first_move
from steadyrun.contain.facts import read_facts
from steadyrun.contain.first_move import FirstMove

pytestmark = [pytest.mark.real]


def own_cgroups():
    with open("/proc/self/cgroup") as file:
        return file.read()


def children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read().split()


def test_nothing_has_moved_and_no_child_is_left():
    before, had = own_cgroups(), children()
    move = FirstMove(read_facts())
    move.over()
    move.over()
    assert own_cgroups() == before
    assert children() == had


def test_it_keeps_moving_until_the_move_is_made():
    move = FirstMove(read_facts())
    if not move._pid:
        pytest.skip("no hierarchy in which a cgroup can be made")
    try:
        time.sleep(first_move.AGAIN_MS * 10 / 1000)
        assert os.waitid(os.P_PID, move._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        began = time.monotonic()
        move.made()
        os.waitid(os.P_PID, move._pid, os.WEXITED | os.WNOWAIT)
        assert time.monotonic() - began < first_move.AT_MOST_S / 2
    finally:
        move.over()


def test_it_ends_by_itself_after_a_while(monkeypatch):
    monkeypatch.setattr(first_move, "AT_MOST_S", 0.01)
    move = FirstMove(read_facts())
    if not move._pid:
        pytest.skip("no hierarchy in which a cgroup can be made")
    os.waitid(os.P_PID, move._pid, os.WEXITED | os.WNOWAIT)
    move.over()


def test_where_no_cgroup_can_be_made_no_child_is_either():
    facts, had = read_facts(), children()
    FirstMove(facts._replace(creatable=()))
    assert children() == had
