"""One try of one phase: observe, start the guard, follow, wait for recovery, judge.

The order of the journal's rows is the point: the attempt is RUNNING and the containment intended
before anything is made, its inodes are noted before the load is let go.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from steadyrun.contain.base import Backend
from steadyrun.errors import CannotContainError
from steadyrun.journal.rows import IntentKind
from steadyrun.journal.write import Journal
from steadyrun.model.codec import encode_event
from steadyrun.model.containment import ContainmentMade, ContainmentPlan
from steadyrun.model.event import Event, Order, Prepared
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.machine import Reserve
from steadyrun.model.others import watches_pressure
from steadyrun.model.record import Attempt, Baseline, Evidence, Observation, State
from steadyrun.model.sample import Reading
from steadyrun.model.thresholds import Thresholds, Usual
from steadyrun.ramp.canary_care import CanaryCare
from steadyrun.ramp.default_plan import OUTPUT_MAX
from steadyrun.ramp.findings import told_once
from steadyrun.ramp.guarded import Guarded, GuardedLoad
from steadyrun.ramp.judge import judge
from steadyrun.ramp.ledger import Ledger
from steadyrun.ramp.loads.members import members_for
from steadyrun.ramp.loads.work import work_of
from steadyrun.ramp.logs import LogPump
from steadyrun.ramp.observe import Clocks, DesktopWatch, Observer
from steadyrun.ramp.oom import account
from steadyrun.ramp.order import RampOrder
from steadyrun.ramp.recovery import RECOVERY_LIMIT, recovered
from steadyrun.ramp.stopping import StopRequests
from steadyrun.ramp.worst import WorstFold
from steadyrun.recovery.undo import end_containment
from steadyrun.report.rights import rights_of
from steadyrun.units import Bytes, Seconds

SHOW_EVERY = Seconds(0.4)
RECOVERY_LOOK = Seconds(0.25)
KEEPER_PATIENCE = Seconds(8.0)
"""The keeper waits 3 s for a silent guard, then kills and removes."""
OUTPUT_PATIENCE_S = 5.0
FRAMES_AFTER = Seconds(1.0)
"""Frames count this much longer than the load ran: its end (gigabytes freed at once) is felt, too, and
a load of milliseconds has no frame of its own."""


class Setting(NamedTuple):
    """What every attempt of one ramp shares."""

    order: RampOrder
    backend: Backend
    reserve: Reserve
    effective_ram: Bytes
    baseline: Baseline
    first: Observation
    """The machine as the baseline saw it."""
    usual: Usual = Usual()
    """Its pressure then."""


class _Log(NamedTuple):
    path: str
    write_fd: int
    pump: LogPump


class Recovery(NamedTuple):
    """What was seen of the machine after a load."""

    took: Seconds | None
    """`None`: it was not near its baseline by then."""
    awaited: bool = True
    """By the limit; `False`: somebody insisted on stopping before."""


class AttemptRunner:
    """Carries out attempts. One at a time."""

    def __init__(
        self,
        setting: Setting,
        journal: Journal,
        ledger: Ledger,
        observer: Observer,
        stop: StopRequests,
        canary: CanaryCare,
    ) -> None:
        self._set, self._journal, self._ledger = setting, journal, ledger
        self._observer, self._stop, self._canary = observer, stop, canary
        self._shown = 0.0
        self._worst = WorstFold()
        self._made: ContainmentMade | None = None
        self._told: set[str] = set()

    def run(self, attempt: Attempt) -> Attempt:
        """Carry out one attempt from READY to its verdicts.

        Raises:
            SteadyrunError: The containment could not be made, or the journal not be written;
                nothing of the load is left.
        """
        self._worst = WorstFold(time.monotonic_ns())
        self._observer.kernel_log.new_kills()
        self._keep_canary()
        before = self._observer.observe()
        clocks = Clocks.now()
        attempt = attempt._replace(state=State.RUNNING, started_wall=Seconds(clocks.wall))
        self._ledger.attempt(attempt, status=f"Phase {attempt.label} is running")
        watch = DesktopWatch()
        try:
            guarded, log = self._guard(attempt)
        finally:
            during = watch.finish()
        self._ledger.settle()
        ended = time.monotonic()
        attempt = attempt._replace(state=State.RECOVERING, ended_wall=Seconds(time.time()))
        self._ledger.attempt(attempt, status=f"Recovering after Phase {attempt.label}")
        recovery = self._recover(before, ended)
        after = self._observer.observe()
        evidence = self._evidence(attempt, guarded, log, before, after, clocks, recovery)._replace(
            during=during
        )
        return self._judged(attempt, evidence, guarded)

    def _guard(self, attempt: Attempt) -> tuple[Guarded, LogPump]:
        """Have a guard hold the load until it is over; write the intent before, the end after."""
        run_id = self._set.order.run_id
        plan = self._set.backend.plan(f"{run_id}-{attempt.serial}")
        log = self._open_log(attempt)
        intent = self._journal.intend(run_id, IntentKind.CONTAINMENT, plan)
        load = None
        try:
            load = GuardedLoad(
                self._order(attempt, plan, log.write_fd),
                stop=self._stop,
                guard_log=2,
                on_prepared=lambda prepared: self._note(intent, prepared),
                on_reading=lambda reading: self._reading(attempt.serial, reading),
                on_event=lambda event: self._event(attempt.serial, event),
                on_turn=self._keep_canary,
            )
        finally:
            os.close(log.write_fd)
            if load is None:
                self._journal.fulfil(intent, "never made")
        guarded = load.follow()
        self._ledger.status(f"The load of Phase {attempt.label} has ended")  # seen before the disk has it
        self._take_frames()
        how = end_containment(self._set.backend, plan, self._made, patience=KEEPER_PATIENCE)
        if how is not None:  # else it is for the next start to end
            self._journal.fulfil(intent, how)
        if guarded.refused is not None:
            raise CannotContainError(guarded.refused.message, hint=guarded.refused.hint)
        log.pump.finish(OUTPUT_PATIENCE_S)
        return guarded, log.pump

    def _open_log(self, attempt: Attempt) -> _Log:
        path = os.path.join(self._set.order.report_dir, attempt.log_name)
        with rights_of(_owner(self._set.order)):
            try:
                file = os.open(
                    path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644
                )
            except OSError as error:
                self._ledger.finding(_no_log(path, error))
                file = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        pump = LogPump(read_fd, file, most=attempt.limits.output_max or OUTPUT_MAX)
        return _Log(path, write_fd, pump)

    def _order(self, attempt: Attempt, plan: ContainmentPlan, write_fd: int) -> Order:
        order = self._set.order
        self._made = None
        return Order(
            plan=plan,
            limits=attempt.limits,
            members=members_for(attempt.phase.load, cwd=order.cwd, env=order.env),
            thresholds=self._thresholds(),
            usual=self._set.usual,
            may_throttle=not watches_pressure(order.machine.others or ()),
            run_as=order.run_as,
            frames_fd=order.frames_fd,
            stdout_fd=write_fd,
            stderr_fd=write_fd,
        )

    def _thresholds(self) -> Thresholds:
        return Thresholds.of(self._set.reserve, self._set.order.guard)

    def _note(self, intent: int, prepared: Prepared) -> None:
        self._made = prepared.made
        self._journal.note(intent, prepared.made)

    def _reading(self, serial: int, reading: Reading) -> None:
        self._worst.add(reading)
        self._take_frames()
        now = time.monotonic()
        show = now - self._shown >= SHOW_EVERY
        if show:
            self._shown = now
        self._ledger.reading(serial, reading, show=show)

    def _take_frames(self) -> None:
        frames = self._observer.frames
        if frames is not None:
            self._worst.add_frames(frames.entries(self._worst.frames_until_ns))

    def _event(self, serial: int, event: Event) -> None:
        self._ledger.event(serial, time.time(), encode_event(event))

    def _keep_canary(self) -> None:
        restarted = self._canary.restart_if_dead()
        if restarted is not None:
            self._ledger.finding_soon(restarted)

    def _recover(self, before: Observation, ended: float) -> Recovery:
        """Wait until the machine is near its baseline again, or somebody insists on stopping."""
        earlier = self._observer.sample()
        while time.monotonic() - ended < RECOVERY_LIMIT:
            if self._stop.wait(RECOVERY_LOOK) and self._stop.count() > 1:
                return Recovery(None, awaited=False)
            self._keep_canary()
            if time.monotonic() - ended <= FRAMES_AFTER:
                self._take_frames()
            now = self._observer.glance(before)
            if recovered(
                self._set.baseline,
                before,
                now,
                earlier=earlier,
                effective_ram=self._set.effective_ram,
                thresholds=self._thresholds(),
            ):
                return Recovery(Seconds(time.monotonic() - ended))
            if now.host.at - earlier.at >= 1.0:
                earlier = now.host
        return Recovery(None)

    def _evidence(
        self,
        attempt: Attempt,
        guarded: Guarded,
        log: LogPump,
        before: Observation,
        after: Observation,
        clocks: Clocks,
        recovery: Recovery,
    ) -> Evidence:
        now = Clocks.now()
        tail = log.tail()
        work, work_done = work_of(attempt.phase.load, tail)
        outcome = guarded.outcome
        inside = None if outcome is None else outcome.oom_kills
        logged = self._observer.kernel_log.new_kills()
        seen = self._worst.load_kills
        oom = account(before.host.oom_kills, after.host.oom_kills, inside, logged, seen)
        return Evidence(
            before=before,
            after=after,
            worst=self._worst.result(),
            during=(),
            outcome=outcome,
            readback=guarded.readback,
            actions=guarded.actions,
            recovery=recovery.took,
            recovery_awaited=recovery.awaited,
            recovery_limit=RECOVERY_LIMIT,
            suspended=now.suspended_since(clocks),
            clock_jump=now.set_since(clocks),
            oom_kills_outside=oom.outside,
            guard_cpu=guarded.guard_cpu,
            output_tail=tail[-4000:],
            output_bytes=log.total,
            output_dropped=log.dropped,
            work=work,
            work_done=work_done,
            oom_kills_elsewhere=oom.elsewhere,
            oom_victims=oom.victims,
        )

    def _judged(self, attempt: Attempt, evidence: Evidence, guarded: Guarded) -> Attempt:
        judged = judge(
            self._set.baseline,
            attempt.phase,
            attempt.limits,
            evidence,
            self._set.reserve,
            weak=self._set.order.weak,
            troubles=guarded.findings,
            told=frozenset(self._told),
            run_id=self._set.order.run_id,
        )
        keys = (told_once(finding, weak=self._set.order.weak) for finding in judged.findings)
        self._told.update(key for key in keys if key is not None)
        return attempt._replace(
            state=judged.state,
            evidence=evidence,
            host=judged.host,
            job=judged.job,
            findings=judged.findings,
            observation=judged.observation,
        )


def _owner(order: RampOrder) -> tuple[int, int] | None:
    return None if order.run_as is None else (order.run_as.uid, order.run_as.gid)


def _no_log(path: str, error: OSError) -> Finding:
    return Finding(
        "log-not-written",
        Severity.WARNING,
        "The load's output could not be kept",
        f"{path}: {os.strerror(error.errno or 0)}",
        "Give a folder that can be written with --report DIR",
    )
