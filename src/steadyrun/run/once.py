"""One `steadyrun run`: facts, limits, intent, guard in front, summary.

It has no conductor. The journal gets one intent before the command is released and one summary
after; a journal that cannot be written is a warning here, because the command runs contained all
the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from steadyrun.contain.decide import decide, reasons
from steadyrun.contain.first_move import FirstMove
from steadyrun.contain.open import open_backend
from steadyrun.contain.panic import expect_no_panic
from steadyrun.contain.promises import Turn, promised_here
from steadyrun.contain.spawn import inheritable_fds
from steadyrun.errors import CannotContainError, SteadyrunError
from steadyrun.guard.hold import Hold, Streams, prepare
from steadyrun.guard.priority import come_first
from steadyrun.journal.identity import new_run_id, run_header
from steadyrun.kernel.reader import HostReader, boot_id
from steadyrun.model.action import LET_GO, PAUSED, WENT_ON, Action
from steadyrun.model.containment import BackendName, ContainmentMade, ContainmentPlan
from steadyrun.model.envelope import STORM, kind_of
from steadyrun.model.event import Acted, Event, Sampled, Troubled
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.machine import Reserve, beside, reserve_of
from steadyrun.model.others import Swap, first_to_act, watches_pressure
from steadyrun.model.outcome import LoadOutcome
from steadyrun.model.plan import Member, RunAs
from steadyrun.model.thresholds import Thresholds
from steadyrun.named import NamedTuple
from steadyrun.run.allowance import beyond_cores, choose_limits, room_for_new
from steadyrun.run.canary import FrontCanary, why_no_desktop
from steadyrun.run.front import guard_in_front
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Bytes, Seconds

if TYPE_CHECKING:
    from steadyrun.journal.owners import Owners
    from steadyrun.journal.write import Journal
    from steadyrun.model.envelope import Envelope
    from steadyrun.model.given import Rules
    from steadyrun.model.others import OtherGuard
    from steadyrun.model.run import FramesSeen, RunHeader
    from steadyrun.model.sample import HostSample
    from steadyrun.run.aside import Aside

NEEDED_LATER = (
    "steadyrun.guard.loop",
    "steadyrun.guard.rules",
    "steadyrun.guard.frames",
    "steadyrun.run.exitcode",
    "steadyrun.run.aside",
)
"""Imported only once the intent is written: by then the kernel is at work on the first move."""


ACTIONS_KEPT = 200
"""Deeds of the guard that the record of a run holds, the first ones; by choice: far more than one reads."""
_GRIPPED = {Action.TIGHTEN: "held tighter", Action.LOOSEN: "held less tightly"}
JOURNAL_PATIENCE_S = 10.0
"""How long a busy journal holds up the command or the prompt; then it runs without a record."""


class Request(NamedTuple):
    """What the user asked for."""

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    asked: Limits
    run_as: RunAs | None
    guard: dict[str, float]
    """What the settings change of the guard's thresholds (`model.thresholds.SPANS`)."""
    canary: bool = True
    """A command that lasts has one."""
    accept_weak: bool = False
    """Polled limits will do, also where systemd only did not answer in time."""
    memory_from: str = "--memory"
    """Where the hard memory limit was asked for."""


class Finished(NamedTuple):
    """How it went."""

    run_id: str
    backend: BackendName
    limits: Limits
    ceiling: Bytes
    """The most memory a load may have on this machine."""
    outcome: LoadOutcome
    readback: tuple[ReadBack, ...]
    guard_pid: int
    keeper_pid: int
    actions: tuple[Acted, ...]
    """What the guard did to the load, in order; the first ACTIONS_KEPT."""
    frames: FramesSeen | None
    no_frames: str
    """Why there are none; empty: there are."""


Say = Callable[[str], None]


def run_once(request: Request, *, say: Say, warn: Say) -> Finished:
    """Run one command in a containment and return how it ended.

    Args:
        request: What to run, and within which limits.
        say: Hears what a person may want to know.
        warn: Hears what a person should know.

    Raises:
        SteadyrunError: It could not be contained as asked; nothing ran.
    """
    others = inheritable_fds()
    run = _Run(request, say, warn)
    try:
        outcome = run.carry_out(others)
    finally:
        run.close()
    return Finished(
        run.run_id,
        run.backend.name,
        run.limits,
        run.ceiling,
        outcome,
        run.readback,
        os.getpid(),
        run.keeper_pid,
        run.acted(),
        run.frames(),
        run.no_frames(),
    )


