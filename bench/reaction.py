"""How late a load is frozen when the machine is oversubscribed: 16 busy loops for each core.

`python -m bench.reaction FREEZES` is the guard's side: the product's own loop with a real load that computes,
a canary whose frames it reads, the protected groups that it finds, and all that the law judges by. At moments
between its looks it is told by other thresholds that memory is below the floor. At the floor the guard looks
every `law.FASTEST_TICK`, so a freeze on time is issued within that. It prints two delays a line, in ms: until
the freeze was issued, and until frozen = 1 was read back; `-` where that took longer than a guard waits.

The second has no budget: a process goes to freeze when it next gets the processor, and at the lowest weight
beside so many loops it waits for that. It computes nothing of its own meanwhile: it freezes on its way there
(get_signal in kernel/signal.c, JOBCTL_TRAP_FREEZE).
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time

from bench.tools import Programs, Result, Row
from steadyrun.contain.choose import choose
from steadyrun.contain.facts import read_facts
from steadyrun.contain.open import open_backend
from steadyrun.guard.frames import FramesReader, make_frames, nearest_rank, start_canary
from steadyrun.guard.held import Stage
from steadyrun.guard.hold import Hold, Streams, prepare
from steadyrun.guard.law import FASTEST_TICK
from steadyrun.guard.loop import Loop
from steadyrun.guard.priority import come_first
from steadyrun.guard.rules import rules_of
from steadyrun.journal.identity import new_run_id
from steadyrun.model.action import Action
from steadyrun.model.event import Acted, Event
from steadyrun.model.limits import CPU_WEIGHT_LOWEST, Limits
from steadyrun.model.outcome import Ending
from steadyrun.model.plan import Member
from steadyrun.model.thresholds import SPANS, Thresholds
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
    told = [line.split() for line in done.stdout.splitlines()]
    issued = [float(at) for at, _ in told]
    frozen = [math.inf if at == "-" else float(at) for _, at in told]
    rows = (_row("freeze issued", issued, BUDGET_MS), _row("frozen = 1 read back", frozen, None))
    return Result(rows, {"issued_ms": issued, "frozen_ms": [None if at == math.inf else at for at in frozen]})


def _row(what: str, delays: list[float], most: float | None) -> Row:
    budget = "" if most is None else f"p99 <= {most:.0f} ms"
    delays = sorted(delays)
    p50, p99 = nearest_rank(delays, 50), nearest_rank(delays, 99)
    if p50 is None or p99 is None:
        return Row(what, "not measured", budget, None)
    return Row(
        f"{what}, {TIMES} busy loops a core, n={len(delays)}",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {delays[-1]:.1f} ms",
        budget,
        None if most is None else p99 <= most,
    )


def main(argv: list[str]) -> int:
    """Freeze and thaw one load again and again."""
    wanted = int(argv[0])
    facts = read_facts()
    backend = open_backend(choose(facts).backend, facts)
    fd = make_frames()
    frames, canary = FramesReader(fd), start_canary(fd)
    try:
        come_first(lock=False)
        limits = Limits(memory_max=Bytes(64 * MIB), cpu_weight=CPU_WEIGHT_LOWEST)
        hold = prepare(
            backend,
            backend.plan(f"{new_run_id()}-1"),
            limits,
            (Member(tuple(BUSY), "/", dict(os.environ)),),
            Streams(),
            run_as=None,
            new_session=True,
        )
        for issued, frozen in _freezes(hold, limits, frames, wanted):
            sys.stdout.write(f"{issued:.3f} {'-' if frozen is None else f'{frozen:.3f}'}\n")
    finally:
        canary.close()
        frames.close()
        os.close(fd)
    return 0


def _freezes(
    hold: Hold, limits: Limits, frames: FramesReader, wanted: int
) -> list[tuple[float, float | None]]:
    """Return both delays of each freeze, ms."""
    calm, low = _thresholds(Bytes(0)), _thresholds(ABOVE_ALL)
    rules = rules_of(
        calm,
        limits,
        1,
        hold.readback,
        capabilities=hold.capabilities,
        cores=len(os.sched_getaffinity(0)),
    )
    delays: list[tuple[float, float | None]] = []
    told: float | None = None

    def tell(thresholds: Thresholds) -> None:
        loop.rules = loop.rules._replace(thresholds=thresholds)  # the loop itself finds out what is usual

    def hear(event: Event) -> None:
        nonlocal told
        if isinstance(event, Acted) and event.action is Action.FREEZE and told is not None:
            frozen = (event.at + event.took - told) * 1000 if event.confirmed else None
            delays.append(((event.at - told) * 1000, frozen))
            told = None
            tell(calm)

    loop = Loop(hold, rules, hear, frames)

    def each_turn() -> None:
        nonlocal told
        if len(delays) >= wanted:
            loop.stop(Ending.STOPPED, "measured", now=True)
        elif told is None and loop.held.stage is Stage.RUNNING:
            time.sleep(FASTEST_TICK * (len(delays) % 8) / 10)  # somewhere between two looks
            told = time.monotonic()
            tell(low)

    with hold:
        loop.release()
        loop.run(each_turn)
    return delays


def _thresholds(floor: Bytes) -> Thresholds:
    """Return those by which available memory is low or is not; a clean look thaws at once.

    All that the law knows is read and judged, and memory alone is to decide: frames, which are late beside
    so many loops, do so at the ends of what a setting may be, and many freezes are no reason to kill.
    """
    return Thresholds(
        reserve=floor,
        floor=floor,
        black=Bytes(0),
        clean=Seconds(0),
        tick=FASTEST_TICK,
        reds_max=2**30,
        frames_late=Seconds(SPANS["frames_late"].most),
        frames_silent=Seconds(SPANS["frames_silent"].most),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
