"""A 60 Hz window on the desktop: `python3 -m storm.inside.window`, in the desktop's session.

Each frame wakes on an absolute schedule, touches a part of a working set as a toolkit does, draws, and
waits for the X server's answer. It writes when each frame was there and how late, to a file that the
watcher made at its full size, so that nothing has to be allocated while memory is short. Missed frames
are not caught up. Needs python3-xlib. Ends when the X server does.
"""

from __future__ import annotations

import mmap
import os
import sys
import time

from storm.frames import ENTRY, PATH, PERIOD_NS, SIZE, next_due

COMM = "desktop-window"
WORKING_SET = 4 << 20
PARTS = 8
"""A frame touches an eighth of the working set."""


def main() -> int:
    """Show frames until there is no room, or no X server."""
    from Xlib.display import Display  # type: ignore[import-untyped]

    with open("/proc/self/comm", "w") as file:
        file.write(COMM)
    with open(PATH, "r+b") as file:
        shared = mmap.mmap(file.fileno(), SIZE)
    display = Display()
    screen = display.screen()
    window = screen.root.create_window(
        *(screen.width_in_pixels - 260, 20, 240, 240, 0, screen.root_depth), override_redirect=True
    )
    window.map()
    pens = [window.create_gc(foreground=colour) for colour in (0xE0A030, 0x30A0E0)]
    working_set = mmap.mmap(-1, WORKING_SET, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    stripe = bytes(b"\1" * (WORKING_SET // PARTS // mmap.PAGESIZE))
    due = time.monotonic_ns() + PERIOD_NS
    for number in range(SIZE // ENTRY.size):
        wait = due - time.monotonic_ns()
        if wait > 0:
            time.sleep(wait / 1e9)
        begin = number % PARTS * (WORKING_SET // PARTS)
        working_set[begin : begin + WORKING_SET // PARTS : mmap.PAGESIZE] = stripe
        window.fill_rectangle(pens[number & 1], number * 2 % 200, 40, 40, 160)
        window.clear_area((number * 2 + 60) % 200, 40, 40, 160)
        display.sync()
        end = time.monotonic_ns()
        ENTRY.pack_into(shared, number * ENTRY.size, end, max(0, end - due))
        due = next_due(due, end)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception as error:  # the X server is gone, in whichever way the library says it
        print(f"window: {error!r}", file=sys.stderr)
        os._exit(1)
