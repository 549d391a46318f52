"""How late a freeze is issued when the machine is oversubscribed: 16 busy loops for each core.

`python -m bench.reaction FREEZES` is the guard's side: the product's own loop with a real load, told at
moments between its looks that memory is below the floor, by other thresholds. At the floor the guard
looks every `law.FASTEST_TICK`, so a freeze on time comes within that. It prints each delay in ms.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bench.tools import Programs, Result, Row
from steadyrun.contain.choose import choose
from steadyrun.contain.facts import read_facts
from steadyrun.contain.open import open_backend
from steadyrun.guard.frames import nearest_rank
from steadyrun.guard.held import Stage
from steadyrun.guard.hold import Streams, prepare
from steadyrun.guard.law import FASTEST_TICK
from steadyrun.guard.loop import Loop
from steadyrun.guard.priority import come_first
from steadyrun.journal.identity import new_run_id
from steadyrun.model.action import Action
from steadyrun.model.event import Acted, Event
from steadyrun.model.given import Rules
from steadyrun.model.limits import CPU_WEIGHT_LOWEST, Limits
from steadyrun.model.outcome import Ending
from steadyrun.model.plan import Member
from steadyrun.model.thresholds import Thresholds
from steadyrun.units import MIB, Bytes, Seconds

TIMES = 16
FREEZES = 200
BUDGET_MS = 50.0
ABOVE_ALL = Bytes(2**60)
BUSY = [sys.executable, "-I", "-S", "-c", "while True: pass"]


def measure(_tools: Programs) -> Result:
    """Measure beside busy loops of the default priority."""
    cores = os.cpu_count() or 1
    busy = [subprocess.Popen(BUSY) for _ in range(TIMES * cores)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.reaction", str(FREEZES)],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
    finally:
        for process in busy:
            process.kill()
            process.wait()
    delays = sorted(float(word) for word in done.stdout.split())
    p50, p99 = nearest_rank(delays, 50), nearest_rank(delays, 99)
    if p50 is None or p99 is None:
        return Result((Row("freeze", "not measured", f"p99 <= {BUDGET_MS:.0f} ms", None),), {})
    row = Row(
        f"freeze issued, {TIMES} busy loops a core, n={len(delays)}",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {delays[-1]:.1f} ms",
        f"p99 <= {BUDGET_MS:.0f} ms",
        p99 <= BUDGET_MS,
    )
    return Result((row,), {"delays_ms": delays})


def main(argv: list[str]) -> int:
    """Freeze and thaw one load again and again."""
    wanted = int(argv[0])
    facts = read_facts()
    backend = open_backend(choose(facts).backend, facts)
    come_first(lock=False)
    hold = prepare(
        backend,
        backend.plan(f"{new_run_id()}-1"),
        Limits(memory_max=Bytes(64 * MIB), cpu_weight=CPU_WEIGHT_LOWEST),
        (Member(("sleep", "600"), "/", dict(os.environ)),),
        Streams(),
        run_as=None,
        new_session=True,
    )
    calm, low = _rules(Bytes(0)), _rules(ABOVE_ALL)
    delays: list[float] = []
    told = 0.0

    def hear(event: Event) -> None:
        if isinstance(event, Acted) and event.action is Action.FREEZE:
            delays.append((event.at - told) * 1000)
            loop.rules = calm

    loop = Loop(hold, calm, hear)

    def each_turn() -> None:
        nonlocal told
        if len(delays) >= wanted:
            loop.stop(Ending.STOPPED, "measured", now=True)
        elif loop.held.stage is Stage.RUNNING and loop.rules is calm:
            time.sleep(FASTEST_TICK * (len(delays) % 8) / 10)  # somewhere between two looks
            told, loop.rules = time.monotonic(), low

    loop.release()
    loop.run(each_turn)
    sys.stdout.write("\n".join(map(str, delays)) + "\n")
    return 0


def _rules(floor: Bytes) -> Rules:
    """Return rules by which available memory is low or is not; a clean look thaws at once."""
    thresholds = Thresholds(
        reserve=floor, floor=floor, black=Bytes(0), clean=Seconds(0), tick=FASTEST_TICK, reds_max=2**30
    )
    return Rules(thresholds, 1, None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
