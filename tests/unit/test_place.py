"""Where a conductor belongs, from its own cgroup, as a table."""

import pytest

from steadyrun.kernel.cgroupfiles import parse_proc_cgroup
from steadyrun.ramp.place import Place, Surroundings, foresee, place_for, scope_properties, unit_path

SESSION = "/user.slice/user-1000.slice/session-3.scope"
TERMINAL = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-terminal.scope"
OTHERS = "/user.slice/user-1001.slice/session-4.scope"
SERVICE = "/system.slice/cron.service"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"0::{SESSION}\n", SESSION),
        (f"4:memory:/user.slice\n1:name=systemd:{SESSION}\n0::{SESSION}x\n", SESSION),
        ("4:memory:/docker/x\n", ""),
        ("", ""),
    ],
)
def test_our_path_is_that_in_systemds_own_hierarchy(text, path):
    assert unit_path(parse_proc_cgroup(text)) == path


@pytest.mark.parametrize(
    ("euid", "systemd", "path", "place"),
    [
        (1000, True, SESSION, Place.USER_SCOPE),
        (1000, True, TERMINAL, Place.USER_SCOPE),
        (1000, True, OTHERS, Place.AS_IT_IS),  # su: the login is another user's
        (1000, True, SERVICE, Place.AS_IT_IS),
        (1000, False, SESSION, Place.AS_IT_IS),
        (100, True, SESSION, Place.AS_IT_IS),  # user-100 is not user-1000
        (0, True, SESSION, Place.SYSTEM_SCOPE),
        (0, True, SERVICE, Place.SYSTEM_SCOPE),
        (0, False, "/", Place.AS_IT_IS),
    ],
)
def test_a_conductor_goes_where_no_session_ends_it(euid, systemd, path, place):
    assert place_for(Surroundings(euid, systemd, path)) is place


@pytest.mark.parametrize(
    ("around", "lingers", "words"),
    [
        (Surroundings(1000, True, SESSION), True, "goes on when your session ends"),
        (Surroundings(1000, True, SESSION), False, "lingering"),
        (Surroundings(1000, True, SESSION), None, "lingering"),
        (Surroundings(0, True, SESSION), None, "system.slice"),
        (Surroundings(1000, True, OTHERS), None, "ends with your session"),
        (Surroundings(1000, True, SERVICE), None, ""),
        (Surroundings(0, False, "/"), None, ""),
    ],
)
def test_what_becomes_of_it_is_said_before_anything_runs(around, lingers, words):
    said = foresee(around, lingers=lingers)
    assert words in said
    assert bool(said) == bool(words)


@pytest.mark.parametrize(("version", "policy"), [(None, False), (247, False), (252, False), (253, True)])
def test_an_oom_policy_is_asked_for_only_where_scopes_have_one(version, policy):
    properties = dict(scope_properties(Place.USER_SCOPE, "r1", 42, version))
    assert ("OOMPolicy" in properties) is policy
    assert properties["PIDs"] == ("au", [42])
    assert properties["Slice"] == ("s", "app.slice")
    assert dict(scope_properties(Place.SYSTEM_SCOPE, "r1", 42, version))["Slice"] == ("s", "system.slice")
