"""A Ctrl-C while our own modules are still being imported is exit code 130 and no traceback."""

import subprocess
import sys

import pytest

PRESSED_AT = """
import os, signal, sys
_, awaited, *words = sys.argv
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == awaited:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Press())
signal.signal(signal.SIGINT, signal.default_int_handler)
from steadyrun.cli.main import entry
sys.argv = ["steadyrun", *words]
sys.exit(entry())
"""


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("steadyrun.cli.doctor", ["doctor"]),
        ("steadyrun.guard.frames", ["canary"]),
        ("typing", ["ramp", "--dry-run"]),
        ("steadyrun.cli.ramp_plan", ["ramp", "--dry-run"]),
        ("steadyrun.cli.run", ["run", "--", "true"]),
        ("steadyrun.run.once", ["run", "--", "true"]),
        ("steadyrun.cli.settings", ["run", "--", "true"]),
        ("difflib", ["no-such-command"]),
    ],
)
def test_a_ctrl_c_during_an_import_of_ours_is_130_without_a_traceback(module, words, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PRESSED_AT, module, *words],
        capture_output=True, text=True, timeout=120, check=False,
        env={"STEADYRUN_STATE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
