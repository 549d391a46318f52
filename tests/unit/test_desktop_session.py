"""The session, the display manager and the user manager, told from files of a machine made here."""

import os

import pytest
from desktop_tree import BTIME, Tree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steadyrun.desktop.probes import take_view
from steadyrun.desktop.session import parse_session
from steadyrun.model.desktop import ProbeName, Seen

TICK = os.sysconf("SC_CLK_TCK")
SESSION, MANAGER, USER = ProbeName.SESSION, ProbeName.DISPLAY_MANAGER, ProbeName.USER_MANAGER


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def look(tree, name=SESSION, **env):
    return take_view(wall=0.0, root=tree.root, env=env, deadline_s=1.0).probe(name)


def test_a_bare_machine_has_none_of_the_five_and_every_probe_says_why(tree):
    view = take_view(wall=7.0, root=tree.root, env={})
    assert view.wall == 7.0
    assert sorted(p.name.value for p in view.probes) == sorted(name.value for name in ProbeName)
    assert all(p.seen is Seen.ABSENT and p.identity is None and p.evidence for p in view.probes)


def test_a_session_of_logind_is_known_by_its_id_its_leader_and_the_leaders_start(tree):
    tree.process(800, "lightdm", ticks=4321)
    tree.session("c2", LEADER=800, SEAT="seat0", REALTIME=1_700_000_100_000_000)
    found = look(tree)
    assert found.seen is Seen.PRESENT
    assert found.label == "c2 (x11, seat0)"
    assert found.since == 1_700_000_100
    assert all(word in found.identity for word in ("c2", "800", "4321"))


def test_another_leader_is_another_session_although_id_and_pid_are_the_same(tree):
    tree.session("c2", LEADER=800)
    tree.process(800, "lightdm", ticks=4321)
    before = look(tree).identity
    tree.process(800, "lightdm", ticks=9999)
    assert look(tree).identity != before


def test_a_second_login_does_not_take_the_place_of_the_session_that_is_watched(tree):
    tree.process(800, "lightdm", ticks=1)
    tree.process(900, "lightdm", ticks=2)
    tree.session("c2", LEADER=800, REALTIME=100, ACTIVE=1)
    before = look(tree).identity
    tree.session("c1", LEADER=900, REALTIME=200, UID=1001)
    tree.session("c2", LEADER=800, REALTIME=100, ACTIVE=0, STATE="online")
    assert look(tree).identity == before


@pytest.mark.parametrize(
    "keys",
    [
        {"TYPE": "tty"},
        {"TYPE": None},
        {"STATE": "closing"},
        {"CLASS": "greeter"},
        {"CLASS": "manager"},
        {"LEADER": 801},
    ],
)
def test_what_is_no_persons_living_screen_is_no_session(tree, keys):
    tree.process(800, "x", ticks=1)
    tree.session("c2", **({"LEADER": 800} | keys))
    assert look(tree).seen is Seen.ABSENT


def test_the_login_screen_is_named_where_it_is_all_there_is(tree):
    tree.process(800, "lightdm", ticks=1)
    tree.process(801, "Xorg", ticks=2)
    tree.session("c1", CLASS="greeter", LEADER=800)
    found = look(tree)
    assert found.seen is Seen.ABSENT
    assert "login screen" in found.evidence


def test_without_logind_the_display_server_process_that_runs_longest_is_the_session(tree):
    tree.process(70, "sway", ticks=50 * TICK, uid=1000)
    tree.process(60, "Xwayland", ticks=60 * TICK, uid=1000)
    tree.process(50, "Xvfb", ticks=1)
    found = look(tree)
    assert (found.seen, found.label, found.since) == (Seen.PRESENT, "sway", BTIME + 50)


def test_a_dead_display_server_is_none(tree):
    tree.process(70, "sway", ticks=5, state="Z")
    assert look(tree).seen is Seen.ABSENT


