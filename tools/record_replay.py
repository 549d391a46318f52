"""Records what a real guard passed on, as files that tests/replay plays again.

`python -m tools.record_replay FOLDER [STATE]`. Each scenario is a real load in a real containment under the
real loop. For the memory floor the thresholds are put just below what is available now, so that a small hog
crosses them and the machine is never short of memory.

With a state directory as second argument the newest ramp of its journal is written as
default-ramp.json as well, without the names of the machine and of its user.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from simulation.lines import lines_of

from steadyrun.contain.choose import choose
from steadyrun.contain.facts import read_facts
from steadyrun.contain.open import open_backend
from steadyrun.guard.hold import Streams, prepare
from steadyrun.guard.loop import Loop
from steadyrun.journal.identity import new_run_id
from steadyrun.journal.write import open_journal
from steadyrun.kernel.reader import HostReader, boot_id
from steadyrun.model.codec import encode
from steadyrun.model.event import Event
from steadyrun.model.given import Rules
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import Ending
from steadyrun.model.plan import Member
from steadyrun.model.record import RunKind, RunRecord
from steadyrun.model.thresholds import Thresholds
from steadyrun.ramp.loads import hog
from steadyrun.units import MIB, Bytes, Seconds

HOG = Bytes(600 * MIB)
FAR = Thresholds(Bytes(0), Bytes(0), Bytes(0))


def main(argv: list[str]) -> int:
    """Record every scenario into the folder that is named."""
    folder = Path(argv[0])
    near = _near()
    for name, thresholds, wall_time, hold, stop_after in (
        ("quiet", FAR, None, 0.5, None),
        ("wall-time", FAR, 0.5, 30.0, None),
        ("stopped", FAR, None, 30.0, 0.5),
        ("frozen-then-killed", near._replace(frozen_max=Seconds(1.0)), None, 30.0, None),
    ):
        events = record(
            Rules(thresholds, 1, None if wall_time is None else Seconds(wall_time)), hold, stop_after
        )
        (folder / f"{name}.jsonl").write_text("".join(lines_of(events)))
    if len(argv) > 1:
        (folder / "default-ramp.json").write_text(json.dumps(encode(newest_ramp(argv[1]))) + "\n")
    return 0


def newest_ramp(state: str) -> RunRecord:
    """Return the record of the newest ramp of a journal, its names replaced."""
    with open_journal(state, boot_id=boot_id()) as journal:
        record = journal.record(journal.latest(RunKind.RAMP) or "")
    header = record.header
    machine_facts = header.machine._replace(hostname="machine")
    return record._replace(
        header=header._replace(
            user="user", cwd="/project", report_dir="steadyrun-report/latest", machine=machine_facts
        )
    )


def _near() -> Thresholds:
    """Return thresholds that a hog of HOG crosses: the floor is half of it below what is available."""
    available = HostReader().sample(at=0.0, wall=0.0).mem_available or 0
    floor = Bytes(available - HOG // 2)
    return Thresholds(Bytes(floor + 50 * MIB), floor, Bytes(floor - 10 * HOG))


def record(rules: Rules, hold_s: float, stop_after: float | None) -> list[Event]:
    """Run one hog under the rules and return what the guard passed on."""
    facts = read_facts()
    backend = open_backend(choose(facts).backend, facts)
    plan = backend.plan(f"{new_run_id()}-replay")
    argv = (
        sys.executable,
        "-I",
        "-S",
        hog.__file__,
        "--bytes",
        str(HOG),
        "--hold",
        f"{hold_s:g}",
        "--processes",
        "1",
    )
    nothing = os.open(os.devnull, os.O_RDWR)
    held = prepare(
        backend,
        plan,
        Limits(memory_max=Bytes(2 * HOG)),
        (Member(argv, "/", {"PATH": os.defpath}),),
        Streams(nothing, nothing, nothing),
        run_as=None,
        new_session=True,
    )
    events: list[Event] = []
    loop = Loop(held, rules, events.append)
    stop_at = None if stop_after is None else loop.now() + stop_after

    def ask() -> None:
        nonlocal stop_at
        if stop_at is not None and loop.now() > stop_at:
            stop_at = None
            loop.stop(Ending.STOPPED, "asked to stop")

    with held:
        loop.release()
        loop.run(each_turn=ask)
    return events


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
