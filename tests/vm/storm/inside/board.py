"""The board: where a load counts what it does, in a file that outlives every process of it.

Words of 8 bytes in the machine's order; each slot has one writer. The file lies in the watcher's
folder, made by it and filled with zeros before anything hostile begins.
"""

from __future__ import annotations

import mmap
import os

FOLDER = "/run/storm"
"""Of everything that an experiment writes in the guest; on tmpfs, not of the user's own."""
PATH = f"{FOLDER}/board"
FORKS = f"{FOLDER}/forks"
"""One byte for each process that a bomb made: appended, so that none is lost between writers."""
SLOTS = 512
STARTED, FINISHED, KILLED, REPLACED, CPU = range(5)
"""CLOCK_MONOTONIC, ns, of the first process's release and of the end by itself; children killed, replaced;
ns of CPU time that all children had, known before FINISHED is."""
_HEADER = 8
SIZE = 8 * (_HEADER + 2 * SLOTS)


class Board:
    """The words, mapped. A forked child goes on with its parent's."""

    def __init__(self) -> None:
        with open(PATH, "r+b") as file:
            self.words = memoryview(mmap.mmap(file.fileno(), SIZE)).cast("Q")

    def count(self, slot: int, *, rounds: int = 0, size: int = 0) -> None:
        """Add to what the writer of this slot has done; bytes beside rounds."""
        at = _HEADER + 2 * slot
        self.words[at] += rounds
        self.words[at + 1] += size

    def rounds(self) -> int:
        """Return the rounds of all."""
        return sum(self.words[_HEADER::2])

    def bytes(self) -> int:
        """Return the bytes of all: filled, written, leaked."""
        return sum(self.words[_HEADER + 1 :: 2])


def make(owner: int) -> None:
    """Make the board and the file of forks, empty, for the user that will write them."""
    for path, size in ((PATH, SIZE), (FORKS, 0)):
        with open(path, "wb") as file:
            file.write(bytes(size))
        os.chown(path, owner, owner)


def forks() -> int:
    """Return how many processes the bombs made."""
    return os.stat(FORKS).st_size
