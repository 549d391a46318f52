"""Has relaxed rows reach the disk soon after they were written, without anybody waiting for it.

A relaxed row lies in the system's page cache, half a minute if nothing durable follows, and a crash
of the machine takes it: just the readings that would tell how it came to that. Syncing the
write-ahead log is all that a durable commit does besides (SQLite, "PRAGMA synchronous", FULL in WAL
mode), and after a crash SQLite takes in what is whole of it, by the checksum of each frame over all
before it (SQLite, "Database File Format", section 4.1).

The log, not the database, is opened: SQLite's locks are on the database and its index (SQLite,
"WAL-mode File Format"), and closing the log drops none of them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

EVERY_S = 1.0
"""Between two syncs at least. A crash loses about as much of the readings, and what the disk is behind."""


class LogSync:
    """Syncs one journal's write-ahead log in a thread of its own.

    Never raises: a disk that fails is told by the next durable write.
    """

    def __init__(
        self, journal: str, *, every_s: float = EVERY_S, sync: Callable[[int], None] = os.fdatasync
    ) -> None:
        """Begin.

        Args:
            journal: Path of the database, open elsewhere in this process until `close`.
            every_s: Seconds between two syncs at least.
            sync: For tests of a disk that stalls.
        """
        self._path = f"{journal}-wal"
        self._every_s, self._sync = every_s, sync
        self._asked = threading.Event()
        self._closing = threading.Event()
        # A daemon: a thread that hangs in fdatasync must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Have what is written by now on the disk soon. Returns at once."""
        self._asked.set()

    def close(self) -> None:
        """End. What was asked for and not begun is left to the next durable write."""
        self._closing.set()
        self._asked.set()
        self._thread.join(self._every_s)

    def _run(self) -> None:
        while True:
            self._asked.wait()
            if self._closing.is_set():
                return
            self._asked.clear()
            self._sync_once()
            self._closing.wait(self._every_s)

    def _sync_once(self) -> None:
        try:
            log = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return
        try:
            self._sync(log)
        except OSError:
            pass
        finally:
            os.close(log)
