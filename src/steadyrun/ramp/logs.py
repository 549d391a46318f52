"""Keeping what a load writes: a thread that always reads, a file that never grows past its cap.

The pipe is drained even when the disk is full or the cap is reached, so that a flood of output
neither fills the disk nor stops the load.
"""

from __future__ import annotations

import os
import threading

TAIL_BYTES = 64 * 1024


class LogPump:
    """Copies one pipe into one file, up to a cap."""

    def __init__(self, read_fd: int, file_fd: int, *, most: int) -> None:
        """Take over both descriptors and begin.

        Args:
            read_fd: Read end of the pipe that is the load's standard output and error.
            file_fd: Opened for writing.
            most: Bytes to keep; what comes after is counted and dropped.
        """
        self._read, self._file, self._most = read_fd, file_fd, most
        self._tail = bytearray()
        self.total = 0
        self.kept = 0
        self.trouble: str | None = None
        """Why writing failed; the load was read on all the same."""
        self._thread = threading.Thread(target=self._pump, name="log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Bytes that were read and not kept."""
        return self.total - self.kept

    def tail(self) -> str:
        """Return the last TAIL_BYTES of what came; the first line may have lost its beginning."""
        return bytes(self._tail).decode("utf-8", "replace")

    def finish(self, timeout_s: float) -> bool:
        """Wait for the end of the pipe; False when it did not come (somebody still holds it)."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _pump(self) -> None:
        try:
            while chunk := os.read(self._read, 65536):
                self.total += len(chunk)
                self._tail = (self._tail + chunk)[-TAIL_BYTES:]
                self._keep(chunk)
        finally:
            os.close(self._read)
            os.close(self._file)

    def _keep(self, chunk: bytes) -> None:
        room = max(0, self._most - self.kept)
        if self.trouble is not None or not room:
            return
        chunk = chunk[:room]
        try:
            while chunk:  # a disk that is almost full takes a part
                taken = os.write(self._file, chunk)
                self.kept += taken
                chunk = chunk[taken:]
        except OSError as error:
            self.trouble = os.strerror(error.errno or 0)
