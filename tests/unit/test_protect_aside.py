"""Whatever another user's manager answers, root is told in time that it did not go well, and nothing else."""

import os
import time

import pytest

from steadyrun.errors import BusError
from steadyrun.protect import aside
from steadyrun.protect.aside import as_user

ME = os.geteuid()


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    """A runtime directory for us, wherever this runs."""
    real = os.stat

    def stat(path, *args, **kwargs):
        return real(tmp_path if path == f"/run/user/{ME}" else path, *args, **kwargs)

    monkeypatch.setattr(aside.os, "stat", stat)


def forever():
    while True:
        pass


def test_what_goes_well_is_done_and_nothing_is_said(tmp_path):
    as_user(ME, lambda: (tmp_path / "done").write_text("x"), seconds=10)
    assert (tmp_path / "done").read_text() == "x"


def test_what_never_ends_is_ended(tmp_path):
    began = time.monotonic()
    with pytest.raises(BusError, match="no answer in time") as caught:
        as_user(ME, forever, seconds=0.3)
    assert caught.value.silent
    assert time.monotonic() - began < 5


def test_what_takes_all_memory_finds_an_end_of_it():
    def swell():
        held = []
        while True:
            held.append(bytearray(64 << 20))

    with pytest.raises(BusError, match="MemoryError"):
        as_user(ME, swell, seconds=30)


def test_an_error_comes_back_as_one(tmp_path):
    def refuse():
        raise BusError("not you\x1b[2J\n" + "x" * 1000)

    def keep_silent():
        raise BusError("later", silent=True)

    with pytest.raises(BusError) as caught:
        as_user(ME, refuse, seconds=10)
    assert caught.value.message.startswith("not you?[2J?x")
    assert len(caught.value.message) <= 300
    assert not caught.value.silent
    with pytest.raises(BusError, match="later") as caught:
        as_user(ME, keep_silent, seconds=10)
    assert caught.value.silent


def test_what_nobody_foresaw_is_an_error_like_any_other():
    with pytest.raises(BusError, match="cannot be understood"):
        as_user(ME, lambda: list(5), seconds=10)
    with pytest.raises(BusError, match="ended with -9"):
        as_user(ME, lambda: os.kill(os.getpid(), 9), seconds=10)


def test_nothing_that_it_opens_or_changes_is_left_here():
    before, seen = sorted(os.listdir("/proc/self/fd")), []
    as_user(ME, lambda: seen.append(1), seconds=10)
    assert seen == []
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(ME != 0, reason="root alone can be somebody else")
def test_it_has_that_users_rights_alone(tmp_path, monkeypatch):
    real = os.stat
    monkeypatch.setattr(aside.os, "stat", lambda path, *args, **kwargs: real(tmp_path, *args, **kwargs))
    hear, say = os.pipe()
    as_user(4242, lambda: os.write(say, f"{os.getresuid()} {os.getgroups()}".encode()), seconds=10)
    assert os.read(hear, 100) == b"(4242, 4242, 4242) []"
    os.close(hear)
    os.close(say)


def test_a_user_who_is_not_there_is_an_error():
    with pytest.raises(BusError, match="/run/user/4242: No such file"):
        as_user(4242, lambda: None, seconds=10)
