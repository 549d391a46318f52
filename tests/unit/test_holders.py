"""The owner of a run is found in /proc, without a look into the journal."""

import os
import subprocess
import sys

import pytest

from steadyrun.cli import stop_stalled
from steadyrun.cli.stop_stalled import Owner, has_load, journal_answers, owners_here
from steadyrun.cli.stop_stalled import stop_stalled as stop
from steadyrun.errors import UsageError
from steadyrun.journal.holders import Holder, holders
from steadyrun.journal.owners import OWNERS, Owners, byte_of
from steadyrun.model.run import RunKind

OWN = "import sys, time; from steadyrun.journal.owners import Owners; o = Owners(sys.argv[1])"


def an_owner(folder, run_id, *words):
    """Start a process that owns a run; words after its own make its command line what is wanted."""
    code = f"{OWN}; o.own('{run_id}'); print('up', flush=True); time.sleep(60)"
    line = [sys.executable, "-c", code, str(folder), *words]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    return process


@pytest.fixture
def owned(tmp_path):
    started = []

    def start(*arguments):
        started.append(an_owner(tmp_path, *arguments))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_who_owns_a_run_is_found_with_the_runs_it_owns(owned, tmp_path):
    first, second = owned("r1"), owned("r2")
    found = {each.pid: each for each in holders(str(tmp_path))}
    assert set(found) == {first.pid, second.pid}
    assert found[first.pid].owns("r1")
    assert not found[first.pid].owns("r2")
    assert found[second.pid].locked == {byte_of("r2")}


def test_who_has_the_file_open_and_owns_nothing_is_not_one(tmp_path):
    with Owners(str(tmp_path)) as owners:
        assert holders(str(tmp_path)) == ()
        owners.own("r1")
        assert [each.pid for each in holders(str(tmp_path))] == [os.getpid()]
    assert holders(str(tmp_path)) == ()


def test_where_nobody_ever_owned_a_run_nobody_does(tmp_path):
    assert holders(str(tmp_path)) == ()
    (tmp_path / OWNERS).mkdir()
    assert holders(str(tmp_path)) == ()


def test_only_conductors_and_runs_are_asked_to_stop(owned, tmp_path, monkeypatch):
    monkeypatch.setenv("STEADYRUN_STATE_DIR", str(tmp_path))
    conductor = owned("r1", "steadyrun.ramp.process")
    run = owned("r2", "/usr/bin/steadyrun", "run", "--", "true")
    owned("r3", "/usr/bin/steadyrun", "ramp", "--resume-on-boot")
    assert {(each.process.pid, each.kind) for each in owners_here()} == {
        (conductor.pid, RunKind.RAMP),
        (run.pid, RunKind.RUN),
    }


def a_holder(pid, run_id):
    return Owner(Holder(pid, 1, (), frozenset({byte_of(run_id)})), RunKind.RUN)


@pytest.mark.parametrize(
    ("asked", "every", "told"),
    [("r1", False, [1]), ("r2", False, [2]), (None, True, [1, 2])],
)
def test_those_that_are_meant_are_asked(asked, every, told, capsys):
    there, heard = (a_holder(1, "r1"), a_holder(2, "r2")), []
    assert not stop(there, asked, every=every, ask=lambda o: heard.append(o.process.pid), patience=0.0)
    assert heard == told
    assert "the journal does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("asked", [None, "r"])
def test_which_one_is_meant_is_never_guessed(asked):
    with pytest.raises(UsageError, match=r"of process 1, .*of process 2"):
        stop((a_holder(1, "r1"), a_holder(2, "r2")), asked, every=False, ask=pytest.fail, patience=0.0)


def test_a_keeper_and_a_canary_are_no_load():
    assert not has_load(os.getpid())
    for words, expected in ((("x/guard/keeper.py",), False), (("x/guard/canary.py",), False), ((), True)):
        line = [sys.executable, "-c", "input()", *words]
        with subprocess.Popen(line, stdin=subprocess.PIPE) as child:
            assert has_load(os.getpid()) is expected
            child.communicate(b"\n")


def test_a_journal_that_cannot_be_opened_in_time_does_not_answer(tmp_path, monkeypatch):
    """A pipe that nobody writes to stands for the disk."""
    monkeypatch.setenv("STEADYRUN_STATE_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    assert journal_answers()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setattr(stop_stalled, "journal_here", pipe.read_bytes)
    assert not journal_answers(0.2)
    pipe.write_bytes(b"")  # lets the process that waits go


def test_a_journal_that_is_broken_does_not_answer(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STEADYRUN_STATE_DIR", str(tmp_path / "file"))
    assert not journal_answers()
