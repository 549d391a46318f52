"""Whether a stopped process group has somebody to continue it."""

import subprocess
import sys

import pytest

from steadyrun.kernel.proc import PidStat
from steadyrun.run.jobs import is_orphaned

GROUP = 30


def process(pid, ppid, pgrp, session, state="S"):
    return PidStat(pid, "x", state, ppid, pgrp, session, 0, 0, 0)


INIT, TERMINAL, SHELL = process(1, 0, 1, 1), process(10, 1, 10, 10), process(20, 10, 20, 20)


@pytest.mark.parametrize(
    ("others", "orphaned"),
    [
        ([process(30, 20, GROUP, 20)], False),
        ([process(30, 10, GROUP, 30)], True),
        ([process(30, 1, GROUP, 20)], True),
        ([process(30, 10, GROUP, 30), process(31, 30, GROUP, 30)], True),
        ([process(30, 20, GROUP, 20), process(31, 30, GROUP, 20)], False),
        ([process(30, 1, GROUP, 20), process(31, 20, GROUP, 20)], False),
        ([process(30, 1, GROUP, 20), process(31, 20, GROUP, 20, "Z")], True),
        ([process(30, 20, GROUP, 20, "T")], False),
        ([process(30, 0, GROUP, 30)], True),
        ([process(30, 25, GROUP, 20)], False),
        ([process(30, 10, GROUP, 30), process(31, 20, 31, 20)], True),
    ],
    ids=[
        "a shell's job", "a session's leader", "left by its shell", "all of a session's leader",
        "a script and what it runs", "one of a pipeline has the shell", "that one has ended",
        "stopped already", "the first of a container", "a parent that is hidden", "another group's",
    ],
)  # fmt: skip
def test_a_group_is_orphaned_when_no_member_has_a_parent_beside_it_in_its_session(others, orphaned):
    processes = {p.pid: p for p in (INIT, TERMINAL, SHELL, *others)}
    assert is_orphaned(GROUP, processes) is orphaned


ASK = "from steadyrun.run.jobs import in_orphaned_group as it; print(it())"


@pytest.mark.parametrize(
    ("how", "expected"),
    [({"process_group": 0}, "False"), ({"start_new_session": True}, "True")],
    ids=["a job of ours", "a session of its own"],
)
def test_our_own_group_is_looked_up(how, expected):
    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True, **how)
    assert asked.stdout.strip() == expected
