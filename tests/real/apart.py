"""The command in a mount namespace of its own, where disks are small or full and files of /proc say nothing.

A plugin of the tests that name it in `pytest_plugins`.
"""

import shutil
import subprocess

import pytest
from program import executable, of_this_test, our_cgroups
from test_ramp import ALONE

from conftest import until


@pytest.fixture
def apart(steadyrun):
    """Run the command in a mount namespace of its own, prepared by a line of shell."""
    (steadyrun.cwd / "plan.toml").write_text(ALONE)
    allowed = shutil.which("unshare") and subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", str(steadyrun.cwd)],
        capture_output=True,
        check=False,
    )
    if not allowed or allowed.returncode != 0:
        pytest.skip("no private mount namespace to be had (unshare -m, as root)")
    steadyrun.state.mkdir()
    before = our_cgroups()

    def run(prepare, *words, timeout=90, env=None):
        script = f'set -e; {prepare}; exec "$@"'
        line = ["unshare", "-m", "sh", "-c", script, "sh", executable(), *words]
        done = subprocess.run(
            line, cwd=steadyrun.cwd, env=steadyrun.env | (env or {}), text=True, capture_output=True,
            stdin=subprocess.DEVNULL, timeout=timeout, check=False,
        )  # fmt: skip
        assert until(lambda: not of_this_test(steadyrun)), of_this_test(steadyrun)
        assert until(lambda: our_cgroups() <= before), our_cgroups() - before
        return done

    run.state = steadyrun.state
    run.cwd = steadyrun.cwd
    return run
