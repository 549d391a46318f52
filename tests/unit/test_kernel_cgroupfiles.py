"""Files of cgroup directories, and where this process is."""

import pytest

from steadyrun.errors import FormatError
from steadyrun.kernel.cgroupfiles import (
    parse_blkio_bytes,
    parse_count,
    parse_flat,
    parse_io_stat,
    parse_limit,
    parse_proc_cgroup,
)


def test_a_flat_file_is_a_table_of_numbers():
    assert parse_flat("low 0\nhigh 3\nmax 12\noom 1\noom_kill 1\n", source="memory.events") == {
        "low": 0,
        "high": 3,
        "max": 12,
        "oom": 1,
        "oom_kill": 1,
    }
    assert parse_flat("", source="pids.events") == {}


@pytest.mark.parametrize("text", ["oom_kill\n", "oom_kill x\n", " 5\n", "\n", "a 1 2\n", "a -1\n", "a  1\n"])
def test_a_flat_file_of_another_form_is_refused(text):
    with pytest.raises(FormatError, match=r"^memory\.events: expected "):
        parse_flat(text, source="memory.events")


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("524288000\n", 524288000),
        ("0\n", 0),
        ("max\n", None),
        ("9223372036854771712\n", None),
        ("9223372036854710272\n", None),
        ("9223372036854775807\n", None),
        ("18446744073709551615\n", None),
        (str(2**50), 2**50),
    ],
)
def test_no_limit_is_max_on_v2_and_a_huge_page_rounded_number_on_v1(text, limit):
    assert parse_limit(text, source="memory.max") == limit


@pytest.mark.parametrize("text", ["", "ma", "-1", "5M", "max max", "1 2", "maximum"])
def test_a_limit_of_another_form_is_refused(text):
    with pytest.raises(FormatError) as caught:
        parse_limit(text, source="memory.max")
    assert caught.value.message == f"memory.max: expected bytes or 'max', found {text!r}"


def test_a_count_is_one_number():
    assert parse_count("17\n", source="pids.current") == 17
    for text in ("", "max", "1 2", "-1", "+1", "1.0"):
        with pytest.raises(FormatError, match=r"^pids\.current: expected a whole number"):
            parse_count(text, source="pids.current")


def test_blkio_bytes_are_summed_over_devices_without_the_lines_that_repeat_them():
    text = (
        "8:0 Read 4096\n8:0 Write 512\n8:0 Sync 4096\n8:0 Async 512\n8:0 Discard 7\n8:0 Total 4608\n"
        "254:16 Read 1000\n254:16 Write 24\n254:16 Total 1024\nTotal 5632\n"
    )
    assert parse_blkio_bytes(text, source="x") == (5096, 536)
    assert parse_blkio_bytes("Total 0\n", source="x") == (0, 0)


def test_a_hidden_device_counts_the_bytes_of_its_head_again_and_is_left_out():
    assert parse_blkio_bytes("(unknown) Read 4096\n8:0 Read 1\nTotal 4097\n", source="x") == (1, 0)
    assert parse_io_stat("(unknown) rbytes=5 wbytes=6\n8:0 rbytes=1 wbytes=2\n", source="x") == (1, 2)


@pytest.mark.parametrize(
    "text",
    ["8:0 Read\n", "8:0 Read x\n", "sda Read 5\n", "Total\n", "Total x\n", "8:0 Read 5 6\n", "8: Read 5\n"],
)
def test_blkio_bytes_of_another_form_are_refused(text):
    with pytest.raises(FormatError, match=r"^blkio: expected "):
        parse_blkio_bytes(text, source="blkio")


@pytest.mark.parametrize(
    ("text", "read_write"),
    [
        ("", (0, 0)),
        (
            "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2 rios=1 wios=2\n",
            (11, 22),
        ),
        ("7:7 7:6 7:5 rbytes=28672 wbytes=0 rios=22 wios=0\n", (28672, 0)),
        ("252:0 ", (0, 0)),
        ("8:0 rbytes=1 wbytes=2 cost.usage=77 cost.wait=0\n", (1, 2)),
    ],
)
def test_io_stat_is_summed_over_devices(text, read_write):
    assert parse_io_stat(text, source="io.stat") == read_write


@pytest.mark.parametrize(
    "text", ["sda rbytes=1\n", "8:0 rbytes=x\n", "8:0 wbytes=-1\n", "8:0 rbytes\n", ":\n"]
)
def test_io_stat_of_another_form_is_refused(text):
    with pytest.raises(FormatError, match=r"^io\.stat: expected "):
        parse_io_stat(text, source="io.stat")


def test_own_cgroups_of_a_hybrid_machine():
    text = (
        "9:name=systemd:/\n8:pids:/a\n4:memory:/a/b\n3:cpu,cpuacct:/c:d\n0::/user.slice/x.scope (deleted)\n"
    )
    assert parse_proc_cgroup(text) == (
        ("name=systemd", "/"),
        ("pids", "/a"),
        ("memory", "/a/b"),
        ("cpu", "/c:d"),
        ("cpuacct", "/c:d"),
        ("", "/user.slice/x.scope (deleted)"),
    )
    assert parse_proc_cgroup("") == ()


@pytest.mark.parametrize("text", ["0:/\n", "x::/\n", "0::\n", "0::relative\n", "::/\n", "memory\n"])
def test_own_cgroups_of_another_form_are_refused(text):
    with pytest.raises(FormatError, match=r"^/proc/self/cgroup: expected "):
        parse_proc_cgroup(text)
