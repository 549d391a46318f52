"""The containment proofs: three small things that must hold before any load is trusted to it.

Each runs in a throw-away containment of its own with tiny limits; on systemd machines that is below
our own delegated unit, never the manager's (a tiny limit on a user scope sent the user manager into
an endless loop of OOM kills: systemd/systemd#40208).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from steadyrun.contain.base import Backend, Containment
from steadyrun.contain.panic import expect_no_panic
from steadyrun.errors import CannotContainError
from steadyrun.guard.hold import Hold, Streams, prepare
from steadyrun.model.containment import Capability, ContainmentMade, ContainmentPlan
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.plan import Member
from steadyrun.model.record import Proof
from steadyrun.model.verdict import Answer
from steadyrun.units import MIB, Bytes, Cores, Seconds, format_oom_kills, format_size

PROOF_MEMORY = Bytes(64 * MIB)
"""Room for an interpreter and its libraries (about 9 MiB), far below any machine's floor."""
OVER_ALLOCATES = Bytes(4 * PROOF_MEMORY)
PROOF_LIMITS = Limits(memory_max=PROOF_MEMORY, cpu_max=Cores(0.5), cpu_weight=1, tasks_max=32)
QUICK_LIMITS = PROOF_LIMITS._replace(cpu_max=None, cpu_weight=None)
"""For the proofs that need CPU: at the lowest weight an interpreter would not even start in time on a
machine that is busy, and a proof that is only late would look like one that failed."""
PATIENCE = Seconds(10.0)

_OVER_ALLOCATOR = f"""
import mmap
block = b"\\xa5" * {MIB}
area = mmap.mmap(-1, {OVER_ALLOCATES})
for _ in range({OVER_ALLOCATES // MIB}):
    area.write(block)
print("survived")
"""
_DETACHED_DAEMON = """
import os, signal, time
read_end, write_end = os.pipe()
if os.fork() == 0:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.fork()
    os.write(write_end, b".")
    time.sleep(600)
os.read(read_end, 1), os.read(read_end, 1)
"""
DAEMONS = 2
"""Processes of the daemon; the parent ends when both are there and ignore what asks them to end."""

IntentHook = Callable[[ContainmentPlan], Callable[[ContainmentMade], Callable[[str], None]]]
"""Called with the plan before anything is made; its result with what was made; that with the end."""


def prove(
    backend: Backend, name: str, intent: IntentHook, look: Callable[[Hold], None] | None = None
) -> Iterator[Proof]:
    """Carry out the proofs and yield each as it is known.

    Args:
        backend: What is to be proven.
        name: Base of the throw-away containments' names; holds the run's id.
        intent: Writes the intent down (see `IntentHook`).
        look: Called with the first load while it waits in its containment, as a guard would have it.

    Raises:
        SteadyrunError: A containment could not even be made, or its kill would panic the machine.
    """
    expect_no_panic()
    with _contained(backend, f"{name}-readback", intent, "pass", PROOF_LIMITS) as hold:
        if look is not None:
            look(hold)
        yield _limits_read_back(backend, hold.readback)
    with _contained(backend, f"{name}-memory", intent, _OVER_ALLOCATOR, QUICK_LIMITS) as hold:
        yield _over_allocator_dies(backend, hold)
    with _contained(backend, f"{name}-detached", intent, _DETACHED_DAEMON, QUICK_LIMITS) as hold:
        yield _nobody_gets_away(hold)


@contextmanager
def _contained(
    backend: Backend, name: str, intent: IntentHook, program: str, limits: Limits
) -> Iterator[Hold]:
    plan = backend.plan(name)
    made = intent(plan)
    member = Member((sys.executable, "-I", "-S", "-c", program), "/", {"PATH": os.defpath})
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        streams = Streams(nothing, nothing, nothing)
        hold = prepare(backend, plan, limits, (member,), streams, run_as=None, new_session=True)
    finally:
        os.close(nothing)
    try:
        done = made(hold.containment.made)
    except BaseException:
        hold.abandon()
        raise
    try:
        yield hold
    finally:
        _empty(hold.containment)
        for pid in list(hold.members):
            hold.reap(pid)
        if hold.remove():  # else it is for the next start to end
            done("removed")


