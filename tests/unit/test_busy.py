"""Who holds the machine's ramp lock, told so that the reader can look and stop it."""

import os

import pytest

from steadyrun.cli.busy import busy
from steadyrun.ramp.feed import Holder

OURS = "/home/me/.local/state/steadyrun"
NOBODY = 4_000_000_000  # no user of any machine


def process(tmp_path, env, cmdline=b"python\0-m\0steadyrun\0ramp\0"):
    folder = tmp_path / "77"
    folder.mkdir()
    (folder / "cmdline").write_bytes(cmdline)
    (folder / "environ").write_bytes("\0".join(env).encode() + b"\0")
    return str(tmp_path)


def test_our_own_ramp_with_a_journal_elsewhere_is_named_with_it(tmp_path):
    proc = process(tmp_path, ["A=b", "STEADYRUN_STATE_DIR=/srv/a b"])
    error = busy(Holder(77, os.geteuid()), state=OURS, proc=proc)
    assert "(process 77, its record in /srv/a b)" in error.message
    assert "`env STEADYRUN_STATE_DIR='/srv/a b' steadyrun watch` shows it" in error.hint
    assert "sudo" not in error.hint


def test_our_own_ramp_in_our_own_journal_needs_nothing_more(tmp_path):
    proc = process(tmp_path, [f"STEADYRUN_STATE_DIR={OURS}"])
    error = busy(Holder(77, os.geteuid()), state=OURS, proc=proc)
    assert error.hint == "`steadyrun watch` shows it, `steadyrun stop` ends it"


def test_somebody_elses_ramp_is_watched_as_that_user(tmp_path):
    error = busy(Holder(77, NOBODY), state=OURS, proc=str(tmp_path))
    assert f"of #{NOBODY} (process 77)" in error.message
    assert f"`sudo -u '#{NOBODY}' steadyrun stop` ends it" in error.hint


def test_a_number_that_is_another_process_by_now_tells_no_directory(tmp_path):
    proc = process(tmp_path, ["STEADYRUN_STATE_DIR=/srv"], cmdline=b"sleep\0")
    assert "/srv" not in busy(Holder(77, os.geteuid()), state=OURS, proc=proc).message


@pytest.mark.parametrize("name", ["STEADYRUN_STATE_DIR", "HOME", "XDG_STATE_HOME"])
@pytest.mark.parametrize(
    "forged",
    [
        "/srv/\x1b]0;title\x07",
        "/srv\nsteadyrun: all is well",
        "/srv" + " " * 200 + "steadyrun: all is well",
        "/srv/\u202egnorw",
    ],
)
def test_a_directory_that_would_write_on_the_readers_terminal_is_not_told(tmp_path, name, forged):
    proc = process(tmp_path, [f"{name}={forged}"])
    error = busy(Holder(77, NOBODY), state=OURS, proc=proc)
    assert error.message.endswith("(process 77)")
    assert error.hint == busy(Holder(78, NOBODY), state=OURS, proc=proc).hint


def test_where_nothing_can_be_told_nothing_is_made_up():
    error = busy(None, state=OURS)
    assert error.message == "another ramp runs on this machine"
    assert error.exit_code == 75
