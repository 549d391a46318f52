"""Walls count at once: what is in use now is read and judged before one is put up."""

import pytest
from protect_tree import GIB, MANAGER, SESSION, USER, Desktop

from steadyrun.model.finding import Severity
from steadyrun.protect.facts import Use, Whose
from steadyrun.protect.plan import plan
from steadyrun.protect.read import read_facts
from steadyrun.protect.room import CACHE, TOO_FULL, crowds_of, finding_of
from steadyrun.protect.shares import Profile, shares_of
from steadyrun.protect.wanted import WALLED, wanted

UNIT = ("session-.scope", Whose.SYSTEM)
WALL = 10 * GIB
STAT = "anon 1\nfile 2\nactive_file {}\ninactive_file {}\nslab_reclaimable {}\nshmem 5\n"


def use(current, held, limit=None):
    current, held, limit = (None if x is None else int(x * GIB) for x in (current, held, limit))
    return Use(*UNIT, "user.slice/user-1000.slice/session-3.scope", limit, current, held)


@pytest.mark.parametrize(
    ("current", "held", "limit", "code"),
    [
        (5, 5, None, None),
        (9.4, 9.4, None, None),
        (9.6, 9.6, None, TOO_FULL),
        (12, 12, None, TOO_FULL),
        (12, 9, None, CACHE),
        (12, 12, 9, None),
        (12, 12, 10, None),
        (12, 12, 11, TOO_FULL),
        (None, None, None, TOO_FULL),
        (12, None, None, TOO_FULL),
        (5, None, None, None),
    ],
    ids=[
        "fits",
        "fits with what it may grow by",
        "near it",
        "beyond it",
        "but for file cache it fits",
        "a stricter one stands",
        "it stands already",
        "a looser one stands",
        "unknown",
        "unknown what gives way",
        "fits whatever gives way",
    ],
)
def test_a_wall_is_judged_by_what_is_in_use_behind_it(current, held, limit, code):
    found = [finding_of(each) for each in crowds_of({UNIT: WALL}, [use(current, held, limit)])]
    assert [each.code for each in found] == ([code] if code else [])
    for each in found:
        assert each.severity is (Severity.PROBLEM if code == TOO_FULL else Severity.NOTE)
        assert "10 GiB" in each.title


def test_a_unit_without_a_wall_may_be_as_full_as_it_is():
    assert crowds_of({("user.slice", Whose.SYSTEM): WALL}, [use(99, 99)]) == ()


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("euid", [0, 1000])
def test_every_unit_that_gets_a_wall_is_looked_at(tmp_path, profile, euid):
    facts = read_facts(root=Desktop(tmp_path).root, env={"HOME": "/home/desk"}, euid=euid)
    units = {
        (each.unit, each.whose)
        for each in wanted(facts, shares_of(facts.ram, profile), profile)
        if any(line.key == "MemoryMax" for line in each.lines)
    }
    assert units == {each for each in WALLED if euid == 0 or each[1] is Whose.USER}


def fill(tree, group, current, *, cache=0):
    """Have so much in use in a cgroup, a part of it file cache."""
    tree.file(f"{group}/memory.current", f"{current}\n")
    tree.file(f"{group}/memory.stat", STAT.format(cache // 2, cache // 4, cache // 4))
    tree.file(f"{group}/memory.max", "max\n")


def planned(tree, euid=0):
    return plan(read_facts(root=tree.root, env={"HOME": "/home/desk"}, euid=euid))


def told(made):
    return [(each.code, each.title.split(" ")[3 if each.code == TOO_FULL else 0]) for each in made.findings][
        :3
    ]


def test_sessions_users_and_programs_are_read_where_they_are(tmp_path):
    tree = Desktop(tmp_path)
    fill(tree, f"{USER}/{SESSION}", 15 * GIB, cache=GIB)
    fill(tree, USER, 15 * GIB, cache=8 * GIB)
    fill(tree, f"{USER}/{MANAGER}/app.slice", 15 * GIB)
    top = "user.slice/user-1000.slice"
    assert told(planned(tree)) == [
        (CACHE, top),
        (TOO_FULL, f"{top}/{SESSION}"),
        (TOO_FULL, f"{top}/{MANAGER}/app.slice"),
    ]
    own = planned(tree, euid=1000)
    assert told(own)[0] == (TOO_FULL, f"{top}/{MANAGER}/app.slice")
    assert sum(each.code == TOO_FULL for each in own.findings) == 1, "the others are root's"


def test_where_nothing_is_counted_yet_nothing_is_in_the_way(tmp_path):
    tree = Desktop(tmp_path)
    tree.file(f"{USER}/{SESSION}/cgroup.procs", "")
    assert not {TOO_FULL, CACHE} & {each.code for each in planned(tree).findings}


def test_what_cannot_be_read_is_no_room(tmp_path):
    tree = Desktop(tmp_path)
    tree.file(f"{USER}/{SESSION}/memory.current", "soup\n")
    assert told(planned(tree))[0][0] == TOO_FULL
