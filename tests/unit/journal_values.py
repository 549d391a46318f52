"""Small model values for the journal's tests."""

from __future__ import annotations

import contextlib

from steadyrun.journal.write import Journal, open_journal
from steadyrun.model.containment import BackendName, ContainmentMade, ContainmentPlan
from steadyrun.model.envelope import Envelope
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.limits import Limits
from steadyrun.model.machine import CgroupMode, MachineFacts, reserve_of
from steadyrun.model.plan import LoadKind, LoadSpec, Phase
from steadyrun.model.record import Attempt, RunHeader, RunKind, State
from steadyrun.model.sample import CgroupId
from steadyrun.units import GIB, MIB, Bytes, Seconds

BOOT = "11111111-aaaa-4000-8000-000000000001"
OTHER_BOOT = "22222222-bbbb-4000-8000-000000000002"


class Clock:
    """Gives a later second each time it is asked."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def opened(directory: object, boot_id: str = BOOT) -> contextlib.AbstractContextManager[Journal]:
    return open_journal(str(directory), boot_id=boot_id, now_wall=Clock())


def a_header(run_id: str = "r1", **changes: object) -> RunHeader:
    header = RunHeader(
        run_id=run_id,
        kind=RunKind.RAMP,
        version="0.1.0",
        started_wall=Seconds(1_700_000_000.0),
        boot_id=BOOT,
        pid=4242,
        pid_started=987654,
        uid=1000,
        user="u",
        argv=("pytest", "-n", "8", b"caf\xe9".decode("utf-8", "surrogateescape")),
        cwd="/tmp",
        report_dir=None,
        backend=BackendName.CGROUP1,
        weak=False,
        machine=MachineFacts(
            boot_id=BOOT,
            booted_wall=None,
            hostname="h",
            distribution="Debian",
            kernel="6.1",
            virtualization="kvm",
            cpu_model=None,
            cores=2,
            mem_total=Bytes(24 * GIB),
            effective_ram=Bytes(24 * GIB),
            swap_total=Bytes(0),
            cgroup_mode=CgroupMode.HYBRID,
            psi=True,
            desktop=None,
            display_manager=None,
            timezone="UTC",
        ),
        reserve=reserve_of(Bytes(24 * GIB)),
        plan=None,
        limits=Limits(memory_max=Bytes(500 * MIB)),
        problem="crashes",
        goal=None,
    )
    return header._replace(**changes)


def an_attempt(serial: int = 1, state: State = State.RUNNING, **changes: object) -> Attempt:
    limits = Limits(memory_max=Bytes(500 * MIB))
    attempt = Attempt(
        serial=serial,
        phase=Phase(serial, "Ultra-Conservative", "s", "g", "m", "e", LoadSpec(LoadKind.HOG), limits),
        label=str(serial),
        limits=limits,
        boot_id=BOOT,
        state=state,
        announcement="",
        started_wall=Seconds(1.0),
        ended_wall=None,
        evidence=None,
        host=None,
        job=None,
        findings=(),
        observation="",
    )
    return attempt._replace(**changes)


def a_plan(name: str = "r1-1") -> ContainmentPlan:
    return ContainmentPlan(
        backend=BackendName.CGROUP1,
        name=name,
        parent="/sys/fs/cgroup/memory/steadyrun",
        directories=(f"/sys/fs/cgroup/memory/steadyrun/{name}",),
        kill_file=None,
        freeze_file=None,
        procs_files=(f"/sys/fs/cgroup/memory/steadyrun/{name}/cgroup.procs",),
    )


def a_made(name: str = "r1-1") -> ContainmentMade:
    plan = a_plan(name)
    return ContainmentMade(plan, tuple(CgroupId(d, 77) for d in plan.directories))


def an_envelope(kind: str = "pytest", memory: int = 4 * GIB, run_id: str = "r1") -> Envelope:
    return Envelope(
        kind=kind,
        limits=Limits(memory_max=Bytes(memory)),
        peak=None,
        proven_wall=Seconds(5.0),
        run_id=run_id,
        effective_ram=Bytes(24 * GIB),
        cores=2,
        kernel="6.1",
    )


def a_finding(code: str = "oom-kill-inside") -> Finding:
    return Finding(code, Severity.PROBLEM, "Title.", "evidence", "remedy")
