"""The journal's tables, their version, and the way from each version to the next.

A new journal goes through the same migrations as an old one. Migrations only ever add: a process
of the version before may still be writing. Never opens a file: `store.py` does.

Every value that a caller gives as text or record is JSON in ASCII, because a command line may hold
bytes that are no UTF-8. The boot id stands on every row: what is of another boot is known to be over.
"""

from __future__ import annotations

from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID = 0x53_54_44_52
"""`STDR`, at offset 68 of the file (SQLite, "Database File Format", section 1.3.11)."""

_TABLES = (
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, boot_id TEXT NOT NULL,
        started_wall REAL NOT NULL, pid INTEGER NOT NULL, pid_started INTEGER NOT NULL, uid INTEGER NOT NULL,
        header TEXT NOT NULL, baseline TEXT, proofs TEXT NOT NULL DEFAULT '[]',
        findings TEXT NOT NULL DEFAULT '[]', status TEXT NOT NULL DEFAULT '""', envelope TEXT,
        tomorrow TEXT, ended_wall REAL, exit_code INTEGER, reason TEXT)""",
    """CREATE TABLE attempts (
        run_id TEXT NOT NULL REFERENCES runs(run_id), serial INTEGER NOT NULL, boot_id TEXT NOT NULL,
        label TEXT NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (run_id, serial))""",
    """CREATE TABLE intents (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL REFERENCES runs(run_id),
        boot_id TEXT NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL, wall REAL NOT NULL,
        detail TEXT, done_wall REAL, done_how TEXT)""",
    """CREATE TABLE samples (
        run_id TEXT NOT NULL REFERENCES runs(run_id), serial INTEGER NOT NULL, seq INTEGER NOT NULL,
        boot_id TEXT NOT NULL, wall REAL NOT NULL, payload TEXT NOT NULL,
        PRIMARY KEY (run_id, serial, seq)) WITHOUT ROWID""",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs(run_id), serial INTEGER NOT NULL,
        boot_id TEXT NOT NULL, wall REAL NOT NULL, payload TEXT NOT NULL)""",
    "CREATE INDEX events_of_attempt ON events (run_id, serial, id)",
    """CREATE TABLE envelopes (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, run_id TEXT NOT NULL, boot_id TEXT NOT NULL,
        proven_wall REAL NOT NULL, memory_max INTEGER, record TEXT NOT NULL,
        superseded INTEGER NOT NULL DEFAULT 0)""",
)

_OPEN_ROWS = (
    # What recovery asks for at each start, without reading the rows of a year.
    "CREATE INDEX runs_open ON runs (id) WHERE ended_wall IS NULL",
    "CREATE INDEX attempts_open ON attempts (run_id) WHERE state IN ('RUNNING', 'RECOVERING')",
    "CREATE INDEX intents_open ON intents (run_id) WHERE done_wall IS NULL",
    # The boots in which the tables were once checked for damage.
    "CREATE TABLE checks (boot_id TEXT PRIMARY KEY, wall REAL NOT NULL)",
)

_ROWS_OF_SAMPLES = (
    # A table without rowids puts a row of more than a quarter of a page on a page of its own: 4.5 KiB for
    # each sample of 1.2 (measured; SQLite, "Clustered Indexes and the WITHOUT ROWID Optimization"). The old
    # table keeps what it has: copying it could take gigabytes at a start, and room on a disk that is full.
    """CREATE TABLE kept_samples (
        run_id TEXT NOT NULL REFERENCES runs(run_id), serial INTEGER NOT NULL, seq INTEGER NOT NULL,
        boot_id TEXT NOT NULL, wall REAL NOT NULL, payload TEXT NOT NULL,
        PRIMARY KEY (run_id, serial, seq))""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_TABLES, _OPEN_ROWS, _ROWS_OF_SAMPLES)
"""`MIGRATIONS[n]` leads from version n to n + 1."""

VERSION = len(MIGRATIONS)
"""Of the tables this program writes (`PRAGMA user_version`)."""

CHECKED_TABLES = ("runs", "attempts", "intents", "envelopes")
"""Small, and what recovery and resuming stand on: checked for damage once in each boot."""

USABLE = 2
"""A journal of this version or a later one can be used as it is where a full disk keeps it from the next."""


def sample_tables(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the tables of samples in the order in which they were written; the last one is written."""
    return ("samples", "kept_samples") if version_of(connection) >= 3 else ("samples",)


def bulk_tables(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the tables that may be large: checked only after damage was met."""
    return (*sample_tables(connection), "events")


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the tables in this database; 0: it has none yet."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, *, synced: bool = True) -> int:
    """Bring the tables to `VERSION` in one transaction, and return the version they had.

    Args:
        connection: To our journal, or to a new, empty database.
        synced: The transaction is on the disk when this returns; not needed where the caller
            syncs the whole file itself.

    Raises:
        sqlite3.Error: Nothing was changed.
    """
    if version_of(connection) >= VERSION:
        return version_of(connection)
    connection.execute(f"PRAGMA synchronous={'FULL' if synced else 'OFF'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        before = version_of(connection)
        for steps in MIGRATIONS[before:]:
            for statement in steps:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return before
