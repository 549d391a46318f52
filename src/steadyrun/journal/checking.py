"""Looks for damage in a journal that is being opened.

At each opening: is the file as long as its page count says. Once in each boot, and after damage was
met: are the tables sound. SQLite itself reads what is missing at the end of a file as zeros, and so
would give back rows that nobody wrote. Never mends anything.
"""

from __future__ import annotations

import os
import sqlite3

from steadyrun.journal import schema
from steadyrun.journal.store import JOURNAL, SUSPECT, is_damage

_LOG_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
"""SQLite, "Database File Format", section 4.1: a frame begins with its page number, then a copy of
bytes 16 to 23 of the log's header as its salt."""


def damage(connection: sqlite3.Connection, directory: str, boot_id: str, wall: float) -> str | None:
    """Return what is wrong with the journal; `None`: nothing is, as far as was looked.

    A power cut or a failing disk shows at the first opening of a boot; a whole check at each start
    would grow with the journal.

    Raises:
        sqlite3.Error: It could not be read; damage may be why.
    """
    path = os.path.join(directory, JOURNAL)
    reason = _missing_pages(connection, path)
    if reason is not None:
        return reason
    suspect = os.path.lexists(os.path.join(directory, SUSPECT))
    if not suspect and connection.execute("SELECT 1 FROM checks WHERE boot_id=?", (boot_id,)).fetchone():
        return None
    for table in schema.CHECKED_TABLES + (schema.bulk_tables(connection) if suspect else ()):
        for (found,) in connection.execute(f"PRAGMA quick_check({table})"):
            if found != "ok":
                return f"{table}: {found}"
    _note_check(connection, directory, boot_id, wall)
    return None


def _missing_pages(connection: sqlite3.Connection, path: str) -> str | None:
    """Return that pages are neither in the database nor in its log; `None`: all are there.

    Read in this order, so that another process that writes, or moves the log into the database,
    never makes a page look missing: how many there are, what the log has, how long the file is.
    """
    pages = int(connection.execute("PRAGMA page_count").fetchone()[0])
    page_bytes = int(connection.execute("PRAGMA page_size").fetchone()[0])
    if os.stat(path).st_size >= pages * page_bytes:
        return None
    logged = _logged_pages(path + "-wal", page_bytes)
    whole = os.stat(path).st_size // page_bytes
    missing = set(range(whole + 1, pages + 1)) - logged
    if missing:
        return f"expected {pages} pages, found {len(missing)} of them missing"
    return None


def _logged_pages(path: str, page_bytes: int) -> set[int]:
    """Return the numbers of the pages that the log holds; none where there is no log."""
    found: set[int] = set()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return found
    try:
        salt = os.pread(descriptor, _LOG_HEADER_BYTES, 0)[16:24]
        at = _LOG_HEADER_BYTES
        while len(frame := os.pread(descriptor, _FRAME_HEADER_BYTES, at)) == _FRAME_HEADER_BYTES:
            if frame[8:16] == salt:
                found.add(int.from_bytes(frame[:4], "big"))
            at += _FRAME_HEADER_BYTES + page_bytes
    finally:
        os.close(descriptor)
    return found


def _note_check(connection: sqlite3.Connection, directory: str, boot_id: str, wall: float) -> None:
    """Write down that the tables are sound in this boot; on a full disk they are checked again."""
    try:
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(
            "INSERT INTO checks SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM checks WHERE boot_id=?)",
            (boot_id, wall, boot_id),
        )
        if os.path.lexists(os.path.join(directory, SUSPECT)):
            os.unlink(os.path.join(directory, SUSPECT))
    except sqlite3.OperationalError as error:
        if is_damage(error):
            raise
