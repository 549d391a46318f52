"""The storm: about 90 processes that all want to run, and memory growing, as in a real crash.

Run as a file of its own (`python -I -S storm.py --bytes N --hold S --processes P`), standard library
alone. A small parent forks the processes before anything is allocated; each counts, fills its share
of the memory over the first two thirds of the time with pages that neither compress nor merge
(`hog.py`), and keeps touching it. Nobody goes before all are full, so that the memory is there at once
however unequal they are served. It prints one line of JSON when it ends by itself: the work done,
the memory reached, the load average it saw.

Nobody outlives the parent: each process looks at a pipe whose other end only the parent holds. The
processes ask for no priority, no real time and no privilege: what they are worth is the limits' to say.
"""

from __future__ import annotations

import gc
import mmap
import os
import select
import sys
import time

if __package__:
    from steadyrun.ramp.loads import hog
else:
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # `-I` leaves the own directory out
    import hog  # type: ignore[import-not-found,no-redef]

PROCESSES = 96
"""Runnable processes that bring the 1-minute load average past 36 in 30 s, from nothing. The kernel
takes 8 % of the distance at each 5 s (EXP_1 = 1884 / 2048, include/linux/sched/loadavg.h), so n
processes come to 0.394 n after six of those: 90 to 35.4, 96 to 37.8."""
GROW_SHARE = 2 / 3
"""Of the time: the memory is all there for the last third."""
LAST_CALL = 2.0
"""A storm throttled so hard that its memory is not there yet goes on, at most this many times its time."""
TOGETHER = 1.0
"""Seconds that all of it is there at once, at least: nobody goes before the slowest is full."""
CHUNK = 20_000
"""Counts between looks at the clock: about half a millisecond of CPU, so that 90 processes on few
cores all notice the end soon."""
TOUCH_BYTES = 64 * mmap.PAGESIZE
SLOT_WORDS = 3
"""Of the shared board, for each process: counts done, bytes reached, 1 once it is full or gone and not to be
waited for; after them 1 if one went before all were full, and the time it began."""
WAIT_MS = 50
"""Between looks of one that only waits for the others: what it does not use of the CPUs is theirs."""


def main(argv: list[str]) -> int:
    """Blow until the time is over; 0 when every process ended well, 1 when one was lost."""
    size, hold_s = int(hog.argument(argv, "--bytes")), float(hog.argument(argv, "--hold"))
    processes = int(hog.argument(argv, "--processes"))
    board = memoryview(mmap.mmap(-1, 8 * (SLOT_WORDS * processes + 2))).cast("Q")
    block = os.urandom(hog.BLOCK)
    (watch, alive), (closed, gate) = os.pipe(), os.pipe()
    gc.disable()  # a collection would write to pages that all share (gc module, `gc.freeze`)
    gc.freeze()
    children = {}
    for index in range(processes):
        pid = os.fork()
        if pid == 0:
            os.close(alive)
            os.close(gate)
            _child(watch, closed, board, block, index, _share(size, processes, index), hold_s)
        children[pid] = index
    began_ns = board[-1] = time.monotonic_ns()
    os.close(gate)  # only now: a parent among 90 busy ones would fork for seconds
    lost = 0
    for _ in range(processes):  # as they come: the others wait for one that is gone until that is known
        pid, status = os.wait()
        lost += status != 0
        board[SLOT_WORDS * children[pid] + 2] = 1
    _report(board, processes, size, (time.monotonic_ns() - began_ns) / 1e9, lost)
    return 1 if lost else 0


def _share(size: int, processes: int, index: int) -> int:
    """Return the bytes of one process; the shares add up to `size` exactly."""
    return size * (index + 1) // processes - size * index // processes


def _child(
    watch: int, closed: int, board: memoryview[int], block: bytes, index: int, share: int, hold_s: float
) -> None:
    """Wait until the gate opens, then work as one of the processes. Never returns."""
    status = 1
    try:
        os.read(closed, 1)  # its end wakes all at once; bytes would wake one after the other
        target = mmap.mmap(-1, max(1, share), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        filler = hog.Filler(target, share, block, owner=index + 1)
        slot = board[SLOT_WORDS * index : SLOT_WORDS * (index + 1)]
        if not _blow(watch, slot, board[2:-2:SLOT_WORDS], filler, board[-1] / 1e9, hold_s):
            board[-2] = 1
        status = 0
    except KeyboardInterrupt:
        status = 130
    finally:
        os._exit(status)  # nothing of the parent's is flushed or closed a second time


def _blow(
    watch: int,
    slot: memoryview[int],
    there: memoryview[int],
    filler: hog.Filler,
    began: float,
    hold_s: float,
) -> bool:
    """Count, grow and touch until the time is over or the parent is gone; tell if all were full at once."""
    together_s = None
    parent = select.poll()
    parent.register(watch, select.POLLIN)
    position = 0
    waits = False
    while not parent.poll(WAIT_MS if waits else 0):
        if not waits:
            for _ in range(CHUNK):
                pass
            slot[0] += CHUNK
        spent = time.monotonic() - began
        if together_s is None and 0 not in there:
            together_s = spent
        if is_over(spent, hold_s, together_s):
            return together_s is not None
        if filler.reached < filler.size:
            filler.fill_to(goal_at(spent, hold_s, filler.size))
            slot[1] = filler.reached
        slot[2] = filler.reached >= filler.size
        waits = bool(slot[2]) and spent >= hold_s
        if filler.reached:
            hog.touch(filler.target, position, min(position + TOUCH_BYTES, filler.reached))
            position = (position + TOUCH_BYTES) % filler.reached // mmap.PAGESIZE * mmap.PAGESIZE
    return together_s is not None


def is_over(spent_s: float, hold_s: float, together_s: float | None) -> bool:
    """Tell whether a process may go: its time is over, and all were full for a while, or will not be.

    Args:
        spent_s: Since the storm began.
        hold_s: How long it was to blow.
        together_s: When all were seen to be full; `None`: not yet.
    """
    if spent_s >= hold_s * LAST_CALL:
        return True
    return together_s is not None and spent_s >= max(hold_s, together_s + TOGETHER)


def goal_at(spent_s: float, hold_s: float, size: int) -> int:
    """Return how many bytes should be there after `spent_s` of a storm of `hold_s`."""
    growing_s = hold_s * GROW_SHARE
    return size if spent_s >= growing_s else int(size * spent_s / growing_s)


def _report(board: memoryview[int], processes: int, asked: int, took_s: float, lost: int) -> None:
    done, reached = sum(board[0:-2:SLOT_WORDS]), sum(board[1:-2:SLOT_WORDS])
    line = (
        f'{{"storm": 1, "processes": {processes}, "lost": {lost}, "asked_bytes": {asked}, '
        f'"reached_bytes": {reached}, "together": {1 - board[-2]}, "iterations": {done}, '
        f'"load1": {_load1()}, "took_s": {took_s:.3f}}}\n'
    )
    os.write(1, line.encode())


def _load1() -> str:
    """Return the 1-minute load average as /proc/loadavg prints it; `null` where it cannot be read."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            return file.read().split(" ", 1)[0]
    except OSError:
        return "null"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
