"""Terminals of a desktop that is one scope: found, moved, looked after, and said whether they are apart."""

import os
from pathlib import Path

import pytest
from desktop_tree import Tree
from fake_bus import FailureError, FakeSystemd, SilenceError
from protect_disk import FragileDisk
from protect_tree import USER, Desktop

from steadyrun.bus.address import Bus
from steadyrun.bus.connection import within
from steadyrun.bus.units import Manager
from steadyrun.desktop.terminals import Terminal, terminals_in
from steadyrun.protect.apart import AGAIN_S, SETTLE_S, Apart, keep_apart
from steadyrun.protect.facts import Layout
from steadyrun.protect.inforce import State
from steadyrun.protect.plan import plan
from steadyrun.protect.protection import Protection
from steadyrun.protect.read import read_facts
from steadyrun.protect.shares import Profile
from steadyrun.protect.terminals import SERVICE

SCOPE = f"{USER}/session-3.scope"
ME = os.geteuid()
PROGRAM = ("/opt/steadyrun/bin/python", "-P")
PTS_3, TTY_1 = 136 << 8 | 3, 4 << 8 | 1
UNIT = f"/etc/systemd/user/{SERVICE}"
WANTS = "/etc/systemd/user/default.target.d/10-steadyrun.conf"


@pytest.fixture
def tree(tmp_path):
    return Desktop(tmp_path / "machine")


def in_scope(tree, pid, *, session=None, tty=PTS_3, state="S", scope=SCOPE):
    """Put a process into a desktop's scope; the files of the tree are ours, so it is our process."""
    session = session or pid
    stat = f"{pid} (sh) {state} 1 {session} {session} {tty} 0 0 0 0 0 0 1 2 0 0 20 0 1 0 7 0"
    tree.file(f"proc/{pid}/stat", f"{stat}\n")
    procs = Path(tree.path(f"{scope}/cgroup.procs"))
    tree.file(f"{scope}/cgroup.procs", f"{procs.read_text() if procs.exists() else ''}{pid}\n")


def test_what_has_a_pseudo_terminal_is_found_by_its_session_the_shell_first(tree):
    in_scope(tree, 301, session=310)
    in_scope(tree, 310, session=310)
    in_scope(tree, 320, session=320)
    in_scope(tree, 330, session=330, tty=TTY_1)
    in_scope(tree, 340, session=340, tty=0)
    in_scope(tree, 350, session=350, state="Z")
    assert terminals_in(f"/{SCOPE}", ME, tree.root) == (
        Terminal(310, (310, 301)),
        Terminal(320, (320,)),
    )


def test_what_is_another_users_is_not_theirs_to_move(tree):
    in_scope(tree, 310, session=310)
    assert terminals_in(f"/{SCOPE}", ME + 1, tree.root) == ()


def test_a_scope_that_is_gone_has_none(tree):
    assert terminals_in(f"/{SCOPE}", ME, tree.root) == ()


class People(Tree):
    """A machine on which we ourselves are at the screen."""

    def __init__(self, folder):
        super().__init__(folder)
        self.session("3", UID=ME, LEADER=100, SEAT="seat0")
        self.scope = f"sys/fs/cgroup/user.slice/user-{ME}.slice/session-3.scope"

    def shell(self, pid, *, session=None):
        in_scope(self, pid, session=session, scope=self.scope)


@pytest.fixture
def people(tmp_path):
    return People(tmp_path / "people")


@pytest.fixture
def systemd(tmp_path):
    with FakeSystemd(tmp_path / "bus") as fake:
        yield fake


@pytest.fixture
def apart(people, systemd):
    heard = []

    def connect():
        return Manager.open(Bus.SYSTEM, until=within(5), env=systemd.env)

    apart = Apart(ME, connect=connect, root=people.root, say=heard.append)
    apart.heard = heard
    return apart


def started(systemd):
    return [(call.body[0], dict(call.body[2])) for call in systemd.asked("StartTransientUnit")]


def test_each_terminal_gets_a_scope_of_its_own_in_app_slice(people, systemd, apart):
    people.shell(310)
    people.shell(301, session=310)
    people.shell(320)
    apart.sweep()
    found = {name: (p["PIDs"][1], p["Slice"][1], p["CollectMode"][1]) for name, p in started(systemd)}
    assert found == {
        "app-terminal-310-7-0.scope": ([310, 301], "app.slice", "inactive-or-failed"),
        "app-terminal-320-7-0.scope": ([320], "app.slice", "inactive-or-failed"),
    }
    assert apart.heard == []


def test_nobody_is_asked_where_nothing_is_to_be_moved(people, systemd, apart):
    apart.sweep()
    assert systemd.calls == []


def test_what_the_first_scope_missed_goes_into_a_second(people, systemd, apart):
    people.shell(310)
    apart.sweep()
    apart.sweep()
    assert [name for name, _ in started(systemd)][-1] == "app-terminal-310-7-1.scope"
    assert apart.heard == []


def test_where_one_process_has_ended_meanwhile_the_shell_goes_alone(people, systemd, apart):
    def refuse_two(bus, call):
        if len(dict(call.body[2])["PIDs"][1]) > 1:
            raise FailureError("org.freedesktop.DBus.Error.UnixProcessIdUnknown", "no process 311")
        return FakeSystemd._start(bus, call)

    systemd.answers["StartTransientUnit"] = refuse_two
    people.shell(310)
    people.shell(311, session=310)
    apart.sweep()
    assert started(systemd)[-1][1]["PIDs"][1] == [310]
    assert apart.heard == []


