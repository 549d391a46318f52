"""The hog: takes exactly the given number of bytes, keeps touching them, says what it reached.

Run as a file of its own (`python -I -S hog.py --bytes N --hold S --processes P`): it imports nothing of
steadyrun and never holds its data twice, so that its peak is the asked bytes plus a bare interpreter. Of
several it is the first, and forks the others before it takes anything: no helper is among them. However
slow one of them fills, all hold at once: who is early waits, as long as the load is let. What it writes
does not compress and no two pages of it are equal: zram, zswap and KSM, which all work page by page
(Documentation/admin-guide/blockdev/zram.rst, mm/zswap.rst, mm/ksm.rst), gain nothing.

Each prints one line of JSON when it ends by itself, nothing otherwise.
"""

from __future__ import annotations

import mmap
import os
import sys
import time

BLOCK = 1 << 20
"""Filled and stamped in one go; small enough that a limit in the middle of it kills promptly."""
ROUND_S = 2.0
"""The whole map is touched once in this time: slow enough to cost 1 % of a core, fast enough that
reclaim finds every page in use (multi-generational LRU ages in seconds)."""
STEP_S = 0.1


class Filler:
    """Writes blocks of random data, each page made unique by a stamp, and knows how far it is."""

    def __init__(self, target: mmap.mmap, size: int, block: bytes, owner: int = 0) -> None:
        """Fill `target` up to `size` bytes from one random `block`, which owners may share."""
        self.target = target
        self.size = size
        self.reached = 0
        self._block = memoryview(block)
        self._owner = owner.to_bytes(8, "little")

    def fill_to(self, goal: int) -> None:
        """Fill block by block until `goal` bytes, at most `size`, are reached."""
        while self.reached < min(goal, self.size):
            self._fill_block()

    def _fill_block(self) -> None:
        begin = self.reached
        end = min(begin + BLOCK, self.size)
        self.target[begin:end] = self._block[: end - begin]
        stamp = (begin // BLOCK).to_bytes(8, "little") + self._owner
        for place, byte in enumerate(stamp):
            pages = len(range(begin + place, end, mmap.PAGESIZE))
            self.target[begin + place : end : mmap.PAGESIZE] = bytes((byte,)) * pages
        self.reached = end


def touch(target: mmap.mmap, begin: int, end: int) -> int:
    """Read and write one byte of each page of `[begin, end)`, page-aligned; return how many pages."""
    bytes_of_pages = target[begin : end : mmap.PAGESIZE]
    target[begin : end : mmap.PAGESIZE] = bytes_of_pages
    return len(bytes_of_pages)


class Crew:
    """The hogs of one load, as one of them knows them: whether all hold their memory now.

    All have the writing end of one pipe, and each closes it when it is full. The kernel closes that of one
    that dies, so nobody waits for the dead (pipe(7): a read gives the end once no writer is left).
    """

    def __init__(self, parent: int | None) -> None:
        """Make the pipe; `parent` is the process that forked this one, `None` in the first hog."""
        self.parent = parent
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)

    def is_full(self) -> None:
        """Say that this one holds all of its memory."""
        os.close(self._write)

    def all_there(self) -> bool:
        """Tell whether everybody who lives is full."""
        try:
            return not os.read(self._read, 1)
        except BlockingIOError:
            return False

    def is_left_alone(self) -> bool:
        """Tell whether the first hog is gone, and with it who waits for the others."""
        return self.parent is not None and os.getppid() != self.parent


def hold(target: mmap.mmap, size: int, hold_s: float, crew: Crew) -> tuple[int, int]:
    """Touch every page once a round until all hogs are full, and `hold_s` seconds more; one round at least.

    Returns:
        Pages touched in all, and full rounds.

    Raises:
        SystemExit: The first hog is gone.
    """
    steps = max(1, round(min(ROUND_S, max(hold_s, STEP_S)) / STEP_S))
    stride = -(-size // steps // mmap.PAGESIZE) * mmap.PAGESIZE
    until = None
    pages, rounds, position = 0, 0, 0
    while True:
        if until is None and crew.all_there():
            until = time.monotonic() + hold_s
        if rounds and until is not None and time.monotonic() >= until:
            return pages, rounds
        if crew.is_left_alone():
            raise SystemExit(1)
        pages += touch(target, position, min(position + stride, size))
        position += stride
        if position >= size:
            position, rounds = 0, rounds + 1
        time.sleep(STEP_S if until is None else min(STEP_S, max(0.0, until - time.monotonic())))


def argument(argv: list[str], name: str) -> str:
    """Return the word after `name`.

    Raises:
        SystemExit: It is not there; only steadyrun itself writes this command line.
    """
    if name not in argv[:-1]:
        raise SystemExit(f"{os.path.basename(sys.argv[0])}: expected {name} VALUE, found {argv}")
    return argv[argv.index(name) + 1]


def main(argv: list[str]) -> int:
    """Fill, hold, report, each of so many processes; 0: all of it was reached, by all of them."""
    size, hold_s = int(argument(argv, "--bytes")), float(argument(argv, "--hold"))
    crew = Crew(None)
    others = []
    for _ in range(int(argument(argv, "--processes")) - 1):
        first = os.getpid()
        pid = os.fork()
        if pid == 0:
            crew.parent = first
            _end_as_other(size, hold_s, crew)
        others.append(pid)
    code = _run(size, hold_s, crew)
    return max([code, *(min(1, os.waitpid(pid, 0)[1]) for pid in others)])


def _end_as_other(size: int, hold_s: float, crew: Crew) -> None:
    """Run as one of the others. Never returns: nothing of the first one's is flushed or closed twice."""
    status = 1
    try:
        status = _run(size, hold_s, crew)
    except KeyboardInterrupt:
        status = 130
    finally:
        os._exit(status)


def _run(size: int, hold_s: float, crew: Crew) -> int:
    """Fill, hold, report. 0: all of it was reached; 1: the memory was refused."""
    began = time.monotonic()
    try:
        target = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        crew.is_full()  # with nothing: nobody is to wait for it
        _report(size, 0, 0, 0, 0.0)
        sys.stderr.write(f"hog: expected {size} bytes from mmap, found: {error.strerror}\n")
        return 1
    filler = Filler(target, size, os.urandom(min(BLOCK, size)))
    filler.fill_to(size)
    fill_s = time.monotonic() - began
    crew.is_full()
    pages, rounds = hold(target, size, hold_s, crew)
    _report(size, filler.reached, pages, rounds, fill_s)
    return 0


def _report(asked: int, reached: int, pages: int, rounds: int, fill_s: float) -> None:
    # Written by hand: the json module would cost the hog a megabyte. One write, so that the lines of
    # several hogs on one pipe do not mix (pipe(7), PIPE_BUF).
    line = (
        f'{{"hog": 1, "asked_bytes": {asked}, "reached_bytes": {reached}, "touched_pages": {pages}, '
        f'"rounds": {rounds}, "fill_s": {fill_s:.3f}}}\n'
    )
    os.write(1, line.encode())


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
