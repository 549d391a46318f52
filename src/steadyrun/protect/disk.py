"""The few deeds that change a machine, each of them durable when it returns. Below a root that tests replace.

A file is put in its place as a whole: written beside it, synced, renamed, and its folder synced. A power
cut leaves the old one or the new one. Never follows a symbolic link at the end of a path.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from steadyrun.durable import sync, write_all
from steadyrun.protect.seen import Seen

PART = ".part"
"""Ending of a file that is being written; systemd reads only what ends in `.conf`."""
_FOLDER_MODE = 0o755


class Disk:
    """The machine's files."""

    def __init__(self, root: str = "/") -> None:
        """Take a root: `/`, or a folder of a test's own."""
        self._root = root.rstrip("/")

    def at(self, path: str) -> str:
        """Return the path below the root."""
        return self._root + path

    def look(self, path: str) -> Seen | None:
        """Return what is under a path; `None`: nothing.

        Raises:
            OSError: It cannot be read.
        """
        try:
            found = os.lstat(self.at(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        mode, owner = stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)
        if stat.S_ISDIR(found.st_mode):
            return Seen(None, mode, *owner)
        if not stat.S_ISREG(found.st_mode):
            return Seen(None, mode, *owner, special=True)
        with open(self.at(path), "rb", opener=_as_it_is) as file:
            found = os.fstat(file.fileno())  # of what is read: another file may be there by now
            return Seen(file.read(), stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)

    def put(self, path: str, wanted: Seen) -> None:
        """Have a file as it is wanted, in place of whatever is there.

        Raises:
            OSError: It could not be done; what was there is there still.
        """
        part = self.at(path) + PART
        self.drop_part(path)
        self._create(part, wanted)
        self._write(part, wanted.content or b"")
        self._sync(part)
        self._rename(part, self.at(path))
        self._sync(os.path.dirname(self.at(path)))

    def drop_part(self, path: str) -> None:
        """Remove what a crash left of a file that was being written."""
        if os.path.lexists(self.at(path) + PART):  # a read-only disk would answer EROFS, not ENOENT
            self._unlink(self.at(path) + PART)
            self._sync(os.path.dirname(self.at(path)))

    def settle(self, path: str) -> None:
        """Have what is under a path, or that nothing is, on the disk: a crash may have come before that.

        Raises:
            OSError: It could not be done.
        """
        with suppress(FileNotFoundError, NotADirectoryError):
            self._sync(os.path.dirname(self.at(path)))

    def remove(self, path: str) -> None:
        """Remove a file.

        Raises:
            OSError: It could not be done.
        """
        self._unlink(self.at(path))
        self._sync(os.path.dirname(self.at(path)))

    def make_folder(self, path: str) -> None:
        """Make a folder, everybody may look into it.

        Raises:
            OSError: It could not be made.
        """
        self._mkdir(self.at(path))
        self._sync(os.path.dirname(self.at(path)))

    def remove_folder(self, path: str) -> bool:
        """Remove a folder; return whether it is gone: not where somebody put something into it.

        Raises:
            OSError: It could not be done.
        """
        if not os.path.lexists(self.at(path)):  # a read-only disk would answer EROFS, not ENOENT
            self.settle(path)
            return True
        try:
            self._rmdir(self.at(path))
        except OSError:
            if os.path.isdir(self.at(path)) and os.listdir(self.at(path)):
                return False
            raise
        self._sync(os.path.dirname(self.at(path)))
        return True

    def value(self, path: str) -> str | None:
        """Return a value of the kernel's; `None`: it cannot be read."""
        try:
            with open(self.at(path), encoding="ascii", errors="replace") as file:
                return file.read().strip()
        except OSError:
            return None

    def set_value(self, path: str, text: str) -> None:
        """Write a value of the kernel's, in one write(2).

        Raises:
            OSError: The kernel refused.
        """
        descriptor = os.open(self.at(path), os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(descriptor, f"{text}\n".encode("ascii"))
        finally:
            os.close(descriptor)

    def append(self, path: str, data: bytes) -> None:
        """Append to a file of our own, made (0600) where it is missing; on the disk when this returns.

        Raises:
            OSError: It could not be done; a part may have been written.
        """
        fresh = not os.path.exists(self.at(path))
        if fresh:
            self._create(self.at(path), Seen(b"", 0o600, os.geteuid(), os.getegid()))
        self._write(self.at(path), data)
        self._sync(self.at(path))
        if fresh:
            self._sync(os.path.dirname(self.at(path)))

    def cut(self, path: str, size: int) -> None:
        """Shorten a file of our own.

        Raises:
            OSError: It could not be done.
        """
        self._truncate(self.at(path), size)
        self._sync(self.at(path))

    # The steps, one system call each: a test can have the machine go down at any of them.

    def _create(self, path: str, wanted: Seen) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            if (os.geteuid(), os.getegid()) != (wanted.uid, wanted.gid):
                os.fchown(descriptor, wanted.uid, wanted.gid)
            os.fchmod(descriptor, wanted.mode)
        finally:
            os.close(descriptor)

    def _write(self, path: str, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            write_all(descriptor, data)
        finally:
            os.close(descriptor)

    def _truncate(self, path: str, size: int) -> None:
        os.truncate(path, size)

    def _sync(self, path: str) -> None:
        sync(path)

    def _rename(self, path: str, to: str) -> None:
        os.rename(path, to)

    def _unlink(self, path: str) -> None:
        os.unlink(path)

    def _mkdir(self, path: str) -> None:
        os.mkdir(path, _FOLDER_MODE)
        os.chmod(path, _FOLDER_MODE)  # whatever the umask is: a user's manager has to look into it

    def _rmdir(self, path: str) -> None:
        os.rmdir(path)


def _as_it_is(path: str, flags: int) -> int:
    """Open a file, not what a link leads to, and without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
