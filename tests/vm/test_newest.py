"""The contract and hostile suites with the newest systemd; `make test-vm SUITE=trixie` runs all there."""

import pytest
from suites import PRIVILEGED, run_suite
from testbed.program import copy_repository
from testbed.recipe import NEWEST, chosen_suite

pytestmark = [
    pytest.mark.deadline(600),
    pytest.mark.long,  # an image of its own: eight minutes where the cache has none
    pytest.mark.skipif(chosen_suite() == NEWEST.name, reason="test_backends runs in it"),
]
SUITES = "tests/contract tests/real/test_contain_hostile.py -k 'systemd and not without'"


@pytest.fixture
def newest(state, start_machine):
    """A machine of the newest suite; made here, since building its image takes longer than a test may."""
    state(suite=NEWEST.name)
    return start_machine(suite=NEWEST.name)


@pytest.mark.parametrize("user", ["root", "desk"])
def test_the_contract_and_the_hostile_loads(newest, user):
    copy_repository(newest.guest())
    ran = run_suite(newest.guest(user), SUITES, seconds=550)
    assert ran.code == 0, ran.told
    assert ran.missing(*([] if user == "root" else [PRIVILEGED])) == {}, ran.told
