"""The conductor: carries out a plan, phase by phase, and keeps the record.

What to do next and what a phase was worth are decided by `schedule.py` and `judge.py`; here the
decisions are carried out and written down. Runs outside the session it was started from.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from steadyrun.contain.base import Backend
from steadyrun.contain.promises import left_by_others
from steadyrun.desktop.power import on_battery
from steadyrun.errors import SteadyrunError, UnhealthyBaselineError
from steadyrun.guard.frames import FramesReader
from steadyrun.journal.rows import IntentKind
from steadyrun.journal.write import Journal
from steadyrun.kernel.reader import boot_id, cpu_times
from steadyrun.model.containment import ContainmentMade, ContainmentPlan
from steadyrun.model.envelope import Envelope, kind_of_load, proven_limits
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.limits import CPU_WEIGHT_DEFAULT, Limits
from steadyrun.model.machine import Reserve, room_of
from steadyrun.model.rates import idle_cores
from steadyrun.model.record import Attempt, Baseline, Observation, RunEnd, State
from steadyrun.model.sample import HostSample
from steadyrun.model.verdict import Answer
from steadyrun.ramp.attempt import AttemptRunner, Setting
from steadyrun.ramp.baseline import judge_baseline, summarise
from steadyrun.ramp.canary_care import CanaryCare
from steadyrun.ramp.ledger import Ledger
from steadyrun.ramp.observe import Observer, disk_free, uptime, usual_of
from steadyrun.ramp.order import RampOrder
from steadyrun.ramp.proofs import IntentHook, prove, refuse_unproven
from steadyrun.ramp.schedule import Finish, RunPhase, next_step
from steadyrun.ramp.stopping import StopRequests
from steadyrun.report.command import run_command
from steadyrun.units import Bytes, Cores, Ratio, Seconds

BASELINE_EVERY = Seconds(0.25)


class _Watched(NamedTuple):
    """What was seen of the machine before any load."""

    samples: list[HostSample]
    canary_cpu: Ratio | None
    cpu_idle: Cores | None


class Conductor:
    """One ramp from its baseline to its end."""

    def __init__(
        self,
        order: RampOrder,
        *,
        backend: Backend,
        journal: Journal,
        ledger: Ledger,
        stop: StopRequests,
        reserve: Reserve,
        effective_ram: Bytes,
    ) -> None:
        """Take everything that is decided."""
        self._order, self._backend, self._journal = order, backend, journal
        self._ledger, self._stop = ledger, stop
        self._reserve, self._effective_ram = reserve, effective_ram
        self._frames = FramesReader(order.frames_fd)
        self._observer = Observer(self._frames)
        self._canary = CanaryCare(order.frames_fd, order.canary_pid)

    def run(self) -> int:
        """Carry out the ramp and return the exit code. Every way out is in the record.

        Raises:
            JournalUnwritableError: The end is in the report alone.
        """
        findings: tuple[Finding, ...] = ()
        try:
            code, reason, status = self._carry_out()
        except _StoppedError as stopped:
            code, reason, status = stopped.code, "it was asked to stop", "Stopped"
        except SteadyrunError as error:
            code, reason, status = error.exit_code, error.message, "Not finished"
            findings = (_stopper(error),)
        try:
            self._ledger.end(RunEnd(Seconds(time.time()), code, reason), status, *findings)
        finally:
            self._observer.close()
            self._canary.close()
        return code

    def _carry_out(self) -> tuple[int, str, str]:
        baseline, first = self._baseline()
        ceiling = self._ceiling(baseline)
        self._prove()
        usual = usual_of(first)
        setting = Setting(
            self._order, self._backend, self._reserve, self._effective_ram, baseline, first, usual
        )
        runner = AttemptRunner(setting, self._journal, self._ledger, self._observer, self._stop, self._canary)
        while True:
            step = next_step(
                self._order.plan,
                self._ledger.own_attempts(),
                ceiling=ceiling,
                effective_ram=self._effective_ram,
                carried=self._ledger.carried,
                downs=self._ledger.record.header.downs,
            )
            if isinstance(step, Finish):
                return self._finish(step)
            self._phase(runner, step)
            self._ledger.border()
            self._stop_here()

    def _ceiling(self, baseline: Baseline) -> Bytes:
        """Return the most that a load is given, beside what others' loads were promised.

        Under `--force` phase 1 is begun however little there is.
        """
        first = self._order.plan.phases[0].limits.memory_max or Bytes(0)
        left = left_by_others(baseline.mem_available, self._backend)
        return max(room_of(self._effective_ram, left, self._reserve), first)

    def _phase(self, runner: AttemptRunner, step: RunPhase) -> None:
        attempt = _ready(step, serial=len(self._ledger.record.attempts) + 1)
        self._ledger.attempt(attempt, status=f"Ready for Phase {step.label}")
        self._ledger.border()
        try:
            self._ledger.attempt(runner.run(attempt))
        except Exception:
            self._ledger.attempt(attempt._replace(state=State.INTERRUPTED, ended_wall=Seconds(time.time())))
            raise

    def _baseline(self) -> tuple[Baseline, Observation]:
        """Watch the machine without load.

        Raises:
            UnhealthyBaselineError: It is not well, and nobody said `--force`.
        """
        watched = self._watch(self._order.plan.baseline)
        first = self._observer.observe(window=self._order.plan.baseline)
        baseline = summarise(
            watched.samples,
            first.frames,
            first.desktop,
            canary_cpu=watched.canary_cpu,
            cpu_idle=watched.cpu_idle,
            uptime=uptime(),
            disk_free=disk_free(self._order.report_dir, self._order.state_dir),
            on_battery=on_battery(),
        )
        phases = self._order.plan.phases
        health = judge_baseline(
            baseline,
            reserve=self._reserve,
            first_limit=phases[0].limits.memory_max or Bytes(0),
            yields=any((p.limits.cpu_weight or CPU_WEIGHT_DEFAULT) < CPU_WEIGHT_DEFAULT for p in phases),
        )
        baseline = baseline._replace(checks=health.checks, healthy=health.answer)
        self._ledger.finding(*health.findings)
        self._ledger.baseline(baseline)
        if health.answer is not Answer.YES and not self._order.force:
            raise _unhealthy(health.findings)
        return baseline, first

    def _watch(self, seconds: Seconds) -> _Watched:
        samples = [self._observer.sample(count_processes=True)]
        began, cpu, cpus = time.monotonic(), self._frames.cpu_s(), cpu_times()
        while time.monotonic() - began < seconds:
            if self._stop.wait(BASELINE_EVERY):
                self._stop_here()
            samples.append(self._observer.sample(count_processes=True))
        used = self._frames.cpu_s()
        canary = None if cpu is None or used is None else Ratio((used - cpu) / (time.monotonic() - began))
        return _Watched(samples, canary, idle_cores(cpus, cpu_times()))

    def _prove(self) -> None:
        self._ledger.status("Containment is being proved")
        for proof in prove(
            self._backend, f"{self._order.run_id}-proof", intent_hook(self._journal, self._order.run_id)
        ):
            self._ledger.proof(proof)
            self._stop_here()
        self._ledger.border()
        if not self._order.weak:
            refuse_unproven(self._ledger.record.proofs)

    def _finish(self, step: Finish) -> tuple[int, str, str]:
        if step.exit_code == 0 and step.passed_limits is not None:
            envelope = self._envelope(step.passed_limits)
            self._ledger.envelope(envelope, run_command(self._order.argv, envelope.limits))
        return step.exit_code, step.reason, step.status

    def _envelope(self, passed: Limits) -> Envelope:
        last, load = self._ledger.record.attempts[-1], self._order.plan.phases[-1].load
        outcome = None if last.evidence is None else last.evidence.outcome
        peak = None if outcome is None else outcome.memory_peak
        machine = self._order.machine
        return Envelope(
            kind=kind_of_load(load),
            limits=proven_limits(load, passed, peak),
            peak=peak,
            proven_wall=Seconds(time.time()),
            run_id=self._order.run_id,
            effective_ram=machine.effective_ram,
            cores=machine.cores,
            kernel=machine.kernel,
        )

    def _stop_here(self) -> None:
        if self._stop.count():
            raise _StoppedError(128 + (self._stop.last_signal or 2))


class _StoppedError(Exception):
    """Somebody asked to stop between two phases."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


