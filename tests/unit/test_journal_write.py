"""What is written to the journal is what is read from it."""

from __future__ import annotations

import json
import sqlite3

import pytest
from journal_values import (
    BOOT,
    a_finding,
    a_header,
    a_made,
    a_plan,
    an_attempt,
    an_envelope,
    opened,
)

from steadyrun.errors import FormatError, SteadyrunError, UsageError
from steadyrun.journal.recover import plan_recovery
from steadyrun.journal.rows import IS_OPEN, OPEN_STATES, IntentKind
from steadyrun.model.codec import decode
from steadyrun.model.containment import ContainmentMade, ContainmentPlan
from steadyrun.model.record import Proof, RunEnd, RunKind, State
from steadyrun.model.verdict import Answer
from steadyrun.units import Seconds


@pytest.fixture
def journal(tmp_path):
    with opened(tmp_path) as journal:
        journal.begin_run(a_header())
        yield journal


def raw(journal, sql, values=()):
    connection = sqlite3.connect(journal.path, isolation_level=None)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def test_a_whole_record_comes_back_as_it_was_written(journal):
    proof = Proof("over-allocator", "must die inside", Answer.YES, "oom_kill 1", Seconds(0.2))
    attempts = (an_attempt(1, State.PASSED), an_attempt(2, State.RUNNING))
    journal.add_proof("r1", proof)
    journal.add_finding("r1", a_finding("one"))
    journal.add_finding("r1", a_finding("two"))
    for attempt in reversed(attempts):
        journal.put_attempt("r1", attempt)
    journal.set_status("r1", "Phase 2 is running ✅")
    journal.store_envelope(an_envelope())
    journal.end_run("r1", RunEnd(Seconds(9.0), 0, "all well"), tomorrow="steadyrun run -- caf\udce9")
    record = journal.record("r1")
    assert record.header == a_header()
    assert record.proofs == (proof,)
    assert [f.code for f in record.findings] == ["one", "two"]
    assert record.attempts == attempts
    assert record.status == "Phase 2 is running ✅"
    assert record.envelope == an_envelope()
    assert record.tomorrow == "steadyrun run -- caf\udce9"
    assert record.end == RunEnd(9.0, 0, "all well")
    assert record.baseline is None
    assert journal.findings == ()


def test_an_attempt_replaces_the_one_with_its_serial(journal):
    journal.put_attempt("r1", an_attempt(1, State.RUNNING))
    journal.put_attempt("r1", an_attempt(1, State.PASSED, observation="well"))
    assert journal.record("r1").attempts == (an_attempt(1, State.PASSED, observation="well"),)


def test_an_end_without_tomorrow_keeps_the_one_that_is_there(journal):
    journal.end_run("r1", RunEnd(Seconds(1.0), 0, ""), tomorrow="steadyrun run -- x")
    journal.end_run("r1", RunEnd(Seconds(2.0), 0, ""))
    assert journal.record("r1").tomorrow == "steadyrun run -- x"


def test_runs_come_newest_first_whatever_their_clock_says(journal):
    journal.begin_run(a_header("r2", started_wall=Seconds(1.0), kind=RunKind.RUN))
    assert [row.run_id for row in journal.runs()] == ["r2", "r1"]
    assert [row.run_id for row in journal.runs(1)] == ["r2"]
    assert journal.latest() == "r2"
    assert journal.latest(RunKind.RAMP) == "r1"
    assert journal.latest(RunKind.DOCTOR) is None


def test_a_run_row_names_its_owner_and_its_open_attempts(journal):
    journal.put_attempt("r1", an_attempt(1, State.PASSED))
    journal.put_attempt("r1", an_attempt(2, State.READY))
    for serial, state in enumerate(OPEN_STATES, 3):
        journal.put_attempt("r1", an_attempt(serial, state))
    (row,) = journal.runs()
    assert (row.pid, row.pid_started, row.boot_id) == (4242, 987654, BOOT)
    assert [(a.serial, a.label, a.state) for a in row.open_attempts] == [
        (3, "3", State.RUNNING),
        (4, "4", State.RECOVERING),
    ]


