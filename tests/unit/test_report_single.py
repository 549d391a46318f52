"""The short page and the JSON of a single `run`: what it says of each end, and what it never says."""

import json

import pytest
import records

from steadyrun.model.action import Action
from steadyrun.model.event import Acted
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.outcome import Ending
from steadyrun.model.record import RunEnd, RunKind, RunRecord, RunResult
from steadyrun.model.run import FramesSeen
from steadyrun.report.single import next_step, render_single, render_single_json
from steadyrun.units import GIB, MIB, Seconds

ARGV = ("pytest", "-n", "auto", "it's")
LIMITS = Limits(memory_max=GIB, cpu_weight=1, tasks_max=4096)


def a_run(ending=Ending.EXITED, code=0, *, limits=LIMITS, readback=(), actions=(), frames=None, **changes):
    header = records.header(ARGV, kind=RunKind.RUN, plan=None, limits=limits, report_dir=None)
    outcome = records.outcome(limits, wall=12.0, ending=ending, peak=900 * MIB, tasks=8)._replace(**changes)
    means = records.MEANS._replace(
        known=records.MEANS.known._replace(frames=0), priority=records.MEANS.priority._replace(locked=False)
    )
    result = RunResult(outcome._replace(means=means), readback, actions, frames)
    end = RunEnd(records.START + 12.2, code, ending.value)
    return RunRecord(header, None, (), (), (), "", None, None, end, result)


def killed():
    return a_run(Ending.MEMORY_LIMIT, 137)


def test_the_page_of_a_kill_at_the_limit():
    assert (
        render_single(killed())
        == """\
# steadyrun run 20251107-154921-3f9a

- **Command**: `pytest -n auto 'it'"'"'s'` in `/home/someone/chat`
- **Time**: 2025-11-07, 15:49:21 - 15:49:33 PST (12 s)
- **Held by**: cgroup1 (v1 controllers)
- **Limits**: memory 1 GiB, no swap, CPU weight 1, 4096 tasks

## ❌ killed at its memory limit of 1 GiB (memory.failcnt rose, oom_kill 0 -> 1); exit code 137

- **Peak memory**: 900 MiB of 1 GiB (headroom 124 MiB)
- **OOM kills in it**: 1
- **Took**: 12 s wall time, 11 s CPU time
- **Tasks at most**: 8
- **Read and written**: 0 B, 4 KiB
- **Stalls (PSI)**: on memory under 0.1 s (wholly under 0.1 s), on I/O wholly under 0.1 s, for a CPU 0.4 s
- **Desktop**: unknown: no canary showed a frame
- **Left behind**: nothing
- **The guard saw**: available memory, memory pressure of the machine, I/O pressure of the machine, reclaim \
of the machine, swap of the machine, memory of the load, memory pressure of the load, disk use of the load; \
unknown, which fires nothing: memory pressure of protected groups, the canary's frames
- **The guard could use**: CPU quota, CPU weight, disk bandwidth, freeze, a kill that no fork outruns; not: \
disk weight, throttle limit
- **The guard itself**: ran in real time (SCHED_FIFO 1), memory not locked, OOM score -900

## Next

Killed at its memory limit, 1 GiB: peak 900 MiB, 1 OOM kill; try --memory 1600M, or fewer workers:

```sh
steadyrun run --memory 1600M --tasks 4096 -- pytest -n auto 'it'"'"'s'
```
"""
    )


@pytest.mark.parametrize("ending", Ending)
def test_every_end_has_a_page_without_phases_and_baseline(ending):
    page = render_single(a_run(ending, 1, start_error="no such file"))
    assert page.endswith("\n")
    assert not page.endswith("\n\n")
    for word in ("Phase", "Baseline", "to be filled", "Conservative"):
        assert word not in page
    assert "## Next" in page


