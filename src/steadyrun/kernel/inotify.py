"""Waits for names that come into folders: a new terminal in /dev/pts, a new session of logind's.

inotify(7) through ctypes, because Python's standard library has none. Nothing is polled: a process that
waits here does not wake up until something comes.
"""

from __future__ import annotations

import ctypes
import os
import select
from collections.abc import Iterable
from contextlib import suppress

_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_EVENTS_BYTES = 16384


class Arrivals:
    """Names that come into some folders, made there or moved there. A context manager."""

    def __init__(self, folders: Iterable[str]) -> None:
        """Begin to watch.

        Raises:
            OSError: A folder is not there, or the user's watches are used up (fs.inotify.max_user_instances).
        """
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._descriptor < 0:
            raise _error("inotify")
        for folder in folders:
            watched = libc.inotify_add_watch(
                self._descriptor, os.fsencode(folder), ctypes.c_uint32(_IN_CREATE | _IN_MOVED_TO)
            )
            if watched < 0:
                error = _error(folder)
                self.close()
                raise error
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def __enter__(self) -> Arrivals:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self.close()

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)

    def wait(self, seconds: float | None) -> bool:
        """Return whether something came by then, and forget what came; `None`: wait until something does."""
        came = bool(self._poll.poll(None if seconds is None else seconds * 1000))
        with suppress(BlockingIOError):
            while came and os.read(self._descriptor, _EVENTS_BYTES):
                pass
        return came


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), what)
