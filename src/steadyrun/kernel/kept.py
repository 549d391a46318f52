"""A file kept open and read again and again, and what to make of text that may be missing.

The one place of `kernel` that opens files. Never writes, never waits, never raises because of
what a file is or holds: what cannot be read is `None`.
"""

from __future__ import annotations

import os

from steadyrun.errors import FormatError
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

_BUFFER = 16384
"""Bytes of one read; longer files take several."""


class KeptFile:
    """A file that is read again and again through one descriptor, from its beginning each time.

    Reading a kernel file with a kept descriptor costs a microsecond or two, opening it anew ten.

    Args:
        path: The file.
        one_record: The kernel shows it as one record, which a read gives whole (single_open and
            kernfs files with seq_show: seq_read_iter in fs/seq_file.c makes its buffer as large as the
            record). Then the second read, which would only say that this was all, is left out.
    """

    __slots__ = ("_fd", "_one_record", "path")

    def __init__(self, path: str, *, one_record: bool = False) -> None:
        self.path = path
        self._fd = -1
        self._one_record = one_record

    def read(self) -> str | None:
        """Return the whole text now; `None` when it cannot be read.

        After a failure (the cgroup was removed: ENODEV; the process ended: ESRCH; pressure
        accounting is off: EOPNOTSUPP; a path that holds a null byte) the next call opens it anew.
        """
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            return _whole_text(self._fd, self._one_record)
        except (OSError, ValueError):
            self.close()
            return None

    def close(self) -> None:
        """Close the descriptor, if there is one. Reading again opens it again."""
        if self._fd >= 0:
            descriptor, self._fd = self._fd, -1
            os.close(descriptor)


def _whole_text(descriptor: int, one_record: bool) -> str:
    """Read from the beginning until a read gives nothing.

    A short read is not always the end: files of many records (vmstat, mountinfo, cgroup.procs) give at
    most a page at a time (kernel, Documentation/filesystems/seq_file.rst).
    """
    data = os.pread(descriptor, _BUFFER, 0)
    if data and not (one_record and len(data) < _BUFFER):
        more = os.pread(descriptor, _BUFFER, len(data))
        while more:
            data += more
            more = os.pread(descriptor, _BUFFER, len(data))
    return data.decode("utf-8", "surrogateescape")


def read_text(path: str) -> str | None:
    """Return the text of one file, opened for this once; `None` when it cannot be read."""
    file = KeptFile(path)
    try:
        return file.read()
    finally:
        file.close()


def parsed(text: str | None, parse: Callable[..., T], source: str) -> T | None:
    """Parse text that may be missing; unexpected text is unknown, `None`, as a missing one is."""
    if text is None:
        return None
    try:
        return parse(text, source=source)
    except FormatError:
        return None
