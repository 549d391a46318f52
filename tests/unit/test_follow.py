"""The client of a ramp: how it shows what the feed tells, and what it says and returns at the end."""

import argparse
import os
import signal
import subprocess
import sys

import pytest
import records

from steadyrun.cli.follow import CI_VARIABLES, Follower, Interrupts, Show, progress_mode
from steadyrun.cli.settings import Found, Settings
from steadyrun.model.codec import encode
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.record import RunEnd
from steadyrun.ramp.feed import Feed
from steadyrun.ramp.launch import Launched, leave_words


@pytest.fixture
def terminal(monkeypatch):
    """Say what the program finds around it."""

    def found(*, tty, **environment):
        for name in (*CI_VARIABLES, "TERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: tty, raising=False)

    return found


def mode(asked=None, *, quiet=False, setting=None):
    args = argparse.Namespace(progress=asked, quiet=quiet)
    return progress_mode(args, Settings(progress=Found(setting, "a file")) if setting else Settings())


@pytest.mark.parametrize(
    ("tty", "environment", "expected"),
    [
        (True, {"TERM": "xterm"}, "bar"),
        (False, {"TERM": "xterm"}, "text"),
        (True, {"TERM": "dumb"}, "text"),
        (True, {}, "text"),
        *((True, {"TERM": "xterm", name: "true", "FORCE_COLOR": "1"}, "text") for name in CI_VARIABLES),
    ],
)
def test_a_live_view_is_for_a_terminal_alone_and_never_for_ci(terminal, tty, environment, expected):
    terminal(tty=tty, **environment)
    assert mode() == mode("auto") == expected


def test_what_was_asked_rules_then_the_setting_and_quiet_rules_over_both(terminal):
    terminal(tty=False)
    assert mode("bar", setting="none") == "bar"
    assert mode(setting="none") == "none"
    assert mode("bar", quiet=True) == "none"
    assert mode("auto", setting="none") == "text"


def told(name, value):
    return {name: encode(value)}


def test_text_shows_each_change_once_and_readings_not_at_all(capsys):
    show = Show("text", "")
    show.hear(told("record", records.halfway()))
    first = capsys.readouterr().out
    assert "phase 3 Moderate: started" in first
    show.hear(told("reading", records.reading(1)))
    show.hear(told("record", records.halfway()))
    assert capsys.readouterr().out == ""
    show.hear(told("record", records.passed()))
    later = capsys.readouterr().out
    assert "phase 3 Moderate: passed" in later
    assert "phase 1" not in later


@pytest.mark.parametrize("way", ["none", "text"])
def test_the_newest_record_is_kept_whatever_is_shown(capsys, way):
    show = Show(way, "")
    show.hear(told("record", records.halfway()))
    show.hear(told("record", records.passed()))
    assert show.record == records.passed()
    assert (capsys.readouterr().out == "") is (way == "none")


def test_a_message_of_a_newer_version_is_passed_over(capsys):
    Show("text", "").hear({"weather": "fine"})
    assert capsys.readouterr() == ("", "")


class Ramp:
    """A conductor of the test's: this process publishes, a child of it ends as the test says."""

    def __init__(self, folder, ending):
        self.run_id = f"test-{os.urandom(8).hex()}"
        self.feed = Feed(self.run_id, allowed_uids=frozenset({os.geteuid()}))
        code = f"import os, sys; sys.stdin.read(); {ending}"
        self.process = subprocess.Popen([sys.executable, "-IS", "-c", code], stdin=subprocess.PIPE)
        self.words = os.memfd_create("test-last-words")
        self.launched = Launched(self.run_id, str(folder), self.process, self.words)

    def follow(self, *, record=None, failure=None):
        if record is not None:
            self.feed.publish_record(encode(record))
        follower = Follower(self.launched, "none", Interrupts())
        messages = follower._messages()
        heard = [next(messages)] if record is not None else []
        if failure is not None:
            self.feed.publish("failure", failure)
        self.feed.close()
        self.process.stdin.close()
        follower._messages = lambda: (*heard, *messages)
        return follower.follow()


@pytest.fixture
def ramp(tmp_path):
    made = []

    def make(ending):
        made.append(Ramp(tmp_path, ending))
        return made[-1]

    yield make
    for each in made:
        each.feed.close()
        each.process.stdin.close()
        each.process.wait()
        os.close(each.words)


@pytest.fixture
def as_from_a_terminal():
    """Have no signal ignored, as it is where the tests themselves run under nohup or in the background."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_an_interrupt_before_there_is_a_conductor_is_passed_on_when_there_is_one(capsys):
    heard = []
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        assert heard == []
        interrupts.pass_to(lambda: heard.append("stop"))
        assert heard == ["stop"]
        os.kill(os.getpid(), signal.SIGINT)
    assert heard == ["stop", "stop"]
    assert signal.getsignal(signal.SIGINT) is before
    assert "insisting" in capsys.readouterr().err


@pytest.mark.usefixtures("as_from_a_terminal")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("early", [True, False], ids=["before the conductor", "while it is followed"])
def test_a_client_that_is_ended_says_that_the_ramp_goes_on_and_how_to_see_and_end_it(
    ramp, capsys, number, early
):
    """And leaves the conductor alone."""
    running = ramp("sys.exit(0)")
    with Interrupts() as interrupts:
        if early:
            os.kill(os.getpid(), number)
        follower = Follower(running.launched, "none", interrupts)
        if not early:
            follower._messages = lambda: iter([os.kill(os.getpid(), number)])
        assert follower.follow() == 128 + number
    assert running.process.poll() is None
    err = capsys.readouterr().err
    assert f"{number.name} ended this client; ramp {running.run_id} goes on" in err
    assert f"`steadyrun watch {running.run_id}`" in err
    assert f"`steadyrun stop {running.run_id}`" in err


@pytest.mark.usefixtures("as_from_a_terminal")
def test_a_client_whose_reader_died_of_the_same_ctrl_c_says_that_the_ramp_is_ending(ramp, capsys):
    running = ramp("sys.exit(0)")

    def to_nobody():
        os.kill(os.getpid(), signal.SIGINT)
        raise BrokenPipeError
        yield

    with Interrupts() as interrupts:
        follower = Follower(running.launched, "none", interrupts)
        running.process.send_signal = lambda number: None
        follower._messages = to_nobody
        with pytest.raises(BrokenPipeError):
            follower.follow()
    err = capsys.readouterr().err
    assert f"ramp {running.run_id} was asked to stop and is ending" in err
    assert "goes on" not in err


def test_a_line_that_mends_it_takes_the_place_of_the_usual_one(ramp, capsys):
    record = records.host_failure()
    resume = f"steadyrun ramp --resume {record.header.run_id}"
    note = Finding("own-exit-code", Severity.NOTE, "It ended by itself", "", f"{resume} --ok-exit 3", "")
    assert ramp("sys.exit(5)").follow(record=record._replace(findings=(note,))) == 5
    assert capsys.readouterr().out.count("ramp --resume") == 1


def test_a_hang_up_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_conductors_exit_code_is_ours_with_status_log_and_tomorrows_command(ramp, capsys, tmp_path):
    record = records.passed()._replace(end=RunEnd(0.0, 0, "all phases passed"))
    assert ramp("sys.exit(0)").follow(record=record) == 0
    out = capsys.readouterr().out
    assert "\nAll phases passed\n" in out
    assert f"log: {tmp_path}/PROGRESS.md" in out
    assert f"tomorrow: {record.tomorrow}" in out


def test_limits_that_were_polled_are_told_at_the_end_too(ramp, capsys):
    record = records.weak()._replace(end=RunEnd(0.0, 0, "all phases passed"))
    assert ramp("sys.exit(0)").follow(record=record) == 0
    assert "\nAll phases passed (containment not guaranteed)\n" in capsys.readouterr().out


def test_a_bad_end_names_what_to_do(ramp, capsys):
    record = records.host_failure()
    assert record.end.exit_code == 5
    assert ramp("sys.exit(5)").follow(record=record) == 5
    remedies = [f.remedy for f in record.findings if f.remedy]
    out = capsys.readouterr().out
    assert all(remedy in out for remedy in remedies)


@pytest.mark.parametrize(
    ("code", "attempts", "said"),
    [
        (130, True, True),
        (143, False, True),
        (1, True, True),
        (5, True, True),
        (0, True, False),
        (6, True, False),
        (4, False, False),
    ],
)
def test_a_ramp_that_did_not_pass_says_how_to_go_on_with_it(ramp, capsys, code, attempts, said):
    record = records.halfway()._replace(end=RunEnd(0.0, code, "why"))
    record = record if attempts else record._replace(attempts=())
    assert ramp(f"sys.exit({code})").follow(record=record) == code
    words = f"to go on with it: steadyrun ramp --resume {record.header.run_id}"
    assert (words in capsys.readouterr().out.splitlines()) is said


def test_a_conductor_that_was_killed_is_told_with_where_to_look(ramp, capsys, tmp_path):
    assert ramp("os.kill(os.getpid(), 9)").follow(record=records.halfway()) == 128 + signal.SIGKILL
    err = capsys.readouterr().err
    assert "the conductor ended without a word" in err
    assert f"{tmp_path}/conductor.log" in err
    assert "steadyrun recover" in err


def test_a_failure_is_told_in_the_conductors_words(ramp, capsys):
    failure = {"message": "the journal cannot be written: No space left", "hint": "free some"}
    assert ramp("sys.exit(74)").follow(record=records.halfway(), failure=failure) == 74
    assert capsys.readouterr().err == (
        "steadyrun: the journal cannot be written: No space left\n  free some\n"
    )


def test_a_conductor_that_never_published_is_not_waited_for_longer_than_it_lives(ramp, capsys):
    gone = ramp("sys.exit(70)")
    gone.feed.close()
    assert gone.follow() == 70
    assert "without a word" in capsys.readouterr().err


def test_the_last_words_of_a_conductor_that_nobody_heard_are_told(ramp, capsys):
    gone = ramp("sys.exit(74)")
    leave_words(gone.words, "the disk is full", None)
    assert gone.follow() == 74
    assert capsys.readouterr().err == "steadyrun: the disk is full\n  `steadyrun recover` cleans up\n"
