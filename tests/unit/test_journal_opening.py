"""Opening: made, migrated, set aside, refused."""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import stat

import pytest
from journal_values import BOOT, OTHER_BOOT, Clock, a_header, a_plan, opened

from steadyrun.errors import JournalUnwritableError, SteadyrunError
from steadyrun.journal import opening, schema
from steadyrun.journal.opening import LOCK
from steadyrun.journal.rows import IntentKind
from steadyrun.journal.store import JOURNAL, SUSPECT, is_damage, refuse
from steadyrun.journal.write import open_journal

V1 = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, boot_id TEXT NOT NULL,
    started_wall REAL NOT NULL, pid INTEGER NOT NULL, pid_started INTEGER NOT NULL, uid INTEGER NOT NULL,
    header TEXT NOT NULL, baseline TEXT, proofs TEXT NOT NULL DEFAULT '[]',
    findings TEXT NOT NULL DEFAULT '[]', status TEXT NOT NULL DEFAULT '""', envelope TEXT,
    tomorrow TEXT, ended_wall REAL, exit_code INTEGER, reason TEXT);
CREATE TABLE attempts (run_id TEXT NOT NULL REFERENCES runs(run_id), serial INTEGER NOT NULL,
    boot_id TEXT NOT NULL, label TEXT NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (run_id, serial));
CREATE TABLE intents (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL REFERENCES runs(run_id),
    boot_id TEXT NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL, wall REAL NOT NULL,
    detail TEXT, done_wall REAL, done_how TEXT);
CREATE TABLE samples (run_id TEXT NOT NULL, serial INTEGER NOT NULL, seq INTEGER NOT NULL,
    boot_id TEXT NOT NULL, wall REAL NOT NULL, payload TEXT NOT NULL,
    PRIMARY KEY (run_id, serial, seq)) WITHOUT ROWID;
CREATE TABLE events (id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, serial INTEGER NOT NULL,
    boot_id TEXT NOT NULL, wall REAL NOT NULL, payload TEXT NOT NULL);
CREATE TABLE envelopes (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, run_id TEXT NOT NULL,
    boot_id TEXT NOT NULL, proven_wall REAL NOT NULL, memory_max INTEGER, record TEXT NOT NULL,
    superseded INTEGER NOT NULL DEFAULT 0);
INSERT INTO runs (run_id, kind, boot_id, started_wall, pid, pid_started, uid, header)
    VALUES ('old', 'ramp', 'b', 1.5, 7, 8, 0, '{}');
INSERT INTO intents (run_id, boot_id, kind, payload, wall)
    VALUES ('old', 'b', 'containment', '{"name": "old-1"}', 2.5);
