"""The session and the managers as logind and systemd tell them, and as files do when those are silent."""

import os

import pytest
from desktop_tree import Tree
from fake_bus import FailureError, FakeBus, FakeSystemd, SilenceError

from steadyrun.desktop.probes import take_view
from steadyrun.model.desktop import ProbeName, Seen

SESSION, MANAGER, USER = ProbeName.SESSION, ProbeName.DISPLAY_MANAGER, ProbeName.USER_MANAGER
SERVER = ProbeName.DISPLAY_SERVER
INVOCATION = bytes(range(16))


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path / "machine")


@pytest.fixture
def systemd(tmp_path):
    with FakeSystemd(tmp_path / "bus") as fake:
        yield fake


def a_session(**changes):
    session = {
        "Id": ("s", "c2"),
        "User": ("(uo)", (1000, "/u")),
        "Name": ("s", "ann"),
        "Type": ("s", "x11"),
        "Class": ("s", "user"),
        "State": ("s", "active"),
        "Seat": ("(so)", ("seat0", "/seat0")),
        "Display": ("s", ":0"),
        "Desktop": ("s", ""),
        "Leader": ("u", 800),
        "Scope": ("s", "session-c2.scope"),
        "Timestamp": ("t", 1_700_000_100_000_000),
    }
    return session | changes


def a_service(name, **changes):
    unit = {
        "Id": ("s", name),
        "LoadState": ("s", "loaded"),
        "ActiveState": ("s", "active"),
        "SubState": ("s", "running"),
        "InvocationID": ("ay", INVOCATION),
        "ActiveEnterTimestamp": ("t", 1_700_000_050_000_000),
        "MainPID": ("u", 600),
        "Result": ("s", "success"),
    }
    return unit | changes


def look(tree, systemd, name, *, seconds=3.0, **env):
    view = take_view(wall=0.0, root=tree.root, env={**systemd.env, **env}, deadline_s=seconds)
    return view.probe(name)


def test_a_session_is_what_logind_says(tree, systemd):
    tree.process(800, "lightdm", ticks=4321)
    systemd.sessions["/s/c2"] = a_session()
    found = look(tree, systemd, SESSION)
    assert (found.seen, found.label, found.since) == (Seen.PRESENT, "c2 (x11, seat0)", 1_700_000_100)
    assert found.identity == "session c2, leader 800 started 4321"
    assert found.evidence.startswith("logind:")


def test_logind_and_its_files_give_one_session_one_identity(tree, systemd):
    tree.process(800, "lightdm", ticks=4321)
    tree.session("c2", LEADER=800, SEAT="seat0", REALTIME=1_700_000_100_000_000)
    systemd.sessions["/s/c2"] = a_session()
    asked = look(tree, systemd, SESSION)

    def keep_silent(fake, call):
        raise SilenceError

    systemd.answers["ListSessions"] = keep_silent
    read = look(tree, systemd, SESSION, seconds=1.0)
    assert (read.identity, read.label, read.since) == (asked.identity, asked.label, asked.since)
    assert "logind: Manager.ListSessions: no answer in time" in read.evidence


def test_a_session_that_logind_calls_closing_has_ended(tree, systemd):
    tree.process(800, "lightdm", ticks=4321)
    systemd.sessions["/s/c2"] = a_session(State=("s", "closing"))
    assert look(tree, systemd, SESSION).seen is Seen.ABSENT


def test_the_x_server_of_the_login_screen_is_nobodys_session(tree, systemd):
    tree.process(900, "Xorg", ticks=5)
    tree.file("proc/900/cgroup", "0::/system.slice/lightdm.service\n")
    assert look(tree, systemd, SESSION).seen is Seen.ABSENT
    tree.file("proc/900/cgroup", "0::/user.slice/user-1000.slice/session-1.scope\n")  # startx
    assert look(tree, systemd, SESSION).identity == "pid 900 started 5"


def test_the_display_manager_is_known_by_its_unit_under_its_own_name(tree, systemd):
    systemd.units["display-manager.service"] = a_service("lightdm.service")
    found = look(tree, systemd, MANAGER)
    assert (found.seen, found.label, found.since) == (Seen.PRESENT, "lightdm", 1_700_000_050)
    assert found.identity == f"invocation {INVOCATION.hex()}"
    assert "main process 600" in found.evidence


