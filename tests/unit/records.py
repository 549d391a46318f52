"""Builders of RunRecords for tests: one machine and plan, with different fates. No clock, no randomness."""

from __future__ import annotations

from steadyrun.model.action import Action
from steadyrun.model.containment import BackendName, Capability
from steadyrun.model.crash import Crash, LastSeen, LogLine, PastLog
from steadyrun.model.desktop import DesktopView, Probe, ProbeName, Seen
from steadyrun.model.envelope import Envelope, kind_of_load
from steadyrun.model.event import Acted
from steadyrun.model.fate import fate_of, machine_words
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.machine import CgroupMode, MachineFacts, reserve_of
from steadyrun.model.means import Known, Means, Priority
from steadyrun.model.outcome import Ending, LoadOutcome, MemberExit
from steadyrun.model.plan import LoadKind, LoadSpec, Phase, Plan
from steadyrun.model.record import (
    Attempt,
    Baseline,
    Evidence,
    Observation,
    Proof,
    RunEnd,
    RunHeader,
    RunKind,
    RunRecord,
    State,
    Worst,
)
from steadyrun.model.run import Down
from steadyrun.model.sample import CgroupSample, Frames, HostSample, Psi, Reading
from steadyrun.model.verdict import Answer, Check, Scope, Verdict
from steadyrun.units import GIB, MIB

MB, GB = 10**6, 10**9
MEANS = Means(
    42,
    Known(42, 42, 42, 0, 40, 42, 42, 42, 42, 42),
    deeds=(Capability.CPU_MAX, Capability.CPU_WEIGHT, Capability.IO_MAX, Capability.FREEZE, Capability.KILL),
    priority=Priority(True, True, -900, 0),
)
"""What a guard had on the machine of these records."""
START = 1762559361.0  # 2025-11-07 15:49:21 PST
BOOT, NEXT_BOOT = "boot-a", "boot-b"
SESSION_SINCE = START - 120
ARGV = ("python3", "chat.py", "--test")

_SIZES = (
    ("Ultra-Conservative", "Single Process, 500MB", 1, 500 * MB, 500 * MIB, "Test basic containment",
     "Single python process, 500MB limit", "System should handle easily"),
    ("Conservative", "Single Process, 1GB", 1, GB, 1000 * MIB, "Test higher memory limit",
     "Single python process, 1GB limit", "Should still handle well"),
    ("Moderate", "4 Processes, 2GB total", 4, 500 * MB, 2000 * MIB, "Test multi-process containment",
     "4 parallel processes, 500MB each", "Should handle with some load"),
    ("Progressive", "8 Processes, 4GB total", 8, 500 * MB, 4000 * MIB, "Test higher parallelization",
     "8 parallel processes, 500MB each", "May see load but should stay stable"),
)  # fmt: skip
_LOADS1 = (
    (3.10, 3.12, 3.01),
    (2.78, 2.81, 2.72),
    (3.23, 4.40, 2.97),
    (2.39, 3.10, 2.20),
    (1.79, 36.01, 34.9),
)
_STARTS = (37.0, 50.0, 96.0, 113.0, 133.0)
_WALLS = (4.2, 4.4, 5.1, 5.6, 30.4)


def machine(**changes: object) -> MachineFacts:
    facts = MachineFacts(
        boot_id=BOOT,
        booted_wall=START - 180,
        hostname="workstation",
        distribution="Ubuntu 24.04",
        kernel="6.8.0-48-generic",
        virtualization="kvm",
        cpu_model="AMD EPYC",
        cores=20,
        mem_total=23 * GIB,
        effective_ram=23 * GIB,
        swap_total=0,
        cgroup_mode=CgroupMode.HYBRID,
        psi=True,
        desktop="XFCE (x11)",
        display_manager="lightdm",
        timezone="America/Los_Angeles",
    )
    return facts._replace(**changes)


def final_phase(argv: tuple[str, ...] = ARGV) -> Phase:
    kind = LoadKind.COMMAND if argv else LoadKind.STORM
    load = LoadSpec(kind, argv=argv) if argv else LoadSpec(kind, 90, 6 * GB, 30.0)
    method = "python3 chat.py --test with conservative limits" if argv else "90 runnable processes, 6GB"
    limits = Limits(memory_max=8000 * MIB, cpu_weight=1, tasks_max=4096)
    summary = "Original Test with Limits"
    goal, expected = "Test the original crash scenario", "Should complete without system crash"
    return Phase(5, "Advanced", summary, goal, method, expected, load, limits)


