"""Which lines of a dead boot's kernel log name trouble."""

import json

import pytest

from steadyrun.errors import FormatError
from steadyrun.kernel.pastlog import (
    LINES_MOST,
    TEXT_MOST,
    last_wall,
    one_line,
    parse_journal,
    parse_record,
    telling,
)
from steadyrun.model.crash import LogLine

PANIC = """Panic#2 Part1
<6>[   61.019871] sysrq: Trigger a crash
<0>[   61.020011][  T812] Kernel panic - not syncing: sysrq triggered crash
<4>[   61.020500] CPU: 1 PID: 812 Comm: bash Not tainted 6.1.0-18-amd64 #1
<4>[   61.021000] Call Trace:
"""


QUIET = (
    "Linux version 6.1.0-18-amd64",
    "usb 1-1: new high-speed USB device number 2 using xhci_hcd",
    "python invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=1000",
    "Memory cgroup out of memory: Killed process 908 (python) total-vm:276964kB, anon-rss:3376kB",
)
"""The last two are of a load at its own limit."""


def entry(text, wall=1_700_000_000.25, **more):
    stamp = {"__REALTIME_TIMESTAMP": str(round(wall * 1_000_000)), "__CURSOR": "s=1"}
    return json.dumps({**stamp, "MESSAGE": text, **more})


def test_entries_are_read_with_their_time():
    text = f"{entry('Linux version 6.1')}\n{entry('sysrq: Trigger a crash', 1_700_000_009.5)}\n"
    assert parse_journal(text) == (
        LogLine(1_700_000_000.25, "Linux version 6.1"),
        LogLine(1_700_000_009.5, "sysrq: Trigger a crash"),
    )


@pytest.mark.parametrize(
    ("field", "text"), [([79, 111, 112, 115, 255], "Oops\ufffd"), (None, ""), ([1, "x"], ""), ([300], "")]
)
def test_a_message_that_is_no_text_is_taken_as_far_as_it_goes(field, text):
    assert parse_journal(entry(field))[0].text == text


@pytest.mark.parametrize("stamp", [None, "", "soon", "-3", "9" * 21, 7])
def test_a_stamp_that_is_none_is_no_time(stamp):
    line = json.dumps({"MESSAGE": "x", "__REALTIME_TIMESTAMP": stamp})
    assert parse_journal(line) == (LogLine(None, "x"),)


@pytest.mark.parametrize("text", ["-- No entries --", "[]", "{", '"x"', "[" * 100_000])
def test_what_is_no_entry_is_refused(text):
    with pytest.raises(FormatError, match="expected a JSON object"):
        parse_journal(text)


@pytest.mark.parametrize(
    "text",
    [
        "Kernel panic - not syncing: sysrq triggered crash",
        "Oops: 0002 [#1] PREEMPT SMP PTI",
        "BUG: kernel NULL pointer dereference, address: 0000000000000008",
        "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [stress-ng:900]",
        "INFO: task jbd2/vda-8:190 blocked for more than 120 seconds.",
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
        "Out of memory: Killed process 901 (Xorg) total-vm:300000kB, anon-rss:1kB",
        "mce: [Hardware Error]: Machine check events logged",
        "thermal thermal_zone0: critical temperature reached (105 C), shutting down",
        "I/O error, dev nvme0n1, sector 2048 op 0x1:(WRITE)",
        "EXT4-fs error (device vda): ext4_find_entry:1463: inode #2: comm ls: reading directory",
        "EXT4-fs (vda): Remounting filesystem read-only",
    ],
)
def test_trouble_is_told_from_the_rest(text):
    quiet = [LogLine(None, words) for words in QUIET]
    assert telling([*quiet, LogLine(5.0, text), *quiet]) == (LogLine(5.0, text),)


def test_what_is_known_to_be_older_is_of_something_else():
    lines = [LogLine(9.0, "Out of memory: a"), LogLine(11.0, "Out of memory: b"), LogLine(None, "BUG: c")]
    assert telling(lines, since=10.0) == tuple(lines[1:])
    assert telling(lines) == tuple(lines)


def test_the_last_ones_are_kept_and_cut():
    lines = [LogLine(float(n), f"BUG: {n} {'x' * 500}\nmore\x00") for n in range(50)]
    found = telling(lines)
    assert [line.wall for line in found] == [float(n) for n in range(50 - LINES_MOST, 50)]
    assert all(len(line.text) == TEXT_MOST and "\n" not in line.text for line in found)


def test_a_record_of_pstore_loses_its_stamps():
    assert telling(parse_record(PANIC)) == (
        LogLine(None, "Panic#2 Part1"),
        LogLine(None, "sysrq: Trigger a crash"),
        LogLine(None, "Kernel panic - not syncing: sysrq triggered crash"),
    )


def test_the_time_of_the_last_line_is_that_of_the_last_one_that_has_one():
    assert last_wall([LogLine(1.0, "a"), LogLine(2.0, "b"), LogLine(None, "c")]) == 2.0
    assert last_wall([]) is None


def test_what_a_program_said_is_its_first_line_with_words():
    assert one_line("\n  Data from the specified boot is not available: No such boot ID in journal\nx") == (
        "Data from the specified boot is not available: No such boot ID in journal"
    )
    assert one_line("") == ""
