"""Who is left of the hostile set after a limit of one second, by tool."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.tools import Programs, Result, Row, command_line, quiet

HOSTILE = Path(__file__).with_name("hostile.py")
SET = 5
"""Processes of the set, the first included."""
AFTERWARDS_S = 0.5
"""For those that were killed to be gone."""


def measure(tools: Programs) -> Result:
    """Run the set under each tool and count who lives after the tool has ended."""
    runners: dict[str, Callable[[list[str]], object]] = {
        "steadyrun run --timeout 1s": lambda argv: quiet(
            tools, [tools.steadyrun, "run", "-q", "--timeout", "1s", "--", *argv]
        ),
        "timeout -k 1 1": lambda argv: quiet(tools, ["timeout", "-k", "1", "1", *argv]),
        "subprocess.run(timeout=1)": lambda argv: _python_timeout(tools, argv),
    }
    start = tools.runexec_command("--walltimelimit", "1")
    if start is not None:
        runners["runexec --walltimelimit 1"] = lambda argv: quiet(tools, [*start, *argv])
    left = {name: _survivors(run, tools.folder) for name, run in runners.items()}
    return Result(tuple(_row(name, count) for name, count in left.items()), {"survivors": left})


def _row(name: str, left: int | None) -> Row:
    ours = name.startswith("steadyrun")
    if left is None:
        return Row(
            f"hostile set, left after {name}", "not measured: it did not come up", "0" if ours else "", None
        )
    return Row(f"hostile set, left after {name}", str(left), "0" if ours else "", left == 0 if ours else None)


def _python_timeout(tools: Programs, argv: list[str]) -> None:
    try:
        quiet(tools, argv, timeout=1)
    except subprocess.TimeoutExpired:
        pass


def _survivors(run: Callable[[list[str]], object], folder: Path) -> int | None:
    """Return how many live; `None`: the tool did not let all of the set come up first."""
    token = f"hostile-{os.urandom(8).hex()}"
    came_up = folder / token
    try:
        run([sys.executable, "-I", "-S", str(HOSTILE), token, str(came_up)])
        time.sleep(AFTERWARDS_S)
        up = came_up.stat().st_size if came_up.exists() else 0
        return len(_bearing(token)) if up == SET else None
    finally:
        for pid in _bearing(token):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def _bearing(token: str) -> list[int]:
    own = os.getpid()
    pids = [int(word) for word in os.listdir("/proc") if word.isdecimal()]
    return [pid for pid in pids if pid != own and token in command_line(pid) and _lives(pid)]


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False
