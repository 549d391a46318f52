"""One open connection to the journal: transactions of two kinds, and SQLite's errors in our words.

*Durable* (synchronous=FULL): the write-ahead log is synced before the call returns, so the row
survives a power cut. *Relaxed* (synchronous=NORMAL): it survives the end of every process, and a
power cut takes at most the newest of it, never an older row without a newer one (SQLite,
"PRAGMA synchronous"; "Write-Ahead Logging"). A later durable commit syncs all before it.

Usable from several threads; one transaction at a time. Never use it in a forked child (SQLite,
"How To Corrupt An SQLite Database File", section 2.6). Knows nothing of the tables' meaning.
"""

from __future__ import annotations

import os
import sqlite3
from _thread import RLock
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from steadyrun.errors import JournalUnwritableError, SteadyrunError
from steadyrun.model.finding import Finding
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, NoReturn

JOURNAL = "journal.db"
SUSPECT = "journal.db.suspect"
"""This file beside the journal says that damage was met: the next opening checks all tables."""

BUSY_SECONDS = 10.0
"""How long an opening waits for other processes. A sync takes seconds under an I/O storm."""
DURABLE_SECONDS = 60.0
"""How long a durable write waits: what it stands before cannot go on without it, and a disk under a storm
comes back. After one that waited in vain the next ones wait no longer than a relaxed one."""
RELAXED_SECONDS = 0.25
"""How long a relaxed write waits: its writer has other things to look after and can come back."""

_held: dict[str, int] = {}
"""How often each journal's file is open in this process. While it is, nobody here may open and close
the file by other means: that would drop SQLite's locks (SQLite, "How To Corrupt An SQLite Database
File", section 2.2)."""

_DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))


def code_of(error: sqlite3.Error) -> int | None:
    """Return SQLite's primary result code (the low byte), `None` when the error carries none."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether the error means that the file's content is not a sound database."""
    return code_of(error) in _DAMAGED


def refuse(error: sqlite3.Error, directory: str, waited: float = BUSY_SECONDS) -> NoReturn:
    """Raise SQLite's error as one of ours, naming the directory.

    Raises:
        JournalUnwritableError: The disk is full, read-only or failing, or the file is damaged.
        SteadyrunError: The statement itself is wrong: a bug of ours.
    """
    match code_of(error):
        case sqlite3.SQLITE_FULL:
            hint, wanted = f"df -h {directory}", "room on the disk"
        case sqlite3.SQLITE_IOERR:
            hint, wanted = f"df -h {directory}", "a disk that takes the journal"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            hint, wanted = f"ls -ld {directory}", "a directory that can be written"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            hint, wanted = f"fuser -v {directory}/{JOURNAL}", f"a free journal within {waited:g} s"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            hint, wanted = "steadyrun recover", f"a sound {JOURNAL}"
        case sqlite3.SQLITE_CONSTRAINT:
            raise SteadyrunError(
                f"{directory}/{JOURNAL}: expected a run of this journal, not begun before, found: {error}"
            ) from error
        case _:
            raise SteadyrunError(f"{directory}/{JOURNAL}: expected a statement to work: {error}") from error
    raise JournalUnwritableError(f"{directory}: expected {wanted}, found: {error}", hint=hint) from error


def connect(path: str) -> sqlite3.Connection:
    """Open a database file with our settings; transactions are begun and ended by hand."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def hold(path: str) -> None:
    """Count one more connection of this process to the file."""
    path = os.path.realpath(path)
    _held[path] = _held.get(path, 0) + 1


def is_held(path: str) -> bool:
    """Tell whether this process has the file open as a journal."""
    return bool(_held.get(os.path.realpath(path)))


def let_go(path: str) -> None:
    """Count one connection of this process to the file less."""
    path = os.path.realpath(path)
    _held[path] = max(0, _held.get(path, 0) - 1)


class Store:
    """The open connection. `open_journal` makes it; `Reader` and `Journal` stand on it."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        directory: str,
        *,
        boot_id: str,
        now_wall: Callable[[], float],
        findings: list[Finding],
        patience: float = DURABLE_SECONDS,
    ) -> None:
        self.directory = directory
        self.boot_id = boot_id
        self._connection = connection
        self._now_wall = now_wall
        self._findings = findings
        self._lock = RLock()
        self._depth = 0
        self._synchronous = ""
        self._patience = patience
        self._waits = BUSY_SECONDS  # as `connect` has it
        self._was_busy = False
        self._is_open = True

    @property
    def path(self) -> str:
        """The journal's file."""
        return os.path.join(self.directory, JOURNAL)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the reader should know about the journal itself: set aside, rows that are unreadable."""
        return tuple(self._findings)

    def _find(self, finding: Finding) -> None:
        """Keep a finding, once."""
        if finding not in self._findings:
            self._findings.append(finding)

    def close(self) -> None:
        """Close the connection. What was not committed is not there; closing twice is harmless."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                self._connection.close()
                let_go(self.path)

    @contextmanager
    def _transaction(self, *, durable: bool, patient: bool | None = None) -> Iterator[sqlite3.Connection]:
        """Hold one writing transaction; inside another one, be a part of it.

        Args:
            durable: On the disk when this returns.
            patient: Wait long for other writers; `None`: as long as the word is worth, durable ones long.

        Raises:
            JournalUnwritableError: Nothing of the transaction was written.
        """
        with self._lock:
            if self._depth:
                yield self._connection
                return
            with self._refusing():
                long = durable if patient is None else patient
                self._wait_for_others(self._patience if long and not self._was_busy else RELAXED_SECONDS)
                self._begin("FULL" if durable else "NORMAL")
                self._depth = 1
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    self._roll_back()
                    raise
                finally:
                    self._depth = 0

    def _wait_for_others(self, seconds: float) -> None:
        """Set how long the next statement waits for a lock of another process."""
        if seconds != self._waits:
            self._connection.execute(f"PRAGMA busy_timeout={seconds * 1000:.0f}")
            self._waits = seconds

    def _begin(self, synchronous: str) -> None:
        """Begin at once (so that no other writer comes between reading and writing)."""
        if synchronous != self._synchronous:
            self._connection.execute(f"PRAGMA synchronous={synchronous}")
            self._synchronous = synchronous
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if synchronous == "FULL":
                self._was_busy = code_of(error) == sqlite3.SQLITE_BUSY
            raise
        self._was_busy = False

    def _roll_back(self) -> None:
        """Undo what the transaction wrote. SQLite has done it itself after some errors."""
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:  # the error that led here is the one to tell
                pass

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query.

        Raises:
            JournalUnwritableError: The journal cannot be read.
        """
        with self._lock, self._refusing():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turn SQLite's errors into ours; after damage, have the next opening look at all of it."""
        try:
            yield
        except sqlite3.Error as error:
            if is_damage(error):
                mark_suspect(self.directory)
            refuse(error, self.directory, self._waits)


def mark_suspect(directory: str) -> None:
    """Leave the mark that damage was met. Says nothing when even that cannot be written."""
    try:
        os.close(os.open(os.path.join(directory, SUSPECT), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError:
        pass