@pytest.mark.parametrize(
    ("record", "command"),
    [
        (a_run(), "steadyrun run --memory 1G --tasks 4096 -- pytest"),
        (a_run(Ending.WALL_TIME, 124, limits=LIMITS._replace(wall_time=30.0)), "--timeout 60 -- pytest"),
        (a_run(Ending.HOST_MEMORY, 137), "steadyrun ramp -- pytest"),
        (a_run(Ending.NOT_STARTED, 127, start_error="no such file"), ""),
        (
            a_run(Ending.MEMORY_LIMIT, 137, limits=Limits(memory_max=records.header().machine.effective_ram)),
            "",
        ),
        (a_run()._replace(result=None, end=None), "steadyrun history"),
        (a_run()._replace(result=None, status="Crashed (machine)"), "steadyrun ramp -- pytest"),
    ],
)
def test_what_to_type_next_follows_from_the_end(record, command):
    found = next_step(record)
    assert (command in found.command) if command else not found.command
    assert found.advice


def test_a_run_that_never_told_says_what_is_known_and_no_figures():
    crashed = RunEnd(records.START, 5, "The machine went down while run r was going on.")
    page = render_single(a_run()._replace(result=None, status="Crashed (machine)", end=crashed))
    assert "## Crashed (machine): exit code 5" in page
    assert "The machine went down while run r was going on." in page
    assert "Peak memory" not in page
    data = json.loads(render_single_json(a_run()._replace(result=None, end=None)))
    assert (data["termination"], data["memory_peak_bytes"], data["ended"]) == (None, None, None)


def test_a_limit_that_was_not_applied_and_what_the_guard_did_are_told():
    missed = ReadBack("swap_max", "0", "", "memory.memsw", False)
    froze = Acted(1.0, records.START + 1, 7, Action.FREEZE, "available memory 300 MiB", 0.002)
    record = a_run(readback=(missed,), actions=(froze,))
    page = render_single(record)
    assert "**Limit not applied**: swap_max: asked 0, memory.memsw says nothing readable" in page
    assert "guard: freeze, because available memory 300 MiB" in page
    data = json.loads(render_single_json(record))
    assert data["limits_not_in_force"][0]["name"] == "swap_max"
    assert data["actions"][0]["cause"] == "available memory 300 MiB"


def test_a_command_that_a_signal_ended_is_not_said_to_have_ended_by_itself():
    page = render_single(a_run(code=130, exit_code=None, signal=2))
    assert "## ❌ ended by signal 2; exit code 130\n" in page


def test_what_the_canary_saw_is_told_with_what_it_took():
    record = a_run(frames=FramesSeen(12.25, 31.5, Seconds(0.5)))
    page, data = render_single(record), json.loads(render_single_json(record))
    assert "**Desktop**: the canary's frames were at most 12 ms late (p99 of a second)" in page
    assert "the longest wait between two was 32 ms longer than a frame; it took 0.5 s of CPU time" in page
    assert data["canary"] == {"late_ms": 12.25, "gap_ms": 31.5, "cpu_s": 0.5}
    none = a_run()._replace(result=a_run().result._replace(no_frames="--no-canary"))
    assert "unknown: no canary showed a frame (--no-canary)" in render_single(none)
    told = json.loads(render_single_json(none))
    assert (told["canary"], told["no_canary"], data["no_canary"]) == (None, "--no-canary", None)


def test_the_json_is_strict_whatever_the_command_was():
    odd = records.header((b"caf\xe9".decode("utf-8", "surrogateescape"),), kind=RunKind.RUN, limits=LIMITS)
    text = render_single_json(a_run()._replace(header=odd))
    text.encode("utf-8")
    assert json.loads(text)["memory_max_bytes"] == GIB


def test_the_doctors_proofs_have_a_short_page_too():
    header = records.header((), kind=RunKind.DOCTOR, plan=None)
    record = RunRecord(
        header, None, records.proofs(), (), (), "", None, None, RunEnd(records.START, 0, "3 proofs")
    )
    page = render_single(record)
    assert "| over-allocator |" in page
    assert page.endswith("|\n")
    assert "## Next" not in page
