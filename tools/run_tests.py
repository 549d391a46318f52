"""Runs levels of tests, each by itself, and fails when one did not run.

A level whose tests were all skipped says nothing, and saying nothing is a failure here. Prints the
runner's own closing lines.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
LEVELS = ("unit", "property", "replay", "contract", "real")
"""Of tests/, in the order of what they cost; `vm` and `vm/protect` are asked for by name (Makefile)."""
SIDE_BY_SIDE = ("unit", "property")
INSIDE = {"vm": "vm/protect"}
"""A level within the folder of another."""
AGAIN = {"vm": 3}
"""Levels on an emulated machine, whose time is the host's: up to so many tests that failed get one second
try, and it is told which. What fails twice is a failure, and so is what fails among more."""
COMMAND = ROOT / ".venv-wheel" / "bin" / "steadyrun"
OURS, TESTS = "STEADYRUN_", ("STEADYRUN_TESTBED_", "STEADYRUN_TESTS_")
"""Of the environment's settings only those of tests reach the tests."""
SLOWEST = ("--durations=15", "--durations-min=2")
"""Who makes a level slow is seen in each run."""
NOTHING_COLLECTED = 5
"""pytest's exit code."""


class Level(NamedTuple):
    """How one level went."""

    name: str
    code: int
    ran: int
    skipped: int
    seconds: float
    again: tuple[str, ...] = ()
    """Tests that passed at their second try only."""

    @property
    def failed(self) -> bool:
        """A level fails when a test failed, and when none ran."""
        return self.code != 0 or self.ran == 0


def main(names: list[str]) -> int:
    """Run the named levels, all of them without a name; 0 when each ran and passed.

    The first two compute and wait for nothing, so they run side by side; the others measure a machine, alone.
    """
    names = names or list(LEVELS)
    together = [name for name in names if name in SIDE_BY_SIDE]
    with ThreadPoolExecutor(len(SIDE_BY_SIDE)) as pool:
        levels = list(pool.map(run, together))
    levels += [run(name, live=True) for name in names if name not in SIDE_BY_SIDE]
    print("\nlevel       ran  skipped  seconds")
    for level in levels:
        mark = "FAILED" if level.failed else "ok"
        print(f"{level.name:<10}{level.ran:>5}{level.skipped:>9}{level.seconds:>9.0f}  {mark}")
        for name in level.again:
            print(f"{'':<10}at the second try: {name}")
    return 1 if any(level.failed for level in levels) else 0


def run(name: str, *, live: bool = False) -> Level:
    """Run one level with pytest; the tests of the command use the installed wheel.

    What it writes is shown as it comes, or as a whole when it is over.
    """
    head = f"\n== tests/{name}"
    print(head if live else f"{head} ...", flush=True)
    environment = {k: v for k, v in os.environ.items() if k.startswith(TESTS) or not k.startswith(OURS)}
    environment["STEADYRUN_COMMAND"] = str(COMMAND)
    began = monotonic()
    words = [f"tests/{name}", *([f"--ignore=tests/{INSIDE[name]}"] if name in INSIDE else [])]
    code, ran, skipped, failed = pytest(head, words, environment, live=live)
    if 0 < len(failed) <= AGAIN.get(name, 0):
        print(f"\n== tests/{name}, a second try for {len(failed)} that failed", flush=True)
        code, *_ = pytest(head, list(failed), environment, live=live)
    else:
        failed = ()
    if code == NOTHING_COLLECTED:
        print(f"tests/{name}: no test was found")
    return Level(name, code, ran, skipped, monotonic() - began, failed if code == 0 else ())


def pytest(
    head: str, words: list[str], environment: dict[str, str], *, live: bool
) -> tuple[int, int, int, tuple[str, ...]]:
    """Run pytest; return its exit code, how many ran and were skipped, and the names of those that failed."""
    with TemporaryDirectory() as folder:
        result = Path(folder) / "junit.xml"
        line = [sys.executable, "-m", "pytest", "-rs", *SLOWEST, *words, f"--junitxml={result}"]
        ended = subprocess.run(
            line, cwd=ROOT, env=environment, check=False, capture_output=not live, text=True
        )
        if not live:
            print(head, ended.stdout, ended.stderr, sep="\n", flush=True)
        return ended.returncode, *counts(result), failures(result)


def counts(result: Path) -> tuple[int, int]:
    """Return how many tests ran and how many were skipped; (0, 0) without a result."""
    if not result.exists():
        return 0, 0
    suite = ElementTree.parse(result).getroot().find("testsuite")
    if suite is None:
        return 0, 0
    total, skipped = int(suite.get("tests", "0")), int(suite.get("skipped", "0"))
    return total - skipped, skipped


def failures(result: Path) -> tuple[str, ...]:
    """Return the tests that failed, or whose fixtures did: `tests/x/test_y.py::name`."""
    if not result.exists():
        return ()
    cases = ElementTree.parse(result).getroot().iter("testcase")
    bad = (case for case in cases if case.find("failure") is not None or case.find("error") is not None)
    return tuple(
        dict.fromkeys(f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}" for case in bad)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
