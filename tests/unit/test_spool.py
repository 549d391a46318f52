"""What a busy or full journal does to a running ramp: nothing, until something durable is to be written."""

import json
import sqlite3
import threading
import time

import pytest
from journal_values import a_header, an_attempt, opened

from conftest import until
from steadyrun.errors import JournalUnwritableError
from steadyrun.journal import store
from steadyrun.journal.rows import IntentKind
from steadyrun.journal.store import RELAXED_SECONDS
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.record import RunEnd, State
from steadyrun.ramp.ledger import Ledger
from steadyrun.ramp.spool import KEPT_MOST, RETRY_EVERY_S, SAMPLES_PER_COMMIT, Spool


class Switch:
    """Breaks a journal's transactions with an error of SQLite, and mends them."""

    def __init__(self, journal):
        self.code, self.tries, self._begin = None, 0, journal._begin
        self.moves = threading.Event()
        self.moves.set()
        journal._begin = self.begin

    def begin(self, synchronous):
        self.tries += 1
        self.moves.wait()
        if self.code is not None:
            error = sqlite3.OperationalError("because")
            error.sqlite_errorcode = self.code
            raise error
        self._begin(synchronous)


class Feed:
    def publish(self, kind, value):
        pass

    def publish_record(self, value):
        pass


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def journal(tmp_path):
    folder = tmp_path / "journal"
    folder.mkdir(mode=0o700)
    with opened(folder) as journal:
        yield journal


@pytest.fixture
def switch(journal):
    return Switch(journal)


def a_spool(journal):
    journal.begin_run(a_header("r1"))
    clock = Clock()
    return Spool(journal, "r1", now=clock), clock


def kept(journal, serial=1):
    return [row.seq for row in journal.samples("r1", serial)]


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR])
def test_what_the_journal_does_not_take_is_kept_and_written_later_in_order(journal, switch, code):
    spool, clock = a_spool(journal)
    switch.code = code
    for seq in range(25):
        spool.sample(1, seq, float(seq), {"seq": seq})
    spool.event(1, 3.0, {"e": 1})
    spool.status("Phase 1 is running")
    assert until(lambda: spool._retry_at)
    assert kept(journal) == []
    switch.code = None
    assert not spool.flush()  # a failure a moment ago is not tried again at once
    clock.now += RETRY_EVERY_S
    spool.sample(2, 0, 30.0, {"seq": 0})
    assert spool.flush()
    assert (kept(journal), kept(journal, 2)) == (list(range(25)), [0])
    assert [row.payload for row in journal.events("r1", 1)] == [{"e": 1}]
    assert journal.record("r1").status == "Phase 1 is running"
    assert spool.give_up() == 0


def test_a_journal_that_stays_away_is_tried_once_a_second_and_costs_bounded_memory(journal, switch):
    spool, clock = a_spool(journal)
    switch.code, switch.tries = sqlite3.SQLITE_FULL, 0
    for seq in range(KEPT_MOST + 500):
        clock.now += 0.1
        spool.sample(1, seq, float(seq), {})
    assert switch.tries <= (KEPT_MOST + 500) / 10 + 1
    assert not spool.flush(now=True)
    switch.code = None
    assert spool.flush(now=True)
    assert kept(journal) == list(range(500, KEPT_MOST + 500))
    assert spool.give_up() == 500
    assert spool.give_up() == 0


def test_a_disk_that_stalls_holds_up_nobody_who_has_something_for_it(journal, switch):
    """Who reads a guard's words passes requests to stop on, too."""
    spool, _ = a_spool(journal)
    switch.moves.clear()
    began = time.monotonic()
    try:
        spool.event(1, 0.5, {"e": 1})
        assert until(lambda: switch.tries)
        for seq in range(2 * SAMPLES_PER_COMMIT):
            spool.sample(1, seq, float(seq), {"seq": seq})
        spool.event(1, 3.0, {"e": 2})
        spool.status("Phase 1 is running")
        assert time.monotonic() - began < 1.0
    finally:
        switch.moves.set()
    spool.close()
    assert kept(journal) == list(range(2 * SAMPLES_PER_COMMIT))
    assert [row.payload for row in journal.events("r1", 1)] == [{"e": 1}, {"e": 2}]
    assert journal.record("r1").status == "Phase 1 is running"


def test_a_bug_in_the_thread_is_told_to_whoever_comes_next(journal):
    spool, _ = a_spool(journal)
    spool.event(1, 0.5, {"no JSON": object()})
    assert until(lambda: spool._bug)
    with pytest.raises(type(spool._bug)):
        spool.event(1, 1.0, {})


def a_ledger(journal, tmp_path):
    header = a_header("r1", report_dir=str(tmp_path / "report"))
    (tmp_path / "report").mkdir()
    return Ledger(header, journal=journal, feed=Feed(), owner=None, carried=())


def report(tmp_path):
    return json.loads((tmp_path / "report/report.json").read_text())


def test_an_end_that_the_journal_does_not_take_is_in_the_report_and_is_74(journal, switch, tmp_path):
    ledger = a_ledger(journal, tmp_path)
    ledger.status("Phase 1 is running")
    switch.code = sqlite3.SQLITE_FULL
    with pytest.raises(JournalUnwritableError):
        ledger.end(RunEnd(9.0, 0, "all phases passed"), "Finished")
    ledger.close()
    assert report(tmp_path)["end"]["exit_code"] == 74
    page = (tmp_path / "report/PROGRESS.md").read_text()
    assert "Not finished" in page
    assert "is running" not in page


def test_an_attempt_that_the_journal_does_not_take_raises_and_is_in_the_report(journal, switch, tmp_path):
    ledger = a_ledger(journal, tmp_path)
    switch.code = sqlite3.SQLITE_FULL
    with pytest.raises(JournalUnwritableError):
        ledger.attempt(an_attempt(1, state=State.INTERRUPTED))
    assert ledger.record.attempts[-1].state is State.INTERRUPTED
    ledger.close()


def test_a_finding_made_while_a_load_runs_waits_for_the_journal(journal, switch, tmp_path):
    ledger = a_ledger(journal, tmp_path)
    finding = Finding("canary-restarted", Severity.WARNING, "title", "evidence", "")
    switch.code = sqlite3.SQLITE_FULL
    ledger.finding_soon(finding)
    assert ledger.record.findings == (finding,)
    assert journal.record("r1").findings == ()
    switch.code = None
    ledger.settle()
    ledger.settle()
    assert journal.record("r1").findings == (finding,)
    ledger.close()


def test_a_busy_journal_holds_up_a_relaxed_write_for_a_moment_and_a_durable_one_for_long(journal):
    journal.begin_run(a_header("r1"))
    journal._patience = 1.2
    other = sqlite3.connect(journal.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def took(write):
        began = time.monotonic()
        with pytest.raises(JournalUnwritableError, match="a free journal within"):
            write()
        return time.monotonic() - began

    assert took(lambda: journal.set_status("r1", "x")) < RELAXED_SECONDS + 0.5
    assert took(lambda: journal.intend("r1", IntentKind.INHIBIT, {})) >= 1.2
    assert took(lambda: journal.intend("r1", IntentKind.INHIBIT, {})) < RELAXED_SECONDS + 0.5
    other.execute("ROLLBACK")
    other.close()
    journal.set_status("r1", "x")
    assert journal._was_busy is False
    assert store.DURABLE_SECONDS >= 60
