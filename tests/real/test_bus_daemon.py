"""The connection against a real dbus-daemon of our own: its answers, and its silence when it is stopped."""

import os
import shutil
import signal
import subprocess

import pytest

from conftest import until
from steadyrun.bus.address import Bus
from steadyrun.bus.connection import DAEMON, Target, open_bus, within
from steadyrun.bus.units import Manager
from steadyrun.errors import BusError

DBUS_DAEMON = shutil.which("dbus-daemon")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(DBUS_DAEMON is None, reason="no dbus-daemon: apt-get install dbus-daemon"),
]

CONFIG = """<busconfig>
<type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy>
</busconfig>
"""


class Daemon:
    """A bus of this test alone."""

    def __init__(self, folder):
        self.path = str(folder / "bus")
        config = folder / "bus.conf"
        config.write_text(CONFIG.format(path=self.path))
        self.process = subprocess.Popen([DBUS_DAEMON, f"--config-file={config}", "--nofork", "--nopidfile"])
        assert until(lambda: os.path.exists(self.path))

    @property
    def env(self):
        return {
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.path}",
            "XDG_RUNTIME_DIR": os.path.dirname(self.path) + "/none",
        }

    def end(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def daemon(tmp_path):
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.end()


def connect(daemon, **how):
    return open_bus(Bus.USER, until=within(10), env=daemon.env, **how)


def test_the_bus_gives_us_a_name_and_answers(daemon):
    with connect(daemon) as bus:
        (names,) = bus.call(DAEMON, "ListNames", until=within(10))
        assert bus.name in names
        (pid,) = bus.call(DAEMON, "GetConnectionUnixProcessID", "s", (bus.name,), until=within(10))
        assert pid == os.getpid()


def test_signals_come_from_who_sent_them(daemon):
    with connect(daemon) as listener, connect(daemon) as other:
        sender = listener.listen(DAEMON, "NameOwnerChanged", until=within(10))
        gone = other.name
        other.close()

        def is_its_end(signal):
            return signal.sender == sender and signal.body[:2] == (gone, gone) and signal.body[2] == ""

        assert listener.wait(is_its_end, "its end", until=within(10)).member == "NameOwnerChanged"


def test_descriptors_can_be_agreed_on(daemon):
    with connect(daemon, descriptors=True) as bus:
        assert bus.owner("org.freedesktop.DBus", until=within(10)) == "org.freedesktop.DBus"


def test_a_manager_that_is_not_there_is_an_error_with_a_hint_and_nobody_is_started(daemon):
    with Manager(connect(daemon)) as manager, pytest.raises(BusError) as caught:
        manager.version(until=within(10))
    assert caught.value.name == "org.freedesktop.DBus.Error.NameHasNoOwner"
    assert "systemctl" in caught.value.hint


def test_properties_of_the_bus_itself_are_read(daemon):
    with connect(daemon) as bus:
        features = bus.property(Target(*DAEMON), "Features", until=within(10))
        assert isinstance(features, list)


def test_a_stopped_daemon_does_not_hold_us(daemon):
    with connect(daemon) as bus:
        daemon.process.send_signal(signal.SIGSTOP)
        with pytest.raises(BusError, match="no answer in time"):
            bus.call(DAEMON, "ListNames", until=within(0.3))
        with pytest.raises(BusError, match="no answer in time"):
            open_bus(Bus.USER, until=within(0.3), env=daemon.env)
        daemon.process.send_signal(signal.SIGCONT)
        assert bus.call(DAEMON, "GetId", until=within(10))


def test_a_daemon_that_ends_is_an_error_at_once(daemon):
    with connect(daemon) as bus:
        daemon.end()
        with pytest.raises(BusError):
            bus.call(DAEMON, "ListNames", until=within(10))
