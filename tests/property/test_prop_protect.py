"""Lasting protection: whatever moment the power is cut at, nothing of what was there before is lost."""

import pathlib
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protect_disk import FragileDisk, PowerCutError, dead, full
from protect_tree import GIB, Desktop

from steadyrun.errors import SteadyrunError
from steadyrun.protect.facts import Whose
from steadyrun.protect.plan import plan
from steadyrun.protect.protection import Protection
from steadyrun.protect.read import read_facts
from steadyrun.protect.record import Begin, Change, Intent, line_of, read_record
from steadyrun.protect.seen import Seen
from steadyrun.protect.shares import Profile, shares_of
from steadyrun.protect.stricter import amount
from steadyrun.protect.wanted import wanted

STATE = "/var/lib/steadyrun"
TTL = "/sys/kernel/mm/lru_gen/min_ttl_ms"


def machine(folder):
    """A machine that has one of our folders with somebody's file in it already, and another one not."""
    tree = Desktop(folder)
    tree.file("etc/systemd/system/user.slice.d/50-own.conf", "[Slice]\nTasksMax=90%\n")
    return tree


def small(tree, *, without=(), profile=None):
    """A plan of a few changes of every kind: files in folders new and old, and a value."""
    whole = plan(read_facts(root=tree.root, env={"HOME": "/home/desk"}, euid=0), profile)
    files = [f for f in whole.files if f.unit in ("user.slice", "steadyrun.slice", "at each boot")]
    return whole._replace(
        files=tuple(f for f in files if f.unit not in without),
        values=tuple(v for v in whole.values if v.path == TTL),
    )


def protection(tree, *, cut_at=None, **how):
    disk = FragileDisk(tree.root, cut_at, **how)
    return Protection(STATE, disk, root=tree.root), disk


def steps_of(deed):
    """Return how many steps a deed takes that nothing interrupts."""
    with tempfile.TemporaryDirectory() as folder:
        tree = machine(folder)
        return deed(tree)


def whole_apply(tree):
    guarded, disk = protection(tree)
    guarded.apply(small(tree))
    return disk.steps


def whole_undo(tree, applied=whole_apply):
    applied(tree)
    guarded, disk = protection(tree)
    guarded.undo()
    return disk.steps


def whole_second_apply(tree):
    older(tree)
    guarded, disk = protection(tree)
    guarded.apply(small(tree, without=("user.slice",), profile=Profile.WORKSTATION))
    return disk.steps


def older(tree):
    protection(tree)[0].apply(small(tree))


APPLY, UNDO, SECOND = steps_of(whole_apply), steps_of(whole_undo), steps_of(whole_second_apply)


def cut(deed):
    with pytest.raises(PowerCutError):
        deed()


def cut_apply(folder, step, forgets):
    """Cut the power at a step of an apply; return the machine, what was there before, and the plan."""
    tree = machine(folder)
    before = tree.everything()
    guarded, _ = protection(tree, cut_at=step, forgets=forgets)
    wanted_plan = small(tree)
    cut(lambda: guarded.apply(wanted_plan))
    return tree, before, wanted_plan


@pytest.mark.parametrize("forgets", [False, True])
def test_an_apply_that_is_cut_anywhere_is_undone_to_the_byte(tmp_path, forgets):
    assert APPLY > 30
    for step in range(APPLY):
        tree, before, _ = cut_apply(tmp_path / str(step), step, forgets)
        assert protection(tree)[0].undo().left == ()
        assert tree.everything() == before, f"cut at step {step}"


@pytest.mark.parametrize("forgets", [False, True])
def test_an_apply_that_is_cut_anywhere_can_be_done_again(tmp_path, forgets):
    reference = machine(tmp_path / "reference")
    protection(reference)[0].apply(small(reference))
    wanted_end = contents(reference)
    for step in range(APPLY):
        tree, before, wanted_plan = cut_apply(tmp_path / str(step), step, forgets)
        protection(tree)[0].apply(wanted_plan)
        assert contents(tree) == wanted_end, f"cut at step {step}"
        protection(tree)[0].undo()
        assert tree.everything() == before


def contents(tree):
    """Return what there is but for our own record, by path below the root."""
    found = {path[len(tree.root) :]: about for path, about in tree.everything().items()}
    return {path: about for path, about in found.items() if not path.startswith(STATE)}


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("applied", [whole_apply, whole_second_apply], ids=["once", "twice"])
def test_an_undo_that_is_cut_anywhere_is_finished_by_the_next_one(tmp_path, applied, forgets):
    steps = steps_of(lambda tree: whole_undo(tree, applied))
    assert steps > 15
    for step in range(steps):
        tree = machine(tmp_path / str(step))
        before = tree.everything()
        applied(tree)
        guarded, _ = protection(tree, cut_at=step, forgets=forgets)
        cut(guarded.undo)
        assert protection(tree)[0].undo().left == ()
        assert tree.everything() == before, f"cut at step {step}"


