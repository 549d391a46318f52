"""The hostile program: `python3 -m storm.inside.load NAME`, as an ordinary user.

The first process forks the parts behind a gate, opens it, and waits. When all work is done it ends the
hogs and exits: 0, or 1 when a child was killed. Nothing ends with it when it is killed itself, as
nothing of a build ends with its make.
"""

from __future__ import annotations

import errno
import mmap
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn

from storm.inside import board
from storm.inside.board import CPU, FINISHED, KILLED, REPLACED, STARTED, Board
from storm.loads import LEAK_MIB_S, LOADS, ROUND, Load

COMM = "storm-load"
"""What every process of a load is called: comm is inherited, and read without waiting for a process
that holds its own memory map in reclaim, which its command line is not."""
MIB = 1 << 20
REPLACEMENTS = 2000
"""No more, so that the first process comes to its end one day."""
WRITERS_FILE = 64 * MIB
SYNC = 4 * MIB
SHM_FILE = 16 * MIB


class Part(NamedTuple):
    """One process of the load."""

    does: Callable[[Board, int], None]
    hog: bool = False
    """Holds memory while others work: not waited for."""


def main(argv: list[str]) -> int:
    """Run the load of this name; return its exit code."""
    load = LOADS[argv[0]]
    with open("/proc/self/comm", "w") as file:
        file.write(COMM)
    counts = Board()
    closed, gate = os.pipe()
    crew = {_fork(part, counts, slot, closed, gate): (part, slot) for slot, part in enumerate(parts(load))}
    counts.words[STARTED] = time.monotonic_ns()
    os.close(gate)
    _wait(load, crew, counts)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    counts.words[CPU] = int((used.ru_utime + used.ru_stime) * 1e9)
    counts.words[FINISHED] = time.monotonic_ns()
    return 1 if counts.words[KILLED] else 0


def parts(load: Load) -> Iterator[Part]:
    """Give the processes of a load, those that work first."""
    for _ in range(load.busy):
        yield Part(lambda counts, slot: _loop(counts, slot, load.rounds))
    for _ in range(load.writers):
        yield Part(lambda counts, slot: _write(counts, slot, load.written_mib * MIB))
    if load.shm_mib:
        yield Part(lambda counts, slot: _fill_shm(counts, slot, load.shm_mib * MIB))
    if load.leak_mib:
        yield Part(lambda counts, slot: _leak(counts, slot, load.leak_mib * MIB))
    for _ in range(load.bombs):
        yield Part(_bomb)
    for _ in range(load.hogs):
        yield Part(lambda counts, slot: _hold(counts, slot, load.hog_mib * MIB), hog=True)


def _fork(part: Part, counts: Board, slot: int, closed: int = -1, gate: int = -1) -> int:
    """Start a part in a child; return its pid. With a gate it waits until that is closed."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        if gate >= 0:
            os.close(gate)
            os.read(closed, 1)
        part.does(counts, slot)
        status = 0
    finally:
        os._exit(status)


def _wait(load: Load, crew: dict[int, tuple[Part, int]], counts: Board) -> None:
    """Wait until nothing is left that works; end the hogs."""
    while any(not part.hog for part, _ in crew.values()):
        pid, status = os.wait()
        part, slot = crew.pop(pid, (None, 0))
        if part is None or status == 0:
            continue
        counts.words[KILLED] += 1
        if part.hog and load.replaced and counts.words[REPLACED] < REPLACEMENTS:
            counts.words[REPLACED] += 1
            crew[_fork(part, counts, slot)] = (part, slot)
    for pid in crew:
        os.kill(pid, signal.SIGKILL)
    for pid in crew:
        os.waitpid(pid, 0)


def _loop(counts: Board, slot: int, rounds: int) -> None:
    for _ in range(rounds):
        for _ in range(ROUND):
            pass
        counts.count(slot, rounds=1)


def _memory(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _block() -> bytes:
    """Return 1 MiB of pages that are half random: zram makes about half of them, as of much real data."""
    return (os.urandom(mmap.PAGESIZE // 2) + bytes(mmap.PAGESIZE // 2)) * (MIB // mmap.PAGESIZE)


def _hold(counts: Board, slot: int, size: int) -> NoReturn:
    target, block = _memory(size), _block()
    for at in range(0, size, MIB):
        target[at : at + MIB] = block
        counts.count(slot, size=MIB)
    while True:
        for at in range(0, size, MIB):
            target[at : at + MIB : mmap.PAGESIZE] = block[: MIB // mmap.PAGESIZE]
            time.sleep(0.02)


def _leak(counts: Board, slot: int, size: int) -> None:
    block, kept = _block(), list[mmap.mmap]()
    began = time.monotonic()
    while len(kept) * MIB < size:
        if len(kept) < (time.monotonic() - began) * LEAK_MIB_S:
            kept.append(_memory(MIB))
            kept[-1][:] = block
            counts.count(slot, size=MIB)
        else:
            time.sleep(0.01)


def _write(counts: Board, slot: int, size: int) -> None:
    block = _block()
    fd = os.open(f"/var/tmp/storm-{slot}", os.O_RDWR | os.O_CREAT, 0o600)
    for at in range(0, size, SYNC):
        for step in range(0, SYNC, MIB):
            os.pwrite(fd, block, (at + step) % WRITERS_FILE)
        os.fsync(fd)
        counts.count(slot, size=SYNC)
    os.close(fd)


def _fill_shm(counts: Board, slot: int, size: int) -> None:
    block, unnamed, number = _block(), False, 0
    for at in range(0, size, MIB):
        if at % SHM_FILE == 0:
            number += 1
            fd = _shm_file(number, unnamed=unnamed)
        try:
            os.write(fd, block)
        except OSError as error:
            if error.errno != errno.ENOSPC or unnamed:
                raise
            unnamed = True
            fd = _shm_file(number, unnamed=True)
            os.write(fd, block)
        counts.count(slot, size=MIB)


def _shm_file(number: int, *, unnamed: bool) -> int:
    """Open the next file and leave it open: what has no name is gone when it is closed."""
    if unnamed:
        return os.memfd_create("storm")
    return os.open(f"/dev/shm/storm-{number}", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)


def _bomb(_: Board, __: int) -> NoReturn:
    forks = os.open(board.FORKS, os.O_WRONLY | os.O_APPEND)
    while True:
        try:
            if os.fork() == 0:
                os.write(forks, b".")
        except OSError:
            time.sleep(0.01)  # at a limit: go on as soon as there is room


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
