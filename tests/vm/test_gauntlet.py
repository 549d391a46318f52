"""The gauntlet of `tests/real` in the guest, with a desktop beside it that has to be the same afterwards."""

import pytest
from looking import SSH, identities, look
from suites import run_suite
from testbed.program import copy_repository

pytestmark = pytest.mark.deadline(900)
SUITE = "tests/real/test_gauntlet.py"
SCENARIOS = f"{SUITE} -k it_is_held"
"""Without those in which something is killed: root's guard is in `test_backends`."""
NO_MOUNTS = "no private mount namespace to be had .*"


@pytest.mark.parametrize(
    ("user", "words"), [pytest.param("root", SCENARIOS, marks=pytest.mark.long), ("desk", SUITE)]
)
def test_in_every_scenario_session_manager_and_ssh_stay_who_they_are(machine, user, words):
    root = machine.guest()
    copy_repository(root)
    before = identities(look(root))
    assert SSH in before
    ran = run_suite(machine.guest(user), words, seconds=850)
    assert ran.code == 0, ran.told
    assert ran.missing(*([] if user == "root" else [NO_MOUNTS])) == {}, ran.told
    assert identities(look(root)) == before