def intent_hook(journal: Journal, run_id: str) -> IntentHook:
    """Return the hook that writes a containment's intent, inodes and end into the journal."""

    def intend(plan: ContainmentPlan) -> Callable[[ContainmentMade], Callable[[str], None]]:
        number = journal.intend(run_id, IntentKind.CONTAINMENT, plan)

        def made(what: ContainmentMade) -> Callable[[str], None]:
            journal.note(number, what)
            return lambda how: journal.fulfil(number, how)

        return made

    return intend


def _ready(step: RunPhase, *, serial: int) -> Attempt:
    return Attempt(
        serial=serial,
        phase=step.phase,
        label=step.label,
        limits=step.limits,
        boot_id=boot_id(),
        state=State.READY,
        announcement=step.announcement,
        started_wall=None,
        ended_wall=None,
        evidence=None,
        host=None,
        job=None,
        findings=(),
        observation="",
    )


def _unhealthy(findings: tuple[Finding, ...]) -> UnhealthyBaselineError:
    problems = [f for f in findings if f.severity is Severity.PROBLEM] or list(findings)
    said = "; ".join(f"{f.title} ({f.evidence})" for f in problems)
    remedies = [f.remedy for f in problems if f.remedy]
    return UnhealthyBaselineError(
        f"the machine is not well before any load, nothing was started: {said}",
        hint=" ".join([*remedies, "`--force` goes on all the same."]),
    )


def _stopper(error: SteadyrunError) -> Finding:
    return Finding(
        "not-finished", Severity.PROBLEM, "The ramp could not go on", error.message, error.hint or ""
    )