def plan(argv: tuple[str, ...] = ARGV) -> Plan:
    hogs = tuple(
        Phase(n, name, summary, goal, method, expected, LoadSpec(LoadKind.HOG, processes, memory, 3.0),
              Limits(memory_max=limit, cpu_weight=1, tasks_max=4096, wall_time=60.0))
        for n, (name, summary, processes, memory, limit, goal, method, expected) in enumerate(_SIZES, 1)
    )  # fmt: skip
    return Plan("default", 10.0, (*hogs, final_phase(argv)))


def header(argv: tuple[str, ...] = ARGV, **changes: object) -> RunHeader:
    value = RunHeader(
        run_id="20251107-154921-3f9a",
        kind=RunKind.RAMP,
        version="0.1.0",
        started_wall=START,
        boot_id=BOOT,
        pid=4242,
        pid_started=123456,
        uid=1000,
        user="someone",
        argv=argv,
        cwd="/home/someone/chat",
        report_dir="steadyrun-report",
        backend=BackendName.CGROUP1,
        weak=False,
        machine=machine(),
        reserve=reserve_of(23 * GIB),
        plan=plan(argv),
        limits=None,
        problem="System crashes under resource-intensive tests",
        goal="Stable system with responsive desktop during tests",
    )
    return value._replace(**changes)


