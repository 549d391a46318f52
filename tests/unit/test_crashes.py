"""What is found of a crash: the last readings, a journalctl that answers in every way, records of pstore."""

import os
import stat

import pytest
import records
from journal_values import BOOT, OTHER_BOOT, a_header, an_attempt, opened

from steadyrun.journal.crashed import WINDOW, crash_findings, last_seen
from steadyrun.journal.recover import AttemptMark, plan_recovery
from steadyrun.journal.rows import SampleRow
from steadyrun.model.codec import encode
from steadyrun.model.record import State
from steadyrun.recovery.crashes import read_pstore, read_systemds_journal, with_evidence
from steadyrun.units import MIB

PAST = OTHER_BOOT.replace("-", "")
ENTRY = '{"__REALTIME_TIMESTAMP":"%d000000","MESSAGE":"%s"}'


def row(seq, *, available=300 * MIB, stalled_us=0):
    reading = records.reading(seq, stalled_us=stalled_us)
    reading = reading._replace(host=reading.host._replace(mem_available=available))
    return SampleRow(seq, reading.host.wall, encode(reading))


# -- the last readings -----------------------------------------------------------------------------


def test_the_last_five_seconds_are_summed_up():
    rows = [row(seq, available=(900 - seq) * MIB, stalled_us=seq * 50_000) for seq in range(100)]
    last = last_seen(rows)
    assert last.window == pytest.approx(WINDOW)
    assert last.readings == 51
    assert last.wall == rows[-1].wall
    assert (last.mem_available, last.mem_available_lowest) == (801 * MIB, 801 * MIB)
    assert last.psi_memory_some == pytest.approx(0.5), "50 ms of each 100 ms"
    assert last.load_memory == 300 * MIB


def test_a_dip_within_the_window_is_told_and_an_older_one_is_not():
    rows = [row(seq, available=(10 if seq in (3, 80) else 500) * MIB) for seq in range(100)]
    assert last_seen(rows).mem_available_lowest == 10 * MIB
    assert last_seen(rows[:60]).mem_available_lowest == 500 * MIB


def test_one_reading_has_no_rates_and_none_is_nothing():
    last = last_seen([row(7)])
    assert (last.readings, last.window, last.psi_memory_some) == (1, 0.0, None)
    assert last_seen([]) is None


def test_rows_of_a_newer_version_are_left_out():
    assert last_seen([row(1), SampleRow(2, 1.0, {"hologram": 1})]).readings == 1
    assert last_seen([SampleRow(2, 1.0, {"hologram": 1})]) is None


# -- systemd's journal -----------------------------------------------------------------------------


@pytest.fixture
def journalctl(tmp_path):
    """Give a program in journalctl's place, which does as it is told and notes how it was called."""

    def make(script):
        path = tmp_path / "journalctl"
        path.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n{script}\n')
        path.chmod(0o755)
        return (str(path),)

    return make


def test_the_kernels_lines_of_that_boot_are_asked_for(journalctl, tmp_path):
    lines = f"{ENTRY % (5, 'Out of memory: old')}\n{ENTRY % (20, 'sysrq: Trigger')}\n{ENTRY % (21, 'bye')}"
    log = read_systemds_journal(OTHER_BOOT, since=10.0, programs=journalctl(f"cat <<'END'\n{lines}\nEND"))
    assert (log.known, log.why, log.until) == (True, "", 21.0)
    assert [(line.wall, line.text) for line in log.lines] == [(20.0, "sysrq: Trigger")]
    called = (tmp_path / "called").read_text()
    assert f"--dmesg --boot={PAST} " in called
    assert "--no-pager" in called


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'No such boot ID in journal' >&2; exit 1", "No such boot ID in journal"),
        ("exit 0", "no line of the kernel of that boot that this user may read"),
        ("echo '-- No entries --'", "expected a JSON object on each line"),
        ("exec sleep 60", "did not answer within 0.3 s"),
        ("kill -9 $$", "no line of the kernel"),
    ],
)
def test_without_a_line_of_that_boot_what_the_kernel_said_is_unknown(journalctl, script, why):
    log = read_systemds_journal(OTHER_BOOT, since=None, programs=journalctl(script), deadline_s=0.3)
    assert not log.known
    assert why in log.why
    assert log.lines == ()


def test_without_journalctl_it_is_unknown():
    log = read_systemds_journal(OTHER_BOOT, since=None, programs=("/nowhere/journalctl",))
    assert (log.known, log.why) == (False, "there is no journalctl here")


def test_a_log_that_ends_before_the_phase_began_does_not_tell_what_the_kernel_said(journalctl):
    program = journalctl(f"echo '{ENTRY % (9, 'BUG: of another time')}'")
    log = read_systemds_journal(OTHER_BOOT, since=10.0, programs=program)
    assert (log.known, log.until, log.lines) == (False, 9.0, ())
    assert "no line of the kernel of that time" in log.why
    assert read_systemds_journal(OTHER_BOOT, since=9.0, programs=program).known


@pytest.mark.parametrize("boot", ["", "x; reboot", "--rotate"])
def test_what_is_no_boot_id_is_not_asked_for(journalctl, tmp_path, boot):
    log = read_systemds_journal(boot, since=None, programs=journalctl("exit 0"))
    assert not log.known
    assert not (tmp_path / "called").exists()


