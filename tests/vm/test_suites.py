"""The repository's contract and hostile suites, over every backend that a real systemd machine has.

Only the backend in question is run in each: the fake and `poll` are everywhere the same.
"""

import pytest
from suites import run_suite
from testbed.program import copy_repository

pytestmark = pytest.mark.deadline(900)


def passed(ran, *names):
    """Assert that nothing failed and that tests of each named backend really ran; return their counts."""
    assert ran.code == 0, ran.told
    found = {name: sum(n for key, n in ran.passed.items() if key.startswith(name)) for name in names}
    assert all(found.values()), f"{found}\n{ran.told}"
    return found


@pytest.mark.parametrize(
    ("mode", "user", "delegated", "backends"),
    [
        pytest.param("unified", "root", False, ("systemd",), id="unified-root"),
        pytest.param("unified", "desk", False, ("systemd",), id="unified-user"),
        pytest.param("unified", "root", True, ("cgroup2",), id="delegated-root"),
        pytest.param("unified", "desk", True, ("cgroup2",), id="delegated-user"),
        pytest.param("hybrid", "root", False, ("cgroup1",), id="hybrid-root"),
        pytest.param("legacy", "root", False, ("cgroup1",), id="legacy-root"),
    ],
)
def test_the_contract_holds(start_machine, mode, user, delegated, backends):
    machine = start_machine(mode)
    copy_repository(machine.guest())
    suite = f"tests/contract -k '{' or '.join(backends)}'"
    passed(run_suite(machine, user, suite, delegated=delegated, seconds=850), *backends)


@pytest.mark.parametrize(
    ("mode", "user", "delegated", "backends"),
    [
        pytest.param("unified", "root", False, ("systemd",), id="unified-root"),
        pytest.param("unified", "desk", False, ("systemd",), id="unified-user"),
        pytest.param("unified", "root", True, ("cgroup2",), id="delegated-root"),
        pytest.param("hybrid", "root", False, ("cgroup1",), id="hybrid-root"),
    ],
)
def test_hostile_loads_do_not_get_away(start_machine, mode, user, delegated, backends):
    machine = start_machine(mode)
    copy_repository(machine.guest())
    suite = f"tests/real/test_contain_hostile.py -k '{' or '.join(backends)}'"
    passed(run_suite(machine, user, suite, delegated=delegated, seconds=850), *backends)