def test_what_cannot_be_moved_is_told_once_and_keeps_no_other_from_it(people, systemd, apart):
    def refuse_one(bus, call):
        if dict(call.body[2])["PIDs"][1] == [310]:
            raise FailureError("org.freedesktop.DBus.Error.AccessDenied", "not yours")
        return FakeSystemd._start(bus, call)

    systemd.answers["StartTransientUnit"] = refuse_one
    people.shell(310)
    people.shell(320)
    apart.sweep()
    apart.sweep()
    assert len(apart.heard) == 1
    assert "not yours" in apart.heard[0]
    assert "app-terminal-320-7-0.scope" in dict(started(systemd))


def test_a_manager_that_is_silent_is_told_of_and_asked_again_at_the_next_look(
    people, systemd, apart, monkeypatch
):
    def keep_silent(bus, call):
        raise SilenceError

    monkeypatch.setattr("steadyrun.bus.units.PATIENCE_S", 0.2)
    systemd.answers["StartTransientUnit"] = keep_silent
    people.shell(310)
    people.shell(320)
    apart.sweep()
    assert len(started(systemd)) == 1
    assert len(apart.heard) == 1
    systemd.answers["StartTransientUnit"] = FakeSystemd._start
    apart.sweep()
    assert "app-terminal-320-7-0.scope" in dict(started(systemd))


class OverError(Exception):
    """The test has seen enough."""


class Script:
    """Arrivals as written down: what each wait is given, and whether something came."""

    def __init__(self, *came):
        self.came, self.waited = list(came), []

    def wait(self, seconds):
        self.waited.append(seconds)
        if not self.came:
            raise OverError
        return self.came.pop(0)


def test_it_looks_at_once_then_a_few_times_more_and_sleeps_until_something_comes():
    later = [False] * len(AGAIN_S)
    swept, paused, script = [], [], Script(*later, True, *later)
    with pytest.raises(OverError):
        keep_apart(lambda: swept.append(1), script, pause=paused.append)
    assert script.waited == [*AGAIN_S, None, *AGAIN_S, None]
    assert len(swept) == 2 + 2 * len(AGAIN_S)
    assert paused == [SETTLE_S]


def test_many_terminals_at_once_are_looked_at_every_so_often():
    swept, paused = [], []
    with pytest.raises(OverError):
        keep_apart(lambda: swept.append(1), Script(*[True] * 5), pause=paused.append)
    assert len(paused) == 5
    assert len(swept) == 6


def facts(tree, *, euid=0, program=PROGRAM):
    return read_facts(root=tree.root, env={"HOME": "/home/desk"}, euid=euid, program=program)


def paths(made):
    return {each.path: each for each in made.files}


def test_a_desktop_of_one_scope_gets_the_unit_and_what_starts_it_at_each_login(tree):
    made = paths(plan(facts(tree)))
    starts = 'ExecStart="/opt/steadyrun/bin/python" "-P" "-m" "steadyrun.protect.apart"'
    assert starts in made[UNIT].text.splitlines()
    assert "ConditionUser=!@system" in made[UNIT].text
    assert made[WANTS].lines[0].text() == f"Wants={SERVICE}"
    own = paths(plan(facts(tree, euid=1000)))
    assert f"/home/desk/.config/systemd/user/{SERVICE}" in own


def test_a_desktop_of_units_has_it_already_and_a_server_needs_none(tmp_path, tree):
    managed = facts(Desktop(tmp_path / "managed", managed=True))
    assert {desktop.layout for desktop in managed.desktops} == {Layout.MANAGED}
    assert UNIT not in paths(plan(managed))
    assert UNIT not in paths(plan(facts(tree), Profile.SERVER))


def test_on_a_workstation_what_runs_in_a_terminal_is_not_ended_by_a_logout(tree):
    made = plan(facts(tree), Profile.WORKSTATION)
    assert UNIT not in paths(made)
    assert "outlives the logout" in next(each.why for each in made.skipped if each.what == SERVICE)
    assert "one-scope" in {each.code for each in made.findings}


def test_a_program_that_users_cannot_run_is_not_started_for_them(tree):
    made = plan(facts(tree, program=()))
    assert UNIT not in paths(made)
    assert "root alone" in next(each.why for each in made.skipped if each.what == SERVICE)


def test_what_is_left_to_be_told_of_is_what_the_menu_starts(tree):
    found = {each.code: each for each in plan(facts(tree)).findings}
    assert "one-scope" not in found
    assert "session-3.scope" in found["one-scope-but-terminals"].evidence


def protection(tree):
    return Protection("/var/lib/steadyrun", FragileDisk(tree.root), root=tree.root)


def test_whether_terminals_are_apart_is_told_by_who_is_in_the_scope(tree):
    protection(tree).apply(plan(facts(tree)))
    ours = facts(tree)
    (desktop,) = ours.desktops
    ours = ours._replace(desktops=(desktop._replace(uid=ME),))
    scope = f"sys/fs/cgroup/user.slice/user-{ME}.slice/session-3.scope"
    tree.file(f"{scope}/cgroup.procs", "")

    def standing():
        status = protection(tree).status(ours)
        (found,) = [each for each in status.settings if each.setting == "terminals apart"]
        return found.state, found.found

    assert standing() == (State.YES, "0 in it")
    in_scope(tree, 310, scope=scope)
    assert standing() == (State.NO, "1 in it")


def test_without_the_unit_nothing_is_said_of_terminals(tree):
    protection(tree).apply(plan(facts(tree), Profile.WORKSTATION))
    status = protection(tree).status(facts(tree))
    assert "terminals apart" not in {each.setting for each in status.settings}
