"""The built-in loads without running them: what is started, what their reports say, how they fill."""

import mmap
import os
import zlib

import pytest

from steadyrun.model.plan import LoadKind, LoadSpec
from steadyrun.ramp.loads import hog, storm
from steadyrun.ramp.loads.members import members_for
from steadyrun.ramp.loads.work import work_of
from steadyrun.units import Bytes, Seconds

HOGS = LoadSpec(LoadKind.HOG, processes=2, memory=Bytes(1000), hold=Seconds(3))
STORM = LoadSpec(LoadKind.STORM, processes=90, memory=Bytes(1000), hold=Seconds(3))
COMMAND = LoadSpec(LoadKind.COMMAND, argv=("pytest", "-n", "4"))


def hog_line(reached=1000):
    return f'{{"hog": 1, "asked_bytes": 1000, "reached_bytes": {reached}, "touched_pages": 5}}\n'


def storm_line(**changed):
    report = {
        "processes": 90,
        "lost": 0,
        "reached_bytes": 1000,
        "together": 1,
        "iterations": 7,
        "load1": 36.5,
    }
    report |= changed
    return '{"storm": 1, ' + ", ".join(f'"{k}": {v}' for k, v in report.items()) + "}\n"


def filled(size, owner=0):
    target = mmap.mmap(-1, size)
    filler = hog.Filler(target, size, os.urandom(hog.BLOCK), owner)
    filler.fill_to(size)
    return target, filler


def test_hogs_are_one_bare_interpreter_that_forks_the_others():
    (member,) = members_for(HOGS, cwd="/tmp", env={"A": "b"}, python="/usr/bin/python3")
    assert member.argv == (
        "/usr/bin/python3", "-I", "-S", hog.__file__, "--bytes", "1000", "--hold", "3", "--processes", "2"
    )  # fmt: skip
    assert (member.cwd, member.env) == ("/tmp", {"A": "b"})


@pytest.mark.parametrize(("asked", "blown"), [(90, "90"), (5, "5"), (1, str(storm.PROCESSES))])
def test_a_storm_is_one_member_with_its_processes(asked, blown):
    (member,) = members_for(STORM._replace(processes=asked), cwd="/", env={})
    assert member.argv[3] == storm.__file__
    assert member.argv[-2:] == ("--processes", blown)


def test_a_command_is_started_as_it_is():
    (member,) = members_for(COMMAND, cwd="/", env={})
    assert member.argv == COMMAND.argv


def test_a_load_of_no_memory_still_maps_a_byte():
    (member,) = members_for(HOGS._replace(processes=1, memory=None), cwd="/", env={})
    assert member.argv[5] == "1"


@pytest.mark.parametrize(
    ("tail", "done"),
    [
        (hog_line() * 2, True),
        ("noise\n{broken\n[1]\n" + hog_line() + '{"other": 1}\n' + hog_line(), True),
        (hog_line(), False),
        (hog_line() + hog_line(999), False),
        (hog_line().rstrip()[:-4] + "\n" + hog_line(), False),
        (storm_line(), False),
        ("", False),
        ("[" * 100_000, False),
        ("{" + '"a":[' * 100_000, False),
    ],
)
def test_the_work_is_done_when_every_hog_reported_all_its_bytes(tail, done):
    assert work_of(HOGS, tail)[1] is done


@pytest.mark.parametrize(
    ("tail", "done"),
    [
        (storm_line(), True),
        (storm_line(load1="null"), True),
        (storm_line(lost=1), False),
        (storm_line(reached_bytes=999), False),
        (storm_line(together=0), False),
        (storm_line().replace('"together": 1, ', ""), False),
        (storm_line(iterations=0), False),
        (storm_line(iterations='"many"'), False),
        ("", False),
    ],
)
def test_the_work_is_done_when_the_storm_lost_nobody_and_reached_its_memory(tail, done):
    assert work_of(STORM, tail)[1] is done


def test_the_work_is_said_in_words():
    assert work_of(HOGS, hog_line() * 2)[0].startswith(
        "2 of 2 processes finished; reached 2000 of 2000 bytes"
    )
    assert "1-minute load 36.5" in work_of(STORM, storm_line())[0]
    assert "unknown" in work_of(STORM, storm_line(load1="null"))[0]
    assert work_of(HOGS, "") == (None, False)
    assert "of 1000 bytes (1000 B, all at once)" in work_of(STORM, storm_line())[0]
    assert "never all at once" in work_of(STORM, storm_line(together=0))[0]


@pytest.mark.parametrize(
    ("spent_s", "together_s", "over"),
    [
        (29.9, 20.0, False),
        (30.0, 20.0, True),
        (30.0, 29.5, False),
        (30.5, 29.5, True),
        (30.0, None, False),
        (59.9, None, False),
        (60.0, None, True),
        (60.0, 59.9, True),
    ],
)
def test_a_process_of_the_storm_goes_when_all_were_there_or_at_the_last_call(spent_s, together_s, over):
    assert storm.is_over(spent_s, 30.0, together_s) is over


def test_the_work_of_a_users_command_is_not_ours_to_know():
    assert work_of(COMMAND, hog_line()) == (None, None)


@pytest.mark.parametrize("size", [1, 15, 16, 4096, 4097, hog.BLOCK - 1, hog.BLOCK, 3 * hog.BLOCK + 5000])
def test_a_filler_reaches_exactly_what_it_was_given(size):
    target, filler = filled(size)
    assert filler.reached == size
    assert len(target) == size


def test_no_two_pages_are_equal_also_between_owners_of_one_block():
    size = 5 * hog.BLOCK
    block = os.urandom(hog.BLOCK)
    pages = set()
    for owner in (1, 2):
        target = mmap.mmap(-1, size)
        hog.Filler(target, size, block, owner).fill_to(size)
        pages |= {target[at : at + 4096] for at in range(0, size, 4096)}
    assert len(pages) == 2 * size // 4096


def test_a_page_does_not_compress():
    target, _ = filled(2 * hog.BLOCK)
    for at in range(0, 2 * hog.BLOCK, 64 * 4096):
        assert len(zlib.compress(target[at : at + 4096], 9)) > 0.9 * 4096


def test_filling_goes_on_where_it_stopped():
    target = mmap.mmap(-1, 4 * hog.BLOCK)
    filler = hog.Filler(target, 4 * hog.BLOCK, os.urandom(hog.BLOCK))
    filler.fill_to(1)
    assert filler.reached == hog.BLOCK
    assert target[hog.BLOCK : hog.BLOCK + 4096] == bytes(4096)
    filler.fill_to(10 * hog.BLOCK)
    assert filler.reached == 4 * hog.BLOCK


def test_touching_writes_every_page_and_changes_nothing():
    target, _ = filled(10 * 4096 + 1)
    before = target[:]
    assert hog.touch(target, 0, len(target)) == 11
    assert target[:] == before


def test_the_shares_of_a_storm_add_up():
    for size in (0, 1, 89, 90, 91, 10**9 + 7):
        assert sum(storm._share(size, 90, i) for i in range(90)) == size


@pytest.mark.parametrize(("spent", "goal"), [(0, 0), (10, 500), (20, 1000), (29, 1000), (500, 1000)])
def test_a_storms_memory_is_all_there_after_two_thirds_of_its_time(spent, goal):
    assert storm.goal_at(spent, 30, 1000) == goal
