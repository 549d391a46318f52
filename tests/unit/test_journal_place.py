"""Where the journal lives."""

from __future__ import annotations

import os
import stat

import pytest

from steadyrun.errors import JournalUnwritableError
from steadyrun.journal.place import choose_dir, state_dir

ME = os.geteuid()


@pytest.mark.parametrize(
    ("env", "euid", "expected"),
    [
        ({"STEADYRUN_STATE_DIR": "/x/y", "HOME": "/home/u"}, 1000, "/x/y"),
        ({"STEADYRUN_STATE_DIR": "/x/y"}, 0, "/x/y"),
        ({"STEADYRUN_STATE_DIR": "", "XDG_STATE_HOME": "/s"}, 1000, "/s/steadyrun"),
        ({"XDG_STATE_HOME": "/s", "HOME": "/home/u"}, 1000, "/s/steadyrun"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/u"}, 1000, "/home/u/.local/state/steadyrun"),
        ({"HOME": "/home/u"}, 1000, "/home/u/.local/state/steadyrun"),
        ({"XDG_STATE_HOME": "/home/u/.s", "HOME": "/home/u", "SUDO_UID": "1000"}, 0, "/var/lib/steadyrun"),
    ],
)
def test_the_place_follows_the_override_then_the_user(env, euid, expected):
    assert choose_dir(env, euid) == expected


def test_a_relative_override_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert choose_dir({"STEADYRUN_STATE_DIR": "state"}, 1000) == str(tmp_path / "state")


def test_a_user_without_a_home_is_told_the_override():
    with pytest.raises(JournalUnwritableError) as caught:
        choose_dir({}, 4_000_000_000)
    assert "STEADYRUN_STATE_DIR" in str(caught.value.hint)


def test_a_missing_directory_is_made_for_this_user_alone(tmp_path):
    old = os.umask(0)
    try:
        made = state_dir({"STEADYRUN_STATE_DIR": str(tmp_path / "a" / "b")}, ME)
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(made).st_mode) == 0o700


def test_a_directory_that_others_can_write_to_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(JournalUnwritableError) as caught:
        state_dir({"STEADYRUN_STATE_DIR": str(tmp_path)}, ME)
    assert caught.value.exit_code == 74
    assert caught.value.hint == f"chmod go-w {tmp_path}"


def test_a_directory_of_another_user_is_refused(tmp_path):
    with pytest.raises(JournalUnwritableError, match=f"of uid {ME + 1}, found one of uid {ME}"):
        state_dir({"STEADYRUN_STATE_DIR": str(tmp_path)}, ME + 1)


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "state").write_text("")
    with pytest.raises(JournalUnwritableError, match="state: expected a directory"):
        state_dir({"STEADYRUN_STATE_DIR": str(tmp_path / "state")}, ME)
