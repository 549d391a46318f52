"""What the benchmarks share: the programs to measure, rows of the table, a state directory of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from steadyrun.ramp.loads import hog

HOG = (sys.executable, "-I", "-S", hog.__file__)
MIB = 2**20
PLAN = """\
[[phase]]
load = "command"
number = 1
name = "One command"
command = {command}
memory_max = "200M"
"""


class Row(NamedTuple):
    """One figure of the table."""

    what: str
    value: str
    budget: str
    """Empty: there to compare with, no budget of ours."""
    held: bool | None
    """`None`: no budget, or it could not be measured; `value` says why."""

    def is_missed(self) -> bool:
        """Tell whether it has a budget that it is not seen to be within."""
        return bool(self.budget) and not self.held


class Result(NamedTuple):
    """What one benchmark gives."""

    rows: tuple[Row, ...]
    raw: dict[str, Any]


class Programs(NamedTuple):
    """Where the measured programs are, and the environment they run in."""

    steadyrun: str
    runexec: str | None
    env: dict[str, str]
    folder: Path
    """Scratch, and the working directory of everything."""

    def runexec_command(self, *options: str) -> list[str] | None:
        """Return the start of a runexec command line; `None`: it is not installed."""
        if self.runexec is None:
            return None
        return [self.runexec, "--no-container", "--output", str(self.folder / "runexec.log"), *options, "--"]

    def ramp_words(self, *command: str) -> list[str]:
        """Return the words after `steadyrun` of a ramp with one phase, which runs a command under 200 MiB."""
        plan = self.folder / "one-phase.toml"
        plan.write_text(PLAN.format(command=json.dumps(command)))
        report = str(self.folder / "report")
        return ["ramp", str(plan), "--yes", "--force", "--progress", "none", "--report", report]


@contextmanager
def programs(runexec: str | None) -> Iterator[Programs]:
    """Find the programs; everything they write goes to a folder that is removed at the end."""
    beside = Path(sys.executable).with_name("steadyrun")
    found = str(beside) if beside.exists() else shutil.which("steadyrun")
    if found is None:
        raise SystemExit("bench: expected the steadyrun command beside this Python, found none; make install")
    if runexec is not None and not os.access(runexec, os.X_OK):
        runexec = None
    # PYTHONDONTWRITEBYTECODE would have every start compile every module: no installed program does.
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("STEADYRUN_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    with tempfile.TemporaryDirectory(prefix="steadyrun-bench-") as folder:
        env["STEADYRUN_STATE_DIR"] = f"{folder}/state"
        env["XDG_CONFIG_HOME"] = f"{folder}/config"
        absolute = None if runexec is None else os.path.abspath(runexec)
        try:
            yield Programs(found, absolute, env, Path(folder))
        finally:
            subprocess.run([found, "recover"], env=env, cwd=folder, capture_output=True, check=False)


def started(
    tools: Programs, argv: list[str], *, stderr: int | None = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start a program with nothing to read and nowhere to write; `stderr=None` lets its errors be seen."""
    null = subprocess.DEVNULL
    return subprocess.Popen(argv, stdin=null, stdout=null, stderr=stderr, env=tools.env, cwd=tools.folder)


def quiet(tools: Programs, argv: list[str], *, timeout: float = 60) -> int:
    """Run a program with nothing to read and nowhere to write; return its exit code, -9 after the timeout.

    Its end is waited for by the kernel: a wait with a timeout of `subprocess` looks again and again, up to
    50 ms apart, and gives figures of 16, 32, 64 and 114 ms alone.
    """
    process = started(tools, argv)
    too_late = threading.Timer(timeout, process.kill)
    too_late.start()
    try:
        return process.wait()
    finally:
        too_late.cancel()


def children(pid: int) -> list[int]:
    """Return the children of a process; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def command_line(pid: int) -> str:
    """Return the command line of a process; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
