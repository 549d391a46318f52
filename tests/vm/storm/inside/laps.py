"""Laps: one short load under several things in turn, again and again, at one desktop.

`python3 -m storm.inside.laps TURNS LINES` as root, LINES a JSON object of what is typed by its name; it
prints the laps as JSON. The speed of an emulated machine changes with its host from one minute to the
next: what is compared is one lap with the next, in one machine.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from storm.inside import board, census, watch
from storm.record import Lap

HOLDER = "steadyrun"
LOOK_S = 0.2
LAP_S = 60.0
BETWEEN_S = 1.0
"""For what a lap leaves to be cleared away."""


def main(argv: list[str]) -> int:
    """Run all laps and print them."""
    lines = json.loads(argv[1])
    watch.show_window()
    laps = [lap(under, line) for _ in range(int(argv[0])) for under, line in lines.items()]
    print(json.dumps([dataclasses.asdict(one) for one in laps]))
    return 0


def lap(under: str, line: str) -> Lap:
    """Run one lap to its end."""
    for path in (watch.SAID, watch.EXIT):
        Path(path).write_bytes(b"")
    board.make(census.DESK)
    counts = board.Board()
    words = counts.words
    end = time.monotonic() + LAP_S
    watch.type_load(line)
    _wait(lambda: words[board.STARTED], end)
    began, idle, holder = time.monotonic(), idle_s(), holder_s()
    taken = holder
    while not words[board.FINISHED]:
        taken = max(taken, holder_s())  # they end soon after it
        _nap(end)
    machine_s = (time.monotonic() - began) * (os.cpu_count() or 1)
    idle = (idle_s() - idle) / machine_s
    _wait(lambda: watch.exit_code() is not None, end)
    time.sleep(BETWEEN_S)
    return Lap(
        under=under,
        exit_code=watch.exit_code() or 0,
        wall_s=(words[board.FINISHED] - words[board.STARTED]) / 1e9,
        cpu_s=words[board.CPU] / 1e9,
        rounds=counts.rounds(),
        idle=round(idle, 4),
        holder=round((taken - holder) / machine_s, 4),
    )


def _wait(told: Callable[[], object], end: float) -> None:
    while not told():
        _nap(end)


def _nap(end: float) -> None:
    if time.monotonic() > end:
        raise SystemExit(f"no end within {LAP_S:g} s: {Path(watch.SAID).read_text()[-2000:]}")
    time.sleep(LOOK_S)


def idle_s() -> float:
    """Return the time so far in which processors had nothing to do, or disks alone to wait for."""
    with open("/proc/stat") as file:
        idle, waiting = file.readline().split()[4:6]
    return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")


def holder_s() -> float:
    """Return the CPU time so far of steadyrun's own processes that are there (proc_pid_stat(5))."""
    ticks = 0
    for pid in census.named(HOLDER):
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
