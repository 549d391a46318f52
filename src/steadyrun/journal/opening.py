"""Opens the journal's file: makes it, migrates it, sets a damaged or foreign one aside.

One process at a time does this in a directory (flock on `journal.lock`). A new journal is built
under another name and renamed, so a half-made one is never met. What is not ours or cannot be
read is renamed, with the files SQLite keeps beside it; it is never overwritten and never deleted.
A journal of a newer version is not touched.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from steadyrun.durable import sync
from steadyrun.errors import JournalUnwritableError
from steadyrun.journal import checking, schema
from steadyrun.journal.store import BUSY_SECONDS, JOURNAL, code_of, connect, hold, is_damage, is_held, refuse
from steadyrun.locking import lock_within
from steadyrun.model.finding import Finding, Severity

LOCK = "journal.lock"
_NEW = "journal.db.new"
_BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database (SQLite, "Temporary Files Used By SQLite")."""
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
"""SQLite, "Database File Format", section 1.3: magic at 0, user_version at 60, application_id at 68."""
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)
_NO_ROOM_FOR_INDEX = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMMAP)


def open_connection(
    directory: str, *, boot_id: str, now_wall: Callable[[], float]
) -> tuple[sqlite3.Connection, list[Finding]]:
    """Return a connection to a sound journal of this version, and what had to be done for it.

    Raises:
        JournalUnwritableError: The directory cannot be written, or a newer version wrote the journal.
    """
    findings: list[Finding] = []
    try:
        with _locked(directory):
            for _ in range(3):  # what lay there, then perhaps a damaged one behind it, then a new one
                opened = _open_or_set_aside(directory, boot_id, now_wall())
                if isinstance(opened, sqlite3.Connection):
                    hold(os.path.join(directory, JOURNAL))
                    return opened, findings
                findings.append(opened)
    except sqlite3.Error as error:
        refuse(error, directory)
    except OSError as error:
        raise _unwritable(directory, error) from error
    raise JournalUnwritableError(
        f"{directory}: expected a new journal to be sound, found: {findings[-1].evidence}",
        hint=f"df -h {directory}",
    )


@contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Hold the directory's lock; openers wait for each other, at most `BUSY_SECONDS`.

    Raises:
        JournalUnwritableError: Somebody holds it for longer.
        OSError: The lock file cannot be made.
    """
    path = os.path.join(directory, LOCK)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if not lock_within(descriptor, BUSY_SECONDS):
            raise JournalUnwritableError(
                f"{path}: expected to get the lock within {BUSY_SECONDS:.0f} s, found it held",
                hint=f"fuser -v {path}",
            )
        yield
    finally:
        os.close(descriptor)


def _reason_to_set_aside(path: str) -> str | None:
    """Return why what lies at the journal's name is not our journal; `None`: it is, or nothing is.

    Raises:
        JournalUnwritableError: It is ours, of a newer version.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return "expected a file, found something else"
        with open(path, "rb", buffering=0) as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        # A log without its database would be replayed into the next database of that name.
        alone = any(os.path.lexists(path + suffix) for suffix in _BESIDE)
        return "expected a database beside its log, found the log alone" if alone else None
    if not header.startswith(_MAGIC) or len(header) < _HEADER_BYTES:
        return "expected an SQLite database, found something else"
    application = int.from_bytes(header[68:72], "big")
    if application != schema.APPLICATION_ID:
        return f"expected application id {schema.APPLICATION_ID:#x}, found {application:#x}"
    _expect_known_version(path, int.from_bytes(header[60:64], "big"))
    return None


def _expect_known_version(path: str, version: int) -> None:
    """Refuse a journal that a newer program wrote.

    Raises:
        JournalUnwritableError: It is one.
    """
    if version > schema.VERSION:
        raise JournalUnwritableError(
            f"{path}: expected a journal of version {schema.VERSION} or older, found version {version}",
            hint="pip install --upgrade steadyrun",
        )


