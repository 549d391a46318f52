"""How much work a load inside its limits does, guarded against bare."""

from __future__ import annotations

import statistics
import subprocess
import sys

from bench.tools import Programs, Result, Row

PAIRS = 6
BUDGET_RATIO = 0.97
WORK = """
import mmap, sys, time
memory, done, until = mmap.mmap(-1, 64 << 20), 0, time.monotonic() + 4.0
while time.monotonic() < until:
    for at in range(0, len(memory), mmap.PAGESIZE):
        memory[at] = done & 1
    done += 1
print(done)
"""
"""Counts and writes to 64 MiB for four seconds and says how often; after one of them a canary comes."""


def measure(tools: Programs) -> Result:
    """Run the work bare and guarded in turn.

    With the CPU weight of an ordinary cgroup: `run` gives the lowest, so that what else runs on this
    machine would be measured, not what guarding costs.
    """
    bare = [sys.executable, "-I", "-S", "-c", WORK]
    limits = ["--memory", "200M", "--tasks", "50", "--cpu-weight", "100"]
    guarded = [tools.steadyrun, "run", "-q", *limits, "--", *bare]
    pairs = [(_work(tools, guarded), _work(tools, bare)) for _ in range(PAIRS)]
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    row = Row("throughput: guarded / bare", f"{ratio:.3f}", f">= {BUDGET_RATIO}", held=ratio >= BUDGET_RATIO)
    return Result((row,), {"rounds_guarded_and_bare": pairs})


def _work(tools: Programs, argv: list[str]) -> int:
    done = subprocess.run(
        argv, env=tools.env, cwd=tools.folder, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    return int(done.stdout)