class _Run:
    """One run while it lasts."""

    def __init__(self, request: Request, say: Say, warn: Say) -> None:
        self.request, self._say, self._warn = request, say, warn
        self.run_id = new_run_id()
        self.readback: tuple[ReadBack, ...] = ()
        self.keeper_pid = 0
        self._others: tuple[OtherGuard, ...] | None = None
        self._others_from: Bytes | None = None
        self._frozen = False
        self._acted: list[Acted] = []
        self._aside: Aside | None = None
        self._canary: FrontCanary | None = None
        self._no_canary = ""
        expect_no_panic()
        facts, choice = decide(accept_weak=request.accept_weak, say=warn)
        self._first_move = FirstMove(facts)
        self.backend = open_backend(choice.backend, facts)
        if choice.backend.is_weak:
            warn(f"limits are polled, not enforced ({reasons(choice)}); `steadyrun doctor` says more")
        self._owners: Owners | None = None
        self._journal = self._open_journal()
        self._turn = Turn(self.backend)
        try:
            self.limits = self._limits()
        except BaseException:
            self._turn.over()
            raise

    def carry_out(self, others: tuple[int, ...]) -> LoadOutcome:
        plan = self.backend.plan(f"{self.run_id}-1")
        intent = self._begin(plan)
        self._no_canary = self._why_no_canary()
        if not self._no_canary:
            self._canary = FrontCanary(is_alone=lambda: self._aside is None or self._aside.is_silent())
        priority = come_first(lock=False)
        try:
            outcome = guard_in_front(
                lambda streams: self._make(plan, intent, streams),
                self._rules,
                self._hear,
                others=others,
                priority=priority,
                canary=self._canary,
            )
            self._end(intent, outcome)
        finally:
            if self._aside is not None:
                self._aside.finish()
        return outcome

    def acted(self) -> tuple[Acted, ...]:
        """Return what the guard did, in the order in which it was decided."""
        return tuple(sorted(self._acted, key=lambda act: act.at))

    def _why_no_canary(self) -> str:
        if not self.request.canary:
            return "--no-canary"
        if self.backend.name.is_weak:
            # They are known by what descends from the guard, between a fork and its exec too.
            return "polled loads have none"
        return why_no_desktop()

    def no_frames(self) -> str:
        """Say why no frame was seen; empty: some were."""
        return self._no_canary if self._canary is None else self._canary.why_unseen()

    def frames(self) -> FramesSeen | None:
        """Return what the canary saw; `None`: there was none."""
        return None if self._canary is None else self._canary.seen()

    def close(self) -> None:
        self._first_move.over()
        self._turn.over()
        if self._canary is not None:
            self._canary.reap()
        if self._journal is not None:
            self._journal.close()
        if self._owners is not None:
            self._owners.close()

    def _make(self, plan: ContainmentPlan, intent: int | None, streams: Streams) -> Hold:
        request = self.request
        hold = prepare(
            self.backend,
            plan,
            self.limits,
            (Member(request.argv, request.cwd, request.env),),
            streams,
            run_as=request.run_as,
            new_session=False,
            meanwhile=lambda made: self._get_ready(intent, made),
        )
        self._first_move.made()
        self.readback, self.keeper_pid = hold.readback, hold.keeper.pid
        missed = [r for r in hold.readback if not r.held]
        if missed:
            self._warn("not in force here: " + "; ".join(f"{r.name} ({r.found})" for r in missed))
        return hold

    def _get_ready(self, intent: int | None, made: ContainmentMade) -> None:
        """Do what is left to do before the release; the longer the first move had, the less it waits."""
        self._turn.over()  # the promise can be seen
        self._note(intent, made)
        for name in NEEDED_LATER:
            __import__(name)
        from steadyrun.run.aside import Aside

        self._aside = Aside(self._warn)

    def _rules(self, hold: Hold) -> Rules:
        from steadyrun.guard.rules import rules_of

        return rules_of(
            Thresholds.of(self._reserve, self.request.guard),
            self.limits,
            1,
            hold.readback,
            capabilities=hold.capabilities,
            cores=len(os.sched_getaffinity(0)),
            may_throttle=not watches_pressure(self._others or ()),
        )

    def _limits(self) -> Limits:
        host = HostReader()
        sample = host.sample(at=0.0, wall=0.0)
        host.close()
        if sample.mem_total is None or sample.mem_available is None:
            raise CannotContainError("/proc/meminfo: expected MemTotal and MemAvailable, found none")
        self._effective_ram = sample.mem_total
        self._reserve = self._beside_others(reserve_of(sample.mem_total), sample)
        self.ceiling = Bytes(sample.mem_total - self._reserve.reserve)
        chosen = choose_limits(
            self.request.asked,
            self._envelope(),
            room=room_for_new(sample.mem_available, self._reserve, promised_here(self.backend)),
            ceiling=self.ceiling,
            source=self.request.memory_from,
        )
        if chosen.why:
            self._say(f"limits: {chosen.why}")
        if words := beyond_cores(self.request.asked.cpu_max, len(os.sched_getaffinity(0))):
            self._say(f"limits: --cpus {words}")
        if self.request.asked.swap_max and sample.swap_total == 0:
            self._say("limits: --swap gives nothing here: there is no swap")
        return chosen.limits

    def _beside_others(self, reserve: Reserve, sample: HostSample) -> Reserve:
        """Have the guard act before anybody else who ends processes when memory is short."""
        from steadyrun.desktop.other_units import running_units

        if not (units := running_units()):
            return reserve
        from steadyrun.desktop.others import others_by_unit
        from steadyrun.report.others import kept_words

        self._others = others_by_unit(units)
        self._others_from = first_to_act(self._others, Swap(sample.swap_total, sample.swap_free))
        found = beside(reserve, self._others_from, self._effective_ram)
        for line in kept_words(self._others, reserve, found):
            self._say(line)
        return found

    def _envelope(self) -> Envelope | None:
        """Return what a ramp proved on this machine as it is now: for this kind of load, else with the storm.

        The storm is made to find what the machine carries; what another command needed says nothing of this.
        """
        if self._journal is None or self.request.asked.memory_max is not None:
            return None
        kinds = (kind_of(self.request.argv), STORM)
        found = (self._journal.envelope(kind) for kind in kinds)
        return next((each for each in found if each and each.effective_ram == self._effective_ram), None)

    # The journal: one intent before the release, one summary after

    def _open_journal(self) -> Journal | None:
        from steadyrun.journal.place import state_dir
        from steadyrun.journal.write import open_journal

        try:
            directory = state_dir(os.environ, os.geteuid())
            journal = open_journal(directory, boot_id=boot_id(), patience=JOURNAL_PATIENCE_S)
            for finding in journal.findings:
                self._warn(f"{finding.title} {finding.done}")
            self._recover(journal)
        except SteadyrunError as error:
            self._warn(f"{error.message}; this run leaves no record")
            return None
        return journal

    def _recover(self, journal: Journal) -> None:
        if not journal.open_runs():  # also those with nothing but an intent
            return
        from steadyrun.recovery.clean_up import recover

        recovered = recover(journal)
        for line in (*recovered.told, *recovered.done):
            self._say(f"recovered: {line}")
        for line in recovered.failed:
            self._warn(line)

    def _begin(self, plan: ContainmentPlan) -> int | None:
        from steadyrun.journal.owners import Owners
        from steadyrun.journal.rows import IntentKind

        if self._journal is None:
            return None
        try:
            # Until this process ends, also when the journal is given up: what is intended is ours.
            self._owners = Owners(self._journal.directory)
            self._owners.own(self.run_id)
            with self._journal.batch():
                self._journal.begin_run(self._header())
                return self._journal.intend(self.run_id, IntentKind.CONTAINMENT, plan)
        except SteadyrunError as error:
            self._give_up_journal(error)
            return None

    def _note(self, intent: int | None, made: ContainmentMade) -> None:
        """Write the inodes down. A power cut may take them: it takes the cgroups, too."""
        if self._journal is None or intent is None:
            return
        try:
            self._journal.note(intent, made, durable=False)
        except SteadyrunError as error:
            self._give_up_journal(error)

    def _end(self, intent: int | None, outcome: LoadOutcome) -> None:
        from steadyrun.model.run import RunEnd, RunResult
        from steadyrun.run.exitcode import exit_code

        if self._journal is None:
            return
        result = RunResult(outcome, self.readback, self.acted(), self.frames(), self.no_frames())
        end = RunEnd(Seconds(time.time()), exit_code(outcome), outcome.cause or outcome.ending.value)
        try:
            with self._journal.batch():
                if intent is not None and outcome.removed:
                    self._journal.fulfil(intent, "removed")
                self._journal.add_events(self.run_id, 0, [(time.time(), result)])
                self._journal.end_run(self.run_id, end)
        except SteadyrunError as error:
            self._give_up_journal(error)

    def _give_up_journal(self, error: SteadyrunError) -> None:
        self._warn(f"{error.message}; the run keeps its limits and goes on without a record")
        if self._journal is not None:
            self._journal.close()
        self._journal = None

    def _header(self) -> RunHeader:
        from steadyrun.desktop.facts import quick_facts
        from steadyrun.model.run import RunKind

        return run_header(
            self.run_id,
            RunKind.RUN,
            user=self.request.env.get("USER", str(os.geteuid())),
            argv=self.request.argv,
            cwd=self.request.cwd,
            backend=self.backend.name,
            weak=self.backend.name.is_weak,
            machine=quick_facts()._replace(others=self._others, others_from=self._others_from),
            reserve=self._reserve,
            limits=self.limits,
        )

    def _hear(self, event: Event) -> None:
        """Tell the person what the loop did. Called inside the loop: it must not wait for a reader."""
        if isinstance(event, Sampled) and self._canary is not None:
            self._canary.take(event.reading.frames)
        if isinstance(event, Acted) and len(self._acted) < ACTIONS_KEPT:
            self._acted.append(event)
        if isinstance(event, Acted) and event.cause in (PAUSED, WENT_ON):
            return  # the shell tells of a Ctrl-Z
        if isinstance(event, Troubled):
            self._tell(event.finding.title)
        elif isinstance(event, Acted) and event.action in _GRIPPED and event.cause != LET_GO:
            self._tell(f"the command is {_GRIPPED[event.action]}: {event.cause}")
        elif isinstance(event, Acted) and event.action is Action.FREEZE:
            self._frozen = True
            self._tell(f"the command is frozen: {event.cause}")
        elif isinstance(event, Acted) and event.action is Action.THAW and self._frozen:
            self._frozen = False
            self._tell(f"the command goes on: {event.cause}")

    def _tell(self, line: str) -> None:
        if self._aside is not None:
            self._aside.say(line)
