"""The unit of a load: what it is started with, what it is told, and what is believed of the answer."""

import os
import shutil
import signal
import subprocess

import pytest
from fake_bus import FailureError, FakeSystemd

from steadyrun.bus.properties import INFINITY
from steadyrun.contain.cgroupfs import CgroupDirectory
from steadyrun.contain.systemd import SystemdBackend
from steadyrun.contain.systemd_manager import Tell
from steadyrun.contain.systemd_unit import (
    ROOM_BYTES,
    ROOM_TASKS,
    TINY,
    Weights,
    highest,
    limit_properties,
    start_properties,
    weight_properties,
)
from steadyrun.errors import ContainmentFailedError
from steadyrun.model.containment import (
    Capability,
    CgroupMount,
    ContainmentFacts,
    ContainmentMade,
    ManagerFacts,
)
from steadyrun.model.limits import Limits, ReadBack

MIB = 2**20
ALL = ("cpu", "io", "memory", "pids")
FILES = ("cgroup.kill", "memory.max", "memory.peak", "memory.swap.max")


def values(properties):
    return {each.name: each.value[1] for each in properties}


def test_a_unit_is_delegated_in_our_slice_and_an_oom_kill_in_it_stays_the_leafs():
    found = values(start_properties("n", ("/bin/cat",), 7, lasts=None))
    assert found["Slice"] == "steadyrun.slice"
    assert found["Delegate"] is True
    assert found["OOMPolicy"] == "continue"
    assert found["CollectMode"] == "inactive-or-failed"
    assert found["StandardInputFileDescriptor"] == 7
    assert "RuntimeMaxUSec" not in found


@pytest.mark.parametrize(("wall", "ends_after"), [(10, 610), (600, 1200), (3600, 7200)])
def test_a_unit_ends_long_after_the_wall_time_at_the_latest(wall, ends_after):
    found = values(start_properties("n", ("/bin/cat",), 0, lasts=wall))
    assert found["RuntimeMaxUSec"] == ends_after * 10**6


def test_the_unit_bounds_with_room_for_its_holder_so_that_the_leafs_limit_is_met_first():
    limits = Limits(memory_max=512 * MIB, memory_high=256 * MIB, swap_max=0, tasks_max=10, cpu_max=1.5)
    assert values(limit_properties(limits, ALL, 252)) == {
        "MemoryMax": 512 * MIB + ROOM_BYTES, "MemoryHigh": 256 * MIB + ROOM_BYTES, "MemorySwapMax": 0,
        "TasksMax": 10 + ROOM_TASKS, "CPUQuotaPerSecUSec": 1_500_000, "CPUWeight": 100, "IOWeight": 100,
    }  # fmt: skip


def test_what_is_not_asked_for_is_opened():
    found = values(limit_properties(Limits(swap_max=None), ALL, 252))
    assert [found[n] for n in ("MemoryMax", "MemoryHigh", "MemorySwapMax", "TasksMax")] == [INFINITY] * 4
    assert found["CPUQuotaPerSecUSec"] == INFINITY


def test_a_tiny_memory_limit_is_kept_from_the_manager():
    found = values(limit_properties(Limits(memory_max=TINY - 1), ALL, 252))
    assert found["MemoryMax"] == INFINITY
    assert values(limit_properties(Limits(memory_max=TINY), ALL, 252))["MemoryMax"] == TINY + ROOM_BYTES


def test_nothing_is_asked_of_controllers_that_the_manager_has_not():
    limits = Limits(memory_max=512 * MIB, cpu_weight=5, io_weight=5, tasks_max=3)
    assert set(values(limit_properties(limits, ("pids",), 252))) == {"TasksMax"}


@pytest.mark.parametrize(("version", "sent"), [(247, 1), (251, 1), (252, 0), (257, 0), (None, 1)])
def test_the_lowest_weight_is_idle_from_252_on(version, sent):
    assert values(weight_properties(Weights(1, 100), ("cpu",), version)) == {"CPUWeight": sent}


def test_the_slice_has_the_highest_weight_of_what_is_in_it():
    assert highest([Weights(1, 50), Weights(30, 20)]) == Weights(30, 50)


