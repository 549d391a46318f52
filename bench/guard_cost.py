"""What guard, keeper and canary cost while a load does nothing: beside a `run`, and in a ramp."""

from __future__ import annotations

import signal
import time
from typing import NamedTuple

from bench.tools import MIB, Programs, Result, Row, children, command_line, started

SETTLE_S = 2.0
WATCH_S = 10.0
START_WITHIN_S = 5.0
BASELINE_WITHIN_S = 60.0
"""A ramp looks at the machine for ten seconds before it starts anything."""


class Budget(NamedTuple):
    """Of one process."""

    cpu_percent: float
    rss: int


BUDGETS = {
    "guard": Budget(1.0, 16 * MIB),
    "keeper": Budget(0.05, 10 * MIB),  # "0": it waits for one byte a second
    "canary": Budget(1.0, 14 * MIB),
    "guard of a ramp": Budget(1.0, 16 * MIB),
    "canary of a ramp": Budget(1.0, 14 * MIB),
    "keeper of a ramp": Budget(0.05, 10 * MIB),
}
BESIDE = ("conductor of a ramp",)
"""Without a budget: to compare with."""


def measure(tools: Programs) -> Result:
    """Watch them while `sleep` is guarded, in a `run` and then in a ramp."""
    raw = _in_a_run(tools) | _in_a_ramp(tools)
    return Result(tuple(row for name in (*BUDGETS, *BESIDE) for row in _rows(name, raw.get(name))), raw)


def _in_a_run(tools: Programs) -> dict[str, dict[str, float]]:
    """Watch the three of a `run`; its canary comes after a second."""
    words = ["run", "-q", "--memory", "200M", "--", "sleep", "60"]
    run = started(tools, [tools.steadyrun, *words], stderr=None)
    try:
        keeper, canary = (_child(run.pid, name, START_WITHIN_S) for name in ("keeper.py", "canary.py"))
        return _watch({"guard": run.pid, "keeper": keeper, "canary": canary})
    finally:
        run.terminate()
        run.wait(30)


def _in_a_ramp(tools: Programs) -> dict[str, dict[str, float]]:
    """Watch those of a ramp with one phase: its guard reads the canary, too, and tells the conductor all."""
    ramp = started(tools, [tools.steadyrun, *tools.ramp_words("sleep", "40")])
    try:
        conductor = _child(ramp.pid, "steadyrun.ramp.process", START_WITHIN_S)
        guard = _child(conductor, "steadyrun.guard.process", BASELINE_WITHIN_S)
        found = {
            "guard": guard,
            "keeper": _child(guard, "keeper.py", START_WITHIN_S),
            "canary": _child(ramp.pid, "canary.py", START_WITHIN_S),
            "conductor": conductor,
        }
        return _watch({f"{name} of a ramp": pid for name, pid in found.items()})
    finally:
        ramp.send_signal(signal.SIGINT)
        ramp.wait(60)


def _child(parent: int | None, word: str, within: float) -> int | None:
    """Return the child whose command line has that word; `None`: there was none in so many seconds."""
    until = time.monotonic() + within
    while parent is not None and time.monotonic() < until:
        for pid in children(parent):
            if word in command_line(pid):
                return pid
        time.sleep(0.05)
    return None


def _watch(found: dict[str, int | None]) -> dict[str, dict[str, float]]:
    """Watch those that were found, once they have settled."""
    pids = {name: pid for name, pid in found.items() if pid is not None}
    time.sleep(SETTLE_S)
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
    budget = BUDGETS.get(name)
    most_cpu = "" if budget is None else f"<= {budget.cpu_percent} %"
    most_rss = "" if budget is None else f"<= {budget.rss // MIB} MiB RSS"
    if seen is None:
        return (Row(name, "not found", most_cpu, None),)
    cpu, rss = seen["cpu_percent"], seen["rss_bytes"]
    size = f"{rss / MIB:.1f} MiB RSS, {seen['pss_bytes'] / MIB:.1f} PSS"
    return (
        Row(f"{name}: CPU of one core", f"{cpu:.2f} %", most_cpu, budget and cpu <= budget.cpu_percent),
        Row(f"{name}: memory", size, most_rss, budget and rss <= budget.rss),
    )
