"""Transient units: the job is waited for, the unit is read afterwards, and nothing is taken for granted."""

import os
import time

import pytest
from fake_bus import FailureError, FakeSystemd, SilenceError

from steadyrun.bus.address import Bus
from steadyrun.bus.connection import within
from steadyrun.bus.properties import INFINITY, SIGNATURES, command, prop
from steadyrun.bus.units import Manager
from steadyrun.errors import BusError


@pytest.fixture
def systemd(tmp_path):
    with FakeSystemd(tmp_path / "bus") as fake:
        yield fake


@pytest.fixture
def manager(systemd):
    with Manager.open(Bus.SYSTEM, until=within(5), env=systemd.env) as manager:
        yield manager


SCOPE = [prop("PIDs", [4242]), prop("MemoryMax", 2**20), prop("Delegate", True), prop("Slice", "a.slice")]


def test_a_scope_is_started_with_typed_properties_and_read_once_its_job_is_done(systemd, manager):
    unit = manager.start_transient("x.scope", SCOPE)
    (name, mode, properties, auxiliary) = systemd.asked("StartTransientUnit")[0].body
    assert (name, mode, auxiliary) == ("x.scope", "fail", [])
    assert properties == [(each.name, each.value) for each in SCOPE]
    assert unit.is_up()
    assert unit.control_group == "/user.slice/x.scope"
    assert unit.invocation_id == bytes(range(16)).hex()
    assert unit.own["MemoryMax"] == 2**20
    order = [call.member for call in systemd.calls]
    assert order.index("Subscribe") < order.index("StartTransientUnit") < order.index("GetUnit")


def test_a_reload_is_over_when_it_is_answered(systemd, manager):
    systemd.answers["Reload"] = lambda bus, call: ("", ())
    manager.reload()
    assert len(systemd.asked("Reload")) == 1


def test_a_reload_that_is_refused_is_an_error(systemd, manager):
    def refuse(bus, call):
        raise FailureError("org.freedesktop.DBus.Error.AccessDenied")

    systemd.answers["Reload"] = refuse
    with pytest.raises(BusError, match="AccessDenied"):
        manager.reload()


def test_a_cgroup_is_written_again_by_setting_the_markers_to_what_they_are(systemd, manager):
    systemd.units["user.slice"] = {"Markers": ("as", ["needs-restart"])}
    systemd.answers["SetUnitProperties"] = lambda bus, call: ("", ())
    manager.realize("user.slice")
    (asked,) = systemd.asked("SetUnitProperties")
    assert asked.body == ("user.slice", True, [("Markers", ("as", ["needs-restart"]))])


def test_a_unit_that_is_not_there_is_not_realized(systemd, manager):
    with pytest.raises(BusError, match="not loaded"):
        manager.realize("user.slice")
    assert systemd.asked("SetUnitProperties") == []


def test_the_manager_is_subscribed_to_once(systemd, manager):
    for name in ("a.scope", "b.scope"):
        manager.start_transient(name, SCOPE)
    assert len(systemd.asked("Subscribe")) == 1


@pytest.mark.parametrize("result", ["failed", "timeout", "canceled", "dependency"])
def test_a_job_that_is_not_done_is_an_error_that_names_its_result(result, systemd, manager):
    systemd.job_results["x.scope"] = result
    with pytest.raises(BusError, match=f"expected its job to be done, found {result}"):
        manager.start_transient("x.scope", SCOPE)


def test_a_job_whose_end_never_comes_ends_at_the_deadline(systemd, manager):
    systemd.job_results["x.scope"] = None
    began = time.monotonic()
    with pytest.raises(BusError, match=r"the start of x\.scope: no answer in time"):
        manager.start_transient("x.scope", SCOPE, until=within(0.3))
    assert time.monotonic() - began < 1.5


def test_the_end_of_a_job_is_believed_of_systemd_alone(systemd, manager):
    systemd.job_sender = ":1.666"
    with pytest.raises(BusError, match="no answer in time"):
        manager.start_transient("x.scope", SCOPE, until=within(0.3))


def test_a_refused_unit_is_an_error_with_its_name(systemd, manager):
    manager.start_transient("x.scope", SCOPE)
    with pytest.raises(BusError) as caught:
        manager.start_transient("x.scope", SCOPE)
    assert caught.value.name == "org.freedesktop.systemd1.UnitExists"