INSERT INTO samples VALUES ('old', 1, 4, 'b', 4.5, '{"a": 4}'), ('old', 1, 5, 'b', 5.5, '{"a": 5}');
PRAGMA application_id=0x53544452;
PRAGMA user_version=1;
"""


def aside(directory):
    return sorted(n for n in os.listdir(directory) if ".set-aside-" in n)


def fill(directory, runs=20):
    with opened(directory) as journal:
        for number in range(runs):
            journal.begin_run(a_header(f"r{number}"))
            journal.intend(f"r{number}", IntentKind.CONTAINMENT, a_plan(f"r{number}-1"))


def test_a_new_journal_is_this_users_alone_and_leaves_no_half_made_one(tmp_path):
    old = os.umask(0)
    try:
        with opened(tmp_path) as journal:
            journal.begin_run(a_header())
            for name in (JOURNAL, JOURNAL + "-wal", JOURNAL + "-shm", LOCK):
                assert stat.S_IMODE(os.stat(tmp_path / name).st_mode) == 0o600
    finally:
        os.umask(old)
    assert sorted(os.listdir(tmp_path)) == [JOURNAL, LOCK]


def test_a_new_journal_has_our_mark_and_version_in_its_header(tmp_path):
    with opened(tmp_path):
        header = (tmp_path / JOURNAL).read_bytes()[:100]
    assert header[68:72] == b"STDR"
    assert int.from_bytes(header[60:64], "big") == schema.VERSION
    assert header[18:20] == b"\x02\x02"  # write-ahead log


def test_what_was_left_of_a_creation_that_died_is_replaced(tmp_path):
    (tmp_path / "journal.db.new").write_text("half")
    (tmp_path / "journal.db.new-journal").write_text("half")
    with opened(tmp_path) as journal:
        assert journal.findings == ()
    assert sorted(os.listdir(tmp_path)) == [JOURNAL, LOCK]


def test_a_journal_of_version_1_is_migrated_with_its_rows(tmp_path):
    connection = sqlite3.connect(tmp_path / JOURNAL)
    connection.executescript(V1)
    connection.close()
    with opened(tmp_path) as journal:
        assert [(r.run_id, r.pid) for r in journal.open_runs()] == [("old", 7)]
        assert journal.open_intents()[0].payload == {"name": "old-1"}
        assert schema.version_of(journal._connection) == schema.VERSION
        tables = {r[0] for r in journal._rows("SELECT name FROM sqlite_master")}
        assert {"runs_open", "attempts_open", "intents_open", "checks"} <= tables
        assert journal.findings == ()


def test_samples_of_an_older_version_come_before_those_of_this_one(tmp_path):
    connection = sqlite3.connect(tmp_path / JOURNAL)
    connection.executescript(V1)
    connection.close()
    with opened(tmp_path) as journal:
        journal.add_samples("old", 1, [(6, 6.5, {"a": 6}), (7, 7.5, {"a": 7})])
        assert [row.seq for row in journal.samples("old", 1)] == [4, 5, 6, 7]
        assert [row.seq for row in journal.last_samples("old", 1, 3)] == [5, 6, 7]
        assert [row.seq for row in journal.last_samples("old", 1, 2)] == [6, 7]


def of_version_2(directory):
    """A journal as the version before the last wrote it, with a run that has not ended."""
    connection = sqlite3.connect(directory / JOURNAL, isolation_level=None)
    connection.executescript(V1)
    for statement in schema.MIGRATIONS[1]:
        connection.execute(statement)
    connection.execute("PRAGMA user_version=2")
    connection.close()


def refusing(code):
    def migrate(_connection, **_how):
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = code
        raise error

    return migrate


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_READONLY_DIRECTORY]
)
def test_a_journal_that_a_full_disk_keeps_from_its_next_version_is_used_as_it_is(tmp_path, monkeypatch, code):
    of_version_2(tmp_path)
    (tmp_path / SUSPECT).touch()  # all of its tables are looked at
    with monkeypatch.context() as full:
        full.setattr(schema, "migrate", refusing(code))
        with opened(tmp_path) as journal:
            assert journal.open_intents()[0].payload == {"name": "old-1"}
            journal.add_samples("old", 1, [(6, 6.5, {"a": 6})])
            assert [row.seq for row in journal.samples("old", 1)] == [4, 5, 6]
            assert [row.seq for row in journal.last_samples("old", 1, 2)] == [5, 6]
            assert journal.findings == ()
    with opened(tmp_path) as journal:
        journal.add_samples("old", 1, [(7, 7.5, {"a": 7})])
        assert [row.seq for row in journal.samples("old", 1)] == [4, 5, 6, 7]
        assert schema.version_of(journal._connection) == schema.VERSION


def test_a_journal_that_is_damaged_or_too_old_is_not_used_as_it_is(tmp_path, monkeypatch):
    of_version_2(tmp_path)
    monkeypatch.setattr(schema, "migrate", refusing(sqlite3.SQLITE_CORRUPT))
    with pytest.raises((JournalUnwritableError, SteadyrunError)):
        opened(tmp_path)
    with sqlite3.connect(tmp_path / aside(tmp_path)[0]) as old:
        old.execute("PRAGMA user_version=1")
    os.rename(tmp_path / aside(tmp_path)[0], tmp_path / JOURNAL)
    monkeypatch.setattr(schema, "migrate", refusing(sqlite3.SQLITE_FULL))
    with pytest.raises(JournalUnwritableError, match="room on the disk"):
        opened(tmp_path)


def test_a_migration_that_fails_changes_nothing(tmp_path, monkeypatch):
    fill(tmp_path, 1)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE extra (a)", "NONSENSE")))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    connection = sqlite3.connect(tmp_path / JOURNAL, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(connection)
    assert schema.version_of(connection) == schema.VERSION - 1
    assert connection.execute("SELECT name FROM sqlite_master WHERE name='extra'").fetchall() == []
    connection.close()


def test_a_newer_journal_is_refused_and_not_touched(tmp_path):
    fill(tmp_path, 1)
    connection = sqlite3.connect(tmp_path / JOURNAL, isolation_level=None)
    connection.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    connection.close()
    before = (tmp_path / JOURNAL).read_bytes()
    with pytest.raises(JournalUnwritableError, match="expected a journal of version") as caught:
        opened(tmp_path)
    assert caught.value.exit_code == 74
    assert "upgrade" in str(caught.value.hint)
    assert (tmp_path / JOURNAL).read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == [JOURNAL, LOCK]


def test_a_newer_version_that_is_still_in_the_log_is_refused_too(tmp_path):
    fill(tmp_path, 1)
    connection = sqlite3.connect(tmp_path / JOURNAL, isolation_level=None)
    connection.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    with pytest.raises(JournalUnwritableError, match="expected a journal of version"):
        opened(tmp_path)
    connection.close()


def write_text(path):
    path.write_text("shopping list: milk\n" * 50)


def write_foreign(path):
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE cookies (a); INSERT INTO cookies VALUES ('x')")
    connection.close()


def write_damaged(path):
    fill(path.parent)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b""), "expected an SQLite database"),
        (lambda path: path.write_bytes(b"SQLite format 3\0"), "expected an SQLite database"),
        (write_text, "expected an SQLite database"),
        (write_foreign, "expected application id 0x53544452, found 0x0"),
        (write_damaged, "malformed|attempts|runs|intents"),
        (lambda path: path.mkdir(), "expected a file"),
        (lambda path: path.symlink_to("/dev/null"), "expected a file"),
        (os.mkfifo, "expected a file"),
    ],
    ids=["empty", "short", "text", "foreign", "damaged", "directory", "symlink", "fifo"],
)
def test_what_is_not_our_journal_is_set_aside_whole_and_a_new_one_begun(tmp_path, make, reason):
    path = tmp_path / JOURNAL
    make(path)
    before = path.read_bytes() if path.is_file() and not path.is_symlink() else None
    clock = Clock(1_763_958_000.0)
    with open_journal(str(tmp_path), boot_id=OTHER_BOOT, now_wall=clock) as journal:
        (finding,) = journal.findings
        assert finding.code == "journal-set-aside"
        assert re.search(reason, finding.evidence)
        assert journal.runs() == ()
        journal.begin_run(a_header())
    kept = [n for n in aside(tmp_path) if not n.endswith(("-wal", "-shm", "-journal"))]
    assert len(kept) == 1
    assert kept[0].startswith("journal.db.set-aside-20251124T")
    assert str(tmp_path / kept[0]) in finding.done
    if before is not None:
        assert (tmp_path / kept[0]).read_bytes() == before
    with opened(tmp_path, OTHER_BOOT) as journal:
        assert journal.findings == ()
        assert [r.run_id for r in journal.runs()] == ["r1"]


def test_two_things_set_aside_in_one_second_keep_apart(tmp_path):
    for text in ("one", "two"):
        (tmp_path / JOURNAL).unlink(missing_ok=True)
        (tmp_path / JOURNAL).write_text(text)
        open_journal(str(tmp_path), boot_id=BOOT, now_wall=lambda: 1_763_958_000.0).close()
    names = aside(tmp_path)
    assert names == ["journal.db.set-aside-20251124T042000Z", "journal.db.set-aside-20251124T042000Z.2"]
    assert [(tmp_path / n).read_text() for n in names] == ["one", "two"]


def test_a_log_without_its_database_is_not_replayed_into_the_new_one(tmp_path):
    fill(tmp_path, 1)
    other = opened(tmp_path)
    with other as journal:
        journal.begin_run(a_header("ghost"))
        log = (tmp_path / (JOURNAL + "-wal")).read_bytes()
    (tmp_path / JOURNAL).unlink()
    (tmp_path / (JOURNAL + "-wal")).write_bytes(log)
    with opened(tmp_path) as journal:
        assert journal.runs() == ()
        assert [f.code for f in journal.findings] == ["journal-set-aside"]
    assert [(tmp_path / n).read_bytes() for n in aside(tmp_path)] == [log]


def test_damage_that_is_met_while_open_is_told_and_looked_at_by_the_next_opening(tmp_path):
    fill(tmp_path, 40)
    with opened(tmp_path):
        pass
    content = bytearray((tmp_path / JOURNAL).read_bytes())
    assert len(content) > 12 * 4096
    journal = opened(tmp_path)
    content[4096:] = b"\xa5" * (len(content) - 4096)
    with open(tmp_path / JOURNAL, "r+b") as file:
        file.write(content)
    with pytest.raises(JournalUnwritableError) as caught, journal:
        journal.begin_run(a_header("new"))
    assert caught.value.hint == "steadyrun recover"
    assert (tmp_path / SUSPECT).exists()
    with opened(tmp_path) as journal:
        assert [f.code for f in journal.findings] == ["journal-set-aside"]
    with opened(tmp_path) as journal:
        assert journal.findings == ()
    assert not (tmp_path / SUSPECT).exists()


def test_a_page_that_only_a_whole_check_sees_is_met_at_the_first_opening_of_a_boot(tmp_path):
    fill(tmp_path, 40)
    path = tmp_path / JOURNAL
    connection = sqlite3.connect(path)
    sql = "SELECT rootpage FROM sqlite_master WHERE name='intents_open'"
    ((page,),) = connection.execute(sql).fetchall()
    connection.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 + 12 : (page - 1) * 4096 + 14] = b"\x00\x00"
    path.write_bytes(content)
    opened(tmp_path, BOOT).close()
    with opened(tmp_path, OTHER_BOOT) as journal:
        (finding,) = journal.findings
        assert "intents" in finding.evidence


def test_a_journal_that_lost_its_tail_is_set_aside_in_any_boot(tmp_path):
    fill(tmp_path, 10)
    path = tmp_path / JOURNAL
    os.truncate(path, path.stat().st_size - 1)
    with opened(tmp_path, BOOT) as journal:
        (finding,) = journal.findings
        assert "1 of them missing" in finding.evidence


def test_pages_that_are_only_in_the_log_are_not_missing(tmp_path):
    with opened(tmp_path) as writer:
        for number in range(40):
            writer.begin_run(a_header(f"r{number}"))
        assert (tmp_path / JOURNAL).stat().st_size < writer._rows("PRAGMA page_count")[0][0] * 4096
        with opened(tmp_path) as journal:
            assert journal.findings == ()
            assert len(journal.runs()) == 40


def test_frames_that_an_earlier_turn_of_the_log_left_behind_are_no_pages(tmp_path):
    fill(tmp_path, 40)
    path, log = tmp_path / JOURNAL, tmp_path / (JOURNAL + "-wal")
    keeper = opened(tmp_path)
    with keeper as journal:
        for number in range(40, 60):
            journal.begin_run(a_header(f"r{number}"))
        journal._rows("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = path.stat().st_size // 4096
        journal.begin_run(a_header("last"))
        header = log.read_bytes()[:32]
        stale = pages.to_bytes(4, "big") + bytes(4) + bytes(b ^ 0xFF for b in header[16:24]) + bytes(8 + 4096)
        with open(log, "ab") as file:
            file.write(stale)
        os.truncate(path, (pages - 1) * 4096)
        with opened(tmp_path) as other:
            (finding,) = other.findings
            assert "1 of them missing" in finding.evidence


def test_a_suspicion_without_damage_is_cleared(tmp_path):
    fill(tmp_path, 1)
    (tmp_path / SUSPECT).write_text("")
    with opened(tmp_path) as journal:
        assert journal.findings == ()
        assert len(journal.runs()) == 1
    assert not (tmp_path / SUSPECT).exists()


def test_tables_are_checked_once_in_each_boot(tmp_path):
    for boot in (BOOT, BOOT, OTHER_BOOT):
        opened(tmp_path, boot).close()
    with opened(tmp_path) as journal:
        assert journal._rows("SELECT boot_id FROM checks ORDER BY wall") == [(BOOT,), (OTHER_BOOT,)]


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(JournalUnwritableError) as caught:
        opened(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in caught.value.message
    assert caught.value.hint == f"ls -ld {tmp_path / 'nowhere'}"


def test_a_lock_that_somebody_keeps_is_given_up_on(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.02)
    with open(tmp_path / LOCK, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(JournalUnwritableError, match="found it held") as caught:
            opened(tmp_path)
    assert caught.value.hint == f"fuser -v {tmp_path / LOCK}"


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        (sqlite3.SQLITE_FULL, JournalUnwritableError, "df -h /d"),
        (sqlite3.SQLITE_IOERR | 3 << 8, JournalUnwritableError, "df -h /d"),
        (sqlite3.SQLITE_READONLY | 8 << 8, JournalUnwritableError, "ls -ld /d"),
        (sqlite3.SQLITE_CANTOPEN, JournalUnwritableError, "ls -ld /d"),
        (sqlite3.SQLITE_BUSY, JournalUnwritableError, "fuser -v /d/journal.db"),
        (sqlite3.SQLITE_CORRUPT | 1 << 8, JournalUnwritableError, "steadyrun recover"),
    ],
)
def test_each_failure_of_sqlite_names_the_directory_and_what_to_type(code, kind, hint):
    error = sqlite3.OperationalError("because")
    error.sqlite_errorcode = code
    with pytest.raises(kind, match=r"/d: expected .*, found: because") as caught:
        refuse(error, "/d")
    assert caught.value.hint == hint
    assert is_damage(error) == (code & 0xFF == sqlite3.SQLITE_CORRUPT)
