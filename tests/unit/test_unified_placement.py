"""Where a cgroup of ours may stand in the unified hierarchy: never above a limit, never somebody else's."""

import os

import pytest

from steadyrun.contain.facts import read_facts
from steadyrun.contain.unified_facts import limits_anything, read_levels
from steadyrun.contain.unified_placement import given_by, place
from steadyrun.model.containment import AS_ROOT, CgroupMount, ContainmentFacts, Obstacle, UnifiedLevel

ALL = ("cpu", "io", "memory", "pids")
TOP = UnifiedLevel("/cg", ALL, ALL, True, True, True, False, False)
INNER = UnifiedLevel("/cg/a", ALL, ALL, False, False, True, False, False)
OWN = UnifiedLevel("/cg/a/b", ALL, (), False, True, True, False, False)
NOT_OURS = TOP._replace(writable=False)
MOUNT = CgroupMount("/cg", "/", ALL, True, True)


def facts(*levels, systemd=False, euid=0, writable=True):
    mount = MOUNT._replace(writable=writable)
    return ContainmentFacts((mount,), (("", "/a/b"),), euid, systemd, (), True, True, (6, 1), levels)


PLACES = {
    "the top, where nothing limits anything": (facts(TOP, INNER, OWN), "/cg"),
    "below a limit": (facts(TOP, INNER._replace(limits=True), OWN), "/cg/a"),
    "a user's, below what is not theirs": (facts(NOT_OURS, INNER, OWN, euid=1), "/cg/a"),
    "the top that has no controllers enabled yet": (facts(TOP._replace(enabled=()), OWN), "/cg"),
    "a container's, with the controllers enabled already": (
        facts(TOP._replace(is_root=False, occupied=True, limits=True), OWN), "/cg",
    ),
    "delegated by systemd": (facts(TOP, INNER._replace(delegated=True), OWN, systemd=True), "/cg/a"),
    "delegated twice: the lower": (
        facts(
            TOP,
            INNER._replace(directory="/cg/user@1.service", delegated=True),
            INNER._replace(directory="/cg/user@1.service/app.slice"),
            INNER._replace(directory="/cg/user@1.service/app.slice/run-1.scope", delegated=True),
            OWN._replace(directory="/cg/user@1.service/app.slice/run-1.scope/main"),
            systemd=True, euid=1,
        ),
        "/cg/user@1.service/app.slice/run-1.scope",
    ),
}  # fmt: skip
OBSTACLES = {
    "systemd's own tree": (
        facts(TOP, INNER, OWN, systemd=True), "did not delegate", "systemd-run --scope -p Delegate=yes",
    ),
    "a user's session": (
        facts(TOP, INNER, OWN, systemd=True, euid=1),
        "did not delegate", "systemd-run --user --scope -p Delegate",
    ),
    "a user manager's tree": (
        facts(
            NOT_OURS,
            INNER._replace(directory="/cg/user@1.service", delegated=True),
            INNER._replace(directory="/cg/user@1.service/app.slice"),
            OWN._replace(directory="/cg/user@1.service/app.slice/x.scope"),
            systemd=True, euid=1,
        ),
        "did not delegate", "mkdir $d/rest && echo $$ > $d/rest/cgroup.procs && exec steadyrun doctor",
    ),
    "a container, whose only process is ours": (
        facts(TOP._replace(is_root=False, enabled=(), limits=True)),
        "/cg has processes in it", "mkdir -p /cg/rest; for p in $(cat /cg/cgroup.procs)",
    ),
    "our own cgroup bears the limit": (
        facts(TOP, INNER, OWN._replace(limits=True)),
        "/cg/a/b has processes in it", "> /cg/a/b/rest/cgroup.procs",
    ),
    "no memory controller": (
        facts(TOP._replace(writable=False), INNER._replace(available=("pids",), enabled=())),
        "/cg/a has no memory controller", "echo +memory | sudo tee /cg/cgroup.subtree_control",
    ),
    "mounted read-only": (facts(NOT_OURS, writable=False), "read-only", "mount -o remount,rw /cg"),
    "a user without a place": (facts(NOT_OURS, euid=1), "uid 1 may make no cgroup", AS_ROOT),
    "root in a locked container": (facts(NOT_OURS), "no cgroup can be made", "docker run --privileged"),
    "not below what is mounted": (facts(), "not below what is mounted", "--cgroupns=private"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLACES)
def test_the_topmost_place_that_is_ours_and_below_every_limit_is_taken(case):
    found, where = PLACES[case]
    assert place(found).directory == where


@pytest.mark.parametrize("case", OBSTACLES)
def test_where_there_is_none_the_reason_and_the_command_are_said(case):
    found, reason, remedy = OBSTACLES[case]
    obstacle = place(found)
    assert isinstance(obstacle, Obstacle), obstacle
    assert reason in obstacle.reason
    assert remedy in obstacle.remedy


def test_a_cgroup_with_processes_gives_only_what_is_enabled_already():
    level = UnifiedLevel("/cg", ALL, ("memory",), False, True, True, False, False)
    assert given_by(level) == ("memory",)
    assert given_by(level._replace(occupied=False)) == ("memory", "pids", "cpu", "io")
    assert given_by(level._replace(is_root=True)) == ("memory", "pids", "cpu", "io")


def tree(root, files):
    for path, text in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def cgroup(path, *, controllers="memory pids\n", enabled="", procs="", root=False, **limits):
    files = {
        f"{path}/cgroup.controllers": controllers,
        f"{path}/cgroup.subtree_control": enabled,
        f"{path}/cgroup.procs": procs,
    } | {f"{path}/{name}": text for name, text in limits.items()}
    return files if root else files | {f"{path}/cgroup.type": "domain\n"}


def test_the_levels_are_read_from_the_top_down_to_our_own(tmp_path):
    tree(tmp_path, cgroup("/cg", root=True, procs="1\n", enabled="memory\n"))
    tree(tmp_path, cgroup("/cg/a", **{"memory.max": "1048576\n"}))
    tree(tmp_path, cgroup("/cg/a/b", procs="77\n"))
    top, middle, own = read_levels(MOUNT, "/a/b", root=str(tmp_path))
    assert [lv.directory for lv in (top, middle, own)] == ["/cg", "/cg/a", "/cg/a/b"]
    assert (top.is_root, middle.is_root) == (True, False)
    assert (top.enabled, top.available) == (("memory",), ("memory", "pids"))
    assert (middle.occupied, own.occupied) == (False, True)
    assert (top.limits, middle.limits, own.limits) == (False, True, False)
    assert all(lv.writable for lv in (top, middle, own))


def test_what_a_manager_says_it_gave_away_is_delegated(tmp_path):
    for path in ("/cg", "/cg/u", "/cg/u/x.scope", "/cg/u/x.scope/main"):
        tree(tmp_path, cgroup(path))
    found = read_levels(MOUNT, "/u/x.scope/main", given="/cg/u/x.scope", root=str(tmp_path))
    assert [level.delegated for level in found] == [False, False, True, False]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_may_not_be_written_is_not_writable(tmp_path):
    tree(tmp_path, cgroup("/cg", root=True))
    (tmp_path / "cg/cgroup.subtree_control").chmod(0o444)
    (level,) = read_levels(MOUNT, "/", root=str(tmp_path))
    assert not level.writable


def test_a_cgroup_whose_processes_cannot_be_told_counts_as_occupied(tmp_path):
    tree(tmp_path, cgroup("/cg"))
    (tmp_path / "cg/cgroup.procs").unlink()
    (level,) = read_levels(MOUNT, "/", root=str(tmp_path))
    assert level.occupied


@pytest.mark.parametrize(
    ("file", "text", "limits"),
    [
        ("memory.max", "max\n", False),
        ("memory.max", "4096\n", True),
        ("memory.high", "4096\n", True),
        ("memory.swap.max", "0\n", True),
        ("pids.max", "max\n", False),
        ("pids.max", "100\n", True),
        ("pids.max", "what is this\n", True),
        ("cpu.max", "max 100000\n", False),
        ("cpu.max", "50000 100000\n", True),
        ("cpu.max", "what is this\n", True),
        ("cpu.weight", "100\n", False),
        ("cpu.weight", "0\n", True),
        ("io.max", "", False),
        ("io.max", "8:0 rbps=1 wbps=max riops=max wiops=max\n", True),
        ("cpuset.cpus", "\n", False),
        ("cpuset.cpus", "0-1\n", True),
        ("memory.min", "4096\n", False),
    ],
)
def test_what_counts_as_a_limit(tmp_path, file, text, limits):
    (tmp_path / file).write_text(text)
    assert limits_anything(str(tmp_path)) is limits


def machine(root, *, systemd=False):
    tree(root, {"/proc/self/mountinfo": "30 20 0:26 / /cg rw - cgroup2 cgroup2 rw\n"})
    tree(root, {"/proc/self/cgroup": "0::/\n", "/proc/sys/kernel/osrelease": "6.1.0-18-amd64\n"})
    tree(root, {"/proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"})
    tree(root, cgroup("/cg", root=True))
    if systemd:
        (root / "run/systemd/system").mkdir(parents=True)


def test_facts_of_a_unified_machine_name_its_levels_and_leave_no_child(tmp_path):
    machine(tmp_path)
    found = read_facts(str(tmp_path))
    assert [level.directory for level in found.levels] == ["/cg"]
    assert found.kernel == (6, 1)
    assert found.psi_supported
    assert found.creatable == ("/cg",)
    assert [p.name for p in (tmp_path / "cg").iterdir() if p.is_dir()] == []


def test_nothing_is_made_in_a_tree_that_belongs_to_systemd(tmp_path):
    machine(tmp_path, systemd=True)
    (tmp_path / "cg").chmod(0o555)
    found = read_facts(str(tmp_path))
    assert found.creatable == ()
    assert found.systemd_running
