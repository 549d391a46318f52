"""Runs the repository's own tests inside the guest and tells what became of each that there is."""

import os
import re
import shlex
import subprocess
import sys
from typing import NamedTuple
from xml.etree import ElementTree

from testbed.place import ROOT
from testbed.program import PYTHON, REPOSITORY, copy_repository
from testbed.recipe import OLDEST, chosen_suite

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
WITHOUT_CPU = chosen_suite() == OLDEST.name
"""A user's loads have no cpu controller: user@.service has Delegate=pids memory in systemd 247, cpu came
later. steadyrun says so (the doctor with the drop-in that mends it, a run under `limits_not_in_force`)."""
NO_CPU = (r"\w+ does not declare cpu-max", "its CPU controller cannot be used here")
PRIVILEGED = "only a privileged load can do this"
SEED = os.environ.get("GAUNTLET_SEED") or str(int.from_bytes(os.urandom(2), "big"))
"""The gauntlet draws some of its tests; the same ones here and in the guest."""


class Ran(NamedTuple):
    """How a run of pytest in the guest went."""

    found: frozenset[str]
    """The tests that the same words find here, each as `MODULE::NAME[PARAMETER]`."""
    ended: dict[str, str]
    """How each test of the guest ended: `passed`, `failed`, else why it was skipped."""
    told: str
    """What pytest wrote."""
    code: int

    def missing(self, *allowed):
        """Return what became of each test that did not pass and was not skipped for an allowed reason.

        Args:
            allowed: Regular expressions, each for a whole reason.
        """
        ended = {name: self.ended.get(name, "did not run") for name in self.found | self.ended.keys()}
        fine = ("passed", *allowed)
        return {name: how for name, how in ended.items() if not any(re.fullmatch(f, how) for f in fine)}


def skips(place):
    """Return why tests may be skipped in one of `PLACES`."""
    if place.endswith("root"):
        return ()
    return (PRIVILEGED, *(NO_CPU if WITHOUT_CPU else ()))


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
        f" GAUNTLET_MISSING={'cpu_weight' if WITHOUT_CPU and guest.user != 'root' else ''}"
        f" GAUNTLET_SEED={SEED} STEADYRUN_COMMAND=/usr/local/bin/steadyrun"
        f" {PYTHON} -m pytest -q --tb=short -rs --junitxml={result} {words}"
    )
    done = guest.run(f"cd {REPOSITORY} && {command}", seconds=seconds, check=False)
    ended = endings(guest.read(result)) if done.code in {0, 1} else {}
    return Ran(found_by(words), ended, done.out + done.err, done.code)


def found_by(words, root=ROOT):
    """Return the tests that words for pytest find in a repository, this one.

    Raises:
        subprocess.CalledProcessError: They find none, or cannot be collected.
    """
    line = [sys.executable, "-m", "pytest", "--collect-only", "-q", *shlex.split(words)]
    env = os.environ | {"GAUNTLET_SEED": SEED}
    done = subprocess.run(line, cwd=root, env=env, capture_output=True, text=True, check=True)
    return frozenset(named(line) for line in done.stdout.splitlines() if "::" in line)


def named(node):
    """Return a node id of pytest as JUnit names the test (mangle_test_address() of pytest's junitxml)."""
    head, bracket, parameter = node.partition("[")
    path, *classes, name = head.split("::")
    module = ".".join((path.removesuffix(".py").replace("/", "."), *classes))
    return f"{module}::{name}{bracket}{parameter}"


def endings(junit):
    """Return how each test of a JUnit file ended: `passed`, `failed`, else why it was skipped."""
    found = {}
    for case in ElementTree.fromstring(junit).iter("testcase"):
        skipped = case.find("skipped")
        failed = case.find("failure") is not None or case.find("error") is not None
        how = "failed" if failed else "passed" if skipped is None else skipped.get("message", "")
        found[f"{case.get('classname')}::{case.get('name')}"] = how
    return found
