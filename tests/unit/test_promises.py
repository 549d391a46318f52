"""What loads that run may still take, whoever runs them, from a tree of cgroup files."""

import fcntl
import os

import pytest

from steadyrun.contain import promises
from steadyrun.model.containment import BackendName, ContainmentPlan

GIB = 2**30


class Backend:
    """Only says where its containments stand."""

    def __init__(self, parent, directories=("somewhere",)):
        self._parent, self._directories = str(parent), directories

    def plan(self, name):
        return ContainmentPlan(BackendName.CGROUP2, name, self._parent, self._directories, None, None, ())


def group(directory, limit, usage, cache=0, *, legacy=False):
    directory.mkdir(parents=True)
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    of_limit, of_usage, of_cache = names if legacy else ("memory.max", "memory.current", "inactive_file")
    (directory / of_limit).write_text(f"{limit}\n")
    (directory / of_usage).write_text(f"{usage}\n")
    (directory / "memory.stat").write_text(f"anon 5\n{of_cache} {cache}\n")


@pytest.mark.parametrize("legacy", [False, True])
def test_cache_that_is_available_anyway_is_no_part_of_what_it_has(tmp_path, legacy):
    group(tmp_path / "steadyrun/a", 3 * GIB, 2 * GIB, GIB, legacy=legacy)
    backend = Backend(tmp_path / "steadyrun")
    assert promises.promised_here(backend) == ((3 * GIB, GIB),)
    assert promises.left_by_others(5 * GIB, backend) == 3 * GIB


def test_one_without_a_limit_or_a_name_of_ours_is_left_out(tmp_path):
    group(tmp_path / "steadyrun/a", "max", GIB)
    group(tmp_path / "user.slice/app.slice/other.service", GIB, 0)
    (tmp_path / "steadyrun/gone").mkdir()
    assert promises.promised_here(Backend(tmp_path / "steadyrun")) == ()


@pytest.mark.parametrize(
    "own",
    [
        "steadyrun.slice",
        "user.slice/user-1000.slice/user@1000.service/steadyrun.slice",
        "user.slice/user-1002.slice/session-4.scope",
        "system.slice/ci.service/steadyrun",
    ],
)
def test_on_systemd_those_of_root_and_of_every_user_are_seen_from_everywhere(tmp_path, own):
    group(tmp_path / "steadyrun.slice/steadyrun-a-1.service", 4 * GIB, GIB)
    for uid in (1000, 1001):
        manager = tmp_path / f"user.slice/user-{uid}.slice/user@{uid}.service"
        group(manager / f"steadyrun.slice/steadyrun-{uid}-1.service", GIB, 0)
    (tmp_path / own).mkdir(parents=True, exist_ok=True)
    assert promises.left_by_others(12 * GIB, Backend(tmp_path / own)) == 7 * GIB


def test_a_backend_without_cgroups_promises_nothing_that_could_be_read(tmp_path):
    assert promises.promised_here(Backend(tmp_path, directories=())) == ()


def is_taken(directory):
    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def test_one_start_at_a_time_has_the_turn_and_a_child_does_not_keep_it(tmp_path):
    turn = promises.Turn(Backend(tmp_path / "steadyrun"))
    assert is_taken(tmp_path)
    copy = os.dup(turn._fd)  # what a child that was forked meanwhile has
    turn.over()
    assert not is_taken(tmp_path)
    os.close(copy)
    turn.over()


def test_who_does_not_get_it_in_time_goes_on_without(tmp_path, monkeypatch):
    monkeypatch.setattr(promises, "TURN_WITHIN", 0.0)
    first, second = (promises.Turn(Backend(tmp_path / "steadyrun")) for _ in range(2))
    second.over()
    assert is_taken(tmp_path)
    first.over()


def test_where_there_is_nothing_to_lock_nobody_waits(tmp_path):
    promises.Turn(Backend(tmp_path / "missing/steadyrun")).over()
