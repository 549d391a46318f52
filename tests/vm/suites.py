"""Runs the repository's own tests inside the guest and tells what ran there, by backend."""

import re
from collections import Counter
from typing import NamedTuple
from xml.etree import ElementTree

from testbed.program import PYTHON, REPOSITORY


class Ran(NamedTuple):
    """How a run of pytest in the guest went."""

    passed: Counter
    """Tests that passed, by the parameter in their name; "" for those without one."""
    skipped: Counter
    told: str
    """What pytest wrote."""
    code: int


def run_suite(guest, words, *, seconds):
    """Run pytest in the guest as the guest's user."""
    result = f"/tmp/junit-{guest.user}.xml"
    command = (
        f"env PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis-{guest.user}"
        f" STEADYRUN_COMMAND=/usr/local/bin/steadyrun {PYTHON} -m pytest -q --tb=short -rs"
        f" --junitxml={result} {words}"
    )
    done = guest.run(f"cd {REPOSITORY} && {command}", seconds=seconds, check=False)
    passed, skipped = count(guest.read(result)) if done.code in {0, 1} else (Counter(), Counter())
    return Ran(passed, skipped, done.out + done.err, done.code)


def count(junit):
    """Count the tests of a JUnit file that passed and that were skipped, by their parameter."""
    passed, skipped = Counter(), Counter()
    for case in ElementTree.fromstring(junit).iter("testcase"):
        parameter = (re.search(r"\[(.*)\]$", case.get("name", "")) or ["", ""])[1]
        kinds = {child.tag for child in case}
        if "skipped" in kinds:
            skipped[parameter] += 1
        elif not kinds & {"failure", "error"}:
            passed[parameter] += 1
    return passed, skipped
