"""What holds for all machines, names and figures."""

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from steadyrun.contain.cgroup1_limits import SHARES_MAX, SHARES_MIN, shares_of
from steadyrun.contain.cgroup1_placement import places
from steadyrun.contain.choose import can_kill, choose
from steadyrun.contain.hierarchy import ancestors, is_ours, visible
from steadyrun.contain.quota import LEAST_QUOTA_US, quota_of
from steadyrun.contain.unified_placement import place as unified_place
from steadyrun.errors import CannotContainError
from steadyrun.model.containment import BackendName, CgroupMount, ContainmentFacts, ManagerFacts, UnifiedLevel

CONTROLLERS = ["memory", "cpu", "cpuacct", "pids", "blkio", "freezer", "cpuset", "name=systemd"]
NAMES = st.text("abcdefgh-", min_size=1, max_size=6)
PATHS = st.lists(NAMES, max_size=4).map(lambda names: "/" + "/".join(names))


UNIFIED = ["memory", "cpu", "pids", "io"]


def some(words):
    return st.lists(st.sampled_from(words), unique=True).map(tuple)


@st.composite
def managers(draw):
    """A systemd manager as `systemd_facts` tells it: one in trouble always comes with what mends it."""
    trouble = draw(st.sampled_from(["", "", "it did not answer within 1 s"]))
    return ManagerFacts(
        is_user=draw(st.booleans()),
        version=draw(st.sampled_from([None, 245, 252, 257])),
        cgroup="" if trouble else "/cg/unified/init.scope",
        controllers=() if trouble else draw(some(UNIFIED)),
        files=() if trouble else draw(some(["cgroup.kill", "cgroup.freeze", "memory.max"])),
        trouble=trouble,
        remedy="busctl status" if trouble else "",
        silent=bool(trouble) and draw(st.booleans()),
    )


@st.composite
def unified_levels(draw):
    """Our own cgroup and those above it, topmost first."""
    flags, levels = st.booleans(), []
    for level in range(draw(st.integers(1, 4))):
        available = draw(some(UNIFIED))
        # What a cgroup enables it has itself (cgroup-v2.rst, "Enabling and Disabling").
        enabled = tuple(name for name in draw(some(UNIFIED)) if name in available)
        levels.append(
            UnifiedLevel(
                directory="/cg/unified" + "".join(f"/l{n}.slice" for n in range(1, level + 1)),
                available=available,
                enabled=enabled,
                is_root=level == 0 and draw(flags),
                occupied=draw(flags),
                writable=draw(flags),
                limits=draw(flags),
                delegated=draw(flags),
            )
        )
    return tuple(levels)


@st.composite
def machines(draw):
    legacy = draw(st.lists(st.sampled_from(CONTROLLERS), unique=True))
    mounts = [
        CgroupMount(f"/cg/{c}", draw(st.sampled_from(["/", "/docker/x"])), (c,), False, draw(st.booleans()))
        for c in legacy
    ]
    if draw(st.booleans()):
        held = draw(st.lists(st.sampled_from(["memory", "io", "hugetlb"]), unique=True))
        mounts.append(CgroupMount("/cg/unified", "/", tuple(held), True, draw(st.booleans())))
    own = tuple((c, draw(PATHS)) for c in [*legacy, ""] if draw(st.booleans()))
    creatable = tuple(m.path for m in mounts if draw(st.booleans()))
    systemd = draw(st.booleans())
    return ContainmentFacts(
        mounts=tuple(mounts),
        own=own,
        euid=draw(st.sampled_from([0, 1000])),
        systemd_running=systemd,
        creatable=creatable,
        kill_supported=draw(st.booleans()),
        psi_supported=draw(st.booleans()),
        kernel=draw(st.sampled_from([(0, 0), (4, 19), (5, 2), (5, 14), (6, 8)])),
        levels=draw(st.just(()) | unified_levels()),
        files=draw(some(["cgroup.kill", "cgroup.freeze", "memory.max"])),
        manager=draw(st.none() | managers()) if systemd else None,
    )


@pytest.mark.parametrize("backend", BackendName)
def test_the_machines_drawn_here_reach_every_backend(backend):
    plainly = settings(phases=[Phase.generate], max_examples=5000, deadline=None)  # found is enough
    assert find(machines(), lambda facts: choose(facts).backend is backend, settings=plainly)


