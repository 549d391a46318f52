"""The small judgements of lasting protection: strictness, unit files, what is in force, the record's form."""

import json
import zlib

import pytest

from steadyrun.errors import FormatError
from steadyrun.protect.change import Line
from steadyrun.protect.facts import Assignment, UnitFacts, Whose
from steadyrun.protect.inforce import State, judge
from steadyrun.protect.record import Begin, End, Intent, Undoing, Undone, line_of, read_record
from steadyrun.protect.record import Change as Changed
from steadyrun.protect.stricter import amount
from steadyrun.protect.stricter import judge as keep
from steadyrun.protect.unitfile import MARK, read, write

MIB, GIB = 2**20, 2**30


def unit(key, value, path="/etc/systemd/system/x.slice.d/50-own.conf"):
    return UnitFacts("x.slice", Whose.SYSTEM, True, False, (Assignment(path, key, value),))


@pytest.mark.parametrize(
    ("key", "ours", "theirs", "written", "last"),
    [
        ("MemoryMax", "90%", "80%", False, False),
        ("MemoryMax", "90%", "90%", False, False),
        ("MemoryMax", "90%", "95%", True, True),
        ("MemoryMax", "90%", "infinity", True, True),
        ("MemoryMax", "90%", "1G", False, False),
        ("MemoryMax", "90%", "", True, False),
        ("MemoryMax", "90%", "a lot", False, False),
        ("MemoryLow", "5%", "10%", False, False),
        ("MemoryLow", "5%", "1%", True, True),
        ("MemoryLow", "5%", "infinity", False, False),
        ("CPUWeight", "500", "100", False, False),
        ("OOMScoreAdjust", "-100", "-900", False, False),
    ],
)
def test_the_stricter_of_two_settings_wins(key, ours, theirs, written, last):
    verdict = keep(Line(key, ours, "why", "source"), unit(key, theirs), 16 * GIB)
    assert (verdict.write, verdict.last) == (written, last)
    assert bool(verdict.why) is not written


def test_the_last_setting_of_a_key_is_the_one_that_counts():
    both = (Assignment("/etc/a", "MemoryMax", "10%"), Assignment("/etc/b", "MemoryMax", "99%"))
    one = UnitFacts("x.slice", Whose.SYSTEM, True, False, both)
    assert keep(Line("MemoryMax", "90%", "", ""), one, GIB).write


@pytest.mark.parametrize(
    ("text", "bytes_"), [("50%", GIB / 2), ("12.5%", GIB / 8), ("1G", GIB), ("x", None), ("-1", None)]
)
def test_an_amount_of_memory_is_read_as_systemd_reads_it(text, bytes_):
    assert amount(text, GIB) == bytes_


def test_a_unit_file_is_read_as_systemd_reads_it():
    text = "[Slice]\n# MemoryMax=1\n; x=1\nMemoryMax = 5%\nA=b \\\n  c\n\nMemoryMax=\n"
    assert read(text) == (("MemoryMax", "5%"), ("A", "b    c"), ("MemoryMax", ""))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b \\\n# c\n; d\ne", "b  e"),
        ("A=b \\\n\nC=d", "b"),
        ("A=b \\", "b"),
        ("A=b\r\n", "b"),
        ("# x \\\nA=b", "b"),
        ("B=x\\\\\nA=b", "b"),
    ],
    ids=[
        "over comments",
        "ended by an empty line",
        "at the end",
        "of another system",
        "a comment is not continued",
        "an escaped backslash continues nothing",
    ],
)
def test_a_continued_line_is_read_as_systemd_reads_it(text, value):
    assert dict(read(text))["A"] == value


