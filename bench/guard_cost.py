"""What guard, keeper and canary cost while a load does nothing."""

from __future__ import annotations

import os
import subprocess
import time
from typing import NamedTuple

from bench.tools import MIB, Programs, Result, Row, children, command_line
from steadyrun.guard.frames import make_frames, start_canary

SETTLE_S = 2.0
WATCH_S = 10.0
START_WITHIN_S = 5.0


class Budget(NamedTuple):
    """Of one process."""

    cpu_percent: float
    rss: int


BUDGETS = {
    "guard": Budget(1.0, 16 * MIB),
    "keeper": Budget(0.05, 10 * MIB),  # "0": it waits for one byte a second
    "canary": Budget(1.0, 14 * MIB),
}


def measure(tools: Programs) -> Result:
    """Watch the three while `sleep` is guarded. `run` has no canary, so one is started beside it."""
    run = subprocess.Popen(
        [tools.steadyrun, "run", "-q", "--memory", "200M", "--", "sleep", "60"],
        env=tools.env,
        cwd=tools.folder,
        stdin=subprocess.DEVNULL,
    )
    frames_fd = make_frames()
    canary = start_canary(frames_fd)
    try:
        keeper = _keeper_of(run.pid)
        pids = {"guard": run.pid, "keeper": keeper, "canary": canary.pid}
        time.sleep(SETTLE_S)
        raw = _watch({name: pid for name, pid in pids.items() if pid is not None})
    finally:
        canary.close()
        os.close(frames_fd)
        run.terminate()
        run.wait(30)
    return Result(tuple(row for name in BUDGETS for row in _rows(name, raw.get(name))), raw)


def _keeper_of(guard: int) -> int | None:
    until = time.monotonic() + START_WITHIN_S
    while time.monotonic() < until:
        for pid in children(guard):
            if "keeper" in command_line(pid):
                return pid
        time.sleep(0.05)
    return None


def _watch(pids: dict[str, int]) -> dict[str, dict[str, float]]:
    before, began = {n: _cpu_ns(p) for n, p in pids.items()}, time.monotonic_ns()
    time.sleep(WATCH_S)
    spent_ns = time.monotonic_ns() - began
    return {
        name: {
            "cpu_percent": 100 * (_cpu_ns(pid) - before[name]) / spent_ns,
            "rss_bytes": _kib(pid, "status", "VmRSS:") * 1024,
            "pss_bytes": _kib(pid, "smaps_rollup", "Pss:") * 1024,
        }
        for name, pid in pids.items()
    }


def _cpu_ns(pid: int) -> int:
    # Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat": time spent on the CPU, ns.
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])


def _kib(pid: int, file_name: str, key: str) -> int:
    with open(f"/proc/{pid}/{file_name}", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key))


def _rows(name: str, seen: dict[str, float] | None) -> tuple[Row, ...]:
    budget = BUDGETS[name]
    if seen is None:
        return (Row(name, "not found", f"<= {budget.cpu_percent} %", None),)
    cpu, rss = seen["cpu_percent"], seen["rss_bytes"]
    size = f"{rss / MIB:.1f} MiB RSS, {seen['pss_bytes'] / MIB:.1f} PSS"
    return (
        Row(
            f"{name}: CPU of one core",
            f"{cpu:.2f} %",
            f"<= {budget.cpu_percent} %",
            cpu <= budget.cpu_percent,
        ),
        Row(f"{name}: memory", size, f"<= {budget.rss // MIB} MiB RSS", rss <= budget.rss),
    )
