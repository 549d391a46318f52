"""The connection to a bus: answers, errors, silence and hang-ups, each within its deadline."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest
from fake_bus import FailureError, FakeBus, HangUpError, SilenceError

from steadyrun.bus.address import Bus, candidates, own_socket, parse_address
from steadyrun.bus.connection import Target, open_bus, open_peer, within
from steadyrun.errors import BusError

ECHO = Target("org.example.Echo", "/org/example/Echo", "org.example.Echo")


@pytest.fixture
def bus(tmp_path):
    with FakeBus(tmp_path / "bus") as fake:
        yield fake


def connect(fake, **how):
    return open_bus(Bus.SYSTEM, until=within(5), env=fake.env, **how)


def test_a_call_returns_the_values_of_its_answer(bus):
    bus.answers["Say"] = lambda fake, call: ("sua{sv}", (call.body[0] * 2, 7, {"K": ("t", 2**64 - 1)}))
    with connect(bus) as connection:
        said = connection.call(ECHO, "Say", "s", ("ab",), until=within(5))
    assert said == ("abab", 7, {"K": ("t", 2**64 - 1)})
    assert bus.asked("Say")[0] == (
        "org.example.Echo",
        "/org/example/Echo",
        "org.example.Echo",
        "Say",
        ("ab",),
    )


def test_no_call_starts_a_service_or_asks_a_person(bus):
    bus.answers["Say"] = lambda fake, call: ("", ())
    with connect(bus) as connection:
        connection.call(ECHO, "Say", until=within(5))
    assert {int(flags) for flags in bus.flags} == {2}  # NO_AUTO_START alone


def test_an_error_reply_is_raised_with_its_name_text_and_hint(bus):
    def refuse(fake, call):
        raise FailureError("org.freedesktop.DBus.Error.AccessDenied", "Permission denied")

    bus.answers["Say"] = refuse
    with connect(bus) as connection, pytest.raises(BusError) as caught:
        connection.call(ECHO, "Say", until=within(5))
    assert caught.value.name == "org.freedesktop.DBus.Error.AccessDenied"
    assert caught.value.message == "Echo.Say: Permission denied (org.freedesktop.DBus.Error.AccessDenied)"
    assert "polkit" in caught.value.hint


def test_silence_ends_at_the_deadline_and_the_late_answer_is_nobody_elses(bus):
    def keep_silent(fake, call):
        raise SilenceError

    bus.answers["Say"] = keep_silent
    bus.answers["Other"] = lambda fake, call: ("s", ("other",))
    with connect(bus) as connection:
        began = time.monotonic()
        with pytest.raises(BusError, match=r"Echo\.Say: no answer in time") as caught:
            connection.call(ECHO, "Say", until=within(0.2))
        assert 0.15 < time.monotonic() - began < 1.5
        assert caught.value.name is None
        assert connection.call(ECHO, "Other", until=within(5)) == ("other",)


def test_an_answer_that_comes_after_its_deadline_is_passed_over(bus):
    def late(fake, call):
        time.sleep(0.3)
        return "s", ("late",)

    bus.answers["Say"] = late
    bus.answers["Other"] = lambda fake, call: ("s", ("other",))
    with connect(bus) as connection:
        with pytest.raises(BusError):
            connection.call(ECHO, "Say", until=within(0.1))
        assert connection.call(ECHO, "Other", until=within(5)) == ("other",)


def test_a_hang_up_is_an_error_and_so_is_every_call_after_it(bus):
    def hang_up(fake, call):
        raise HangUpError

    bus.answers["Say"] = hang_up
    with connect(bus) as connection:
        for _ in range(2):
            with pytest.raises(BusError, match="closed the connection"):
                connection.call(ECHO, "Say", until=within(5))


def test_a_bus_that_accepts_and_says_nothing_does_not_hold_us(tmp_path):
    with FakeBus(tmp_path / "bus", greets=False) as fake:
        began = time.monotonic()
        with pytest.raises(BusError, match="authentication: no answer in time"):
            open_bus(Bus.SYSTEM, until=within(0.2), env=fake.env)
        assert time.monotonic() - began < 1.5


def test_a_bus_that_never_answers_hello_does_not_hold_us(tmp_path):
    def keep_silent(fake, call):
        raise SilenceError

    with FakeBus(tmp_path / "bus") as fake:
        fake.answers["Hello"] = keep_silent
        with pytest.raises(BusError, match=r"DBus\.Hello: no answer in time"):
            open_bus(Bus.SYSTEM, until=within(0.2), env=fake.env)


def test_a_bus_that_does_not_let_us_in_says_so(tmp_path):
    with (
        FakeBus(tmp_path / "bus", lets_in=False) as fake,
        pytest.raises(BusError, match="does not let us in"),
    ):
        connect(fake)


def test_a_bus_that_never_accepts_does_not_hold_us(tmp_path):
    path = tmp_path / "bus"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(path))
        server.listen(0)
        waiting = socket.socket(socket.AF_UNIX)
        waiting.connect(os.fspath(path))  # the queue is full from here on
        began = time.monotonic()
        with waiting, pytest.raises(BusError, match="does not accept in time"):
            open_bus(Bus.SYSTEM, until=within(0.2), env={"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={path}"})
        assert 0.15 < time.monotonic() - began < 1.5


@pytest.mark.parametrize("which", list(Bus))
def test_no_bus_at_all_names_the_sockets_tried_and_what_brings_it_up(which, tmp_path):
    env = {"XDG_RUNTIME_DIR": str(tmp_path), "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/bus"}
    with pytest.raises(BusError, match="No such file") as caught:
        open_bus(which, until=within(1), env=env)
    assert f"{tmp_path}/bus" in caught.value.message
    assert caught.value.hint.startswith("systemctl")


@pytest.mark.parametrize("junk", [b"\xff" * 64, b"l\x02\x00\x01" + b"\xff" * 60])
def test_what_is_no_message_is_an_error_not_a_crash(junk, tmp_path):
    class Junk(FakeBus):
        def _converse(self, connection):
            connection.recv(1024)
            connection.sendall(junk)
            connection.recv(1024)

    with Junk(tmp_path / "bus") as fake, pytest.raises(BusError, match="expected a D-Bus message"):
        connect(fake)


@pytest.mark.parametrize("body", [(-1,), ("x",), (2**32,), ()])
def test_arguments_that_do_not_fit_their_signature_are_an_error_and_nothing_is_sent(body, bus):
    bus.answers["Say"] = lambda fake, call: ("", ())
    with connect(bus) as connection:
        with pytest.raises(BusError):
            connection.call(ECHO, "Say", "u", body, until=within(5))
        connection.call(ECHO, "Say", "u", (1,), until=within(5))
    assert [call.body for call in bus.asked("Say")] == [(1,)]


def test_signals_that_come_before_the_answer_are_kept_for_who_waits(bus):
    signal = bus.signal("/a", "org.example.Echo", "Heard", "s", ("early",))
    bus.answers["Say"] = lambda fake, call: ("", ())
    with connect(bus) as connection:
        sender = connection.listen(ECHO, "Heard", until=within(5))
        bus.before.append(signal)
        connection.call(ECHO, "Say", until=within(5))
        heard = connection.wait(lambda s: s.sender == sender and s.member == "Heard", "it", until=within(5))
    assert heard.body == ("early",)
    (rule,) = bus.asked("AddMatch")[0].body
    assert rule == (
        "type='signal',sender='org.example.Echo',path='/org/example/Echo',"
        "interface='org.example.Echo',member='Heard'"
    )


def test_waiting_for_a_signal_ends_at_its_deadline_though_others_keep_coming(bus):
    bus.answers["Say"] = lambda fake, call: ("", ())
    bus.after.extend(bus.signal("/a", "org.example.Echo", "Noise", "", ()) for _ in range(50))
    with connect(bus) as connection:
        connection.call(ECHO, "Say", until=within(5))
        with pytest.raises(BusError, match="the end: no answer in time"):
            connection.wait(lambda s: s.member == "Heard", "the end", until=within(0.2))


def test_signals_that_keep_dripping_do_not_put_the_deadline_off(bus):
    bus.answers["Say"] = lambda fake, call: ("", ())
    over = threading.Event()

    def drip():
        for serial in range(1000, 1100):
            data = bus.signal("/a", "org.example.Echo", "Noise", "", ()).serialise(serial=serial)
            if over.wait(0.05):
                return
            bus.connections[0].sendall(data)

    with connect(bus) as connection:
        connection.call(ECHO, "Say", until=within(5))
        dripping = threading.Thread(target=drip)
        dripping.start()
        began = time.monotonic()
        with pytest.raises(BusError, match="no answer in time"):
            connection.wait(lambda s: s.member == "Heard", "it", until=within(0.4))
        took = time.monotonic() - began
        over.set()
        dripping.join()
    assert took < 2.0


def test_a_descriptor_comes_through_and_is_not_inherited(bus):
    read_end, write_end = os.pipe()
    bus.answers["Give"] = lambda fake, call: ("h", (write_end,))
    with connect(bus, descriptors=True) as connection:
        (handle,) = connection.call(ECHO, "Give", until=within(5))
        descriptor = handle.to_raw_fd()
    os.write(descriptor, b"x")
    assert os.read(read_end, 1) == b"x"
    assert not os.get_inheritable(descriptor)
    for each in (read_end, write_end, descriptor):
        os.close(each)


def test_properties_come_without_their_signatures(bus):
    bus.answers["GetAll"] = lambda fake, call: ("a{sv}", ({"A": ("s", "x"), "B": ("as", ["y"])},))
    bus.answers["Get"] = lambda fake, call: ("v", (("u", 3),))
    with connect(bus) as connection:
        assert connection.properties(ECHO, until=within(5)) == {"A": "x", "B": ["y"]}
        assert connection.property(ECHO, "C", until=within(5)) == 3
    assert bus.asked("GetAll")[0].body == ("org.example.Echo",)
    assert bus.asked("Get")[0].body == ("org.example.Echo", "C")


def test_importing_the_room_does_not_import_jeepney():
    code = (
        "import sys, steadyrun.bus.units, steadyrun.bus.login, steadyrun.bus.properties;"
        "sys.exit('jeepney' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("unix:path=/run/user/1000/bus", ("/run/user/1000/bus",)),
        ("unix:path=/tmp/a%20b,guid=0123", ("/tmp/a b",)),
        ("unix:abstract=/tmp/dbus-x,guid=1;tcp:host=h,port=1;unix:path=/y", ("\0/tmp/dbus-x", "/y")),
        ("tcp:host=localhost,port=1", ()),
        ("unix:tmpdir=/tmp", ()),
        ("nonsense", ()),
        ("", ()),
    ],
)
def test_addresses_are_read_as_the_specification_writes_them(text, places):
    assert parse_address(text) == places


def test_the_user_bus_is_looked_for_where_systemd_puts_it_before_what_the_session_names():
    env = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/tmp/own"}
    assert candidates(Bus.USER, env, 1000) == ("/run/user/1000/bus", "/tmp/own")
    assert candidates(Bus.USER, {"XDG_RUNTIME_DIR": "/r"}, 1000) == ("/r/bus",)
    assert candidates(Bus.SYSTEM, {}, 1000) == ("/run/dbus/system_bus_socket",)


def test_a_peer_without_a_bus_is_called_without_hello(bus):
    bus.answers["Say"] = lambda fake, call: ("s", ("heard",))
    with open_peer(bus.path, os.geteuid(), until=within(5)) as connection:
        assert connection.call(ECHO, "Say", until=within(5)) == ("heard",)
    assert [call.member for call in bus.calls] == ["Say"]


def test_a_peer_is_asked_in_one_piece_so_that_no_call_is_read_together_with_the_begin(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "peer"))
        server.listen()
        heard = []

        def serve():
            with server.accept()[0] as peer:
                heard.append(peer.recv(1024))
                peer.sendall(b"OK 0123\r\n")
                peer.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        open_peer(str(tmp_path / "peer"), os.geteuid(), until=within(5)).close()
        thread.join()
    whom = str(os.geteuid()).encode().hex().encode()
    assert heard == [b"\0AUTH EXTERNAL " + whom + b"\r\nBEGIN\r\n"]


def test_a_peer_that_does_not_let_us_in_or_hangs_up_is_an_error(tmp_path):
    with FakeBus(tmp_path / "bus", lets_in=False) as fake, pytest.raises(BusError, match="REJECTED"):
        open_peer(fake.path, os.geteuid(), until=within(5))
    with (
        FakeBus(tmp_path / "silent", greets=False) as fake,
        pytest.raises(BusError, match="authentication: no answer in time") as caught,
    ):
        open_peer(fake.path, os.geteuid(), until=within(0.2))
    assert caught.value.silent


def test_a_socket_that_somebody_else_made_is_not_talked_to(bus):
    with pytest.raises(BusError, match=f"expected a socket of uid 4242, found one of uid {os.geteuid()}"):
        open_peer(bus.path, 4242, until=within(5))
    assert bus.calls == []


def test_nobody_listening_is_an_error_and_a_users_manager_listens_below_their_runtime_folder(tmp_path):
    with pytest.raises(BusError, match="No such file"):
        open_peer(str(tmp_path / "none"), os.geteuid(), until=within(5))
    assert own_socket(1000) == "/run/user/1000/systemd/private"
