"""Where a containment stands in a tree of cgroup files."""

import pytest

from steadyrun.contain.cgroup1_placement import places
from steadyrun.contain.hierarchy import expect_plain, is_ours
from steadyrun.errors import ContainmentFailedError
from steadyrun.model.containment import CgroupMount, ContainmentFacts

OPEN = "9223372036854771712\n"


def tree(root, files):
    for path, text in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def facts(mounts, own, kill=True):
    return ContainmentFacts(tuple(mounts), tuple(own.items()), 0, False, (), kill, True)


def v1(path, *controllers, root="/"):
    return CgroupMount(path, root, controllers, False, True)


MEMORY = v1("/cg/memory", "memory")


def bases(root, mounts, own, **how):
    return {p.controllers[0]: p.base for p in places(facts(mounts, own, **how), root=str(root))}


def test_at_the_top_when_nothing_above_us_limits_anything(tmp_path):
    tree(tmp_path, {"/cg/memory/a/b/memory.limit_in_bytes": OPEN, "/cg/memory/a/memory.limit_in_bytes": OPEN})
    assert bases(tmp_path, [MEMORY], {"memory": "/a/b"}) == {"memory": "/cg/memory"}


@pytest.mark.parametrize("limited", ["/a", "/a/b"])
@pytest.mark.parametrize("file", ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"])
def test_below_our_own_cgroup_when_it_or_an_ancestor_has_a_limit(tmp_path, limited, file):
    tree(tmp_path, {f"/cg/memory{limited}/{file}": "1048576\n"})
    assert bases(tmp_path, [MEMORY], {"memory": "/a/b"}) == {"memory": "/cg/memory/a/b"}


@pytest.mark.parametrize(
    ("controller", "file", "text"),
    [
        ("pids", "pids.max", "100\n"),
        ("cpu", "cpu.cfs_quota_us", "50000\n"),
        ("cpu", "cpu.shares", "512\n"),
        ("blkio", "blkio.throttle.write_bps_device", "8:0 1048576\n"),
        ("memory", "memory.limit_in_bytes", "what is this\n"),
    ],
)
def test_any_limit_of_a_hierarchy_keeps_us_below_it(tmp_path, controller, file, text):
    tree(tmp_path, {f"/cg/{controller}/a/{file}": text})
    mount = v1(f"/cg/{controller}", controller)
    assert bases(tmp_path, [mount], {controller: "/a"}) == {controller: f"/cg/{controller}/a"}


def test_a_container_without_a_cgroup_namespace_is_found_below_its_mounts_root(tmp_path):
    tree(tmp_path, {"/cg/memory/memory.limit_in_bytes": "1048576\n"})
    mount = v1("/cg/memory", "memory", root="/docker/abc")
    (place,) = places(facts([mount], {"memory": "/docker/abc"}), root=str(tmp_path))
    assert place.base == "/cg/memory"
    assert place.cgroup_path(place.directory("x")) == "/docker/abc/steadyrun/x"


@pytest.mark.parametrize("own", ["/docker/abcdef", "/elsewhere", "/docker/abc/../other", "/docker/abc/.."])
def test_a_mount_that_does_not_show_our_own_cgroup_is_not_used(tmp_path, own):
    mount = v1("/cg/memory", "memory", root="/docker/abc")
    assert bases(tmp_path, [mount], {"memory": own}) == {}


def test_the_cpu_cgroup_stands_beside_what_it_competes_with(tmp_path):
    mount = v1("/cg/cpu,cpuacct", "cpu", "cpuacct")
    (place,) = places(facts([mount], {"cpu": "/", "cpuacct": "/"}), root=str(tmp_path))
    assert place.controllers == ("cpu", "cpuacct")
    assert place.directory("x") == "/cg/cpu,cpuacct/steadyrun-x"


def test_the_freezer_is_used_only_where_the_unified_mount_cannot_kill(tmp_path):
    mounts = [v1("/cg/freezer", "freezer"), CgroupMount("/cg/unified", "/", (), True, True)]
    own = {"freezer": "/", "": "/"}
    assert set(bases(tmp_path, mounts, own, kill=True)) == {""}
    assert set(bases(tmp_path, mounts, own, kill=False)) == {"", "freezer"}


def test_a_hierarchy_that_is_mounted_twice_is_used_once(tmp_path):
    found = bases(tmp_path, [MEMORY, v1("/other", "memory")], {"memory": "/"})
    assert found == {"memory": "/cg/memory"}


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/cg/memory/steadyrun/x", True),
        ("/cg/cpu/steadyrun-x", True),
        ("/cg/memory/x", False),
        ("/cg/memory/steadyrun", False),
        ("/cg/memory/steadyrun/y", False),
        ("/cg/memory/system.slice/steadyrunner/x", False),
        ("/cg/cpu/steadyrun-xx", False),
    ],
)
def test_only_places_of_that_name_are_ours(path, ours):
    assert is_ours(path, "x") is ours


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "../x", "a b", "a\n", "a@b", "ä", "a\0"])
def test_a_name_that_could_leave_its_place_is_refused(name):
    with pytest.raises(ContainmentFailedError, match="expected letters, digits"):
        expect_plain(name)


@pytest.mark.parametrize("name", ["run-1", "20261126T020752Z-4f_2.1"])
def test_a_plain_name_is_taken(name):
    expect_plain(name)
