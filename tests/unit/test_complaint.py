"""What others chose and root reads: an error's two lines stay two lines of plain text."""

import os
import shutil

import pytest

from steadyrun.cli import main as main_module
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


@pytest.mark.parametrize(
    ("there", "euid", "typed"),
    [("/usr/bin/sudo", 1000, "sudo a"), (None, 1000, "a   # as root: there is no sudo here"), (None, 0, "a")],
)
def test_a_hint_is_as_it_can_be_typed_here(capsys, monkeypatch, there, euid, typed):
    monkeypatch.setattr(shutil, "which", lambda _name: there)
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    assert main_module._complain("x", "sudo a", 2) == 2
    assert capsys.readouterr().err == f"steadyrun: x\n  {typed}\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["sh", "-c", "a b"], "a command goes after --: steadyrun run -- sh -c 'a b'"),
        (["no-such-thing-anywhere"], "`steadyrun --help` lists the commands"),
        (["rnu"], "did you mean `steadyrun run`?"),
        (["--"], "`steadyrun --help` lists the commands"),
    ],
)
def test_a_first_word_that_is_no_command_of_ours_may_be_one_of_the_machines(capsys, words, hint):
    assert main(words) == 2
    assert capsys.readouterr().err.splitlines()[1].strip() == hint
