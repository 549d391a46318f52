"""The hog: takes exactly the given number of bytes, keeps touching them, says what it reached.

Run as a file of its own (`python -I -S hog.py --bytes N --hold S`): it imports nothing of
steadyrun, starts no other process and never holds its data twice, so that its peak is the asked
bytes plus a bare interpreter. What it writes does not compress and no two pages of it are equal:
zram, zswap and KSM, which all work page by page (Documentation/admin-guide/blockdev/zram.rst,
mm/zswap.rst, mm/ksm.rst), gain nothing.

It prints one line of JSON when it ends by itself, nothing otherwise.
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


def hold(target: mmap.mmap, size: int, hold_s: float) -> tuple[int, int]:
    """Touch every page once a round for `hold_s` seconds, one round at least.

    Returns:
        Pages touched in all, and full rounds.
    """
    steps = max(1, round(min(ROUND_S, hold_s) / STEP_S))
    stride = -(-size // steps // mmap.PAGESIZE) * mmap.PAGESIZE
    until = time.monotonic() + hold_s
    pages, rounds, position = 0, 0, 0
    while rounds == 0 or time.monotonic() < until:
        pages += touch(target, position, min(position + stride, size))
        position += stride
        if position >= size:
            position, rounds = 0, rounds + 1
        time.sleep(min(STEP_S, max(0.0, until - time.monotonic())))
    return pages, rounds


def argument(argv: list[str], name: str) -> str:
    """Return the word after `name`.

    Raises:
        SystemExit: It is not there; only steadyrun itself writes this command line.
    """
    if name not in argv[:-1]:
        raise SystemExit(f"{os.path.basename(sys.argv[0])}: expected {name} VALUE, found {argv}")
    return argv[argv.index(name) + 1]


def main(argv: list[str]) -> int:
    """Fill, hold, report. 0: all of it was reached; 1: the memory was refused."""
    size, hold_s = int(argument(argv, "--bytes")), float(argument(argv, "--hold"))
    began = time.monotonic()
    try:
        target = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        _report(size, 0, 0, 0, 0.0)
        sys.stderr.write(f"hog: expected {size} bytes from mmap, found: {error.strerror}\n")
        return 1
    filler = Filler(target, size, os.urandom(min(BLOCK, size)))
    filler.fill_to(size)
    fill_s = time.monotonic() - began
    # Several hogs on few cores fill at different speeds: whoever is early waits, so that all hold at once.
    pages, rounds = hold(target, size, max(hold_s, fill_s))
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