def test_what_was_said_to_be_applied_is_there_after_a_power_cut(tmp_path):
    tree = machine(tmp_path)
    guarded, disk = protection(tree)
    guarded.apply(small(tree))
    applied = tree.everything()
    disk.power_cut()
    assert tree.everything() == applied


def test_what_was_said_to_be_undone_is_gone_after_a_power_cut(tmp_path):
    tree = machine(tmp_path)
    before = tree.everything()
    whole_apply(tree)
    guarded, disk = protection(tree)
    guarded.undo()
    disk.power_cut()
    assert {path: about for path, about in tree.everything().items() if STATE not in path} == before


def test_a_change_of_an_older_version_that_is_cut_anywhere_is_undone_to_the_byte(tmp_path):
    for step in range(SECOND):
        tree = machine(tmp_path / str(step))
        before = tree.everything()
        older(tree)
        newer = small(tree, without=("user.slice",), profile=Profile.WORKSTATION)
        guarded, _ = protection(tree, cut_at=step, forgets=True)
        cut(lambda plan=newer, guarded=guarded: guarded.apply(plan))
        if step % 2:
            protection(tree)[0].apply(newer)
            left = pathlib.Path(tree.root) / "etc/systemd/system/user.slice.d/10-steadyrun.conf"
            assert not left.exists()
        protection(tree)[0].undo()
        assert tree.everything() == before, f"cut at step {step}"


def rewritten(tree):
    """A plan of another version, whose every file has another text."""
    made = small(tree)
    return made._replace(files=tuple(each._replace(text=f"{each.text}# newer\n") for each in made.files))


def whole_rewrite(tree):
    older(tree)
    guarded, disk = protection(tree)
    guarded.apply(rewritten(tree))
    return disk.steps


def refusal(deed):
    """Do something; return what is said where it is refused, else `None`."""
    try:
        deed()
    except SteadyrunError as error:
        return error.message
    return None


def changed(tree, before):
    """Return what is not as it was, but for our own record, by path on the machine."""
    now = tree.everything()
    paths = {path for path in {*before, *now} if before.get(path) != now.get(path)}
    return {path[len(tree.root) :] for path in paths if STATE not in path}


@pytest.mark.parametrize(("error", "once"), [(dead, True), (full, False)])
def test_an_error_at_any_step_of_an_apply_leaves_nothing(tmp_path, error, once):
    refused = 0
    for step in range(APPLY):
        tree = machine(tmp_path / str(step))
        before = tree.everything()
        guarded, _ = protection(tree, cut_at=step, error=error, once=once)
        if refusal(lambda tree=tree, guarded=guarded: guarded.apply(small(tree))) is not None:
            refused += 1
            assert tree.everything() == before, f"error at step {step}"
    assert refused == (APPLY if once else APPLY - 1), "the last step is a sync, which a full disk takes"


@pytest.mark.parametrize(("error", "once"), [(dead, True), (full, False), (dead, False)])
def test_whatever_an_error_leaves_is_named_and_taken_back_once_the_disk_is_well(tmp_path, error, once):
    steps = steps_of(whole_rewrite)
    assert steps > 30
    for step in range(steps):
        tree = machine(tmp_path / str(step))
        first = tree.everything()
        older(tree)
        before = tree.everything()
        guarded, _ = protection(tree, cut_at=step, error=error, once=once)
        said = refusal(lambda tree=tree, guarded=guarded: guarded.apply(rewritten(tree)))
        if said is not None:
            assert all(path in said for path in changed(tree, before)), f"error at step {step}"
        else:
            assert error is full, "its last step is a sync"
        protection(tree)[0].undo()
        assert tree.everything() == first, f"error at step {step}"


@pytest.mark.parametrize(("error", "once"), [(dead, True), (full, False), (dead, False)])
def test_an_undo_with_an_error_at_any_step_is_finished_by_the_next_one(tmp_path, error, once):
    for step in range(UNDO):
        tree = machine(tmp_path / str(step))
        before = tree.everything()
        whole_apply(tree)
        guarded, _ = protection(tree, cut_at=step, error=error, once=once)
        said = refusal(guarded.undo)
        if said is not None:
            assert all(path in said for path in changed(tree, before)), f"error at step {step}"
        else:
            assert tree.everything() == before
        protection(tree)[0].undo()
        assert tree.everything() == before, f"error at step {step}"


