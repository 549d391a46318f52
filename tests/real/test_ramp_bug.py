"""A ramp that a bug of ours ends: the report says so, and nothing of the load stays."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from program import a_ramp_runs
from test_ramp import PLAN, RAMP

import steadyrun as package
from conftest import until

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_left")]

BUGS = {
    "while the baseline is taken": ("ramp/conductor.py", "judge_baseline"),
    "when a load is judged": ("ramp/attempt.py", "judge"),
    "while a load runs": ("ramp/ledger.py", "encode"),
}
BROKEN = """

def {name}(*_args, **_named):
    raise ZeroDivisionError("made by a test")
"""
LATE = """

_encode, _readings = encode, [0]
def encode(value):
    if type(value).__name__ == "Reading":
        _readings[0] += 1
        if _readings[0] == 3:
            raise ZeroDivisionError("made by a test")
    return _encode(value)
"""


@pytest.mark.parametrize("when", BUGS)
def test_the_report_says_that_steadyrun_itself_failed_and_where_the_traceback_is(steadyrun, tmp_path, when):
    assert until(lambda: not a_ramp_runs(), 120, every=0.2)
    file, name = BUGS[when]
    shutil.copytree(Path(package.__file__).parent, tmp_path / "copy/steadyrun")
    with open(tmp_path / "copy/steadyrun" / file, "a") as module:
        module.write(LATE if name == "encode" else BROKEN.format(name=name))
    (steadyrun.cwd / "plan.toml").write_text(PLAN)
    done = subprocess.run(
        [sys.executable, "-m", "steadyrun", *RAMP],
        env=steadyrun.env | {"PYTHONPATH": str(tmp_path / "copy"), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=steadyrun.cwd, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    folder = steadyrun.cwd / "report/latest"
    assert done.returncode == 70, done.stdout + done.stderr
    assert "steadyrun itself failed: ZeroDivisionError: made by a test" in done.stdout
    told = json.loads((folder / "report.json").read_text())
    assert told["end"]["exit_code"] == 70
    assert told["status"] == "steadyrun itself failed"
    (finding,) = [f for f in told["findings"] if f["code"] == "own-failure"]
    assert f"{file}:" in finding["evidence"]
    log = finding["evidence"].rpartition(" is in ")[2]
    assert os.path.samefile(log, folder / "conductor.log")
    assert "Traceback" in Path(log).read_text()
    assert "is running" not in (folder / "PROGRESS.md").read_text()
    assert all(a["state"] in ("INTERRUPTED", "PASSED") for a in told["attempts"])
