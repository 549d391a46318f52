"""Who a run is: its id, short to type and random enough to name cgroups, and the process that owns it."""

from __future__ import annotations

import os
import time

from steadyrun import __version__
from steadyrun.kernel.processes import pid_started
from steadyrun.kernel.reader import boot_id
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from steadyrun.model.containment import BackendName
    from steadyrun.model.limits import Limits
    from steadyrun.model.machine import MachineFacts, Reserve
    from steadyrun.model.plan import Plan
    from steadyrun.model.run import Down, RunHeader, RunKind

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without i, l, o, 0, 1: read aloud and typed from a screen."""
LENGTH = 10
"""About 49 bits: no collision in a lifetime of runs."""


def new_run_id() -> str:
    """Return a fresh run id."""
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in os.urandom(LENGTH))


def run_header(
    run_id: str,
    kind: RunKind,
    *,
    user: str,
    argv: tuple[str, ...],
    cwd: str,
    backend: BackendName,
    weak: bool,
    machine: MachineFacts,
    reserve: Reserve | None,
    report_dir: str | None = None,
    plan: Plan | None = None,
    limits: Limits | None = None,
    problem: str | None = None,
    goal: str | None = None,
    resumed_from: str | None = None,
    env_names: tuple[str, ...] = (),
    downs: tuple[Down, ...] = (),
) -> RunHeader:
    """Return the header of a run that begins now and that this process owns."""
    from steadyrun.model.run import RunHeader  # not before `run` needs it

    return RunHeader(
        run_id=run_id,
        kind=kind,
        version=__version__,
        started_wall=Seconds(time.time()),
        boot_id=boot_id(),
        pid=os.getpid(),
        pid_started=pid_started(os.getpid()) or 0,
        uid=os.geteuid(),
        user=user,
        argv=argv,
        cwd=cwd,
        report_dir=report_dir,
        backend=backend,
        weak=weak,
        machine=machine,
        reserve=reserve,
        plan=plan,
        limits=limits,
        problem=problem,
        goal=goal,
        resumed_from=resumed_from,
        env_names=env_names,
        downs=downs,
    )
