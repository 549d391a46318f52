"""Which unit of a user manager we run in, and whether the manager gave it away to us."""

import pytest
from fake_bus import FailureError, FakeSystemd

from steadyrun.bus.address import Bus
from steadyrun.bus.connection import within
from steadyrun.bus.properties import prop
from steadyrun.bus.units import Manager
from steadyrun.contain.systemd_facts import own_unit, read_manager
from steadyrun.model.containment import CgroupMount

MOUNT = CgroupMount("/cg", "/", ("memory",), True, True)
GROUP = "/user.slice/user-7.slice/user@7.service"
UNITS = {
    f"{GROUP}/app.slice/x.scope": f"/cg{GROUP}/app.slice/x.scope",
    f"{GROUP}/app.slice/x.scope/rest": f"/cg{GROUP}/app.slice/x.scope",
    f"{GROUP}/app.slice/x.service/deep/y.scope/rest": f"/cg{GROUP}/app.slice/x.service/deep/y.scope",
    f"{GROUP}/app.slice": None,
    GROUP: None,
    "/user.slice/user-7.slice/session-2.scope": None,
    f"{GROUP}1/x.scope": None,
    "/../x.scope": None,
}


@pytest.mark.parametrize("own", UNITS)
def test_the_lowest_unit_below_the_manager_is_the_one_we_run_in(own):
    assert own_unit(MOUNT, own, GROUP) == UNITS[own]


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """A user manager with a unit that it gave away and one that it did not."""
    with FakeSystemd(tmp_path / "bus") as fake:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", fake.env["DBUS_SYSTEM_BUS_ADDRESS"])
        monkeypatch.setattr("os.geteuid", lambda: 7)
        fake.control_group = GROUP
        with Manager.open(Bus.USER, until=within(5)) as manager:
            manager.start_transient("given.scope", [prop("PIDs", [1]), prop("Delegate", True)])
            manager.start_transient("kept.scope", [prop("PIDs", [1]), prop("Delegate", False)])
        fake.calls.clear()
        yield fake


@pytest.mark.parametrize("unit", ["given", "kept", "unheard-of"])
def test_a_user_manager_is_asked_whether_it_gave_our_unit_away(systemd, unit):
    found = read_manager(MOUNT, 5.0, f"{GROUP}/app.slice/{unit}.scope/rest")
    assert found.trouble == ""
    assert found.given == (f"/cg{GROUP}/app.slice/given.scope" if unit == "given" else "")


def test_a_session_is_no_unit_of_the_manager_and_nothing_is_asked(systemd):
    assert read_manager(MOUNT, 5.0, "/user.slice/user-7.slice/session-2.scope").given == ""
    assert systemd.asked("GetUnit") == []


def test_what_cannot_be_told_was_not_given_and_the_manager_is_used(systemd):
    def refuse(fake, call):
        raise FailureError("org.freedesktop.DBus.Error.AccessDenied")

    systemd.answers["GetUnit"] = refuse
    found = read_manager(MOUNT, 5.0, f"{GROUP}/app.slice/given.scope/rest")
    assert (found.trouble, found.given, found.version) == ("", "", 252)


@pytest.fixture
def absent(systemd):
    """Make the manager one that nobody finds on the bus for the first questions."""

    def of(questions):
        answer, left = systemd.answers["Get"], [questions]

        def nobody_yet(fake, call):
            left[0] -= 1
            if left[0] >= 0:
                raise FailureError("org.freedesktop.DBus.Error.NameHasNoOwner")
            return answer(fake, call)

        systemd.answers["Get"] = nobody_yet

    return of


def test_a_manager_that_runs_and_is_not_on_the_bus_yet_is_waited_for(absent, tmp_path, monkeypatch):
    (tmp_path / "systemd/private").mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    absent(2)
    assert read_manager(MOUNT, 5.0).trouble == ""


def test_on_a_bus_without_a_manager_nobody_is_waited_for(absent, tmp_path, monkeypatch, systemd):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    absent(2)
    assert "NameHasNoOwner" in read_manager(MOUNT, 5.0).trouble
    assert len(systemd.asked("Get")) == 1
