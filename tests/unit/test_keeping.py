"""The keeper's replacement: without pause only when it had watched, told once, never an exception."""

import os
import select
import signal
import sys

import pytest

from steadyrun.guard import keeping
from steadyrun.guard.keeping import NEVER, RETRY_FIRST, RETRY_LAST, Keeping
from steadyrun.model.containment import ContainmentMade


@pytest.fixture
def made():
    from steadyrun.contain.fake import FakeBackend

    return ContainmentMade(FakeBackend().plan("keeping")._replace(marker=None), ())


@pytest.fixture
def keep(made):
    kept = Keeping(made)
    yield kept
    kept.dismiss()


def end(kept, number=signal.SIGKILL):
    os.kill(kept.pid, number)
    assert select.select([kept.pidfd], [], [], 10)[0]


def broken(monkeypatch, tmp_path, script="#!/bin/sh\nexit 127\n"):
    program = tmp_path / "python"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setattr(keeping.sys, "executable", str(program))


def test_it_says_that_it_watches(keep):
    assert keep.watches(20.0)
    assert not keep.failed()


def test_one_that_watched_for_a_while_is_replaced_at_once(keep):
    assert keep.watches(20.0)
    first, now = keep.pid, keep._keeper.started + RETRY_FIRST
    end(keep)
    lost = keep.lost(now)
    assert not lost.did_its_work
    assert f"started another one, pid {keep.pid}" in lost.finding.title
    assert keep.pid not in (0, first)
    assert keep.retry_at == NEVER


def test_one_that_did_its_work_is_not_replaced(keep):
    assert keep.watches(20.0)
    os.close(keep._keeper._pipe)
    keep._keeper._pipe = os.open(os.devnull, os.O_RDONLY)
    assert select.select([keep.pidfd], [], [], 20)[0]
    assert keep.lost(0.0) == (True, None)
    assert (keep.pid, keep.pidfd, keep.retry_at) == (0, -1, NEVER)


def test_one_that_cannot_start_is_tried_again_ever_more_rarely_and_told_once(made, monkeypatch, tmp_path):
    broken(monkeypatch, tmp_path)
    keep = Keeping(made)
    now, tries, told = 1000.0, [], []
    for _ in range(8):
        assert select.select([keep.pidfd], [], [], 10)[0]
        assert keep.failed()
        told.append(keep.lost(now).finding)
        tries.append(keep.retry_at - now)
        assert keep.retry(now + tries[-1] - 0.001) is None
        assert keep.pid == 0
        now += tries[-1]
        assert keep.retry(now) is None
        assert keep.pid != 0
    keep.dismiss()
    assert tries == [RETRY_FIRST, 2, 4, 8, 16, RETRY_LAST, RETRY_LAST, RETRY_LAST]
    assert [finding is None for finding in told] == [False] + [True] * 7
    assert "code 127" in told[0].title


def test_one_that_cannot_be_spawned_is_done_without_and_tried_again(keep, monkeypatch):
    assert keep.watches(20.0)
    now = keep._keeper.started + RETRY_FIRST
    end(keep)
    with monkeypatch.context() as patch:
        patch.setattr(keeping.sys, "executable", "/nowhere/python")
        before = set(os.listdir("/proc/self/fd"))
        lost = keep.lost(now)
        assert "goes on without one" in lost.finding.title
        assert keep.retry(now + RETRY_FIRST) is None  # told already
        assert len(os.listdir("/proc/self/fd")) < len(before)
        keep.beat(now)
        keep.pause()
        assert (keep.pid, keep.retry_at) == (0, now + RETRY_FIRST + 2 * RETRY_FIRST)
    assert keep.retry(keep.retry_at) is None
    assert keep.watches(20.0)


def test_one_that_is_killed_again_and_again_as_soon_as_it_watches_is_not_a_load_of_its_own(keep):
    for wait in (1.0, 2.0, 4.0):
        assert keep.watches(20.0)
        now = keep._keeper.started + 0.5
        end(keep)
        keep.lost(now)
        assert keep.retry_at == pytest.approx(now + wait)
        keep.retry(keep.retry_at)


def test_a_python_that_needs_its_library_path_gets_it(made, monkeypatch, tmp_path):
    seen = tmp_path / "seen"
    broken(monkeypatch, tmp_path, f'#!/bin/sh\n/usr/bin/env > "{seen}"\n')
    monkeypatch.setenv("LD_LIBRARY_PATH", "/some/where")
    monkeypatch.setenv("PYTHONHOME", "/else/where")
    keep = Keeping(made)
    assert select.select([keep.pidfd], [], [], 10)[0]
    keep.dismiss()
    assert "LD_LIBRARY_PATH=/some/where" in seen.read_text().splitlines()
    assert "PYTHONHOME" not in seen.read_text()


def test_a_tree_nested_deeper_than_calls_may_is_seen_deepest_last_and_removed(tmp_path):
    """As a load makes it that may make cgroups; the keeper has nobody who would catch a RecursionError."""
    from steadyrun.guard import keeper

    deep = sys.getrecursionlimit() + 100
    top = tmp_path / "t"
    nest(top, deep)
    found = keeper._tree(str(top))
    assert (len(found), found[0]) == (deep + 1, str(top))
    assert keeper._remove(str(top))
    assert not top.exists()


def nest(top, deep):
    """Make folders within each other; os.makedirs calls itself for each."""
    path = str(top)
    os.mkdir(path)
    for _ in range(deep):
        path += "/d"
        os.mkdir(path)