# -- pstore ----------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    """Give the two folders and a backend's name, as a machine with pstore has them."""
    folders = (tmp_path / "pstore", tmp_path / "archive")
    for folder in folders:
        folder.mkdir()
    backend = tmp_path / "backend"
    backend.write_text("efi_pstore\n")
    return folders, backend


def keep(path, text, at):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))


def read(store, since=100.0):
    folders, backend = store
    return read_pstore(since=since, folders=tuple(map(str, folders)), backend=str(backend))


def test_records_of_this_crash_are_read_from_both_places(store):
    (live, archive), _ = store
    keep(live / "dmesg-efi-1", "Panic#1 Part1\n<0>[ 1.0] BUG: live", 120)
    keep(archive / "171" / "dmesg.txt", "Oops#1 Part1\n", 110)
    keep(archive / "170" / "dmesg.txt", "Panic#9 Part1\n", 99)
    keep(live / "console-efi-1", "Kernel panic - not syncing", 120)
    log = read(store)
    assert log.known
    assert [line.text for line in log.lines] == ["Oops#1 Part1", "Panic#1 Part1", "BUG: live"]


def test_a_pstore_that_kept_nothing_is_known_to_have_nothing(store):
    assert read(store) == ("pstore", True, "", None, ())


def test_a_machine_without_a_backend_could_not_have_kept_anything(store):
    store[1].write_text("(null)\n")
    log = read(store)
    assert (log.known, log.why) == (False, "this machine has nothing that keeps the kernel's last words")
    assert not read_pstore(since=None, folders=("/nowhere",), backend="/nowhere").known


def test_what_cannot_be_read_is_unknown(store):
    (live, _), _ = store
    live.rmdir()
    live.write_text("no folder")
    log = read(store)
    assert (log.known, log.why) == (False, f"{live}: Not a directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_this_user_may_not_read_is_unknown(store):
    (live, _), _ = store
    live.chmod(0)
    try:
        assert read(store).why == f"{live}: Permission denied"
    finally:
        live.chmod(stat.S_IRWXU)


def test_of_a_large_record_the_end_is_read(store):
    (live, _), _ = store
    keep(live / "dmesg-efi-1", "BUG: first\n" + "x\n" * 100_000 + "BUG: last\n", 120)
    assert [line.text for line in read(store).lines] == ["BUG: last"]


# -- what the reader should know -------------------------------------------------------------------


def test_trouble_is_a_finding_with_the_command_that_shows_more():
    (found,) = crash_findings(records.found_of_the_crash(), as_root=False)
    assert found.code == "crash-log"
    assert "blocked for more than 120 seconds" in found.evidence
    assert found.remedy.startswith("journalctl -k -b ")


def test_where_nothing_could_be_read_that_is_said_with_each_reason():
    crash = records.found_of_the_crash()
    unread = crash.logs[0]._replace(known=False, why="No such boot ID in journal", lines=())
    (found,) = crash_findings(crash._replace(logs=(unread, crash.logs[1])), as_root=False)
    assert found.code == "crash-log-unknown"
    assert "systemd's journal: No such boot ID in journal" in found.evidence
    assert "pstore: /sys/fs/pstore: Permission denied" in found.evidence
    assert found.remedy == "as root: journalctl -k -b boota"
    (found,) = crash_findings(crash._replace(logs=(unread, crash.logs[1])), as_root=True)
    assert found.remedy == "", "its log is kept: it has a last line"
    lost = unread._replace(until=None)
    (found,) = crash_findings(crash._replace(logs=(lost, crash.logs[1])), as_root=True)
    assert "mkdir -p /var/log/journal" in found.remedy


def test_a_log_that_was_read_and_names_nothing_is_no_finding():
    crash = records.found_of_the_crash()
    quiet = crash.logs[0]._replace(lines=())
    assert crash_findings(crash._replace(logs=(quiet, crash.logs[1])), as_root=False) == ()


def test_the_journal_keeps_what_was_found_with_the_attempt(tmp_path):
    with opened(tmp_path, OTHER_BOOT) as journal:
        journal.begin_run(a_header(boot_id=OTHER_BOOT))
        journal.put_attempt("r1", an_attempt(boot_id=OTHER_BOOT))
        journal.add_samples("r1", 1, [(s.seq, s.wall, s.payload) for s in map(row, range(20))])
    with opened(tmp_path) as journal:
        plan = plan_recovery(journal.open_runs(), (), boot_id=BOOT, alive=frozenset())
        mark = next(mark for mark in plan.marks if isinstance(mark, AttemptMark))
        told = with_evidence(mark, journal, BOOT)
        journal.mark(told)
        (attempt,) = journal.record("r1").attempts
    assert attempt.state is State.CRASHED
    assert attempt.crash == told.crash
    assert (attempt.crash.boot_id, attempt.crash.found_boot_id) == (OTHER_BOOT, BOOT)
    assert attempt.crash.last.readings == 20
    assert [log.source for log in attempt.crash.logs] == ["systemd's journal", "pstore"]
    assert attempt.findings[0].code == "machine-crashed"


def test_an_attempt_that_an_older_version_marked_has_no_evidence(tmp_path):
    with opened(tmp_path) as journal:
        journal.begin_run(a_header())
        journal.put_attempt("r1", an_attempt(state=State.CRASHED))
        assert journal.record("r1").attempts[0].crash is None
