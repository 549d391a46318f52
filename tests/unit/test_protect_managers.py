"""What systemd's managers are told: whom, in which order, and what is done about one that cannot be told."""

import os
import signal
import subprocess
import sys

import pytest
from fake_bus import FailureError, FakeSystemd, SilenceError
from protect_disk import FragileDisk, PowerCutError
from protect_tree import Desktop

from steadyrun.bus.address import Bus
from steadyrun.bus.connection import within
from steadyrun.bus.units import Manager
from steadyrun.desktop.processes import process
from steadyrun.errors import BusError
from steadyrun.protect.inforce import Standing, State
from steadyrun.protect.managers import Managers
from steadyrun.protect.places import owner_of
from steadyrun.protect.plan import plan
from steadyrun.protect.protection import Protection
from steadyrun.protect.read import read_facts
from steadyrun.protect.shares import Profile
from steadyrun.protect.status import Status, cgroups_about, status_when_settled
from steadyrun.protect.terminals import SERVICE

MINE = "user.slice/user-1000.slice/user@1000.service"
SYSTEM, DESK, OTHER = None, 1000, 1001


@pytest.fixture
def systemd(tmp_path):
    """The managers of all, as one: `managers.asked` tells whose was connected to."""
    with FakeSystemd(tmp_path / "bus") as fake:
        fake.answers["Reload"] = lambda bus, call: ("", ())
        fake.answers["SetUnitProperties"] = lambda bus, call: ("", ())
        for name in ("user.slice", "user-1000.slice", "user@1000.service", "app.slice"):
            fake.units[name] = {"Markers": ("as", [])}
        yield fake


class Connecting:
    """Connects to the fake, but for managers that refuse or are silent."""

    def __init__(self, systemd, *, failing=None):
        self.systemd, self.failing, self.asked = systemd, failing or {}, []

    def __call__(self, uid, euid):
        self.asked.append(uid)
        if uid in self.failing:
            raise self.failing[uid]
        return Manager.open(Bus.SYSTEM, until=within(5), env=self.systemd.env)


def directly(uid, deed, *, seconds):
    """Do it here: the fake is in this process, and so is what it is asked."""
    deed()


def managers(euid, connecting, users=list):
    return Managers(euid, connect=connecting, users=users, aside=directly)


def realized(systemd):
    return [call.body[0] for call in systemd.asked("SetUnitProperties")]


@pytest.fixture
def somebodys():
    """A process that stands for a user's manager; it says when it was sent SIGHUP."""
    code = "import signal as s; s.pthread_sigmask(0, [1]); print(flush=True); print(s.sigwait([1]))"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child.stdout.readline()
    yield child
    child.kill()
    child.communicate()


@pytest.mark.parametrize(
    ("cgroup", "uid", "unit"),
    [
        ("user.slice", SYSTEM, "user.slice"),
        ("system.slice/ssh.service", SYSTEM, "ssh.service"),
        (MINE, SYSTEM, "user@1000.service"),
        (f"{MINE}/app.slice", DESK, "app.slice"),
        (f"{MINE}/app.slice/app-a.slice/a.scope", DESK, "a.scope"),
        ("user.slice/user-1000.slice/session-3.scope", SYSTEM, "session-3.scope"),
    ],
)
def test_a_cgroup_is_of_the_manager_that_it_is_below(cgroup, uid, unit):
    assert owner_of(cgroup) == (uid, unit)


def test_root_tells_the_systems_manager_and_each_users(systemd):
    connecting = Connecting(systemd)
    users = [process(os.getpid())._replace(uid=uid) for uid in (DESK, OTHER)]
    assert managers(0, connecting, lambda: users).reload() == ()
    assert connecting.asked == [SYSTEM, DESK, OTHER]
    assert len(systemd.asked("Reload")) == 3


def test_a_user_tells_their_own_alone(systemd):
    connecting = Connecting(systemd)
    assert managers(DESK, connecting, lambda: pytest.fail("not theirs to tell")).reload() == ()
    managers(DESK, connecting).realize(["user.slice", f"{MINE}/app.slice"])
    assert connecting.asked == [DESK, DESK]
    assert realized(systemd) == ["app.slice"]


def test_a_users_manager_that_does_not_let_root_in_is_sent_a_signal(systemd, somebodys):
    connecting = Connecting(systemd, failing={DESK: BusError("nobody listens")})
    one = process(somebodys.pid)._replace(uid=DESK)
    assert managers(0, connecting, lambda: [one]).reload() == ()
    assert somebodys.communicate(timeout=10)[0].strip() == str(signal.SIGHUP)


def test_another_process_with_that_number_is_sent_none(systemd, somebodys):
    connecting = Connecting(systemd, failing={DESK: BusError("nobody listens")})
    one = process(somebodys.pid)._replace(uid=DESK, start_ticks=1)
    assert managers(0, connecting, lambda: [one]).reload() == ()
    assert somebodys.poll() is None