def _open_or_set_aside(directory: str, boot_id: str, wall: float) -> sqlite3.Connection | Finding:
    """Return a connection to the journal, made or migrated as needed; else set aside what is there.

    Raises:
        JournalUnwritableError: A newer version wrote it.
        sqlite3.Error: It could not be opened, for another reason than damage.
    """
    path = os.path.join(directory, JOURNAL)
    reason = None if is_held(path) else _reason_to_set_aside(path)
    if reason is not None:
        return _set_aside(directory, reason, wall)
    if not os.path.lexists(path):
        _create(directory)
    connection = _connect_shared_or_alone(path)
    try:
        reason = _make_sound(connection, path, boot_id, wall)
    except BaseException as error:
        if not isinstance(error, sqlite3.Error) or not is_damage(error):
            connection.close()
            raise
        reason = str(error)
    if reason is None:
        return connection
    # Closing the last connection deletes the log beside it: give it its other name first.
    finding = _set_aside(directory, reason, wall)
    connection.close()
    return finding


def _connect_shared_or_alone(path: str) -> sqlite3.Connection:
    """Return a connection; on a full disk one that keeps the log's index in its own memory.

    The index (`-shm`, 32 KiB) has no room there, but what an earlier run left has to be read and
    undone all the same. No other process can use the journal then (SQLite, "Write-Ahead Logging",
    section "Use of WAL Without Shared-Memory").
    """
    connection = connect(path)
    try:
        schema.version_of(connection)
    except sqlite3.Error as error:
        if error.sqlite_errorcode in _NO_ROOM_FOR_INDEX:
            connection.close()
            connection = connect(path)
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    return connection


def _make_sound(connection: sqlite3.Connection, path: str, boot_id: str, wall: float) -> str | None:
    """Migrate the journal and check it; return what is damaged in it, `None` when nothing is.

    Raises:
        JournalUnwritableError: A newer version wrote it.
        sqlite3.Error: It could not be read or written.
    """
    directory = os.path.dirname(path)
    version = schema.version_of(connection)
    _expect_known_version(path, version)
    try:
        schema.migrate(connection)
    except sqlite3.Error as error:
        if version < schema.USABLE or code_of(error) not in _NO_ROOM:
            raise  # else what an earlier run left can be read and undone on a full disk, too
    return checking.damage(connection, directory, boot_id, wall)


def _create(directory: str) -> None:
    """Build an empty journal under another name and put it in place, all of it on the disk."""
    new = os.path.join(directory, _NEW)
    for leftover in (new, *(new + suffix for suffix in _BESIDE)):
        if os.path.lexists(leftover):
            os.unlink(leftover)  # our own, of a process that died right here
    os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = connect(new)
    try:
        schema.migrate(connection, synced=False)
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
    sync(new)
    os.rename(new, os.path.join(directory, JOURNAL))
    sync(directory)


def _set_aside(directory: str, reason: str, wall: float) -> Finding:
    """Rename what lies at the journal's name, and SQLite's files beside it, under one new name.

    The database goes first: a crash in between leaves a log without its database, which the next
    opening sets aside as well; the other way round the database would be read without its log.
    """
    path = os.path.join(directory, JOURNAL)
    old = [path + suffix for suffix in ("", *_BESIDE) if os.path.lexists(path + suffix)]
    aside = _free_name(f"{path}.set-aside-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(wall))}")
    for name in old:
        os.rename(name, aside + name[len(path) :])
    sync(directory)
    return Finding(
        code="journal-set-aside",
        severity=Severity.WARNING,
        title="The journal could not be used and was set aside; a new one was begun.",
        evidence=f"{path}: {reason}",
        remedy="What an earlier run left behind is not known now: see steadyrun doctor. "
        f"What can be read of the old journal: sqlite3 {aside} .recover",
        done=f"kept as {aside}",
    )


def _free_name(wanted: str) -> str:
    """Return the name, with a number behind it where it or its companions are taken."""
    name, number = wanted, 1
    while any(os.path.lexists(name + suffix) for suffix in ("", *_BESIDE)):
        number += 1
        name = f"{wanted}.{number}"
    return name


def _unwritable(directory: str, error: OSError) -> JournalUnwritableError:
    """Return the error of a directory the journal cannot be opened in."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return JournalUnwritableError(
        f"{error.filename or directory}: expected a directory that takes the journal, "
        f"found {error.strerror or error}",
        hint=f"df -h {directory}" if full else f"ls -ld {directory}",
    )
