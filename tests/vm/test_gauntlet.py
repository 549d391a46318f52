"""The gauntlet of `tests/real` in the guest, with a desktop beside it that has to be the same afterwards."""

import pytest
from looking import SSH, identities, look
from storm.swap import SWAPS
from suites import run_suite
from testbed.program import copy_repository

pytestmark = pytest.mark.deadline(900)
SUITE = "tests/real/test_gauntlet.py"
SCENARIOS = f"{SUITE} -k it_is_held"
"""Without those in which something is killed: root's guard is in `test_backends`."""
NO_MOUNTS = "no private mount namespace to be had .*"
NO_SWAP = "the machine has less than .* of free swap"
"""The machine of the whole suite has none, as the testbed is; the one below has."""


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
    assert ran.missing(NO_SWAP, *([] if user == "root" else [NO_MOUNTS])) == {}, ran.told
    assert identities(look(root)) == before


@pytest.mark.parametrize("swap", [name for name, command in SWAPS.items() if command])
def test_beside_a_load_that_thrashes_swap_session_manager_and_ssh_stay_who_they_are(machine, swap):
    root = machine.guest()
    copy_repository(root)
    root.run(SWAPS[swap], seconds=120)
    before = identities(look(root))
    ran = run_suite(machine.guest("desk"), f"{SUITE} -k 'it_is_held and swap'", seconds=300)
    assert ran.code == 0, ran.told
    assert ran.missing() == {}, ran.told
    assert identities(look(root)) == before
