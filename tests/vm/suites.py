"""Runs the repository's own tests inside the guest and tells what ran there, by backend."""

import re
from collections import Counter
from typing import NamedTuple
from xml.etree import ElementTree

from testbed.program import PYTHON, REPOSITORY, copy_repository

LEAF = """#!/bin/sh
own=/sys/fs/cgroup$(sed s/^0::// /proc/self/cgroup)
mkdir $own/main && echo $$ > $own/main/cgroup.procs && exec "$@"
"""
"""Leaves the root of its delegated unit empty, as whoever uses one has to."""
DELEGATED = "systemd-run -q --pipe --wait -p Delegate=yes --same-dir -p User="
PLACES = {
    "systemd as root": ("root", "systemd", ""),
    "systemd as a user": ("desk", "systemd", ""),
    "cgroup2 as root": ("root", "cgroup2", f"{DELEGATED}root /usr/local/bin/leaf "),
    "cgroup2 as a user": ("root", "cgroup2", f"{DELEGATED}desk /usr/local/bin/leaf "),
    "cgroup2 in a user's own scope": (
        "desk", "cgroup2", "systemd-run -q --user --scope -p Delegate=yes /usr/local/bin/leaf ",
    ),
}  # fmt: skip
"""Who logs in, the backend, and what the tests are started with."""


class Ran(NamedTuple):
    """How a run of pytest in the guest went."""

    passed: Counter
    """Tests that passed, by the parameter in their name; "" for those without one."""
    skipped: Counter
    told: str
    """What pytest wrote."""
    code: int


def run_in(place, machine, words, *, seconds):
    """Run pytest in one of `PLACES`: the tests of its backend, with what of it there may be."""
    user, backend, start = PLACES[place]
    copy_repository(machine.guest())
    machine.guest().write("/usr/local/bin/leaf", LEAF, mode="755")
    chosen = f"{words} -k '{backend} and not without'"
    return run_suite(machine.guest(user), chosen, seconds=seconds, start=start)


def run_suite(guest, words, *, seconds, start=""):
    """Run pytest in the guest as the guest's user, or as what it is started with says."""
    result = f"/tmp/junit-{guest.user}.xml"
    command = (
        f"{start}env PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis-{guest.user}"
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