def _limits_read_back(backend: Backend, readback: tuple[ReadBack, ...]) -> Proof:
    """Judge the limits this containment claims to hold; one it has no way to hold is named, not failed."""
    claimed = {capability.value.replace("-", "_") for capability in backend.capabilities}
    missed = [r for r in readback if not r.held and r.name in claimed]
    absent = [r.name for r in readback if not r.held and r.name not in claimed]
    answer = Answer.NO if missed or not any(r.held for r in readback) else Answer.YES
    said = [f"{r.name}: asked {r.asked}, found {r.found or 'nothing'}" for r in missed]
    said = said or [f"{sum(r.held for r in readback)} limits are in force"]
    if absent:
        said.append(f"not to be had here: {', '.join(absent)}")
    return Proof(
        "limits read back",
        "every limit that was set is what the kernel says it is",
        answer,
        "; ".join(said),
        Seconds(0.0),
    )


def _over_allocator_dies(backend: Backend, hold: Hold) -> Proof:
    began = time.monotonic()
    hold.release()
    died = _wait(lambda: not hold.living() or (hold.containment.sample(Seconds(began)).oom_kills or 0) > 0)
    last = hold.containment.sample(Seconds(time.monotonic()))
    took = Seconds(time.monotonic() - began)
    peak, kills = last.memory_peak, last.oom_kills
    held = died and bool(kills) and peak is not None and peak <= PROOF_MEMORY
    answer = Answer.YES if held else Answer.NO if died else Answer.UNKNOWN
    over = peak is not None and peak > PROOF_MEMORY
    if not held and not over and Capability.GUARANTEED not in backend.capabilities:
        answer = Answer.UNKNOWN
    evidence = (
        f"asked for {format_size(OVER_ALLOCATES)} under {format_size(PROOF_MEMORY)}: "
        f"{format_oom_kills(kills)}, peak {format_size(peak)}{_ended_otherwise(hold) if not kills else ''}"
    )
    return Proof(
        "memory limit", "a process that allocates too much is killed inside its limit", answer, evidence, took
    )


def _ended_otherwise(hold: Hold) -> str:
    """Say how a process that was to be killed by the kernel ended instead."""
    for pid in list(hold.members):
        ended = hold.reap(pid)
        if ended is not None:
            how = f"signal {ended.signal}" if ended.signal is not None else f"exit code {ended.exit_code}"
            return f"; it ended by {how}"
    return "; it still runs"


def _nobody_gets_away(hold: Hold) -> Proof:
    began = time.monotonic()
    hold.release()
    _wait(lambda: any(hold.reap(pid) for pid in list(hold.members)))
    daemons = len(hold.living())
    gone = _empty(hold.containment)
    took = Seconds(time.monotonic() - began)
    if daemons < DAEMONS:
        answer, evidence = Answer.UNKNOWN, f"{daemons} of the daemon's {DAEMONS} processes were seen"
    else:
        answer = Answer.YES if gone else Answer.NO
        evidence = f"{daemons} detached processes that ignore TERM were found, {len(hold.living())} are left"
    return Proof("nobody gets away", "a detached daemon that ignores TERM is ended", answer, evidence, took)


def _empty(containment: Containment) -> bool:
    """Kill until nobody is left; False when somebody still is after PATIENCE."""

    def killed() -> bool:
        containment.kill()
        return not containment.pids()

    return _wait(killed)


def _wait(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.01)
    return holds()


def refuse_unproven(proofs: tuple[Proof, ...]) -> None:
    """Raise unless every proof holds.

    Raises:
        CannotContainError: One did not, or could not be told.
    """
    failed = [p for p in proofs if p.answer is not Answer.YES]
    if failed:
        said = "; ".join(f"{p.name}: {p.evidence}" for p in failed)
        raise CannotContainError(
            f"the containment does not hold what it promises: {said}",
            hint="`steadyrun doctor` says what is missing",
        )
