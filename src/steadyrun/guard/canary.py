"""The canary: behaves like a desktop, 60 frames a second, and writes how late each was.

Run as a file of its own (`python -I -S canary.py FRAMES_FD PARENT_FD`), standard library alone, at
ordinary priority: what happens to it is what a person feels. Each frame wakes on an absolute
schedule and touches a part of a working set, as a compositor does. Missed frames are not caught up:
their lateness is recorded and the schedule starts anew from there. It judges nothing, prints
nothing, and ends when its parent's pipe ends.

The frames are in shared memory, written here and read in `frames.py`, without a lock: 8-byte words
in the machine's order, each stored whole, an entry's own number and checksum telling a reader when
it caught one half written.

    header   word 0  MAGIC              the layout
             word 1  pid                of the canary that writes, or wrote last
             word 2  end of last frame  CLOCK_MONOTONIC, ns; 0: no frame yet
             word 3  count              frames ever written; the newest entry is number `count`
             word 4  CPU time           of all canaries that wrote here, ns
    ring     4 words an entry, number n in slot (n - 1) % RING: number, end (ns),
             lateness (us, with FIRST), checksum
"""

from __future__ import annotations

import mmap
import os
import select
import struct
import sys
import time

MAGIC = 0x3130_4D52_4653_4454
HEADER_WORDS = 512
"""One page, so that the ring starts on a page of its own."""
W_MAGIC, W_PID, W_LAST, W_COUNT, W_CPU = range(5)
RING = 8192
"""136 s at 60 Hz; a reader that comes later than that sees what is left."""
ENTRY_WORDS = 4
SIZE = 8 * (HEADER_WORDS + RING * ENTRY_WORDS)

FIRST = 1 << 32
"""Added to the lateness of a canary's first frame: the gap before it is nobody's lateness."""
LATENESS_MASK = FIRST - 1
_SALT = 0x9E37_79B9_7F4A_7C15
"""Keeps an entry of zeros from having a valid checksum."""

_ENTRY = struct.Struct("@4Q")
_NEWEST = struct.Struct("@2Q")
"""Native order and size: each word is stored by one copy of 8 aligned bytes."""

PERIOD_NS = 1_000_000_000 // 60
WORKING_SET = 4 << 20
FRAME_PARTS = 8
"""A frame touches an eighth of the working set, so that all of it is used 7 times a second."""
_STRIPES = tuple(bytes((value,)) * (WORKING_SET // FRAME_PARTS // mmap.PAGESIZE) for value in (1, 2))
"""What a frame writes: one byte to each page of its part."""
LOOK_EVERY = 15
"""Frames between looks at the parent and notes of the CPU time: 4 a second."""


def checksum(number: int, end_ns: int, lateness: int) -> int:
    """Return the word that a whole entry ends with."""
    return number ^ end_ns ^ (lateness << 20 & 0xFFFF_FFFF_FFFF_FFFF) ^ _SALT


def main(argv: list[str]) -> int:
    """Show frames until the parent is gone."""
    frames_fd, parent_fd = int(argv[0]), int(argv[1])
    shared = mmap.mmap(frames_fd, SIZE)
    words = memoryview(shared).cast("Q")
    _become_ordinary()
    parent = select.poll()
    parent.register(parent_fd, select.POLLIN)
    cpu_before = words[W_CPU]
    words[W_PID] = os.getpid()
    words[W_MAGIC] = MAGIC
    working_set = mmap.mmap(-1, WORKING_SET, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    part = WORKING_SET // FRAME_PARTS
    due = time.monotonic_ns() + PERIOD_NS
    mark, number = FIRST, words[W_COUNT]
    while True:
        wait = due - time.monotonic_ns()
        if wait > 0:
            time.sleep(wait / 1e9)
        begin = number % FRAME_PARTS * part
        working_set[begin : begin + part : mmap.PAGESIZE] = _STRIPES[number & 1]
        end = time.monotonic_ns()
        number += 1
        write_frame(shared, number, end, min((end - due) // 1000, LATENESS_MASK) | mark)
        due = next_due(due, end)
        mark = 0
        if number % LOOK_EVERY == 0:
            words[W_CPU] = cpu_before + time.process_time_ns()
            if parent.poll(0):
                return 0


def next_due(due: int, end: int) -> int:
    """Return when the next frame is due, ns: on the schedule, or a period after a missed one."""
    return due + PERIOD_NS if end < due + PERIOD_NS else end + PERIOD_NS


def write_frame(shared: mmap.mmap, number: int, end_ns: int, lateness: int) -> None:
    """Write entry `number` (from 1), then make it the newest: its count is the last word stored."""
    at = 8 * (HEADER_WORDS + (number - 1) % RING * ENTRY_WORDS)
    _ENTRY.pack_into(shared, at, number, end_ns, lateness, checksum(number, end_ns, lateness))
    _NEWEST.pack_into(shared, 8 * W_LAST, end_ns, number)


def _become_ordinary() -> None:
    """Drop a real-time policy inherited from whoever started us; lowering needs no privilege."""
    try:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except OSError:
        pass  # a sandbox that forbids the call: what was inherited stays


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
