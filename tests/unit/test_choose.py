"""Facts of a machine in, the backend out, with the reasons why not a better one."""

import pytest

from steadyrun.contain.choose import choose
from steadyrun.errors import CannotContainError
from steadyrun.model.containment import (
    BackendName,
    CgroupMount,
    ContainmentFacts,
    ManagerFacts,
    UnifiedLevel,
)


def v1(*controllers, writable=True):
    path = f"/sys/fs/cgroup/{','.join(controllers)}"
    return CgroupMount(path=path, root="/", controllers=controllers, unified=False, writable=writable)


HYBRID_UNIFIED = CgroupMount("/sys/fs/cgroup/unified", "/", (), True, True)
UNIFIED = CgroupMount("/sys/fs/cgroup", "/", ("cpu", "io", "memory", "pids"), True, True)
LEGACY = (v1("memory"), v1("cpu", "cpuacct"), v1("pids"), v1("blkio"), v1("freezer"))


ALL = ("cpu", "io", "memory", "pids")
FILES = ("cgroup.freeze", "cgroup.kill", "memory.max")
TOP = UnifiedLevel("/sys/fs/cgroup", ALL, (), True, True, True, False, False)
USER_MANAGER = ManagerFacts(True, 252, "/sys/fs/cgroup/user.slice/user@1000.service", ALL, FILES)
SYSTEM_MANAGER = ManagerFacts(False, 252, "/sys/fs/cgroup", ALL, FILES)
NO_BUS = ManagerFacts(True, None, "", (), (), "the user manager cannot be asked: no bus", "log in")


def unified(*levels, manager=None, euid=0, files=FILES, kernel=(6, 1)):
    """A machine with all controllers in the unified hierarchy, under systemd where there is a manager."""
    return facts(UNIFIED, euid=euid, systemd=manager is not None)._replace(
        levels=levels or (TOP,), manager=manager, files=files, kernel=kernel
    )


def facts(*mounts, euid=0, systemd=False, creatable=None, kill=False):
    return ContainmentFacts(
        mounts=mounts,
        own=tuple((c, "/") for m in mounts for c in (("",) if m.unified else m.controllers)),
        euid=euid,
        systemd_running=systemd,
        creatable=tuple(m.path for m in mounts) if creatable is None else creatable,
        kill_supported=kill,
        psi_supported=True,
    )