def test_every_state_that_counts_as_open_is_found_as_open(journal):
    for serial, state in enumerate(State, 1):
        journal.put_attempt("r1", an_attempt(serial, state))
    (row,) = journal.runs()
    assert tuple(a.state for a in row.open_attempts) == OPEN_STATES


def test_an_intent_is_open_until_it_is_fulfilled(journal):
    number = journal.intend("r1", IntentKind.CONTAINMENT, a_plan())
    journal.note(number, a_made())
    (intent,) = journal.open_intents()
    assert (intent.id, intent.run_id, intent.boot_id, intent.kind) == (
        number,
        "r1",
        BOOT,
        IntentKind.CONTAINMENT,
    )
    assert decode(ContainmentPlan, intent.payload) == a_plan()
    assert decode(ContainmentMade, intent.detail) == a_made()
    journal.fulfil(number, "removed")
    assert journal.open_intents() == ()


def test_the_first_word_on_how_an_intent_ended_stands(journal):
    number = journal.intend("r1", IntentKind.LINGERING, {"user": "u"})
    journal.fulfil(number, "first")
    before = raw(journal, "SELECT done_how, done_wall FROM intents")
    journal.fulfil(number, "second")
    assert raw(journal, "SELECT done_how, done_wall FROM intents") == before


def test_a_run_is_open_for_its_end_an_attempt_or_an_intent(journal):
    for run_id in ("ended", "attempt", "intent"):
        journal.begin_run(a_header(run_id))
        journal.end_run(run_id, RunEnd(Seconds(1.0), 0, ""))
    journal.put_attempt("attempt", an_attempt(1, State.RUNNING))
    journal.intend("intent", IntentKind.CONTAINMENT, a_plan())
    assert [row.run_id for row in journal.open_runs()] == ["intent", "attempt", "r1"]


def test_an_intent_of_a_run_that_was_never_begun_is_refused(journal):
    with pytest.raises(SteadyrunError, match="expected a run of this journal"):
        journal.intend("nobody", IntentKind.CONTAINMENT, a_plan())
    assert journal.open_intents() == ()


def test_a_run_id_is_begun_once(journal):
    with pytest.raises(SteadyrunError, match="not begun before"):
        journal.begin_run(a_header())


@pytest.mark.parametrize(
    "call",
    [
        lambda j: j.record("nobody"),
        lambda j: j.set_status("nobody", "x"),
        lambda j: j.add_finding("nobody", a_finding()),
        lambda j: j.end_run("nobody", RunEnd(Seconds(1.0), 0, "")),
        lambda j: j.note(99, {}),
        lambda j: j.fulfil(99, ""),
    ],
)
def test_what_is_not_there_is_named(journal, call):
    with pytest.raises(UsageError, match=r"nobody: expected a run|intent 99: expected an intent"):
        call(journal)


def test_the_newest_envelope_of_a_kind_counts_and_the_older_one_stays(journal):
    journal.store_envelope(an_envelope("pytest", 1))
    journal.store_envelope(an_envelope("make", 2))
    journal.store_envelope(an_envelope("pytest", 3))
    assert journal.envelope("pytest") == an_envelope("pytest", 3)
    assert journal.envelope("make") == an_envelope("make", 2)
    assert journal.envelope() == an_envelope("pytest", 3)
    assert journal.envelope("cargo") is None
    assert raw(journal, "SELECT count(*) FROM envelopes") == [(3,)]


def test_samples_come_back_in_order_a_page_at_a_time(journal, monkeypatch):
    monkeypatch.setattr("steadyrun.journal.read._PAGE", 3)
    rows = [(seq, seq / 10, {"memory": seq, "psi": None}) for seq in range(10)]
    journal.add_samples("r1", 1, reversed(rows))
    journal.add_samples("r1", 2, [(0, 0.0, {"other": 1})])
    assert [tuple(row) for row in journal.samples("r1", 1)] == rows
    assert [tuple(row) for row in journal.samples("r1", 3)] == []