def test_what_a_second_undo_finds_undone_already_is_on_the_disk_when_it_says_so(tmp_path):
    for step in range(UNDO):
        tree = machine(tmp_path / str(step))
        before = tree.everything()
        whole_apply(tree)
        guarded, disk = protection(tree, cut_at=step, error=dead, once=True)
        refusal(guarded.undo)
        Protection(STATE, disk, root=tree.root).undo()
        disk.power_cut()
        left = {path: about for path, about in tree.everything().items() if STATE not in path}
        assert left == before, f"error at step {step}"


def test_an_undo_needs_no_room(tmp_path):
    tree = machine(tmp_path)
    before = tree.everything()
    whole_apply(tree)
    assert protection(tree, cut_at=0, error=full)[0].undo().left == ()
    assert tree.everything() == before


@given(
    cuts=st.lists(st.tuples(st.booleans(), st.integers(0, max(APPLY, UNDO) - 1), st.booleans()), max_size=5),
)
@settings(max_examples=300)
def test_any_number_of_cuts_in_applies_and_undos_loses_nothing(cuts):
    with tempfile.TemporaryDirectory() as folder:
        tree = machine(folder)
        before, wanted_plan = tree.everything(), small(tree)
        for applies, step, forgets in cuts:
            guarded, _ = protection(tree, cut_at=step, forgets=forgets)
            try:
                if applies:
                    guarded.apply(wanted_plan)
                else:
                    guarded.undo()
            except PowerCutError:
                pass
        protection(tree)[0].undo()
        assert tree.everything() == before


@given(data=st.binary(max_size=400), size=st.integers(0, 2000))
def test_a_record_cut_at_any_byte_reads_as_a_prefix(data, size):
    steps = (
        Begin("0.1", "desktop", 1.5),
        Intent(1, Change("/etc/x", Seen(data, 0o640, 1, 2), Seen(b"new", 0o644, 0, 0))),
        Intent(2, Change("/proc/1/oom_score_adj", "100", "-100", "1 2 boot", "boot")),
    )
    whole = b"".join(map(line_of, steps))
    found = read_record(whole[:size], source="x")
    assert found.steps == steps[: len(found.steps)]
    assert len(found.steps) == whole[:size].count(b"\n")


@given(ram=st.integers(GIB, 4096 * GIB), profile=st.sampled_from(Profile))
def test_walls_stand_inside_each_other_and_leave_the_desktop_its_part(ram, profile):
    shares = shares_of(ram, profile)
    assert 100 > shares.everybody >= shares.person >= shares.ordinary >= 40
    assert shares.loads == shares.person
    protected = shares.session + shares.login + 3 * shares.way_in
    assert shares.ordinary + protected <= 100, "what is protected fits beside what is limited"


@given(
    ram=st.integers(GIB, 512 * GIB),
    version=st.integers(247, 262),
    profile=st.sampled_from(Profile),
    root=st.booleans(),
)
@settings(max_examples=40)
def test_nothing_is_written_that_this_systemd_does_not_know_or_that_is_no_percentage(
    ram, version, profile, root
):
    with tempfile.TemporaryDirectory() as folder:
        tree = Desktop(folder, ram=ram, version=version)
        facts = read_facts(root=tree.root, env={"HOME": "/home/desk"}, euid=0 if root else 1000)
        made = plan(facts, profile)
        assert not made.obstacle
        for each in made.files:
            for line in each.lines:
                assert line.since <= version
                assert line.why
                assert line.source
                if line.key.startswith("Memory") and line.key != "MemoryAccounting":
                    assert line.value.endswith("%"), "no number of bytes that could outlive its memory"
                    assert 0 < amount(line.value, ram) < ram


@given(ram=st.integers(GIB, 512 * GIB), profile=st.sampled_from(Profile))
@settings(max_examples=20)
def test_what_is_protected_is_protected_on_every_slice_above(ram, profile):
    with tempfile.TemporaryDirectory() as folder:
        facts = read_facts(root=Desktop(folder, ram=ram).root, env={}, euid=0)
    low = {
        (each.unit, each.whose): int(line.value.rstrip("%"))
        for each in wanted(facts, shares_of(ram, profile), profile)
        for line in each.lines
        if line.key == "MemoryLow"
    }
    down = [
        ("user.slice", Whose.SYSTEM),
        ("user-.slice", Whose.SYSTEM),
        ("user@.service", Whose.SYSTEM),
        ("session.slice", Whose.USER),
    ]
    if profile is Profile.SERVER:
        assert not any(each in low for each in down)
    else:
        assert len({low[each] for each in down}) == 1
    services = [value for (unit, _), value in low.items() if unit.endswith(".service") and "@" not in unit]
    once = sum(services) - low[("dbus-broker.service", Whose.SYSTEM)] - low[("sshd.service", Whose.SYSTEM)]
    assert low[("system.slice", Whose.SYSTEM)] >= once
