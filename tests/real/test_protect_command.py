"""`steadyrun protect` as somebody meets it here, and its drop-ins as the real systemd-analyze reads them."""

import json
import os

import pytest
from protect_tree import GIB, Desktop

from steadyrun.errors import CannotContainError
from steadyrun.protect.plan import plan
from steadyrun.protect.read import read_facts
from steadyrun.protect.shares import Profile
from steadyrun.protect.verify import ANALYZE, complaints

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_left")]

without_systemd = pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="systemd runs here")
with_analyze = pytest.mark.skipif(
    not any(os.access(name, os.X_OK) for name in ANALYZE),
    reason="no systemd-analyze: apt-get install systemd",
)
CANNOT = 3


@without_systemd
@pytest.mark.parametrize("words", [(), ("--apply", "--yes"), ("--status",), ("--profile", "server")])
def test_without_systemd_it_says_what_it_cannot_do_and_what_else_there_is(steadyrun, words):
    done = steadyrun("protect", *words)
    assert (done.returncode, done.stdout) == (CANNOT, "")
    assert done.stderr.startswith("steadyrun: protect: no systemd runs as the first process here")
    assert "steadyrun run -- COMMAND" in done.stderr
    assert not (steadyrun.state / "protect.changes").exists()


@without_systemd
def test_a_program_is_told_the_same(steadyrun):
    done = steadyrun("protect", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["exit_code"], told["possible"]) == (CANNOT, CANNOT, False)
    assert told["obstacle"]
    assert told["remedy"]
    assert told["files"] == []


def test_nothing_applied_is_nothing_to_undo(steadyrun):
    done = steadyrun("protect", "--undo")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Nothing is applied here, nothing to be undone.\n"
    told = json.loads(steadyrun("protect", "--undo", "--json").stdout)
    assert (told["undone"], told["left"]) == ([], [])


@pytest.mark.parametrize("words", [("--profile", "laptop"), ("--apply", "--undo"), ("COMMAND",)])
def test_a_wrong_line_is_a_wrong_usage(steadyrun, words):
    assert steadyrun("protect", *words).returncode == 2


@with_analyze
@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("ram", [GIB, 16 * GIB, 1024 * GIB])
def test_systemd_has_nothing_against_any_drop_in(tmp_path, profile, ram):
    facts = read_facts(root=Desktop(tmp_path, ram=ram).root, env={"HOME": "/home/desk"}, euid=0)
    files = plan(facts, profile).files
    assert len(files) > 10
    assert complaints(files) == ()


def test_a_program_of_that_name_on_somebodys_path_is_not_run(tmp_path, monkeypatch):
    planted = tmp_path / "bin"
    planted.mkdir()
    (planted / "systemd-analyze").write_text(f"#!/bin/sh\ntouch {tmp_path}/run\n")
    (planted / "systemd-analyze").chmod(0o755)
    monkeypatch.setenv("PATH", f"{planted}:{os.environ['PATH']}")
    facts = read_facts(root=Desktop(tmp_path / "machine").root, env={"HOME": "/home/desk"}, euid=0)
    assert complaints(plan(facts).files) == ()
    assert not (tmp_path / "run").exists()


@with_analyze
def test_nothing_in_the_callers_environment_hides_a_complaint(tmp_path, monkeypatch):
    facts = read_facts(root=Desktop(tmp_path).root, env={"HOME": "/home/desk"}, euid=0)
    (one,) = [each for each in plan(facts).files if each.unit == "app.slice"]
    monkeypatch.setenv("SYSTEMD_LOG_TARGET", "null")
    assert len(complaints([one._replace(text=f"{one.text}NoSuchSetting=1\n")])) == 1


@with_analyze
@pytest.mark.parametrize("unit", ["user-.slice", "app.slice", "user@.service", "systemd-logind.service"])
def test_what_systemd_does_not_understand_is_found_before_it_is_written(tmp_path, unit):
    facts = read_facts(root=Desktop(tmp_path).root, env={"HOME": "/home/desk"}, euid=0)
    (one,) = [each for each in plan(facts).files if each.unit == unit]
    said = complaints([one._replace(text=f"{one.text}NoSuchSetting=1\n")])
    assert len(said) == 1
    assert "NoSuchSetting" in said[0]


def test_an_analyze_that_does_not_answer_is_no_consent(tmp_path, monkeypatch):
    slow = tmp_path / "systemd-analyze"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr("steadyrun.protect.verify.VERIFY_WITHIN_S", 0.2)
    facts = read_facts(root=Desktop(tmp_path / "machine").root, env={"HOME": "/home/desk"}, euid=0)
    with pytest.raises(CannotContainError, match="found no answer"):
        complaints(plan(facts).files, programs=(str(slow),))