@given(machines())
def test_every_machine_has_a_backend_and_says_why_not_a_better_one(facts):
    choice = choose(facts)
    order = list(BackendName)
    assert all(order.index(o.backend) < order.index(choice.backend) for o in choice.obstacles)
    assert all(o.reason and o.remedy for o in choice.obstacles)


@given(machines())
def test_the_legacy_backend_is_chosen_only_where_it_can_limit_memory_and_kill(facts):
    if choose(facts).backend is BackendName.CGROUP1:
        assert "/cg/memory" in facts.creatable
        assert can_kill(facts)


@given(machines())
def test_systemd_is_chosen_wherever_its_manager_can_hold_memory_and_kill_and_nowhere_else(facts):
    manager = facts.manager
    can = (
        manager is not None
        and not manager.trouble
        and "memory" in manager.controllers
        and ("cgroup.kill" in manager.files or facts.kernel >= (5, 2))
    )
    assert (choose(facts).backend is BackendName.SYSTEMD) == can


@given(machines())
def test_a_unified_place_of_our_own_is_chosen_only_where_memory_is_unified_and_it_can_kill(facts):
    if choose(facts).backend is BackendName.CGROUP2:
        assert any(m.unified and "memory" in m.controllers for m in facts.mounts)
        where = unified_place(facts)
        assert where in facts.levels
        assert where.writable
        assert "memory" in where.available
        assert "cgroup.kill" in facts.files or facts.kernel >= (5, 2)


@given(machines())
def test_a_better_manager_never_gives_a_worse_backend(facts):
    order = list(BackendName)
    without = choose(facts._replace(manager=None)).backend
    assert order.index(choose(facts).backend) <= order.index(without)


@given(machines(), st.sampled_from(BackendName))
def test_a_wanted_backend_is_given_or_refused_never_replaced(facts, wanted):
    try:
        choice, refusal = choose(facts, wanted=wanted), None
    except CannotContainError as error:
        choice, refusal = None, error
    if choice is not None:
        assert choice.backend is wanted
    else:
        assert wanted.value in refusal.message
        assert refusal.hint


@given(machines(), NAMES)
def test_a_place_is_below_its_mount_and_ours_by_name(facts, name):
    for place in places(facts, root="/no/such/tree"):
        directory = place.directory(name)
        assert directory.startswith(place.mount.path + "/")
        assert is_ours(directory, name)
        assert not is_ours(directory, name + "x")


@given(machines())
def test_no_controller_has_two_places(facts):
    found = [c for place in places(facts, root="/no/such/tree") for c in place.controllers]
    assert len(found) == len(set(found))


@given(PATHS, PATHS)
def test_a_visible_cgroup_is_at_or_below_the_mount_point(root, below):
    mount = CgroupMount("/cg/m", root, ("memory",), False, True)
    directory = visible(mount, f"{root.rstrip('/')}{below}")
    assert directory is not None
    assert f"{directory}/".startswith("/cg/m/")
    above = list(ancestors(directory, "/cg/m"))
    assert above[0] == directory
    assert above[-1] == "/cg/m"
    assert len(above) == 1 + directory[len("/cg/m") :].count("/")


@given(PATHS, PATHS)
def test_what_is_not_below_the_mounts_root_is_not_visible(root, own):
    mount = CgroupMount("/cg/m", root, ("memory",), False, True)
    shown = visible(mount, own)
    assert (shown is None) == (not f"{own.rstrip('/')}/".startswith(f"{root.rstrip('/')}/"))


@given(st.integers(1, 10000), st.integers(1, 10000))
def test_more_weight_never_gives_fewer_shares(a, b):
    low, high = sorted((a, b))
    assert SHARES_MIN <= shares_of(low) <= shares_of(high) <= SHARES_MAX


@given(st.floats(0.001, 4096))
def test_a_quota_is_never_more_than_asked_nor_less_than_the_kernel_takes(cores):
    quota, period = quota_of(cores)
    assert quota >= LEAST_QUOTA_US
    assert quota / period <= cores + 1e-9
    assert cores - quota / period <= 2e-5 * max(1, cores) or quota == LEAST_QUOTA_US
