"""The one question before the dangerous part: whom it is asked, and what counts as a yes."""

import io
import os
import pty
import sys

import pytest

from steadyrun.cli.enter import wait_for_enter


class Stream(io.StringIO):
    def __init__(self, text="", *, tty):
        super().__init__(text)
        self.isatty = lambda: tty


@pytest.fixture
def asked(monkeypatch):
    """Ask; return what was shown on standard output and error."""

    def ask(typed="\n", *, here=True, out=True, err=True, yes=False):
        streams = Stream(typed, tty=here), Stream(tty=out), Stream(tty=err)
        for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
            monkeypatch.setattr(sys, name, stream)
        wait_for_enter("Begin? ", yes=yes)
        return streams[1].getvalue(), streams[2].getvalue()

    return ask


@pytest.mark.parametrize("typed", ["\n", "y\n", "YES\n", " \n"])
def test_enter_begins(asked, typed):
    assert asked(typed) == ("Begin? ", "")


@pytest.mark.parametrize("typed", ["n\n", "no\n", "q\n", "what?\n", ""])
def test_anything_else_leaves(asked, typed):
    with pytest.raises(KeyboardInterrupt):
        asked(typed)


def test_who_sits_there_is_asked_also_when_the_output_goes_to_a_pipe(asked):
    assert asked(out=False) == ("", "Begin? ")
    with pytest.raises(KeyboardInterrupt):
        asked("n\n", out=False)


@pytest.mark.parametrize("who", [{"yes": True}, {"here": False}, {"out": False, "err": False}])
def test_nobody_is_asked_who_said_yes_or_is_not_there(asked, who):
    assert asked("n\n", **who) == ("", "")


@pytest.mark.parametrize("name", ["stdin", "stderr"])
def test_a_stream_that_was_closed_is_nobody(monkeypatch, asked, name):
    streams = {"stdin": Stream("n\n", tty=True), "stdout": Stream(tty=False), "stderr": Stream(tty=True)}
    for each, stream in (streams | {name: None}).items():
        monkeypatch.setattr(sys, each, stream)
    wait_for_enter("Begin? ", yes=False)


def test_a_job_in_the_background_does_not_ask():
    pid, terminal = pty.fork()
    if pid == 0:
        behind = os.fork()
        if behind == 0:
            os.setpgid(0, 0)
            wait_for_enter("Begin? ", yes=False)
            os._exit(0)
        _, status = os.waitpid(behind, os.WUNTRACED)
        os._exit(0 if os.WIFEXITED(status) else 1)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        os.close(terminal)