def test_a_unit_that_is_gone_right_after_its_job_is_an_error(systemd, manager):
    start = systemd.answers["StartTransientUnit"]

    def vanish(fake, call):
        answer = start(fake, call)
        fake.units.clear()
        return answer

    systemd.answers["StartTransientUnit"] = vanish
    with pytest.raises(BusError, match="there is no such unit"):
        manager.start_transient("x.scope", SCOPE)


def test_a_stop_waits_for_its_job_and_tells_when_there_was_nothing(systemd, manager):
    manager.start_transient("x.scope", SCOPE)
    assert manager.stop("x.scope") is True
    assert manager.unit("x.scope") is None
    assert manager.stop("x.scope") is False
    assert manager.reset_failed("x.scope") is False


def test_a_stop_that_fails_is_an_error(systemd, manager):
    manager.start_transient("x.scope", SCOPE)
    systemd.job_results["x.scope"] = "timeout"
    with pytest.raises(BusError, match="found timeout"):
        manager.stop("x.scope")


@pytest.mark.parametrize(("name", "given"), [("x.scope", True), ("y.scope", False), ("gone.scope", False)])
def test_a_unit_that_was_given_away_is_told_by_its_manager(name, given, systemd, manager):
    manager.start_transient("x.scope", SCOPE)
    manager.start_transient("y.scope", [prop("PIDs", [4243]), prop("Delegate", False)])
    assert manager.delegates(name) is given


def test_a_slice_is_not_asked_about_it_cannot_be_given_away(systemd, manager):
    assert manager.delegates("a.slice") is False
    assert systemd.asked("GetUnit") == []


def test_what_cannot_be_told_is_raised_not_taken_for_none(systemd, manager):
    def refuse(fake, call):
        raise FailureError("org.freedesktop.DBus.Error.AccessDenied")

    def keep_silent(fake, call):
        raise SilenceError

    systemd.answers["GetUnit"] = refuse
    with pytest.raises(BusError):
        manager.unit("x.scope")
    systemd.answers["GetUnit"] = keep_silent
    with pytest.raises(BusError):
        manager.unit("x.scope", until=within(0.2))


def test_a_unit_that_never_ran_has_no_invocation_and_no_cgroup(systemd, manager):
    manager.start_transient("x.scope", SCOPE)
    systemd.units["x.scope"].update(InvocationID=("ay", b""), ControlGroup=("s", ""))
    unit = manager.unit("x.scope")
    assert (unit.invocation_id, unit.control_group) == (None, None)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("252.39-1~deb12u1", 252),
        ("247.3-7+deb11u6", 247),
        ("systemd 249", 249),
        ("v258-rc1", 258),
        ("devel", None),
    ],
)
def test_the_version_is_a_number_or_unknown(text, version, systemd, manager):
    systemd.answers["Get"] = lambda fake, call: ("v", (("s", text),))
    assert manager.version() == version


def test_a_service_carries_its_command_and_descriptors(systemd, manager):
    read_end, write_end = os.pipe()
    properties = [
        prop("ExecStart", command("/bin/true", "x")),
        prop("StandardOutputFileDescriptor", write_end),
        prop("CPUQuotaPerSecUSec", INFINITY),
    ]
    systemd.answers["StartTransientUnit"] = lambda fake, call: (_ for _ in ()).throw(FailureError("x.Y"))
    with pytest.raises(BusError, match=r"x\.Y"):
        manager.start_transient("x.service", properties)
    sent = dict(systemd.asked("StartTransientUnit")[0].body[2])
    assert sent["ExecStart"] == ("a(sasb)", [("/bin/true", ["/bin/true", "x"], False)])
    assert os.fstat(sent["StandardOutputFileDescriptor"][1]).st_ino == os.fstat(write_end).st_ino
    for each in (read_end, write_end, sent["StandardOutputFileDescriptor"][1]):
        os.close(each)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MemoryMax", -1),
        ("MemoryMax", 2**64),
        ("MemoryMax", 1.5),
        ("MemoryMax", True),
        ("MemoryMax", "1G"),
        ("Delegate", 1),
        ("Description", "a\0b"),
        ("PIDs", 4242),
        ("PIDs", [-1]),
        ("DelegateControllers", ["cpu", 1]),
        ("ExecStart", ["/bin/true"]),
        ("NoSuchProperty", 1),
    ],
)
def test_a_property_of_another_type_is_refused_before_it_is_sent(name, value):
    with pytest.raises(BusError):
        prop(name, value)


def test_every_signature_is_one_that_dbus_can_carry():
    from jeepney.low_level import parse_signature

    for signature in SIGNATURES.values():
        parse_signature(list(f"({signature})"))
