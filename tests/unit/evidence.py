"""Builders of plans, baselines, evidence and attempts for tests: a healthy machine, to be changed at will."""

from __future__ import annotations

from steadyrun.model.desktop import DesktopView, Probe, ProbeName, Seen
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.machine import reserve_of
from steadyrun.model.outcome import Ending, LoadOutcome, MemberExit
from steadyrun.model.plan import LoadKind, LoadSpec, Phase, Plan
from steadyrun.model.record import Attempt, Baseline, Evidence, Observation, State, Worst
from steadyrun.model.sample import CgroupSample, Frames, HostSample, Psi, Reading
from steadyrun.model.verdict import Answer, Check, Scope, Verdict
from steadyrun.units import GIB, MIB, Bytes, Cores, Ratio, Seconds

RAM = Bytes(24 * GIB)
RESERVE = reserve_of(RAM)
CEILING = Bytes(RAM - RESERVE.reserve)
BOOT = "0b8f2c1e-0000-4000-8000-000000000001"


def psi(some=0, full=0):
    return Psi(some, full, Ratio(0.0))


def host(at=100.0, **changes):
    sample = HostSample(
        at=Seconds(at),
        wall=Seconds(1_000_000 + at),
        mem_total=RAM,
        mem_available=Bytes(20 * GIB),
        swap_total=Bytes(0),
        swap_free=Bytes(0),
        load1=2.0,
        load5=2.0,
        load15=2.0,
        runnable=2,
        processes=300,
        psi_memory=psi(),
        psi_io=psi(),
        psi_cpu=psi(),
        swap_in_pages=0,
        swap_out_pages=0,
        oom_kills=0,
    )
    return sample._replace(**changes)


def frames(p99=17.0, worst=20.0, silent=0.016):
    return Frames(Seconds(2.0), 120, 1.0, p99, worst, Seconds(silent))


def probe(name, seen=Seen.PRESENT, identity="id-1", **changes):
    made = Probe(name, seen, identity, f"{name.value} 1", Seconds(1_000_000), 3.0, "asked, and it said so")
    return made._replace(**changes)


def view(**changed):
    """A session with everything there; `SSH=None` leaves a probe out, `SSH=probe(...)` swaps it."""
    probes = {name.name: probe(name) for name in ProbeName} | changed
    return DesktopView(Seconds(1_000_000), tuple(p for p in probes.values() if p is not None))


def observation(**changes):
    return Observation(host(), frames(), view(), BOOT)._replace(**changes)


def baseline(**changes):
    made = Baseline(
        started_wall=Seconds(1_000_000),
        ended_wall=Seconds(1_000_010),
        uptime=Seconds(600),
        load1=2.0,
        mem_used=Bytes(4 * GIB),
        mem_available=Bytes(20 * GIB),
        swap_used=Bytes(0),
        processes=300,
        psi_memory_some=Ratio(0.0),
        psi_io_some=Ratio(0.0),
        psi_io_full=Ratio(0.0),
        frames=frames(),
        canary_cpu=Ratio(0.005),
        samples=40,
        disk_free=Bytes(100 * GIB),
        on_battery=False,
        desktop=view(),
        checks=(),
        healthy=Answer.YES,
        cpu_idle=Cores(1.5),
    )
    return made._replace(**changes)


def outcome(ending=Ending.EXITED, **changes):
    made = LoadOutcome(
        ending=ending,
        exit_code=0 if ending is Ending.EXITED else None,
        signal=None,
        members=(MemberExit(100, 0, None),),
        start_error=None,
        start_errno=None,
        wall=Seconds(4.0),
        frozen=Seconds(0.0),
        cpu=Seconds(3.0),
        memory_peak=Bytes(490 * MIB),
        oom_kills=0,
        tasks_peak=1,
        io_read=Bytes(0),
        io_write=Bytes(0),
        psi_memory_some=Seconds(0.0),
        psi_memory_full=Seconds(0.0),
        psi_io_full=Seconds(0.0),
        psi_cpu_some=Seconds(0.0),
        survivors=0,
        removed=True,
        last=None,
        cause="",
    )
    return made._replace(**changes)