CASES = {
    "hybrid": (facts(*LEGACY, HYBRID_UNIFIED, kill=True), BackendName.CGROUP1, []),
    "hybrid with systemd": (facts(*LEGACY, HYBRID_UNIFIED, kill=True, systemd=True), BackendName.CGROUP1, []),
    "legacy": (facts(*LEGACY), BackendName.CGROUP1, []),
    "legacy, pids but no freezer": (facts(v1("memory"), v1("pids")), BackendName.CGROUP1, []),
    "unified with systemd, as root": (unified(manager=SYSTEM_MANAGER), BackendName.SYSTEMD, []),
    "unified with systemd, as a user": (unified(manager=USER_MANAGER, euid=1000), BackendName.SYSTEMD, []),
    "a user without a manager": (
        unified(manager=NO_BUS, euid=1000),
        BackendName.POLL,
        [(BackendName.SYSTEMD, "no bus"), (BackendName.CGROUP2, "did not delegate")],
    ),
    "a user without a manager in a delegated subtree": (
        unified(
            TOP._replace(writable=False),
            TOP._replace(
                directory="/sys/fs/cgroup/ci.service", is_root=False, occupied=False, delegated=True
            ),
            manager=NO_BUS, euid=1000,
        ),
        BackendName.CGROUP2,
        [(BackendName.SYSTEMD, "no bus")],
    ),
    "a user manager that was given no memory controller": (
        unified(manager=USER_MANAGER._replace(controllers=("pids",)), euid=1000),
        BackendName.POLL,
        [(BackendName.SYSTEMD, "no memory controller"), (BackendName.CGROUP2, "did not delegate")],
    ),
    "unified without systemd": (unified(), BackendName.CGROUP2, []),
    "unified, a kernel that neither kills nor freezes": (
        unified(files=("memory.max",), kernel=(4, 19)),
        BackendName.POLL,
        [(BackendName.CGROUP2, "neither cgroup.kill nor cgroup.freeze")],
    ),
    "systemd on a kernel that neither kills nor freezes": (
        unified(manager=USER_MANAGER._replace(files=("memory.max",)), euid=1000, kernel=(4, 19)),
        BackendName.POLL,
        [
            (BackendName.SYSTEMD, "neither cgroup.kill nor cgroup.freeze"),
            (BackendName.CGROUP2, "did not delegate"),
        ],
    ),
    "unified, a kernel that freezes and has no cgroup.kill": (
        unified(files=("memory.max",), kernel=(5, 10)), BackendName.CGROUP2, [],
    ),
    "nothing mounted": (facts(), BackendName.POLL, [(BackendName.CGROUP1, "no memory hierarchy is mounted")]),
    "an ordinary user": (
        facts(*LEGACY, HYBRID_UNIFIED, euid=1000, creatable=()),
        BackendName.POLL,
        [(BackendName.CGROUP1, "no cgroup can be made")],
    ),
    "memory alone, nothing to kill by": (
        facts(v1("memory"), v1("cpu")),
        BackendName.POLL,
        [(BackendName.CGROUP1, "no hierarchy to kill by")],
    ),
    "freezer there and not ours to use": (
        facts(v1("memory"), v1("freezer"), creatable=("/sys/fs/cgroup/memory",)),
        BackendName.POLL,
        [(BackendName.CGROUP1, "no hierarchy to kill by")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_best_usable_backend_is_chosen_and_the_better_ones_say_why_not(case):
    found, backend, obstacles = CASES[case]
    choice = choose(found)
    assert choice.backend is backend
    assert [o.backend for o in choice.obstacles] == [name for name, _ in obstacles]
    assert all(text in o.reason for o, (_, text) in zip(choice.obstacles, obstacles, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_every_obstacle_comes_with_a_command(case):
    assert all(o.reason and o.remedy for o in choose(CASES[case][0]).obstacles)


def test_the_command_depends_on_what_is_in_the_way():
    as_user = choose(facts(*LEGACY, euid=1000, creatable=()))
    read_only = choose(facts(v1("memory", writable=False), creatable=()))
    container = choose(facts(v1("memory"), creatable=()))
    assert as_user.obstacles[0].remedy.startswith("sudo steadyrun")
    assert read_only.obstacles[0].remedy == "mount -o remount,rw /sys/fs/cgroup/memory"
    assert "docker run" in container.obstacles[0].remedy


def test_a_missing_controller_of_the_user_manager_is_mended_by_a_drop_in():
    found = choose(CASES["a user manager that was given no memory controller"][0]).obstacles[0]
    assert "/etc/systemd/system/user@.service.d" in found.remedy
    assert "Delegate=cpu cpuset io memory pids" in found.remedy
    assert "\n" not in found.remedy


def test_poll_can_always_be_asked_for():
    choice = choose(facts(*LEGACY), wanted=BackendName.POLL)
    assert choice.backend is BackendName.POLL


@pytest.mark.parametrize("wanted", [BackendName.SYSTEMD, BackendName.CGROUP2, BackendName.CGROUP1])
def test_asking_for_one_that_cannot_be_used_is_an_error_with_a_hint(wanted):
    with pytest.raises(CannotContainError) as caught:
        choose(CASES["a user without a manager"][0], wanted=wanted)
    assert wanted.value in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_a_backend_that_is_asked_for_is_taken_before_better_ones():
    assert choose(facts(*LEGACY), wanted=BackendName.CGROUP1).backend is BackendName.CGROUP1


# What a mutated chooser got away with before these were written


def chosen(*mounts, **how):
    return choose(facts(*mounts, **how)).backend


def test_a_unified_mount_with_cgroup_kill_is_enough_to_kill_by():
    assert chosen(v1("memory"), HYBRID_UNIFIED, kill=True) is BackendName.CGROUP1


@pytest.mark.parametrize(
    "how",
    [
        {"kill": False},
        {"kill": True, "creatable": ("/sys/fs/cgroup/memory",)},
    ],
)
def test_cgroup_kill_counts_only_where_it_is_there_and_a_cgroup_can_be_made(how):
    assert chosen(v1("memory"), HYBRID_UNIFIED, **how) is BackendName.POLL


def test_cgroup_kill_of_a_kernel_without_a_unified_mount_is_of_no_use():
    assert chosen(v1("memory"), v1("cpu"), kill=True) is BackendName.POLL


def test_one_usable_unified_mount_among_others_is_enough():
    other = HYBRID_UNIFIED._replace(path="/elsewhere")
    usable = ("/sys/fs/cgroup/memory", HYBRID_UNIFIED.path)
    assert chosen(v1("memory"), other, HYBRID_UNIFIED, kill=True, creatable=usable) is BackendName.CGROUP1


def test_a_controller_of_the_unified_mount_is_not_taken_for_a_legacy_one():
    unified_pids = HYBRID_UNIFIED._replace(controllers=("pids",))
    assert chosen(v1("memory"), unified_pids) is BackendName.POLL


@pytest.mark.parametrize(
    ("wanted", "says"),
    [(BackendName.CGROUP1, "no memory hierarchy"), (BackendName.SYSTEMD, "found nothing of it")],
)
def test_a_wanted_one_that_is_not_there_is_refused_with_what_to_do(wanted, says):
    with pytest.raises(CannotContainError, match=says) as refused:
        choose(facts(), wanted=wanted)
    assert refused.value.hint
