"""What is in force: told from the kernel's files of every cgroup that a setting counts for."""

import pytest
from protect_disk import FragileDisk
from protect_tree import GIB, USER, Desktop

from steadyrun.protect.inforce import Standing, State
from steadyrun.protect.plan import MIN_TTL, plan
from steadyrun.protect.protection import Protection
from steadyrun.protect.read import read_facts
from steadyrun.protect.status import FileStanding, Status

FIRST = "/etc/systemd/system/user.slice.d/10-steadyrun.conf"


@pytest.fixture
def tree(tmp_path):
    return Desktop(tmp_path)


def facts(tree):
    return read_facts(root=tree.root, env={"HOME": "/home/desk"}, euid=0)


def protection(tree):
    return Protection("/var/lib/steadyrun", FragileDisk(tree.root), root=tree.root)


def states(tree):
    """Return how each setting stands, by cgroup and key."""
    found = protection(tree).status(facts(tree))
    return {(s.unit, s.setting.partition("=")[0]): s.state for s in found.settings}, found


def test_nothing_applied_is_nothing_in_force(tree):
    status = protection(tree).status(facts(tree))
    assert (status.files, status.settings) == ((), ())


def test_each_user_session_and_manager_is_looked_at(tree):
    protection(tree).apply(plan(facts(tree)))
    percent = 16 * GIB // 100
    tree.file("sys/fs/cgroup/user.slice/memory.max", f"{92 * percent}\n")
    tree.file("sys/fs/cgroup/user.slice/memory.low", "0\n")
    tree.file(f"{USER}/memory.max", f"{50 * percent}\n")
    tree.file(f"{USER}/session-3.scope/memory.max", "max\n")
    tree.file(f"{USER}/user@1000.service/app.slice/memory.max", f"{85 * percent}\n")
    tree.file("sys/fs/cgroup/system.slice/ssh.service/cpu.weight", "500\n")
    found, status = states(tree)
    assert found[("user.slice", "MemoryMax")] is State.YES
    assert found[("user.slice", "MemoryLow")] is State.NO
    assert found[("user.slice/user-1000.slice", "MemoryMax")] is State.STRICTER
    assert found[("user.slice/user-1000.slice/session-3.scope", "MemoryMax")] is State.NO
    manager = "user.slice/user-1000.slice/user@1000.service"
    assert found[(f"{manager}/app.slice", "MemoryMax")] is State.YES
    assert found[(manager, "Delegate")] is State.UNKNOWN, "its file is not there"
    assert found[("system.slice/ssh.service", "CPUWeight")] is State.YES
    assert found[("lightdm.service", "MemoryLow")] is State.ABSENT
    assert not status.holds()


def test_a_setting_whose_controller_is_not_there_is_said_to_be_absent(tree):
    """systemd 247 gives user managers no cpu controller."""
    protection(tree).apply(plan(facts(tree)))
    tree.file(f"{USER}/user@1000.service/session.slice/cgroup.controllers", "memory pids\n")
    tree.file(f"{USER}/user@1000.service/session.slice/memory.low", f"{5 * 16 * GIB // 100}\n")
    _, status = states(tree)
    (weight,) = [s for s in status.settings if "session.slice" in s.unit and "CPUWeight" in s.setting]
    assert (weight.state, weight.found) == (State.ABSENT, "no cpu controller was given to it")


def test_what_another_tool_changed_since_is_found(tree):
    protection(tree).apply(plan(facts(tree)))
    with open(tree.root + FIRST, "a") as file:
        file.write("# mine\n")
    tree.file(MIN_TTL.lstrip("/"), "0\n")
    _, status = states(tree)
    bad = {each.path: each.found for each in status.files if each.state is State.NO}
    assert bad == {FIRST: "somebody has changed it", MIN_TTL: "0"}


def test_a_removed_file_is_found(tree):
    protection(tree).apply(plan(facts(tree)))
    FragileDisk(tree.root).remove(FIRST)
    _, status = states(tree)
    assert "removed" in next(each.found for each in status.files if each.path == FIRST)


@pytest.mark.parametrize(
    ("state", "holds"),
    [
        (State.YES, True),
        (State.STRICTER, True),
        (State.ABSENT, True),
        (State.LATER, True),
        (State.NO, False),
        (State.UNKNOWN, False),
    ],
)
def test_what_could_not_be_told_does_not_hold(state, holds):
    fine = FileStanding(FIRST, State.YES, "as written")
    assert Status((fine, fine._replace(state=state)), ()).holds() is holds
    setting = Standing("user.slice", "MemoryMax=1%", state, "")
    assert Status((fine,), (setting,)).holds() is holds


def test_a_process_that_is_gone_is_nothing_wrong(tree):
    protection(tree).apply(plan(facts(tree)))
    FragileDisk(tree.root).remove("/proc/200/oom_score_adj")
    _, status = states(tree)
    assert [e.state for e in status.files if e.path == "/proc/200/oom_score_adj"] == [State.ABSENT]


@pytest.mark.parametrize(
    "other", [{"ticks": 77}, {"boot": "another"}], ids=["another process", "another boot"]
)
def test_the_number_of_a_process_that_is_gone_tells_nothing(tree, other):
    protection(tree).apply(plan(facts(tree)))
    if "boot" in other:
        tree.file("proc/sys/kernel/random/boot_id", other["boot"])
    else:
        tree.process(200, "systemd", ticks=other["ticks"], uid=1000)
    tree.file("proc/200/oom_score_adj", "0\n")
    _, status = states(tree)
    assert [e.state for e in status.files if e.path == "/proc/200/oom_score_adj"] == [State.ABSENT]