def test_a_sample_that_is_sent_twice_is_kept_once(journal):
    journal.add_samples("r1", 1, [(1, 1.0, {"a": 1})])
    journal.add_samples("r1", 1, [(1, 1.0, {"a": 1}), (2, 2.0, {"a": 2})])
    assert [row.seq for row in journal.samples("r1", 1)] == [1, 2]


def test_a_sample_takes_little_more_room_than_its_text(journal, tmp_path):
    """A reading of a ramp is 1.2 KB; a table without rowids would put each on a page of its own."""
    payload = {"a": "x" * 1200}
    journal.add_samples("r1", 1, [(seq, seq / 10, payload) for seq in range(1000)])
    (pages,) = raw(journal, "PRAGMA page_count")[0]
    (size,) = raw(journal, "PRAGMA page_size")[0]
    assert 1.2e6 < pages * size < 1.7e6


def test_samples_can_be_written_while_they_are_read(journal, monkeypatch):
    monkeypatch.setattr("steadyrun.journal.read._PAGE", 2)
    journal.add_samples("r1", 1, [(seq, 0.0, {}) for seq in range(4)])
    reading = journal.samples("r1", 1)
    next(reading)
    journal.add_samples("r1", 1, [(4, 0.0, {})])
    assert [row.seq for row in reading] == [1, 2, 3, 4]


def test_events_come_back_for_an_attempt_or_the_whole_run(journal):
    journal.add_events("r1", 1, [(1.0, {"kind": "Released"}), (2.0, {"kind": "Acted"})])
    journal.add_events("r1", 2, [(3.0, {"kind": "Ended"})])
    assert [row.payload["kind"] for row in journal.events("r1", 1)] == ["Released", "Acted"]
    assert [row.payload["kind"] for row in journal.events("r1")] == ["Released", "Acted", "Ended"]