class Tree:
    """A mount with a slice, a unit and its two cgroups, as plain files."""

    def __init__(self, root):
        self.mount = CgroupMount(str(root), "/", ALL, True, True)
        self.manager = ManagerFacts(False, 252, str(root), ALL, FILES)
        facts = ContainmentFacts((self.mount,), (("", "/"),), 0, True, (), False, True, (6, 1))
        self.backend = SystemdBackend(facts._replace(manager=self.manager), self.manager, self.mount)
        self.plan = self.backend.plan("r1-1")
        self.unit = os.path.dirname(self.plan.directories[0])

    def make(self, **files):
        for directory in self.plan.directories:
            os.makedirs(directory)
            self.write(directory, **{"cgroup.procs": ""})
        self.write(self.unit, **{"cgroup.procs": "", "cpu.weight": "100", **files})
        self.write(os.path.dirname(self.unit), **{"cpu.weight": "100"})
        return self

    @staticmethod
    def write(directory, **files):
        for name, text in files.items():
            with open(f"{directory}/{name}", "w") as file:
                file.write(text)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path / "cg")


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    with FakeSystemd(tmp_path / "bus") as fake:
        fake.answers["SetUnitProperties"] = lambda bus, call: ("", ())
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", fake.env["DBUS_SYSTEM_BUS_ADDRESS"])
        yield fake


def test_the_plan_names_unit_leaf_and_holder_and_everything_to_end_them_by(tree):
    assert tree.plan.unit == "steadyrun-r1-1.service"
    slices = f"{tree.mount.path}/steadyrun.slice"
    assert tree.plan.parent == slices
    assert tree.plan.directories == tuple(f"{slices}/steadyrun-r1-1.service/{n}" for n in ("holder", "load"))
    assert tree.plan.kill_file == f"{tree.plan.directories[1]}/cgroup.kill"
    assert Capability.STOPPED_BY_OTHERS in tree.backend.capabilities


def test_a_manager_that_cannot_be_asked_plans_nothing_and_still_finds_what_is_there(tree):
    tree.make()
    lost = SystemdBackend(
        tree.backend._facts, ManagerFacts(True, None, "", (), (), "no bus", "log in"), tree.mount
    )
    with pytest.raises(ContainmentFailedError, match="no bus") as caught:
        lost.plan("x")
    assert caught.value.hint == "log in"
    found = lost.reopen_planned(tree.plan)
    assert found is not None
    found.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"unit": "ssh.service"},
        {"name": "r1-2"},
        {"directories": ("/etc/holder", "/etc/load")},
        {"directories": ()},
    ],
)
def test_a_plan_of_another_place_is_refused(tree, changed):
    tree.make()
    with pytest.raises(ContainmentFailedError, match="another place"):
        tree.backend.reopen_planned(tree.plan._replace(**changed))


def test_only_what_has_its_inode_is_taken_for_the_one_that_was_made(tree):
    tree.make()
    held = tree.backend.reopen_planned(tree.plan)
    made = held.made
    held.close()
    strangers = tuple(i._replace(inode=i.inode + 1000) for i in made.identities)
    assert tree.backend.reopen(ContainmentMade(tree.plan, strangers)) is None
    again = tree.backend.reopen(made)
    assert again.made.identities == made.identities
    again.close()


def test_a_containment_whose_holder_has_ended_is_gone(tree):
    tree.make()
    tree.write(tree.plan.directories[0], **{"cgroup.procs": f"{os.getpid()}\n"})
    held = tree.backend.reopen_planned(tree.plan)
    assert not held.gone()
    tree.write(tree.plan.directories[0], **{"cgroup.procs": ""})
    assert held.gone()
    held.close()


def test_everybody_in_the_unit_but_its_holder_counts_as_the_load(tree):
    tree.make()
    tree.write(tree.plan.directories[0], **{"cgroup.procs": "1\n"})
    held = tree.backend.reopen_planned(tree.plan)
    tree.write(tree.plan.directories[0], **{"cgroup.procs": f"1\n{os.getpid()}\n"})
    assert held.pids() == (os.getpid(),)
    held.close()


def test_a_process_of_another_pid_namespace_is_not_taken_for_our_own_process_group(tree):
    """It is listed as 0. The removal runs in a process group of its own, which such a signal would end."""
    tree.make()
    with subprocess.Popen(["sleep", "60"]) as left:
        try:
            tree.write(tree.unit, **{"cgroup.procs": f"0\n{left.pid}\n"})
            remover = os.fork()
            if remover == 0:
                try:
                    os.setpgid(0, 0)
                    held = tree.backend.reopen_planned(tree.plan)
                    shutil.rmtree(tree.plan.directories[1])  # the kernel's files are no hindrance, these are
                    os._exit(0 if not held.remove() else 1)
                finally:
                    os._exit(2)
            assert os.waitstatus_to_exitcode(os.waitpid(remover, 0)[1]) == 0
            assert left.wait(10) == -signal.SIGTERM
        finally:
            left.kill()


