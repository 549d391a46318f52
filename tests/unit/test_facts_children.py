"""The child that is made to see whether one can be made: gone whatever happens, a left one removed later."""

import errno
import os
import signal
import threading

import pytest

from steadyrun.contain.facts import clean_up, takes_children
from steadyrun.contain.unified_facts import OLD, PROBE, remove_old_probes, with_child

NOW = 1_700_000_000.0


def left(directory, age):
    path = directory / f"{PROBE}-abc{age:.0f}"
    path.mkdir(parents=True)
    os.utime(path, (NOW - age, NOW - age))
    return path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_the_child_is_there_comes_when_it_is_gone(tmp_path, number):
    seen = []

    def press(child):
        signal.pthread_kill(threading.get_ident(), number)
        assert os.path.isdir(child)
        return seen[:]

    before = signal.signal(number, lambda *_: seen.append(os.listdir(tmp_path)))
    try:
        assert with_child(str(tmp_path), press) == []
        assert seen == [[]]
    finally:
        signal.signal(number, before)


def test_nothing_is_looked_at_where_no_child_can_be_made(tmp_path):
    assert with_child(str(tmp_path / "missing"), os.listdir) is None


def test_a_look_that_fails_leaves_no_child(tmp_path):
    with pytest.raises(FileNotFoundError):
        with_child(str(tmp_path), lambda child: os.listdir(f"{child}/nowhere"))
    assert os.listdir(tmp_path) == []


def test_a_directory_that_takes_any_name_takes_children_and_keeps_none(tmp_path):
    assert takes_children(str(tmp_path))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "takes"),
    [
        (errno.EINVAL, True),
        *((no, False) for no in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENODEV)),
    ],
)
def test_who_may_make_a_child_is_refused_its_name_alone(tmp_path, monkeypatch, number, takes):
    asked = []

    def mkdir(path):
        asked.append(path)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mkdir", mkdir)
    assert takes_children(str(tmp_path)) is takes
    assert asked == [f"{tmp_path}/{PROBE}\n"]


def test_where_nothing_can_be_made_no_child_can_be(tmp_path):
    assert not takes_children(str(tmp_path / "missing"))
    assert not takes_children("/proc")


def test_an_old_empty_child_is_removed_and_nothing_else(tmp_path):
    young, old, full = left(tmp_path, OLD - 1), left(tmp_path, OLD), left(tmp_path, OLD + 1)
    (full / "inside").mkdir()
    os.utime(full, (NOW - 99, NOW - 99))
    other = tmp_path / "steadyrun-probes-of-somebody"
    other.mkdir()
    os.utime(other, (0, 0))
    assert remove_old_probes(str(tmp_path), now=NOW) == 1
    assert not old.exists()
    assert young.exists()
    assert full.exists()
    assert other.exists()


def test_they_are_looked_for_at_our_own_cgroup_and_above_it_in_every_hierarchy(tmp_path):
    proc = tmp_path / "proc/self"
    proc.mkdir(parents=True)
    (proc / "mountinfo").write_text(
        "30 20 0:26 / /cg/unified rw - cgroup2 cgroup2 rw\n"
        "31 20 0:27 / /cg/memory rw - cgroup cgroup rw,memory\n"
    )
    (proc / "cgroup").write_text("2:memory:/a/b\n0::/u\n")
    for where in ("cg/unified", "cg/unified/u", "cg/memory", "cg/memory/a", "cg/memory/a/b"):
        left(tmp_path / where, OLD)
    elsewhere = left(tmp_path / "cg/memory/c", OLD)
    assert clean_up(str(tmp_path), now=NOW) == 5
    assert clean_up(str(tmp_path), now=NOW) == 0
    assert elsewhere.exists()
