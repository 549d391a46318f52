"""A journal cut at any byte reads as a prefix of what was written, or is set aside; any value comes back."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_values import BOOT, OTHER_BOOT, a_header, a_made, a_plan, an_attempt, opened

from steadyrun.journal.rows import IntentKind
from steadyrun.journal.store import JOURNAL
from steadyrun.model.codec import encode
from steadyrun.model.record import RunEnd, State
from steadyrun.units import Seconds

RUNS = 12


class Written(NamedTuple):
    """A journal's files as a power cut may find them, and all that was ever written to it."""

    database: bytes
    log: bytes
    states: tuple[tuple[object, ...], ...]
    """What a reader saw after each transaction, oldest first."""

    def __repr__(self):
        return f"<a journal of {len(self.database)} bytes and a log of {len(self.log)}>"


def seen_by(journal):
    """Everything a reader is told of the small tables, and the samples of each run."""
    runs = journal.runs()
    core = (
        tuple(row._replace(open_attempts=()) for row in runs),
        tuple(journal.record(row.run_id) for row in runs),
        journal.open_intents(),
    )
    return core, {row.run_id: tuple(journal.samples(row.run_id, 1)) for row in runs}


def write_all(journal, states, start, stop):
    """Write a few runs, one transaction at a time, and keep what a reader sees after each."""
    for number in range(start, stop):
        for step in steps_of(journal, f"r{number}"):
            step()
            states.append(seen_by(journal))


def steps_of(journal, run_id):
    """Give the transactions of one run, each as something to call."""
    intents = []
    return (
        lambda: journal.begin_run(a_header(run_id)),
        lambda: journal.put_attempt(run_id, an_attempt(1)),
        lambda: intents.append(journal.intend(run_id, IntentKind.CONTAINMENT, a_plan(run_id))),
        lambda: journal.note(intents[-1], a_made(run_id)),
        lambda: journal.add_samples(run_id, 1, [(s, s / 10, {"memory": "x" * 300}) for s in range(30)]),
        lambda: journal.put_attempt(run_id, an_attempt(1, State.PASSED)),
        lambda: journal.end_run(run_id, RunEnd(Seconds(2.0), 0, "all well")),
    )


@pytest.fixture(scope="module", params=["samples last", "long rows last"])
def written(request):
    """Half of the runs in the database, half of them in the log beside it."""
    directory = tempfile.mkdtemp()
    states: list[tuple[object, ...]] = [(((), (), ()), {})]
    try:
        with opened(directory) as journal:
            write_all(journal, states, 0, RUNS // 2)
            if request.param == "long rows last":
                journal.begin_run(a_header("long", problem="y" * 9000))
                states.append(seen_by(journal))
                journal.end_run("long", RunEnd(Seconds(2.0), 0, "all well"))
                states.append(seen_by(journal))
        with opened(directory) as journal:
            write_all(journal, states, RUNS // 2, RUNS)
            path = os.path.join(directory, JOURNAL)
            with open(path, "rb") as database, open(path + "-wal", "rb") as log:
                return Written(database.read(), log.read(), tuple(states))
    finally:
        shutil.rmtree(directory)


def put_back(directory, database, log):
    for suffix, content in (("", database), ("-wal", log)):
        if content is not None:
            with open(os.path.join(directory, JOURNAL + suffix), "wb") as file:
                file.write(content)


def expect_prefix_or_aside(directory, written, boot_id):
    """Open what is there; return which earlier state it holds, `None` when it was set aside."""
    with opened(directory, boot_id) as journal:
        seen = seen_by(journal)
        if journal.findings:
            assert [f.code for f in journal.findings] == ["journal-set-aside"]
            assert seen == written.states[0]
            return None
        assert any(seen == state for state in written.states), "the rows were never there together"
        journal.begin_run(a_header("after"))
        assert journal.latest() == "after"
        return written.states.index(seen)


@settings(deadline=None, max_examples=120)
@given(data=st.data())
def test_a_log_cut_at_any_byte_reads_as_a_prefix(written, data):
    cut = data.draw(st.integers(0, len(written.log)), label="cut")
    with tempfile.TemporaryDirectory() as directory:
        put_back(directory, written.database, written.log[:cut])
        state = expect_prefix_or_aside(directory, written, OTHER_BOOT)
    assert isinstance(state, int)
    if cut == len(written.log):
        assert state == len(written.states) - 1


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_a_log_with_any_byte_spoilt_reads_as_a_prefix(written, data):
    at = data.draw(st.integers(0, len(written.log) - 1), label="at")
    flip = data.draw(st.integers(1, 255), label="flip")
    log = bytearray(written.log)
    log[at] ^= flip
    with tempfile.TemporaryDirectory() as directory:
        put_back(directory, written.database, bytes(log))
        expect_prefix_or_aside(directory, written, OTHER_BOOT)


@settings(deadline=None, max_examples=120)
@given(data=st.data())
def test_a_database_cut_at_any_byte_is_set_aside_or_reads_as_what_was_written(written, data):
    size = len(written.database)
    near_end = st.integers(max(0, size - 20_000), size)
    whole_pages = st.integers(0, size // 4096).map(lambda pages: pages * 4096)
    cut = data.draw(st.integers(0, size) | near_end | whole_pages, label="cut")
    log = data.draw(st.sampled_from([None, written.log]), label="log")
    boot_id = data.draw(st.sampled_from([BOOT, OTHER_BOOT]), label="boot")
    with tempfile.TemporaryDirectory() as directory:
        put_back(directory, written.database[:cut], log)
        state = expect_prefix_or_aside(directory, written, boot_id)
    if cut == len(written.database):
        assert state is not None


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=8), values, max_size=4)


@settings(deadline=None, max_examples=60)
@given(payload=objects, detail=objects, text=st.text(st.characters()))
def test_any_value_comes_back_as_it_was_written(payload, detail, text):
    with tempfile.TemporaryDirectory() as directory:
        with opened(directory) as journal:
            journal.begin_run(a_header(argv=(text,)))
            number = journal.intend("r1", IntentKind.LINGERING, payload)
            journal.note(number, detail)
            journal.add_samples("r1", 1, [(1, 2.0, payload)])
            journal.set_status("r1", text)
            journal.end_run("r1", RunEnd(Seconds(1.0), 1, text), tomorrow=text)
        with opened(directory) as journal:
            (intent,) = journal.open_intents()
            assert (intent.payload, intent.detail) == (encode(payload), encode(detail))
            assert [row.payload for row in journal.samples("r1", 1)] == [payload]
            record = journal.record("r1")
            assert (record.header.argv, record.status, record.tomorrow) == ((text,), text, text)
            assert record.end == RunEnd(1.0, 1, text)
