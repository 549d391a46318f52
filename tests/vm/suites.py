"""Runs the repository's own tests inside the guest and tells what ran there, by backend."""

import re
from collections import Counter
from typing import NamedTuple
from xml.etree import ElementTree

from testbed.program import PYTHON, REPOSITORY

DELEGATED = {
    "root": "systemd-run --scope --quiet --collect -p Delegate=yes",
    "desk": "systemd-run --uid=desk --pipe --wait --quiet --collect -p Delegate=yes"
    f" -p WorkingDirectory={REPOSITORY}",
}
"""Called by root: a subtree of the user's own, given away by the system's manager.

Not by the user's: systemd 252 marks what it delegates with an attribute of the cgroup only where it is
the system's manager (systemd/systemd src/core/cgroup.c, cgroup_xattr_apply()).
"""
_LEAVE_THE_TOP = """
top=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
mkdir "$top/tests"
echo $$ > "$top/tests/cgroup.procs"
for each in $(cat "$top/cgroup.controllers"); do echo "+$each" > "$top/cgroup.subtree_control"; done
exec "$@"
"""
"""A cgroup that gives controllers to others may have no processes itself (cgroup-v2.rst)."""


class Ran(NamedTuple):
    """How a run of pytest in the guest went."""

    passed: Counter
    """Tests that passed, by the parameter in their name; "" for those without one."""
    skipped: Counter
    told: str
    """What pytest wrote."""
    code: int


def run_suite(machine, user, words, *, delegated=False, seconds):
    """Run pytest in the guest as a user: in a login of the user, or in a subtree delegated to the user."""
    guest = machine.guest("root" if delegated else user)
    result = f"/tmp/junit-{user}.xml"
    command = (
        f"env PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis-{user}"
        f" STEADYRUN_COMMAND=/usr/local/bin/steadyrun {PYTHON} -m pytest -q --tb=short -rs"
        f" --junitxml={result} {words}"
    )
    if delegated:
        guest.write("/usr/local/lib/testbed/leave-the-top", _LEAVE_THE_TOP)
        command = f"{DELEGATED[user]} sh /usr/local/lib/testbed/leave-the-top {command}"
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
