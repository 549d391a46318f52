"""One cgroup directory, held by a descriptor: read, write, walk, remove.

Everything goes through the descriptor of the directory, so that a cgroup which was removed and made
again under the same path is never written to, nor read as if it were the old one. Knows nothing of
controllers, limits or loads.
"""

from __future__ import annotations

import os

from steadyrun.model.sample import CgroupId
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 65536
DEEPEST = 64
"""How far below a containment its own children are followed; a load cannot make us recurse without end."""


class CgroupDirectory:
    """A cgroup that is there. Its identity never changes; its path may come to name another one."""

    __slots__ = ("fd", "identity")

    def __init__(self, path: str) -> None:
        """Take hold of the directory at `path`.

        Raises:
            OSError: There is none.
        """
        self.fd = os.open(path, _DIRECTORY)
        self.identity = CgroupId(path, os.fstat(self.fd).st_ino)

    @property
    def path(self) -> str:
        """The path it had when it was opened."""
        return self.identity.path

    def read(self, name: str) -> str | None:
        """Return the text of one of its files; `None` when it cannot be read."""
        return read_at(self.fd, name)

    def write(self, name: str, text: str) -> None:
        """Write one of its files.

        Raises:
            OSError: The kernel refuses the value, or the cgroup is gone.
        """
        write_at(self.fd, name, text)

    def has(self, name: str) -> bool:
        """Tell whether it has a file of that name."""
        try:
            os.stat(name, dir_fd=self.fd)
        except OSError:
            return False
        return True

    def kept(self, name: str) -> str:
        """Return a path to one of its files that stays this cgroup's, whatever its own path names later.

        `/proc/self/fd/N` leads to the open directory itself (proc_pid_fd(5)).
        """
        return f"/proc/self/fd/{self.fd}/{name}"

    def is_there(self) -> bool:
        """Tell whether its path still names this very cgroup."""
        try:
            return os.stat(self.path).st_ino == self.identity.inode
        except OSError:
            return False

    def pids(self) -> Iterator[int]:
        """Name the processes in it and in the cgroups that the load made below it.

        No zombies, but who has ended this very moment (`processes.living`).
        """
        for fd in tree(self.fd):
            yield from map(int, (read_at(fd, "cgroup.procs") or "").split())

    def write_everywhere(self, name: str, text: str) -> None:
        """Write a file of it and of every cgroup below it; what refuses is passed over."""
        for fd in tree(self.fd):
            try:
                write_at(fd, name, text)
            except OSError:
                continue

    def remove(self) -> bool:
        """Remove it and what the load made below it. True: gone. False: still busy."""
        if not self.is_there():
            return True
        try:
            _remove_below(self.fd, 0)
            os.rmdir(self.path)
        except FileNotFoundError:
            return True
        except OSError:  # EBUSY: a process is in it yet; ENOTEMPTY: a child is being made
            return False
        return True

    def close(self) -> None:
        """Close the descriptor. The cgroup stays."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def read_at(directory: int, name: str) -> str | None:
    """Return the text of a file in an open directory; `None` when it cannot be read."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return None
    try:
        parts = []
        while part := os.read(fd, _CHUNK):
            parts.append(part)
    except OSError:
        return None
    finally:
        os.close(fd)
    return b"".join(parts).decode("utf-8", "surrogateescape")


def write_at(directory: int, name: str, text: str) -> None:
    """Write a kernel file in an open directory, in one write as the kernel wants it.

    O_TRUNC as in a shell's `>`: nothing to a kernel file, and a plain file in its place loses its old text.

    Raises:
        OSError: As open(2) and write(2).
    """
    fd = os.open(name, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.write(fd, text.encode("ascii"))
    finally:
        os.close(fd)


def has_children(directory: int) -> bool:
    """Tell whether there are cgroups below an open one: its link count is 2 and one for each."""
    try:
        return os.fstat(directory).st_nlink > 2
    except OSError:
        return False


def tree(directory: int, depth: int = 0) -> Iterator[int]:
    """Give a descriptor for an open cgroup and each below it, parents first; each is open until the next."""
    yield directory
    if depth >= DEEPEST or not has_children(directory):
        return
    for name in _children(directory):
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=directory)
        except OSError:
            continue
        try:
            yield from tree(fd, depth + 1)
        finally:
            os.close(fd)


def _children(directory: int) -> list[str]:
    try:
        # An O_PATH descriptor cannot be listed itself (open(2)).
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return []
    try:
        with os.scandir(fd) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    finally:
        os.close(fd)


def _remove_below(directory: int, depth: int) -> None:
    if depth >= DEEPEST or not has_children(directory):
        return
    for name in _children(directory):
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=directory)
        except FileNotFoundError:
            continue
        try:
            _remove_below(fd, depth + 1)
        finally:
            os.close(fd)
        try:
            os.rmdir(name, dir_fd=directory)
        except FileNotFoundError:
            continue