def test_what_is_written_is_read_back_and_is_known_as_ours():
    lines = (
        Line("MemoryMax", "5%", "a reason of many words " * 10, "here"),
        Line("CPUWeight", "5", "b", "c"),
    )
    text = write("Slice", lines)
    assert read(text) == (("MemoryMax", "5%"), ("CPUWeight", "5"))
    assert text.startswith(MARK)
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize(
    ("key", "value", "text", "state"),
    [
        ("MemoryMax", "50%", f"{GIB // 2}\n", State.YES),
        ("MemoryMax", "50%", f"{GIB // 2 - 4096}\n", State.YES),
        ("MemoryMax", "50%", f"{GIB // 2 - MIB}\n", State.YES),
        ("MemoryMax", "50%", f"{GIB // 2 + MIB}\n", State.YES),
        ("MemoryMax", "50%", f"{GIB // 2 - MIB - 1}\n", State.STRICTER),
        ("MemoryMax", "50%", f"{GIB // 2 + MIB + 1}\n", State.NO),
        ("MemoryLow", "50%", f"{GIB // 2 - MIB - 1}\n", State.NO),
        ("MemoryMax", "50%", "max\n", State.NO),
        ("MemoryLow", "50%", "0\n", State.NO),
        ("MemoryLow", "50%", "max\n", State.STRICTER),
        ("CPUWeight", "500", "500\n", State.YES),
        ("CPUWeight", "500", "100\n", State.NO),
        ("IOWeight", "500", "default 500\n", State.YES),
        ("Delegate", "cpu io", "cpu memory io\n", State.YES),
        ("Delegate", "cpu io", "cpu memory\n", State.LATER),
        ("MemoryMax", "50%", None, State.UNKNOWN),
        ("MemoryMax", "50%", "soup\n", State.UNKNOWN),
        ("IOWeight", "500", "", State.UNKNOWN),
    ],
)
def test_what_is_in_force_is_told_from_the_kernels_files(key, value, text, state):
    assert judge(key, value, text, GIB)[0] is state


INTENT = Intent(1, Changed("/a", None, "x"))


@pytest.mark.parametrize(
    ("steps", "standing", "unfinished", "undoing"),
    [
        ((), 0, 0, False),
        ((Begin("1", "desktop", 0.0), INTENT), 1, 1, False),
        ((Begin("1", "desktop", 0.0), INTENT, End()), 1, 0, False),
        ((Begin("1", "desktop", 0.0), INTENT, End(), Begin("2", "desktop", 0.0)), 1, 0, False),
        ((Begin("1", "desktop", 0.0), INTENT, End(), Undoing()), 1, 0, True),
        ((Begin("1", "desktop", 0.0), INTENT, Undone(1)), 0, 0, False),
    ],
)
def test_the_record_says_how_far_it_came(steps, standing, unfinished, undoing):
    record = read_record(b"".join(map(line_of, steps)), source="x")
    assert record.steps == steps
    assert (len(record.standing()), len(record.unfinished()), record.undoing()) == (
        standing,
        unfinished,
        undoing,
    )


def test_the_profile_is_that_of_the_last_apply_that_came_to_its_end():
    begun = Begin("1", "desktop", 0.0), End(), Begin("2", "server", 0.0)
    assert read_record(b"".join(map(line_of, begun)), source="x").last() == begun[0]


def test_a_line_in_the_middle_that_is_not_whole_is_refused():
    first, second = line_of(Begin("1", "desktop", 0.0)), line_of(End())
    with pytest.raises(FormatError, match="line 1"):
        read_record(first[5:] + second, source="x")


def test_the_record_of_a_newer_format_is_refused_with_the_version_that_reads_it():
    with pytest.raises(FormatError, match="format") as caught:
        read_record(line_of(Begin("9.9", "desktop", 0.0, format=2)), source="x")
    assert "9.9" in caught.value.hint


def test_a_newer_format_is_refused_as_such_also_where_it_has_more_in_it():
    text = json.dumps({"step": "Begin", "version": "9.9", "format": 2, "sealed": True}).encode()
    with pytest.raises(FormatError, match="expected format 1, found 2"):
        read_record(b"%08x %s\n" % (zlib.crc32(text), text), source="x")
