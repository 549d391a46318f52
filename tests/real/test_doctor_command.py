"""`steadyrun doctor` as a user meets it: truthful, readable, and gone without a trace."""

import json
import os
import shutil
import subprocess

import pytest
from program import executable

from steadyrun.contain.choose import choose
from steadyrun.contain.facts import read_facts
from steadyrun.model.containment import AS_ROOT, BackendName

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_left")]
NOBODY = 65534


@pytest.fixture(autouse=True)
def _enforced(facts):
    if choose(facts).backend is BackendName.POLL:
        pytest.skip("the kernel enforces nothing here")


def test_a_machine_that_contains_is_0_and_the_last_words_are_what_to_type(steadyrun):
    done = steadyrun("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "steadyrun ramp -- YOUR COMMAND" in " ".join(done.stdout.split())[-120:]
    assert done.stdout.count("\nheld ") == 3
    assert "\x1b" not in done.stdout


def test_json_says_the_same(steadyrun):
    done = steadyrun("doctor", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == told["exit_code"] == 0
    assert [p["answer"] for p in told["proofs"]] == ["yes"] * 3
    assert told["containment"]["backend"] == choose(read_facts()).backend.value
    means = told["means"]
    assert means["looks"] == means["known"]["mem_available"] == means["known"]["load_memory"] == 1
    assert "freeze" in means["deeds"]
    assert {r["level"] for r in told["rungs"]} <= {"ok", "degraded", "missing", "unknown", "not applicable"}


def test_the_run_is_in_the_history_with_its_end(steadyrun):
    steadyrun("doctor", "-q")
    (row,) = json.loads(steadyrun("history", "--json").stdout)
    assert (row["kind"], row["exit_code"], row["running"]) == ("doctor", 0, False)


def test_quiet_is_shorter_and_still_says_what_next(steadyrun):
    done = steadyrun("doctor", "-q")
    assert "YOUR COMMAND" in done.stdout
    assert not any(line.startswith(("ok ", "held ", "- ")) for line in done.stdout.splitlines())


def test_without_a_journal_the_proofs_run_and_the_lack_is_named(steadyrun, tmp_path):
    (tmp_path / "file").write_text("")
    done = steadyrun("doctor", "--json", env={"STEADYRUN_STATE_DIR": str(tmp_path / "file/below")})
    told = json.loads(done.stdout)
    (journal,) = (r for r in told["rungs"] if r["name"] == "journal")
    assert (journal["level"], len(told["proofs"]), done.returncode) == ("missing", 3, 0)
    assert "STEADYRUN_STATE_DIR=" in journal["remedy"]


def test_an_empty_environment_is_enough(tmp_path):
    # Nothing but the state directory: without it, root's own journal would get a row.
    env = {"STEADYRUN_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(
        [executable(), "doctor", "-q"], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_somebody_without_rights_is_told_what_to_type(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    tmp_path.chmod(0o700)
    os.chown(tmp_path, NOBODY, NOBODY)
    env = {"STEADYRUN_STATE_DIR": "/nonexistent/steadyrun"}
    who = {"user": NOBODY, "group": NOBODY, "extra_groups": ()}
    try:
        done = subprocess.run(
            [executable(), "doctor", "--json"],
            env=env,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **who,
        )
    except PermissionError:
        pytest.skip("the installed command is not executable for others")
    if done.returncode in (1, 126) or "ModuleNotFoundError" in done.stderr:
        pytest.skip(f"the installed command does not run for others: {done.stderr[-200:]}")
    told = json.loads(done.stdout)
    rungs = {r["name"]: r for r in told["rungs"]}
    assert done.returncode == told["exit_code"] == 3
    if shutil.which("sudo"):
        assert rungs["delegation"]["remedy"] == AS_ROOT
    else:
        assert rungs["delegation"]["remedy"].endswith("# as root: there is no sudo here")
    assert "sudo steadyrun doctor" not in done.stdout
    assert rungs["containment"]["level"] == "missing"
    assert rungs["journal"]["level"] == "missing"