def test_where_processes_are_hidden_nothing_is_claimed_to_be_absent(tree):
    os.unlink(tree.path("proc/1/stat"))
    for name in (SESSION, MANAGER):
        assert look(tree, name).seen is Seen.UNKNOWN


def test_a_state_file_that_cannot_be_read_leaves_the_session_unknown(tree):
    os.makedirs(tree.path("run/systemd/sessions/c2"))
    assert look(tree).seen is Seen.UNKNOWN


def test_control_characters_of_a_state_file_do_not_reach_the_terminal(tree):
    tree.process(800, "x", ticks=1)
    tree.session(
        "c2", LEADER=800, SEAT="se\x1b[2Jat\udc80".encode("utf-8", "surrogateescape").decode("latin-1")
    )
    found = look(tree)
    assert found.seen is Seen.PRESENT
    assert found.label.isprintable()
    (found.label + found.evidence + found.identity).encode()


@given(data=st.binary(max_size=300) | st.from_regex(rb"(TYPE|CLASS|LEADER|REALTIME|UID)=[^\n]{0,30}\n"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_any_bytes_in_a_state_file_are_borne(tmp_path, data):
    tree = Tree(tmp_path)
    tree.file("run/systemd/sessions/1", b"TYPE=x11\n" + data)
    found = look(tree)
    assert found.seen in Seen
    assert "could not be asked" not in found.evidence
    (found.label + found.evidence + (found.identity or "")).encode()


@given(st.text(max_size=200))
def test_any_text_reads_as_a_session(text):
    assert parse_session(text, "1").id == "1"


def test_a_display_manager_is_known_by_the_invocation_of_its_unit(tree):
    tree.process(500, "gdm3", ticks=30 * TICK)
    tree.link("etc/systemd/system/display-manager.service", "/lib/systemd/system/gdm.service")
    tree.link("run/systemd/units/invocation:gdm.service", "0123abcd")
    found = look(tree, MANAGER)
    assert (found.seen, found.label, found.since) == (Seen.PRESENT, "gdm3", BTIME + 30)
    assert "0123abcd" in found.identity


def test_a_display_manager_without_systemd_is_known_by_pid_and_start(tree):
    tree.process(500, "lightdm", ticks=30)
    tree.process(900, "lightdm", ticks=40)
    first = look(tree, MANAGER)
    assert "500" in first.identity
    assert "30" in first.identity
    tree.process(500, "lightdm", ticks=35)
    assert look(tree, MANAGER).identity != first.identity


def test_a_users_process_named_like_a_display_manager_is_none(tree):
    tree.process(500, "lightdm", ticks=30, uid=1000)
    assert look(tree, MANAGER).seen is Seen.ABSENT


def test_the_user_manager_is_the_one_of_the_sessions_user(tree):
    tree.process(800, "lightdm", ticks=1)
    tree.session("c2", LEADER=800, UID=1000)
    tree.process(1, "systemd", ticks=1)
    tree.process(700, "systemd", ticks=70, uid=1001)
    assert look(tree, USER).seen is Seen.ABSENT
    tree.process(710, "systemd", ticks=71, uid=1000)
    found = look(tree, USER)
    assert found.seen is Seen.PRESENT
    assert "710" in found.identity


def test_the_first_process_is_no_user_manager_though_it_is_a_systemd_of_that_user(tree):
    tree.process(800, "lightdm", ticks=1)
    tree.session("c2", LEADER=800, UID=0)
    tree.process(1, "systemd", ticks=1)
    assert look(tree, USER).seen is Seen.ABSENT
    tree.process(710, "systemd", ticks=71)
    assert "710" in look(tree, USER).identity


def test_whose_manager_to_watch_is_unknown_where_a_state_file_cannot_be_read(tree):
    assert look(tree, USER).seen is Seen.ABSENT
    os.makedirs(tree.path("run/systemd/sessions/c2"))
    assert look(tree, USER).seen is Seen.UNKNOWN