def test_a_batch_is_written_whole_or_not_at_all(journal):
    with journal.batch():
        journal.begin_run(a_header("whole"))
        journal.intend("whole", IntentKind.CONTAINMENT, a_plan())

    def fail_in_the_middle():
        with journal.batch():
            journal.begin_run(a_header("half"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_in_the_middle()
    assert [row.run_id for row in journal.runs()] == ["whole", "r1"]
    journal.set_status("r1", "goes on")


def test_a_transaction_keeps_other_writers_out_from_its_beginning(journal):
    other = sqlite3.connect(journal.path, timeout=0, isolation_level=None)
    with journal.batch(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.close()


def test_intents_are_synced_and_samples_are_not(journal):
    seen = []
    journal._connection.set_trace_callback(seen.append)
    journal.add_samples("r1", 1, [(1, 1.0, {})])
    journal.intend("r1", IntentKind.CONTAINMENT, a_plan())
    journal.set_status("r1", "x")
    journal.put_attempt("r1", an_attempt())
    levels = [s.rpartition("=")[2] for s in seen if "synchronous" in s]
    assert levels == ["NORMAL", "FULL", "NORMAL", "FULL"]


def test_every_row_carries_the_boot_id(journal):
    journal.put_attempt("r1", an_attempt())
    journal.intend("r1", IntentKind.CONTAINMENT, a_plan())
    journal.add_samples("r1", 1, [(1, 1.0, {})])
    journal.add_events("r1", 1, [(1.0, {})])
    journal.store_envelope(an_envelope())
    for table in ("runs", "attempts", "intents", "kept_samples", "events", "envelopes"):
        assert raw(journal, f"SELECT DISTINCT boot_id FROM {table}") == [(BOOT,)]


def test_a_row_of_a_newer_version_is_left_out_named_and_kept(journal):
    journal.put_attempt("r1", an_attempt(1, State.PASSED))
    journal.put_attempt("r1", an_attempt(2, State.PASSED))
    journal.add_finding("r1", a_finding("known"))
    newer = json.loads(raw(journal, "SELECT record FROM attempts WHERE serial=2")[0][0])
    newer["state"] = "LEVITATING"
    raw(journal, "UPDATE attempts SET record=?, state='LEVITATING' WHERE serial=2", (json.dumps(newer),))
    raw(journal, "UPDATE runs SET kind='festival', baseline='{\"new\": 1}'")
    journal.add_finding("r1", a_finding("later"))
    record = journal.record("r1")
    assert [a.serial for a in record.attempts] == [1]
    codes = [f.code for f in record.findings]
    assert codes == ["known", "later", "journal-row-unreadable", "journal-row-unreadable"]
    assert {f.code for f in journal.findings} == {"journal-row-unreadable"}
    assert [(row.run_id, row.kind) for row in journal.runs()] == [("r1", None)]
    assert raw(journal, "SELECT count(*) FROM attempts") == [(2,)]


def test_a_newer_header_is_an_error_of_that_run_alone(journal):
    journal.begin_run(a_header("r2"))
    raw(journal, "UPDATE runs SET header='{}' WHERE run_id='r2'")
    with pytest.raises(FormatError, match="run r2: expected a field"):
        journal.record("r2")
    assert journal.record("r1").header == a_header()


def test_an_intent_of_a_newer_kind_is_open_and_unknown(journal):
    journal.intend("r1", IntentKind.INHIBIT, {"what": "sleep"})
    raw(journal, "UPDATE intents SET kind='levitation', payload='not json'")
    (intent,) = journal.open_intents()
    assert (intent.kind, intent.payload, intent.detail) == (None, None, None)


def test_a_newer_envelope_gives_way_to_the_last_one_that_can_be_read(journal):
    journal.store_envelope(an_envelope("pytest", 1))
    for memory in (2, 3):
        journal.store_envelope(an_envelope("make", memory))
    raw(journal, "UPDATE envelopes SET record='{}' WHERE memory_max=3")
    assert journal.envelope() == an_envelope("pytest", 1)
    assert journal.envelope("make") is None


def test_marks_close_what_is_open_and_say_why_in_the_record(journal):
    journal.put_attempt("r1", an_attempt(1, State.PASSED))
    journal.put_attempt("r1", an_attempt(2, State.RUNNING))
    plan = plan_recovery(journal.open_runs(), (), boot_id="another", alive=frozenset())
    for mark in plan.marks:
        journal.mark(mark)
    record = journal.record("r1")
    assert [a.state for a in record.attempts] == [State.PASSED, State.CRASHED]
    assert [f.code for f in record.attempts[1].findings] == ["machine-crashed"]
    assert record.end is not None
    assert record.end.exit_code == 5
    assert "Crashed" in record.status
    assert journal.open_runs() == ()


def test_a_mark_that_comes_too_late_changes_nothing(journal):
    journal.put_attempt("r1", an_attempt(1, State.RUNNING))
    plan = plan_recovery(journal.open_runs(), (), boot_id=BOOT, alive=frozenset())
    journal.put_attempt("r1", an_attempt(1, State.PASSED))
    journal.end_run("r1", RunEnd(Seconds(5.0), 0, "all well"))
    before = journal.record("r1")
    for mark in plan.marks:
        journal.mark(mark)
    assert journal.record("r1") == before


def test_the_owners_end_stands_over_what_recovery_guessed(journal):
    for mark in plan_recovery(journal.open_runs(), (), boot_id=BOOT, alive=frozenset()).marks:
        journal.mark(mark)
    journal.end_run("r1", RunEnd(Seconds(5.0), 0, "all well"))
    assert journal.record("r1").end == RunEnd(5.0, 0, "all well")


def test_every_statement_about_open_rows_uses_its_index(journal):
    connection = journal._connection
    for sql, index in (
        (f"SELECT run_id FROM attempts WHERE {IS_OPEN}", "attempts_open"),
        ("SELECT run_id FROM intents WHERE done_wall IS NULL", "intents_open"),
    ):
        plan = " ".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql))
        assert index in plan