def test_systemd_and_its_links_give_one_display_manager_one_identity(tree, systemd):
    tree.process(600, "lightdm", ticks=5)
    tree.link("run/systemd/units/invocation:lightdm.service", INVOCATION.hex())
    systemd.units["display-manager.service"] = a_service("lightdm.service")
    asked = look(tree, systemd, MANAGER)
    systemd.units.clear()
    read = look(tree, systemd, MANAGER)
    assert read.identity == asked.identity == f"invocation {INVOCATION.hex()}"


def test_a_display_manager_that_failed_is_absent_and_systemds_words_say_why(tree, systemd):
    failed = {"ActiveState": ("s", "failed"), "SubState": ("s", "failed"), "Result": ("s", "core-dump")}
    systemd.units["display-manager.service"] = a_service("lightdm.service", **failed)
    found = look(tree, systemd, MANAGER)
    assert found.seen is Seen.ABSENT
    assert "lightdm.service: failed (failed)" in found.evidence
    assert "result core-dump" in found.evidence


def test_a_user_manager_whose_processes_are_hidden_is_known_by_its_unit(tree, systemd):
    tree.session("c2", LEADER=800)
    os.remove(f"{tree.root}/proc/1/stat")  # hidepid
    systemd.units["user@1000.service"] = a_service("user@1000.service")
    found = look(tree, systemd, USER)
    assert (found.seen, found.identity) == (Seen.PRESENT, f"invocation {INVOCATION.hex()}")


def test_the_user_manager_that_we_run_in_is_watched_though_the_session_ended(tree, systemd):
    me = os.geteuid()
    tree.process(700, "systemd", ticks=9, uid=me)
    assert look(tree, systemd, USER).seen is Seen.ABSENT
    tree.file("proc/self/cgroup", f"0::/user.slice/user-{me}.slice/user@{me}.service/app.slice/x.scope\n")
    assert look(tree, systemd, USER).identity == "pid 700 started 9"


def test_a_bus_that_hangs_costs_no_probe_its_answer(tree, tmp_path):
    tree.process(800, "lightdm", ticks=1)
    tree.process(700, "systemd", ticks=2, uid=1000)
    tree.session("c2", LEADER=800)
    with FakeBus(tmp_path / "bus", greets=False) as hung:
        view = take_view(wall=0.0, root=tree.root, env=hung.env, deadline_s=1.5)
    assert {p.name: p.seen for p in view.probes} == {
        SESSION: Seen.PRESENT,
        MANAGER: Seen.PRESENT,
        USER: Seen.PRESENT,
        SERVER: Seen.ABSENT,
        ProbeName.SSH: Seen.ABSENT,
    }


def test_a_compositor_without_a_socket_to_reach_is_pinged_on_the_users_bus(tree, systemd, tmp_path):
    me = os.geteuid()
    tree.process(800, "gdm-session", ticks=1)
    tree.process(850, "gnome-shell", ticks=77)
    tree.session("c2", LEADER=800, UID=me, TYPE="wayland")

    def owner(fake, call):
        if call.body[0] == "org.gnome.Shell":
            return "s", (":1.20",)
        raise FailureError("org.freedesktop.DBus.Error.NameHasNoOwner")

    systemd.answers["GetNameOwner"] = owner
    systemd.answers["GetConnectionUnixProcessID"] = lambda fake, call: ("u", (850,))
    systemd.answers["Ping"] = lambda fake, call: ("", ())
    found = look(tree, systemd, SERVER, XDG_RUNTIME_DIR=str(tmp_path))
    assert (found.seen, found.label) == (Seen.PRESENT, "org.gnome.Shell")
    assert found.identity == "pid 850 started 77"
    assert found.latency_ms >= 0

    def keep_silent(fake, call):
        raise SilenceError

    systemd.answers["Ping"] = keep_silent
    assert look(tree, systemd, SERVER, seconds=1.0, XDG_RUNTIME_DIR=str(tmp_path)).seen is Seen.UNKNOWN
