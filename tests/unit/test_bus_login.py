"""logind: sessions with what they are, lingering as it is, and the lock against sleep."""

import os
import pwd

import pytest
from fake_bus import FailureError, FakeBus

from steadyrun.bus import login
from steadyrun.bus.address import Bus
from steadyrun.bus.connection import open_bus, within
from steadyrun.errors import BusError
from steadyrun.model.session import Session

DESKTOP = {
    "Id": ("s", "c2"),
    "User": ("(uo)", (1000, "/org/freedesktop/login1/user/_1000")),
    "Name": ("s", "ann"),
    "Type": ("s", "x11"),
    "Class": ("s", "user"),
    "State": ("s", "active"),
    "Seat": ("(so)", ("seat0", "/org/freedesktop/login1/seat/seat0")),
    "Display": ("s", ":0"),
    "Desktop": ("s", "openbox"),
    "Leader": ("u", 811),
    "Scope": ("s", "session-c2.scope"),
    "Timestamp": ("t", 1_700_000_000_250_000),
}


@pytest.fixture
def fake(tmp_path):
    with FakeBus(tmp_path / "bus") as fake:
        yield fake


@pytest.fixture
def bus(fake):
    with open_bus(Bus.SYSTEM, until=within(5), env=fake.env, descriptors=True) as bus:
        yield bus


def test_sessions_come_with_their_properties(fake, bus):
    listed = [("c2", 1000, "ann", "seat0", "/s/c2"), ("7", 1000, "ann", "", "/s/_37")]
    fake.answers["ListSessions"] = lambda f, call: ("a(susso)", (listed,))

    def properties(f, call):
        if call.path == "/s/_37":  # ended in between
            raise FailureError("org.freedesktop.login1.NoSuchSession")
        return "a{sv}", (DESKTOP,)

    fake.answers["GetAll"] = properties
    assert login.sessions(bus, until=within(5)) == (
        Session(
            id="c2",
            uid=1000,
            type="x11",
            session_class="user",
            state="active",
            seat="seat0",
            display=":0",
            desktop="openbox",
            leader=811,
            began=1_700_000_000.25,
        ),
    )


def test_a_session_that_cannot_be_read_makes_all_unknown(fake, bus):
    listed = [("c2", 1000, "ann", "seat0", "/s/c2")]
    fake.answers["ListSessions"] = lambda f, call: ("a(susso)", (listed,))
    with pytest.raises(BusError):
        login.sessions(bus, until=within(5))


def test_lingering_is_asked_of_the_user_object(fake, bus):
    fake.answers["GetUser"] = lambda f, call: ("o", ("/u/_1000",))
    fake.answers["Get"] = lambda f, call: ("v", (("b", True),))
    assert login.lingers(bus, 1000, until=within(5)) is True
    assert fake.asked("GetUser")[0].body == (1000,)


def test_lingering_of_who_is_not_logged_in_is_told_by_the_file(fake, bus, tmp_path, monkeypatch):
    def nobody(f, call):
        raise FailureError("org.freedesktop.login1.NoSuchUser")

    fake.answers["GetUser"] = nobody
    monkeypatch.setattr(login, "LINGER_FOLDER", str(tmp_path))
    assert login.lingers(bus, os.getuid(), until=within(5)) is False
    (tmp_path / pwd.getpwuid(os.getuid()).pw_name).touch()
    assert login.lingers(bus, os.getuid(), until=within(5)) is True


def test_lingering_that_nobody_tells_is_raised(fake, bus):
    def refuse(f, call):
        raise FailureError("org.freedesktop.DBus.Error.AccessDenied")

    fake.answers["GetUser"] = refuse
    with pytest.raises(BusError):
        login.lingers(bus, 1000, until=within(5))
    with pytest.raises(BusError, match="expected a user of this machine"):
        login.lingers_by_file(2**31 - 7)


def test_lingering_is_switched_without_asking_for_a_password(fake, bus):
    fake.answers["SetUserLinger"] = lambda f, call: ("", ())
    login.set_lingering(bus, 1000, True, until=within(5))
    login.set_lingering(bus, 1000, False, until=within(5))
    assert [call.body for call in fake.asked("SetUserLinger")] == [(1000, True, False), (1000, False, False)]


def test_the_lock_against_sleep_is_a_descriptor_of_ours(fake, bus):
    read_end, write_end = os.pipe()
    fake.answers["Inhibit"] = lambda f, call: ("h", (write_end,))
    lock = login.inhibit(bus, what=("sleep", "idle"), who="steadyrun", why="a ramp runs", until=within(5))
    assert fake.asked("Inhibit")[0].body == ("sleep:idle", "steadyrun", "a ramp runs", "block")
    os.close(write_end)
    assert not os.get_inheritable(lock)
    os.close(lock)
    assert os.read(read_end, 1) == b""  # ours was the last copy
    os.close(read_end)
