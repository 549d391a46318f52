"""How long a command takes that does nothing: contained by us, by others, and bare."""

from __future__ import annotations

import statistics
import sys
import time

from bench.tools import Programs, Result, Row, quiet

ROUNDS = 30
WARM_UP = 3
"""Writes the bytecode and fills the page cache, for everybody."""
BUDGET_RATIO = 0.33


def measure(tools: Programs) -> Result:
    """Run all of them in turn, so that a slow moment of the machine hits each."""
    commands = {
        "true": ["true"],
        "timeout 10 true": ["timeout", "10", "true"],
        "python3 -c pass": [sys.executable, "-c", "pass"],
        "steadyrun run -- true": [tools.steadyrun, "run", "--", "true"],
    }
    if (runexec := tools.runexec_command()) is not None:
        commands["runexec --no-container true"] = [*runexec, "true"]
    took: dict[str, list[float]] = {name: [] for name in commands}
    for round_number in range(WARM_UP + ROUNDS):
        for name, argv in commands.items():
            began = time.perf_counter()
            code = quiet(tools, argv)
            if code != 0:
                row = Row(f"start-up: {name}", f"failed with exit code {code}", "exit code 0", False)
                return Result((row,), {"failed": name, "exit_code": code})
            if round_number >= WARM_UP:
                took[name].append((time.perf_counter() - began) * 1000)
    return Result(_rows({n: statistics.median(t) for n, t in took.items()}), {"ms": took})


def _rows(medians: dict[str, float]) -> tuple[Row, ...]:
    rows = [Row(f"start-up: {name}", f"{ms:.1f} ms", "", None) for name, ms in medians.items()]
    ours, others = medians["steadyrun run -- true"], medians.get("runexec --no-container true")
    budget = f"<= {BUDGET_RATIO}"
    if others is None:
        rows.append(Row("start-up: steadyrun / runexec", "not measured: no runexec", budget, None))
    else:
        ratio = ours / others
        rows.append(Row("start-up: steadyrun / runexec", f"{ratio:.2f}", budget, ratio <= BUDGET_RATIO))
    return tuple(rows)
