"""What others chose and root reads: an error's two lines stay two lines of plain text."""

import pytest

from steadyrun.cli.complaint import complaint
from steadyrun.cli.main import main


def test_a_message_and_its_hint_are_a_line_each():
    assert complaint("x: expected a, found é", "`type this`") == (
        "steadyrun: x: expected a, found é\n  `type this`\n"
    )
    assert complaint("x", None) == "steadyrun: x\n"


@pytest.mark.parametrize("forged", ["\x1b]0;title\x07", "\nsteadyrun: all is well", "\r\x1b[2K", "\udce9"])
def test_nothing_in_them_reaches_the_terminal_as_more_than_text(forged):
    told = complaint(f"a{forged}", f"b{forged}")
    assert told.count("\n") == 2
    assert told.replace("\n", "").isprintable()


def test_what_was_typed_is_told_back_harmless(capsys):
    assert main(["\x1b]0;title\x07"]) == 2
    assert capsys.readouterr().err.startswith("steadyrun: no such command: \\x1b]0;title\\x07\n")


def test_an_error_of_a_command_is_told_harmless(tmp_path, monkeypatch, capsys):
    (tmp_path / "\x1b[2J").write_text("")
    monkeypatch.setenv("STEADYRUN_STATE_DIR", f"{tmp_path}/\x1b[2J")
    assert main(["history"]) == 74
    assert capsys.readouterr().err.startswith(f"steadyrun: {tmp_path}/\\x1b[2J: expected a directory")