def test_a_silent_one_is_told_of_and_not_told_twice(systemd, somebodys):
    connecting = Connecting(systemd, failing={DESK: BusError("no answer in time", silent=True)})
    one = process(somebodys.pid)._replace(uid=DESK)
    (said,) = managers(0, connecting, lambda: [one]).reload()
    assert said.startswith("the user manager of uid 1000 (no answer in time): systemctl --user")
    assert somebodys.poll() is None


def test_a_system_manager_that_refuses_is_told_of(systemd):
    connecting = Connecting(systemd, failing={SYSTEM: BusError("denied")})
    (said,) = managers(0, connecting, list).reload()
    assert said == "systemd did not read its files again (denied): systemctl daemon-reload"


def test_each_manager_is_connected_to_once_for_all_its_units(systemd):
    connecting = Connecting(systemd)
    wanted = ["user.slice", MINE, "user.slice/user-1000.slice", f"{MINE}/app.slice"]
    managers(0, connecting).realize(wanted)
    assert connecting.asked == [SYSTEM, DESK]
    assert sorted(realized(systemd)) == ["app.slice", "user-1000.slice", "user.slice", "user@1000.service"]


def test_a_unit_that_went_and_a_manager_that_is_not_there_keep_no_other_waiting(systemd):
    connecting = Connecting(systemd, failing={OTHER: BusError("nobody listens")})
    del systemd.units["user-1000.slice"]
    other = "user.slice/user-1001.slice/user@1001.service/app.slice"
    managers(0, connecting).realize(["user.slice/user-1000.slice", other, "user.slice"])
    assert realized(systemd) == ["user.slice"]


def test_a_manager_that_falls_silent_is_asked_nothing_more(systemd, monkeypatch):
    def keep_silent(bus, call):
        raise SilenceError

    monkeypatch.setattr("steadyrun.protect.managers.USERS_WITHIN_S", 0.3)
    systemd.answers["SetUnitProperties"] = keep_silent
    managers(0, Connecting(systemd)).realize(["user.slice", MINE])
    assert len(realized(systemd)) == 1


def test_one_that_knows_no_markers_is_no_trouble(systemd):
    def unknown(bus, call):
        raise FailureError("org.freedesktop.DBus.Error.UnknownProperty")

    systemd.answers["Get"] = unknown
    managers(0, Connecting(systemd)).realize(["user.slice"])
    assert realized(systemd) == []


class Noting:
    """Managers that note what they are told."""

    def __init__(self):
        self.told = []

    def reload(self):
        self.told.append("reload")
        return ()

    def realize(self, cgroups):
        self.told.append(("realize", tuple(cgroups)))

    def restart(self, unit):
        self.told.append(("restart", unit))
        return ()

    def stop(self, unit):
        self.told.append(("stop", unit))
        return ()

    def reload_until_settled(self, disk, cgroups):
        self.told.append(("undone", tuple(cgroups)))
        return ()


@pytest.fixture
def tree(tmp_path):
    tree = Desktop(tmp_path / "machine")
    for cgroup in ("user.slice", MINE):
        tree.file(f"sys/fs/cgroup/{cgroup}/memory.max", "max\n")
    return tree


def protection(tree, managers=None, *, disk=None):
    disk = disk or FragileDisk(tree.root)
    return Protection("/var/lib/steadyrun", disk, root=tree.root, managers=managers, settle_s=0)


def planned(tree, profile=None, *, program=(), **changes):
    facts = read_facts(root=tree.root, env={"HOME": "/home/desk"}, euid=0, program=program)
    return plan(facts._replace(**changes), profile)


def test_the_unit_of_terminals_is_started_with_the_first_apply_and_ended_with_the_undo(tree):
    managers = Noting()
    protection(tree, managers).apply(planned(tree, program=("/usr/bin/steadyrun",)))
    assert managers.told[:2] == ["reload", ("restart", SERVICE)]
    managers.told.clear()
    protection(tree, managers).apply(planned(tree, program=("/usr/bin/steadyrun",)))
    assert ("restart", SERVICE) not in managers.told, "it runs, and nothing of it is another"
    protection(tree, managers).apply(planned(tree, program=("/opt/steadyrun",)))
    assert ("restart", SERVICE) in managers.told
    managers.told.clear()
    protection(tree, managers).undo()
    assert managers.told[0] == ("stop", SERVICE)


def test_a_plan_without_the_unit_of_terminals_ends_it(tree):
    protection(tree).apply(planned(tree, program=("/usr/bin/steadyrun",)))
    managers = Noting()
    protection(tree, managers).apply(planned(tree, Profile.WORKSTATION, program=("/usr/bin/steadyrun",)))
    assert managers.told[:2] == ["reload", ("stop", SERVICE)]