def psi(some: int = 0) -> Psi:
    return Psi(some, some // 2, 0.0)


def host(wall: float, load1: float | None = 3.1, available: int | None = 21 * GIB) -> HostSample:
    return HostSample(
        at=wall - START,
        wall=wall,
        mem_total=23 * GIB,
        mem_available=available,
        swap_total=0,
        swap_free=0,
        load1=load1,
        load5=2.0,
        load15=1.0,
        runnable=3,
        processes=489,
        psi_memory=psi(),
        psi_io=psi(),
        psi_cpu=psi(),
        swap_in_pages=0,
        swap_out_pages=0,
        oom_kills=0,
    )


def frames(worst: float = 4.0) -> Frames:
    return Frames(1.0, 60, 0.2, worst / 2, worst, 0.01)


def desktop(wall: float, session: str = "c2/1200/5000") -> DesktopView:
    return DesktopView(
        wall,
        (
            Probe(ProbeName.SESSION, Seen.PRESENT, session, "c2, x11, seat0", SESSION_SINCE, None, "logind"),
            Probe(
                ProbeName.DISPLAY_MANAGER,
                Seen.PRESENT,
                "inv-1",
                "lightdm",
                SESSION_SINCE - 5,
                None,
                "systemd",
            ),
            Probe(
                ProbeName.DISPLAY_SERVER, Seen.PRESENT, "X/900", "Xorg :0", SESSION_SINCE - 4, 0.6, "X ping"
            ),
            Probe(ProbeName.SSH, Seen.PRESENT, "OpenSSH_9.6", "OpenSSH_9.6", None, 14.0, "banner"),
        ),
    )


def headless(wall: float) -> DesktopView:
    absent = (ProbeName.SESSION, ProbeName.DISPLAY_MANAGER, ProbeName.DISPLAY_SERVER, ProbeName.SSH)
    return DesktopView(
        wall, tuple(Probe(n, Seen.ABSENT, None, "", None, None, "asked, none") for n in absent)
    )


def baseline(view: DesktopView | None = None) -> Baseline:
    checks = (
        Check("available memory", Scope.HOST, Answer.YES, "21 GiB", "21 GiB", "21 GiB", "at least 2.8 GiB"),
        Check("canary p99", Scope.HOST, Answer.YES, "2.0 ms", "2.0 ms", "2.0 ms", "at most 33 ms"),
    )
    return Baseline(
        started_wall=START,
        ended_wall=START + 10,
        uptime=180.0,
        load1=4.95,
        mem_used=2 * GIB,
        mem_available=21 * GIB,
        swap_used=0,
        processes=489,
        psi_memory_some=0.0,
        psi_io_some=0.002,
        psi_io_full=0.001,
        frames=frames(),
        canary_cpu=0.006,
        samples=100,
        disk_free=120 * GIB,
        on_battery=False,
        desktop=view or desktop(START),
        checks=checks,
        healthy=Answer.YES,
        cpu_idle=15.1,
    )


def proofs() -> tuple[Proof, ...]:
    return (
        Proof("over-allocator", "allocates 64 MiB under a limit of 32 MiB", Answer.YES,
              "killed at 32 MiB, 1 OOM kill, 0 bytes over", 0.21),
        Proof("detached daemon", "setsid, ignores TERM", Answer.YES, "0 processes left after 8 ms", 0.12),
        Proof("limits read back", "every limit of the containment", Answer.YES, "5 of 5 as asked", 0.01),
    )  # fmt: skip


def outcome(
    limits: Limits, *, wall: float, ending: Ending = Ending.EXITED, peak: int, tasks: int = 1
) -> LoadOutcome:
    killed = ending is not Ending.EXITED
    return LoadOutcome(
        ending=ending,
        exit_code=None if killed else 0,
        signal=9 if killed else None,
        members=(MemberExit(500, None if killed else 0, 9 if killed else None),),
        start_error=None,
        start_errno=None,
        wall=wall,
        frozen=0.0,
        cpu=wall * 0.9,
        memory_peak=peak,
        oom_kills=1 if ending is Ending.MEMORY_LIMIT else 0,
        tasks_peak=tasks,
        io_read=0,
        io_write=4096,
        psi_memory_some=0.01,
        psi_memory_full=0.0,
        psi_io_full=0.0,
        psi_cpu_some=0.4,
        survivors=0,
        removed=True,
        last=None,
        cause="memory.failcnt rose, oom_kill 0 -> 1" if ending is Ending.MEMORY_LIMIT else "",
        means=MEANS,
    )


def worst(load1: float, used: int, gap: float, peak: int, tasks: int) -> Worst:
    return Worst(
        load1=load1,
        mem_available=23 * GIB - used,
        mem_used=used,
        swap_used=0,
        runnable=4,
        psi_memory_some=0.0,
        psi_memory_full=0.0,
        psi_io_full=0.003,
        psi_cpu_some=0.12,
        frames_p99_ms=gap / 2,
        frames_gap_ms=gap,
        frames_silent=0.05,
        load_memory=peak,
        tasks=tasks,
        samples=42,
        dropped=0,
        frames_shown=252,
    )


def evidence(index: int, limits: Limits, **changes: object) -> Evidence:
    """Index of the phase from 0; what a well-behaved load leaves behind."""
    before1, peak1, after1 = _LOADS1[index]
    start, wall = START + _STARTS[index], _WALLS[index]
    tasks = (1, 1, 4, 8, 96)[index]
    peak = (488 * MIB, 966 * MIB, 1952 * MIB, 3905 * MIB, 6100 * MIB)[index]
    gap = (3.0, 3.4, 5.0, 8.2, 48.0)[index]
    value = Evidence(
        before=Observation(host(start, before1), frames(), desktop(start), BOOT),
        after=Observation(
            host(start + wall + 0.4, after1, 21 * GIB - 60 * MIB), frames(), desktop(start + wall), BOOT
        ),
        worst=worst(peak1, 2 * GIB + peak, gap, peak, tasks),
        during=tuple(desktop(start + i) for i in range(1, max(2, int(wall)))),
        outcome=outcome(limits, wall=wall, peak=peak, tasks=tasks),
        readback=(
            ReadBack(
                "memory_max", str(limits.memory_max), str(limits.memory_max), "memory.limit_in_bytes", True
            ),
        ),
        actions=(),
        recovery=0.4,
        recovery_limit=120.0,
        suspended=0.0,
        clock_jump=0.0,
        oom_kills_outside=0,
        guard_cpu=0.007,
        output_tail="collected 3 items\n3 passed in 29.8s\n" if index == 4 else "",
        output_bytes=36,
        output_dropped=0,
        work=None if index == 4 else "reached 500000000 of 500000000 bytes, touched 3 times",
        work_done=None if index == 4 else True,
    )
    return value._replace(**changes)


def host_verdict(
    answer: Answer = Answer.YES, *, session: Answer = Answer.YES, why: str = "the same id"
) -> Verdict:
    return Verdict(
        answer,
        (
            Check(
                "same boot",
                Scope.HOST,
                Answer.YES,
                "boot-a",
                "boot-a",
                "boot-a",
                "the boot id must not change",
            ),
            Check("graphical session", Scope.HOST, session, "c2", "c2", "c2", why),
            Check("canary worst gap", Scope.HOST, Answer.YES, "4.0 ms", "48 ms", "4.0 ms", "at most 250 ms"),
        ),
    )


def job_verdict(answer: Answer = Answer.YES) -> Verdict:
    return Verdict(
        answer,
        (
            Check("finished its work", Scope.JOB, answer, "", "", "exit code 0", "exit code 0"),
            Check(
                "peak within the hard limit", Scope.JOB, Answer.YES, "", "6100 MiB", "", "at most 8000 MiB"
            ),
        ),
    )


def attempt(index: int, phase: Phase, **changes: object) -> Attempt:
    start = START + _STARTS[index]
    value = Attempt(
        serial=index + 1,
        phase=phase,
        label=str(phase.number),
        limits=phase.limits,
        boot_id=BOOT,
        state=State.PASSED,
        announcement="",
        started_wall=start,
        ended_wall=start + _WALLS[index],
        evidence=evidence(index, phase.limits),
        host=host_verdict(),
        job=job_verdict(),
        findings=(),
        observation="Load increased slightly but recovered quickly" if index == 2 else "",
    )
    return value._replace(**changes)


def passed(argv: tuple[str, ...] = ARGV, **changes: object) -> RunRecord:
    """A ramp of five phases that all passed, as the one done by hand."""
    head = header(argv)
    assert head.plan is not None
    attempts = tuple(attempt(i, phase) for i, phase in enumerate(head.plan.phases))
    limits = attempts[-1].limits
    value = RunRecord(
        header=head,
        baseline=baseline(),
        proofs=proofs(),
        attempts=attempts,
        findings=(),
        status="All 5 phases passed",
        envelope=Envelope(
            "python3", limits, 6100 * MIB, START + 170, head.run_id, 23 * GIB, 20, "6.8.0-48-generic"
        ),
        tomorrow="steadyrun run --memory 8000M -- python3 chat.py --test",
        end=RunEnd(START + 170, 0, "all phases passed"),
    )
    return value._replace(**changes)


def halfway() -> RunRecord:
    """Two phases passed, the third runs now, nothing after it has begun."""
    done = passed()
    running = done.attempts[2]._replace(
        state=State.RUNNING, ended_wall=None, evidence=None, host=None, job=None, observation=""
    )
    return done._replace(
        attempts=(*done.attempts[:2], running),
        status="Phase 3 is running",
        envelope=None,
        tomorrow=None,
        end=None,
    )


def just_begun() -> RunRecord:
    """The header is there, and nothing else."""
    return passed()._replace(
        baseline=None,
        proofs=(),
        attempts=(),
        status="Baseline is running",
        envelope=None,
        tomorrow=None,
        end=None,
    )


def found_of_the_crash() -> Crash:
    """What the next start found of a crash in phase 4: readings, a persistent kernel log, no pstore."""
    at = START + 113 + 5.4
    trouble = "INFO: task kworker/0:1:11 blocked for more than 120 seconds."
    return Crash(
        boot_id=BOOT,
        found_boot_id=NEXT_BOOT,
        found_wall=START + 540,
        booted_wall=START + 470,
        last=LastSeen(at, 4.9, 50, 300 * MIB, 260 * MIB, 0, 31.2, 40, 3905 * MIB, 0.61, 0.42, 0.07),
        logs=(
            PastLog("systemd's journal", True, "", at - 1, (LogLine(at - 2, trouble),)),
            PastLog("pstore", False, "/sys/fs/pstore: Permission denied", None, ()),
        ),
    )


def crashed_and_resumed() -> RunRecord:
    """The machine went down in phase 4; after the reboot the ramp went on with less and passed it."""
    done = passed()
    phase = done.attempts[3].phase
    crash = done.attempts[3]._replace(
        state=State.CRASHED,
        ended_wall=None,
        evidence=None,
        host=None,
        job=None,
        findings=(
            Finding("machine-crashed", Severity.PROBLEM,
                    "The machine went down while phase 4 ran under 4000 MiB",
                    "the boot id changed from boot-a to boot-b",
                    ""),
        ),
        crash=found_of_the_crash(),
    )  # fmt: skip
    limits = phase.limits._replace(memory_max=1400 * MIB)
    later = START + 600
    seen = evidence(3, limits)
    seen = seen._replace(
        before=Observation(host(later, 1.2), frames(), desktop(later, "c1/800/3000"), NEXT_BOOT),
        after=Observation(host(later + 6, 1.5), frames(), desktop(later + 6, "c1/800/3000"), NEXT_BOOT),
        during=(desktop(later + 2, "c1/800/3000"),),
        outcome=outcome(limits, wall=5.0, peak=1300 * MIB, tasks=8),
    )
    again = done.attempts[3]._replace(
        serial=5,
        label="4.2",
        limits=limits,
        boot_id=NEXT_BOOT,
        announcement="4000 MiB took the machine down: 0.7 of the 2000 MiB that held before",
        started_wall=later,
        ended_wall=later + 5,
        evidence=seen,
    )
    head = done.header._replace(
        boot_id=NEXT_BOOT,
        started_wall=later - 60,
        resumed_from=done.header.run_id,
        run_id="20251107-155800-77aa",
    )
    return done._replace(
        header=head,
        baseline=baseline(desktop(later - 60, "c1/800/3000"))._replace(
            started_wall=later - 60, ended_wall=later - 50, uptime=90.0
        ),
        attempts=(*done.attempts[:3], crash, again),
        status="Ready for Phase 5",
        envelope=None,
        tomorrow=None,
        end=None,
    )


def crashed_and_finished() -> RunRecord:
    """What went on after the crash in phase 4 passed every phase, the last ones with less than planned."""
    going = crashed_and_resumed()
    last = passed().attempts[-1]
    limits = last.limits._replace(memory_max=2100 * MIB)
    later = START + 640
    seen = evidence(4, limits)
    seen = seen._replace(
        before=Observation(host(later, 1.2), frames(), desktop(later, "c1/800/3000"), NEXT_BOOT),
        after=Observation(host(later + 31, 9.0), frames(), desktop(later + 31, "c1/800/3000"), NEXT_BOOT),
        during=(desktop(later + 20, "c1/800/3000"),),
        outcome=outcome(limits, wall=30.0, peak=2000 * MIB, tasks=96),
    )
    final = last._replace(
        serial=6,
        limits=limits,
        boot_id=NEXT_BOOT,
        announcement="an earlier run took the machine down at 4000 MiB; 2100 MiB now",
        started_wall=later,
        ended_wall=later + 30,
        evidence=seen,
    )
    words = machine_words(fate_of(going.attempts))
    return going._replace(
        attempts=(*going.attempts, final),
        status="All phases passed",
        envelope=Envelope(
            "python3", limits, 2000 * MIB, later + 32, going.header.run_id, 23 * GIB, 20, "6.8.0-48-generic"
        ),
        tomorrow="steadyrun run --memory 2100M -- python3 chat.py --test",
        end=RunEnd(later + 32, 0, f"all 5 phases passed, {words}"),
    )


def booted_between_and_finished() -> RunRecord:
    """A boot ended after phase 2, while nothing ran; what went on after it passed every phase."""
    done = passed()
    second = done.attempts[1]
    assert second.ended_wall is not None
    assert done.end is not None
    later = START + 400

    def after_the_boot(attempt: Attempt) -> Attempt:
        seen = attempt.evidence
        assert seen is not None
        assert attempt.started_wall is not None
        assert attempt.ended_wall is not None
        before, after = (
            o._replace(
                host=o.host._replace(wall=o.host.wall + later - START),
                desktop=desktop(o.desktop.wall + later - START, "c1/800/3000"),
                boot_id=NEXT_BOOT,
            )
            for o in (seen.before, seen.after)
        )
        during = tuple(desktop(v.wall + later - START, "c1/800/3000") for v in seen.during)
        return attempt._replace(
            boot_id=NEXT_BOOT,
            started_wall=attempt.started_wall + later - START,
            ended_wall=attempt.ended_wall + later - START,
            evidence=seen._replace(before=before, after=after, during=during),
        )

    attempts = (*done.attempts[:2], *map(after_the_boot, done.attempts[2:]))
    down = Down(done.header.run_id, BOOT, second.label, second.ended_wall, START + 330)
    head = done.header._replace(
        boot_id=NEXT_BOOT,
        started_wall=START + 340,
        resumed_from=done.header.run_id,
        run_id="20251107-155500-99bb",
        downs=(down,),
    )
    words = machine_words(fate_of(attempts, (down,)))
    return done._replace(
        header=head,
        baseline=baseline(desktop(START + 345, "c1/800/3000"))._replace(
            started_wall=START + 345, ended_wall=START + 355, uptime=60.0
        ),
        attempts=attempts,
        findings=(
            *done.findings,
            Finding(
                "crash-log-unknown",
                Severity.NOTE,
                "What the kernel said before the machine went down is not known",
                "systemd's journal: it has no line of the kernel of that boot that this user may read; "
                "pstore: /sys/fs/pstore: Permission denied",
                "as root: journalctl -k -b boota",
            ),
        ),
        end=done.end._replace(
            wall=done.end.wall + later - START, reason=f"all 5 phases passed, {words}"
        ),
    )  # fmt: skip


def ends_with_a_hog() -> RunRecord:
    """A plan of somebody's own whose last load is a built-in hog, no storm and no command."""
    done = passed(())
    assert done.header.plan is not None
    phases = done.header.plan.phases[:4]
    assert done.envelope is not None
    return done._replace(
        header=done.header._replace(plan=done.header.plan._replace(phases=phases)),
        attempts=done.attempts[:4],
        envelope=done.envelope._replace(kind=kind_of_load(phases[-1].load), limits=phases[-1].limits),
    )


def headless_machine() -> RunRecord:
    """A container without a desktop, a display manager or SSH; the built-in storm; all passed."""
    done = passed(())
    view = headless(START)

    def without(one: Attempt) -> Attempt:
        assert one.evidence is not None
        seen = one.evidence
        gone = Check(
            "graphical session", Scope.HOST, Answer.NOT_APPLICABLE, "", "", "", "absent at the baseline"
        )
        return one._replace(
            evidence=seen._replace(
                before=seen.before._replace(desktop=view),
                after=seen.after._replace(desktop=view),
                during=(view, view),
            ),
            host=Verdict(Answer.YES, (host_verdict().checks[0], gone)),
        )

    facts = machine(
        virtualization="docker",
        desktop=None,
        display_manager=None,
        mem_total=64 * GIB,
        timezone="UTC",
        cpu_model=None,
    )
    return done._replace(
        header=done.header._replace(machine=facts),
        baseline=baseline(view),
        attempts=tuple(without(a) for a in done.attempts),
        tomorrow="steadyrun run --memory 8000M -- COMMAND",
    )


def killed_at_limit() -> RunRecord:
    """The user's command was killed at 8000 MiB and at 9880 MiB, and finished under 11760 MiB."""
    done = passed()
    first = done.attempts[4]
    sizes = (8000 * MIB, 9880 * MIB, 11760 * MIB)
    tries = []
    for n, size in enumerate(sizes):
        ok = n == 2
        limits = first.limits._replace(memory_max=size)
        ending = Ending.EXITED if ok else Ending.MEMORY_LIMIT
        assert first.evidence is not None
        start = START + 133 + 45 * n
        found = Finding(
            "oom-kill-inside",
            Severity.WARNING,
            f"The command was killed at its memory limit of {size // MIB} MiB",
            "oom_kill 0 -> 1",
            "give it more, or fewer workers: pytest -n 4",
            done="tried again with more memory",
        )
        seen = first.evidence._replace(
            outcome=outcome(
                limits, wall=30.0 if ok else 12.5, ending=ending, peak=11000 * MIB if ok else size, tasks=96
            ),
            output_tail="3 passed in 29.8s\n" if ok else "\x1b[31mKilled\x1b[0m\n",
        )
        tries.append(
            first._replace(
                serial=5 + n,
                label="5" if n == 0 else f"5.{n + 1}",
                limits=limits,
                state=State.PASSED if ok else State.FAILED,
                announcement=""
                if n == 0
                else f"killed at {sizes[n - 1] // MIB} MiB while the machine held: 8 % of RAM more",
                started_wall=start,
                ended_wall=start + (30.0 if ok else 12.5),
                evidence=seen,
                job=job_verdict(Answer.YES if ok else Answer.NO),
                findings=() if ok else (found,),
            )
        )
    assert done.envelope is not None
    proven = done.envelope._replace(limits=tries[-1].limits, peak=11000 * MIB)
    return done._replace(
        envelope=proven,
        attempts=(*done.attempts[:4], *tries),
        tomorrow="steadyrun run --memory 11760M -- python3 chat.py --test",
    )


def host_failure() -> RunRecord:
    """Phase 3: the session died, the guard froze and killed; the ramp ended there."""
    done = passed()
    third = done.attempts[2]
    assert third.evidence is not None
    seen = third.evidence
    start = START + 96
    actions = (
        Acted(20.0, start + 2, 190, Action.FREEZE, "available memory 1.0 GiB < floor 1.2 GiB", 0.003),
        Acted(21.0, start + 3, 200, Action.KILL, "available memory 0.5 GiB < 0.6 GiB", 0.011),
    )
    seen = seen._replace(
        after=seen.after._replace(
            desktop=desktop(start + 9, "c5/9000/99000"), host=host(start + 9, 9.0, 19 * GIB)
        ),
        during=(desktop(start + 1), desktop(start + 4, "c5/9000/99000")),
        worst=seen.worst._replace(
            mem_available=GIB // 2, mem_used=23 * GIB - GIB // 2, frames_gap_ms=2400.0, frames_p99_ms=900.0
        ),
        outcome=outcome(third.limits, wall=3.1, ending=Ending.HOST_MEMORY, peak=1990 * MIB, tasks=4)._replace(
            cause="available memory 0.5 GiB < 0.6 GiB", frozen=1.0
        ),
        actions=actions,
        recovery=None,
        work_done=False,
    )
    bad = third._replace(
        state=State.FAILED,
        evidence=seen,
        host=host_verdict(Answer.NO, session=Answer.NO, why="the session's leader was another one"),
        job=job_verdict(Answer.NO),
        findings=(
            Finding("session-died", Severity.PROBLEM, "The graphical session died", "c2 -> c5",
                    "protect the desktop: steadyrun protect",
                    done="the loosening ended; phase 2 was the last that held"),
        ),
        observation="",
    )  # fmt: skip
    return done._replace(
        attempts=(*done.attempts[:2], bad),
        status="Ended at phase 3",
        envelope=None,
        tomorrow=None,
        end=RunEnd(START + 240, 5, "the host verdict of phase 3 is no"),
    )


def weak() -> RunRecord:
    """All passed under poll, which guarantees nothing."""
    done = passed()
    return done._replace(header=done.header._replace(weak=True, backend=BackendName.POLL))


def hostile() -> RunRecord:
    """Every text that a user or a command wrote tries to break the page."""
    html = "<script>alert(1)</script> [x](javascript:y) **bold**"
    nasty = f"# a | b `code` {html}\n# heading\n| row |\x1b[31m \u202e \udce9"
    done = passed(("sh", "-c", "echo '`|`'\n<b>"))
    last = done.attempts[-1]
    assert last.evidence is not None
    last = last._replace(
        evidence=last.evidence._replace(
            output_tail="```\n# not a heading\n</details>\n\x1b[1mbold\x1b[0m\r\n````\n"
        ),
        findings=(Finding("x", Severity.NOTE, nasty, nasty, nasty, nasty),),
        observation=nasty,
        announcement=nasty,
    )
    return done._replace(
        header=done.header._replace(problem=nasty, goal=nasty, cwd="/tmp/a`b\nc"),
        attempts=(*done.attempts[:-1], last),
        status=nasty,
        tomorrow="steadyrun run -- sh -c '```\n# not a heading\n```'",
        end=RunEnd(START + 170, 0, nasty),
    )


ALL = {
    "passed": passed,
    "halfway": halfway,
    "just-begun": just_begun,
    "crashed-and-resumed": crashed_and_resumed,
    "crashed-and-finished": crashed_and_finished,
    "booted-between": booted_between_and_finished,
    "ends-with-a-hog": ends_with_a_hog,
    "headless": headless_machine,
    "killed-at-limit": killed_at_limit,
    "host-failure": host_failure,
    "weak": weak,
    "hostile": hostile,
}


def reading(seq: int, *, memory: int | None = 300 * MIB, load1: float = 3.0, stalled_us: int = 0) -> Reading:
    """One tick of the guard, a tenth of a second after the one before."""
    at = seq / 10
    pressure = Psi(stalled_us, stalled_us, 0.0)
    load = CgroupSample(
        at=at, identity=None, memory=memory, memory_peak=memory, working_set=memory, swap=0,
        cpu_time=0, cpu_throttled=0, tasks=4, tasks_peak=4, oom_kills=0, io_read=0, io_write=0,
        psi_memory=pressure, psi_io=pressure, psi_cpu=pressure, frozen=False,
    )  # fmt: skip
    machine_now = host(START + 96 + at, load1)._replace(at=at, psi_memory=pressure)
    return Reading(seq, machine_now, load, frames(4.0 + seq % 7))