def worst(**changes):
    made = Worst(
        load1=3.0,
        mem_available=Bytes(19 * GIB),
        mem_used=Bytes(5 * GIB),
        swap_used=Bytes(0),
        runnable=4,
        psi_memory_some=Ratio(0.0),
        psi_memory_full=Ratio(0.0),
        psi_io_full=Ratio(0.0),
        psi_cpu_some=Ratio(0.1),
        frames_p99_ms=18.0,
        frames_gap_ms=22.0,
        frames_silent=Seconds(0.02),
        load_memory=Bytes(480 * MIB),
        tasks=1,
        samples=40,
        dropped=0,
    )
    return made._replace(**changes)


def read_back(name="memory_max", *, held=True, asked="524288000", found="524288000"):
    return ReadBack(name, asked, found, "memory.max", held)


def evidence(**changes):
    made = Evidence(
        before=observation(),
        after=observation(host=host(110.0)),
        worst=worst(),
        during=(view(),),
        outcome=outcome(),
        readback=(read_back(), read_back("tasks_max")),
        actions=(),
        recovery=Seconds(0.5),
        recovery_limit=Seconds(120.0),
        suspended=Seconds(0.0),
        clock_jump=Seconds(0.0),
        oom_kills_outside=0,
        guard_cpu=Ratio(0.004),
        output_tail="",
        output_bytes=100,
        output_dropped=0,
        work="reached 500000000 of 500000000 bytes",
        work_done=True,
    )
    return made._replace(**changes)


def reading(seq=0, at=100.0, *, load=None, frames=None, **changes):
    sample = CgroupSample(
        at=Seconds(at),
        identity=None,
        memory=load,
        memory_peak=None,
        working_set=None,
        swap=None,
        cpu_time=None,
        cpu_throttled=None,
        tasks=None,
        tasks_peak=None,
        oom_kills=None,
        io_read=None,
        io_write=None,
        psi_memory=None,
        psi_io=None,
        psi_cpu=None,
        frozen=None,
    )
    return Reading(seq, host(at, **changes), sample, frames)


def limits(memory_mib=500, **changes):
    return Limits(memory_max=Bytes(memory_mib * MIB), cpu_weight=1)._replace(**changes)


def phase(number=1, memory_mib=500, kind=LoadKind.HOG, **changes):
    load = LoadSpec(kind, 1, Bytes(memory_mib * MIB * 9 // 10))
    if kind is LoadKind.COMMAND:
        load = LoadSpec(kind, argv=("pytest", "-n", "8"))
    made = Phase(number, f"Step {number}", "summary", "goal", "method", "expected", load, limits(memory_mib))
    return made._replace(**changes)


def plan(*memory_mib, command=True, tries=4):
    sizes = memory_mib or (500, 1000, 2000, 4000, 8000)
    last = LoadKind.COMMAND if command else LoadKind.STORM
    kinds = [LoadKind.HOG] * (len(sizes) - 1) + [last]
    phases = tuple(phase(n, size, kind) for n, (size, kind) in enumerate(zip(sizes, kinds, strict=True), 1))
    return Plan("test", Seconds(10.0), phases, tries=tries)


def verdict(answer=Answer.YES, scope=Scope.HOST, name="graphical session", *, degraded=False):
    return Verdict(answer, (Check(name, scope, answer, "before", "worst", "after", "why", degraded),))


def attempt(of, state=State.PASSED, *, memory_mib=None, host=None, job=None, end=None, label=None):
    """One try of the phase `of`; the verdicts are those that usually go with the state."""
    usual_host = Answer.NO if state is State.DEGRADED else Answer.YES
    usual_job = Answer.NO if state is State.FAILED and host is None else Answer.YES
    given = of.limits if memory_mib is None else of.limits._replace(memory_max=Bytes(memory_mib * MIB))
    return Attempt(
        serial=1,
        phase=of,
        label=label or str(of.number),
        limits=given,
        boot_id=BOOT,
        state=state,
        announcement="",
        started_wall=Seconds(1_000_000),
        ended_wall=Seconds(1_000_004),
        evidence=evidence(outcome=end or outcome()),
        host=verdict(host or usual_host),
        job=verdict(job or usual_job, Scope.JOB, "exit status"),
        findings=(),
        observation="",
    )


def killed_at_limit(of, memory_mib=None, **changes):
    """A try of the user's command that the kernel killed at its limit while the machine held."""
    end = outcome(Ending.MEMORY_LIMIT, oom_kills=1, **({"tasks_peak": 9} | changes))
    return attempt(of, State.FAILED, memory_mib=memory_mib, end=end)