@pytest.mark.parametrize("result", ["failed", "timeout"])
def test_a_unit_that_does_not_start_is_stopped_and_forgotten(tree, systemd, result):
    systemd.job_results[tree.plan.unit] = result
    with pytest.raises(ContainmentFailedError, match=f"found {result}"):
        tree.backend.create(tree.plan)
    assert [call.body[0] for call in systemd.asked("StopUnit")] == [tree.plan.unit]


def test_a_unit_of_that_name_that_is_there_already_is_left_alone(tree, systemd):
    systemd.units[tree.plan.unit] = {}
    with pytest.raises(ContainmentFailedError, match="already loaded"):
        tree.backend.create(tree.plan)
    assert systemd.asked("StopUnit") == []


def test_a_unit_whose_cgroup_is_not_where_it_was_planned_is_stopped(tree, systemd):
    with pytest.raises(ContainmentFailedError, match="found none"):
        tree.backend.create(tree.plan, limits=Limits(memory_max=512 * MIB))
    assert systemd.units == {}
    sent = dict(systemd.asked("StartTransientUnit")[0].body[2])
    assert sent["MemoryMax"] == ("t", 512 * MIB + ROOM_BYTES)


class Leaf:
    """Answers that every limit is held as asked."""

    def apply(self, limits):
        given = {n: v for n, v in limits._asdict().items() if v is not None}
        return tuple(ReadBack(n, str(v), str(v), n, True) for n, v in given.items())


def tell(tree, limits, *, told=None):
    unit = CgroupDirectory(tree.unit)
    teller = Tell(tree.plan.unit, unit, tree.manager, tree.mount.path, told)
    found = {r.name: r for r in teller.limits(limits, Leaf())}
    teller.close()
    unit.close()
    return found


def test_what_the_unit_was_started_with_is_not_told_again(tree, systemd):
    tree.make(**{"memory.max": str(512 * MIB + ROOM_BYTES)})
    limits = Limits(memory_max=512 * MIB)
    assert tell(tree, limits, told=limits)["memory_max"].found == str(512 * MIB)
    assert systemd.calls == []


def test_a_changed_limit_is_told_to_the_unit(tree, systemd):
    tree.make(**{"memory.max": str(512 * MIB + ROOM_BYTES)})
    tell(tree, Limits(memory_max=256 * MIB), told=Limits(memory_max=512 * MIB))
    (call,) = systemd.asked("SetUnitProperties")
    assert call.body[:2] == (tree.plan.unit, True)
    assert dict(call.body[2])["MemoryMax"] == ("t", 256 * MIB + ROOM_BYTES)


def test_a_limit_of_the_unit_that_was_accepted_and_not_applied_is_said_and_the_leafs_holds(tree, systemd):
    tree.make(**{"memory.max": "max"})
    found = tell(tree, Limits(memory_max=512 * MIB))["memory_max"]
    assert found.held
    assert "accepted and not applied" in found.found


def test_a_weight_that_the_unit_does_not_have_is_not_held_whatever_the_leaf_says(tree, systemd):
    tree.make(**{"cpu.weight": "100"})
    found = tell(tree, Limits(cpu_weight=30))["cpu_weight"]
    assert (found.held, found.found) == (False, "100; steadyrun.slice has 100, expected 30")


def test_a_weight_is_held_where_unit_and_slice_have_it(tree, systemd):
    tree.make(**{"cpu.weight": "30"})
    tree.write(tree.plan.parent, **{"cpu.weight": "30"})
    limits = Limits(cpu_weight=30)
    assert tell(tree, limits, told=limits)["cpu_weight"].held
    assert systemd.calls == []


def test_the_slice_is_not_lowered_below_what_another_load_was_given(tree, systemd):
    tree.make(**{"cpu.weight": "30"})
    os.makedirs(f"{tree.plan.parent}/steadyrun-r2-1.service")
    tree.write(f"{tree.plan.parent}/steadyrun-r2-1.service", **{"cpu.weight": "80"})
    tell(tree, Limits(cpu_weight=30))
    sent = {call.body[0]: dict(call.body[2]) for call in systemd.asked("SetUnitProperties")}
    assert sent["steadyrun.slice"]["CPUWeight"] == ("t", 80)


def test_a_manager_that_refuses_leaves_the_leafs_limits_and_no_weight(tree, systemd):
    tree.make()

    def refuse(bus, call):
        raise FailureError("org.freedesktop.DBus.Error.AccessDenied", "not you")

    systemd.answers["SetUnitProperties"] = refuse
    found = tell(tree, Limits(memory_max=512 * MIB, cpu_weight=30))
    assert found["memory_max"].held
    assert "the unit was not told" in found["memory_max"].found
    assert not found["cpu_weight"].held
