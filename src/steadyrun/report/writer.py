"""Keeps the report's files up to date in a thread of its own, so that a stalled disk stops no ramp.

The newest record wins: records in between are never rendered. Never judges anything, and never
raises into the ramp: what goes wrong comes back as a Finding.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from steadyrun.errors import SteadyrunError
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.record import RunRecord
from steadyrun.report.files import write_atomic
from steadyrun.report.formats import FORMATS
from steadyrun.report.rights import rights_of

EVERY = 1.0
"""Seconds between two renderings at least: what a person who looks at the file can follow."""
FLUSH_DEADLINE = 5.0
"""Seconds a phase border waits for the disk: an I/O storm holds an fdatasync for seconds (measured)."""


class ReportWriter:
    """Writes the files of one ramp, one in each format.

    Args:
        folder: Of the run, as `prepare_folder` gave it.
        owner: (uid, gid) with whose rights every file is opened; `None`: the caller's.
        on_trouble: Called with a Finding, from the writer's thread or from `flush`, once until
            writing works again. Must not block.
        every: Seconds between two renderings at least; `flush` does not wait for it.
        write: For tests of a disk that fails or stalls.
    """

    __slots__ = (
        "_closing",
        "_condition",
        "_done",
        "_durable",
        "_every",
        "_failed",
        "_folder",
        "_newest",
        "_on_trouble",
        "_owner",
        "_thread",
        "_told",
        "_tried",
        "_urgent",
        "_version",
        "_write",
    )

    def __init__(
        self,
        folder: str,
        *,
        owner: tuple[int, int] | None = None,
        on_trouble: Callable[[Finding], None] | None = None,
        every: float = EVERY,
        write: Callable[..., None] = write_atomic,
    ) -> None:
        self._folder, self._owner, self._every, self._write = folder, owner, every, write
        self._on_trouble = on_trouble or (lambda _: None)
        self._condition = threading.Condition()
        self._newest: RunRecord | None = None
        self._version = 0  # of the newest record submitted
        self._tried = 0  # newest version that was rendered, written or not
        self._failed = 0  # newest version that could not be written
        self._done = 0  # newest version that is written
        self._durable = 0  # newest version that is on disk for good
        self._urgent = False
        self._closing = False
        self._told = False
        # A daemon: a thread that hangs in fdatasync must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)
        self._thread.start()

    def submit(self, record: RunRecord) -> None:
        """Take a record to be written soon. Never waits for the disk."""
        with self._condition:
            self._newest = record
            self._version += 1
            self._condition.notify_all()

    def flush(self, *, durable: bool = True, timeout: float = FLUSH_DEADLINE) -> bool:
        """Wait until the newest record is on disk; False: the deadline passed, or it could not be written.

        Args:
            durable: Also the names of the files, so that a power cut leaves the new page.
            timeout: Seconds to wait at most.
        """
        with self._condition:
            wanted = self._version
            if self._is_written(wanted, durable=durable):
                return True
            self._urgent = True
            self._failed = 0
            self._condition.notify_all()
            ended = self._condition.wait_for(
                lambda: self._is_written(wanted, durable=durable) or self._failed >= wanted, timeout
            )
            written = self._is_written(wanted, durable=durable)
        if not ended:
            self._tell(
                f"the disk did not take the report within {timeout:g} s", "the files show an earlier moment"
            )
        return written

    def _is_written(self, version: int, *, durable: bool) -> bool:
        return (self._durable if durable else self._done) >= version

    def close(self, *, timeout: float = FLUSH_DEADLINE) -> bool:
        """Write the newest record durably, end the thread; False: the deadline passed or it failed."""
        written = self.flush(timeout=timeout)
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        self._thread.join(timeout if written else 0.1)
        return written

    def _run(self) -> None:
        last = float("-inf")
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closing or self._urgent or self._version > self._tried)
                if self._closing:
                    return
                if not self._urgent:
                    self._condition.wait_for(
                        lambda: self._closing or self._urgent, max(0.0, last + self._every - time.monotonic())
                    )
                record, version, durable = self._newest, self._version, self._urgent
                self._urgent = False
            last = time.monotonic()
            self._write_once(record, version, durable=durable)

    def _write_once(self, record: RunRecord | None, version: int, *, durable: bool) -> None:
        if record is None:
            return
        try:
            # Rendered with our own rights: the owner may not be able to read our templates.
            pages = [(os.path.join(self._folder, each.file), each.ramp(record)) for each in FORMATS.values()]
            with rights_of(self._owner):
                for path, page in pages:
                    self._write(path, page, durable=durable)
        except SteadyrunError as error:
            self._settle(version, written=False, durable=False)
            self._tell(error.message, error.hint or "")
        except Exception as error:  # a record that cannot be rendered is a bug of ours, not the ramp's end
            self._settle(version, written=False, durable=False)
            self._tell(f"the report could not be rendered: {type(error).__name__}: {error}", "")
        else:
            self._settle(version, written=True, durable=durable)

    def _settle(self, version: int, *, written: bool, durable: bool) -> None:
        """Remember what was written; a version that failed is not tried again, a newer one is."""
        with self._condition:
            self._tried = version
            if written:
                self._done, self._told = version, False
                self._durable = version if durable else self._durable
            else:
                self._failed = version
            self._condition.notify_all()

    def _tell(self, evidence: str, hint: str) -> None:
        with self._condition:
            first, self._told = not self._told, True
        if first:
            self._on_trouble(
                Finding(
                    "report-not-written",
                    Severity.WARNING,
                    "The report on disk is not up to date",
                    evidence,
                    hint,
                    done="the ramp goes on; the report is tried again at the next change",
                )
            )
