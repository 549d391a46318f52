"""The head start of a start: it changes nothing, and is over and reaped."""

import os

import pytest

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


def test_where_no_cgroup_can_be_made_no_child_is_either():
    facts, had = read_facts(), children()
    FirstMove(facts._replace(creatable=()))
    assert children() == had
