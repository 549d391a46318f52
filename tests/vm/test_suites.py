"""The contract and hostile suites where controllers are of version 1; `test_backends` has the others."""

import pytest
from suites import run_suite
from testbed.program import copy_repository

pytestmark = pytest.mark.deadline(900)

SUITES = "tests/contract tests/real/test_contain_hostile.py -k cgroup1"
NO_HIERARCHY = r"this containment has no \w+ hierarchy"
"""A test for each that a machine may have: of cpu and cpuacct this one has both in one."""


@pytest.mark.long
@pytest.mark.parametrize("mode", ["hybrid", "legacy"])
def test_the_contract_and_the_hostile_loads(start_machine, mode):
    machine = start_machine(mode)
    copy_repository(machine.guest())
    ran = run_suite(machine.guest(), SUITES, seconds=850)
    assert ran.code == 0, ran.told
    assert ran.missing(NO_HIERARCHY) == {}, ran.told