def test_a_unit_is_started_by_every_users_manager_and_trouble_is_told(systemd):
    systemd.answers["RestartUnit"] = lambda bus, call: ("o", ("/job/1",))
    connecting = Connecting(systemd, failing={OTHER: BusError("nobody listens")})
    users = [process(os.getpid())._replace(uid=uid) for uid in (DESK, OTHER)]
    said = managers(0, connecting, lambda: users).restart("app.slice")
    assert said == ("the user manager of uid 1001: nobody listens",)
    assert [call.body for call in systemd.asked("RestartUnit")] == [("app.slice", "replace")]


def test_a_unit_that_is_not_there_is_stopped_already(systemd):
    def no_such_unit(bus, call):
        raise FailureError("org.freedesktop.systemd1.NoSuchUnit")

    systemd.answers["StopUnit"] = no_such_unit
    assert managers(DESK, Connecting(systemd)).stop("x.service") == ()


def test_an_apply_has_what_is_not_in_force_yet_put_there(tree):
    managers = Noting()
    disk = FragileDisk(tree.root)
    made = Protection("/var/lib/steadyrun", disk, root=tree.root, managers=managers, settle_s=0.2)
    applied = made.apply(planned(tree))
    assert managers.told == ["reload", ("realize", ()), ("realize", ("user.slice",))]
    assert State.NO in {each.state for each in applied.status.settings}


def test_what_a_new_plan_leaves_out_is_taken_out_of_force(tree):
    tree.file("sys/fs/cgroup/system.slice/lightdm.service/cpu.weight", "500\n")
    protection(tree).apply(planned(tree))
    managers = Noting()
    protection(tree, managers).apply(planned(tree, display_manager=None))
    assert managers.told[:2] == ["reload", ("realize", ("system.slice/lightdm.service",))]


def test_an_undo_names_the_cgroups_that_our_files_were_about(tree):
    protection(tree).apply(planned(tree))
    managers = Noting()
    protection(tree, managers).undo()
    ((said, cgroups),) = managers.told
    assert said == "undone"
    assert {"user.slice", "user.slice/user-1000.slice", MINE} <= set(cgroups)
    assert [each.count("/") for each in cgroups] == sorted(each.count("/") for each in cgroups)


def test_a_half_done_apply_is_taken_out_of_force(tree):
    with pytest.raises(PowerCutError):
        protection(tree, disk=FragileDisk(tree.root, cut_at=60)).apply(planned(tree))
    managers = Noting()
    protection(tree, managers).mend()
    assert managers.told[0][0] == "undone"
    assert "user.slice" in managers.told[0][1]


def test_files_that_are_no_drop_ins_are_about_no_cgroup(tree):
    paths = ["/etc/tmpfiles.d/steadyrun.conf", "/etc/systemd/system/user.slice.d/10-steadyrun.conf"]
    assert cgroups_about(paths, FragileDisk(tree.root), 0) == ("user.slice",)


def test_looking_ends_with_the_time_and_asks_again_only_now_and_then():
    missing = Status((), (Standing("user.slice", "MemoryMax=92%", State.NO, "no limit"),))
    asked = []
    assert status_when_settled(lambda: missing, asked.append, seconds=0.5) == missing
    assert asked == [("user.slice",)]


def test_an_undo_that_leaves_something_in_force_forgets_nothing_and_is_done_again(tree):
    wall = "sys/fs/cgroup/user.slice/memory.max"
    protection(tree).apply(planned(tree))
    tree.file(wall, f"{16 * 2**30 * 92 // 100}\n")
    undone = protection(tree, Noting()).undo()
    assert undone.trouble == (
        "user.slice: MemoryMax=92% is in force still; to end it type this again, or boot",
    )
    assert protection(tree).record().standing() != ()
    tree.file(wall, "max\n")
    again = protection(tree, Noting()).undo()
    assert again.trouble == ()
    assert again.paths != ()
    assert protection(tree).record().standing() == ()


def test_what_somebody_keeps_of_ours_may_stay_in_force(tree):
    protection(tree).apply(planned(tree))
    path = "/etc/systemd/system/user.slice.d/10-steadyrun.conf"
    tree.file(path.lstrip("/"), tree.text(path) + "# mine\n")
    tree.file("sys/fs/cgroup/user.slice/memory.max", f"{16 * 2**30 * 92 // 100}\n")
    undone = protection(tree, Noting()).undo()
    assert undone.trouble == ()
    assert [left.path for left in undone.left] == [path]


def test_an_apply_after_such_an_undo_goes_on(tree):
    wall = "sys/fs/cgroup/user.slice/memory.max"
    protection(tree).apply(planned(tree))
    tree.file(wall, f"{16 * 2**30 * 92 // 100}\n")
    protection(tree, Noting()).undo()
    applied = protection(tree, Noting()).apply(planned(tree))
    assert len(applied.changes) > 20
    assert not protection(tree).record().undoing()
