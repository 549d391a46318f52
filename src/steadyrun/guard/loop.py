"""The guard's loop: reads the world at each tick, asks the machine, carries out what it says.

One thread, one `poll`. It never writes to disk and never waits for anything but its own poll. The
same loop serves a ramp's guard (`process.py`) and `steadyrun run` (`front.py`): they differ in who
listens to the events and in where requests come from.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from functools import partial
from time import monotonic, time

from steadyrun.guard import law, machine
from steadyrun.guard.held import Decision, Held, Stage, same
from steadyrun.guard.hold import Hold
from steadyrun.guard.killing import Killing
from steadyrun.guard.means import Looks, deeds_of
from steadyrun.guard.outcome import outcome_of
from steadyrun.guard.tightening import Tightening
from steadyrun.kernel.reader import HostReader
from steadyrun.model.action import Action
from steadyrun.model.event import Acted, Ended, Event, Released, Ruled, Sampled, Told, Troubled
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.given import Counted, Freed, MemberEnded, Rules, StopAsked, Ticked
from steadyrun.model.outcome import Ending, LoadOutcome
from steadyrun.model.sample import Reading
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Bytes, Seconds, format_duration

if TYPE_CHECKING:
    from steadyrun.desktop.protected import ProtectedReader
    from steadyrun.guard.frames import FramesReader
    from steadyrun.model.means import Priority

FRAMES_WINDOW = Seconds(1.0)
CONFIRM_WITHIN = Seconds(1.0)
"""Freezing is asynchronous; after this long without `frozen 1` it is reported as it is."""
RECOUNT_FIRST, RECOUNT_LAST = Seconds(0.001), Seconds(0.05)
GONE_EVERY = Seconds(1.0)
UNKNOWN_FOR = Seconds(1.0)
"""A reading that fails once is no news; after this long nobody judges the machine any more."""
KEPT = "its guard gave no sign of life, so its keeper ended it"

Emit = Callable[[Event], None]


class Loop:
    """Guards one prepared load until nothing of it is left."""

    def __init__(
        self,
        hold: Hold,
        rules: Rules,
        emit: Emit,
        frames: FramesReader | None = None,
        *,
        priority: Priority | None = None,
    ) -> None:
        """Take a prepared hold. Nothing runs before `release`.

        Args:
            hold: The load, waiting.
            rules: What it is held by.
            emit: Hears every event.
            frames: Of the canary; `None`: there is none.
            priority: What was granted to this process, for the record.
        """
        self.hold = hold
        self.rules = rules
        self.held = Held()
        self._emit = emit
        self._frames = frames
        self._host = HostReader()
        self._poll = select.poll()
        self._watched: dict[int, Callable[[], None]] = {}
        self._seq = 0
        backend = hold.containment.made.plan.backend
        self._looks = Looks(deeds_of(backend, hold.capabilities, throttles=rules.throttles), priority)
        self._last_tick = self.now()
        self._interval = rules.thresholds.tick
        self._passed_on = Seconds(0.0)
        self._ruled: Rules | None = None
        self._recount: Seconds | None = None
        self._recount_at = Seconds(0.0)
        self._recount_due = False
        self._confirm: tuple[Decision, Seconds] | None = None
        self._gone_at = self.now()
        self._killing = Killing()
        self._tightening = Tightening(hold.containment, rules)
        self._protected: ProtectedReader | None = None
        self._known_at = self.now()
        self._available: Bytes | None = None
        self._told_unknown = False
        self.left_behind = 0
        for waiting in hold.members.values():
            self.watch(waiting.pidfd, partial(self._member_ready, waiting.pid))
        self._watch_keeper()

    def watch(self, fd: int, ready: Callable[[], None], mask: int = select.POLLIN) -> None:
        """Call `ready` whenever the descriptor has something."""
        self._watched[fd] = ready
        self._poll.register(fd, mask)

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor."""
        if self._watched.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def look_at(self, frames: FramesReader) -> None:
        """Take a canary's frames in from the next look on."""
        self._frames = frames

    def is_calm(self) -> bool:
        """Tell whether the load runs as it is meant to, with memory to spare, and nobody waits for anything.

        Then a fork does not wait either, and no other thread is in the middle of something.
        """
        available = self._available
        runs = self.held.stage is Stage.RUNNING and self.held.paused_at is None and self.held.grip.step == 0
        spare = available is not None and available >= self.rules.thresholds.reserve
        return runs and spare and self._tightening.is_idle() and not any(self.held.past.windows)

    def release(self) -> None:
        """Let the members run; without effect once they are to end."""
        if self.held.stage is not Stage.WAITING:
            return
        self.hold.keeper.beat(self.now())  # from here on somebody notices our silence
        self.hold.release()
        at = self.now()
        self.held, _ = machine.step(self.held, Freed(at), self.rules)
        self._pass_on(at, Released(at, Seconds(time())))
        self._tick(at)

    def give(self, told: Told) -> None:
        """Hand the machine what it is told, and carry out what it decides."""
        before = self.held
        self.held, decisions = machine.step(before, told, self.rules)
        self._carry_out(decisions)
        if not same(self.held, before):
            self._pass_on(told.at, told)

    def stop(self, ending: Ending, cause: str, *, now: bool = False) -> None:
        """Pass on somebody's wish that the load ends."""
        self.give(StopAsked(self.now(), ending, cause, now))

    def run(self, each_turn: Callable[[], None] | None = None) -> LoadOutcome:
        """Guard until nothing is left; remove the containment; say how it ended."""
        while self.held.stage is not Stage.OVER:
            self.turn()
            if each_turn is not None:
                each_turn()
        return self._finish()

    def turn(self) -> None:
        """Wait for the next event or tick, once."""
        now = self.now()
        self.hold.keeper.beat(now)
        woken = [fd for fd, _ in self._poll.poll(max(0.0, self._next_at(now) - now) * 1000)]
        # The keeper first: what it did is the cause of what came of it.
        for fd in sorted(woken, key=self.hold.keeper.pidfd.__ne__):
            ready = self._watched.get(fd)
            if ready is not None:
                ready()
        if self._recount is not None and self.now() >= self._recount_at:
            self._count()
        now = self.now()  # after all that was told before: a record is played in the order of its times
        self._confirm_freeze(now)
        self._tell(self._tightening.late(now))
        self._retry_keeper(now)
        if now - self._last_tick >= self._interval:
            self._tick(now)

    def now(self) -> Seconds:
        """Read CLOCK_MONOTONIC, the guard's one clock."""
        return Seconds(monotonic())

    def resumed(self) -> None:
        """Forget the time this process was stopped: the next tick is not a late one."""
        self._last_tick = self.now()

    def _next_at(self, now: Seconds) -> float:
        times = [self._last_tick + self._interval, self.hold.keeper.retry_at]
        if self._recount is not None:
            times.append(self._recount_at)
        if self._confirm is not None:
            times.append(now + 0.001)
        return min(times)

    def _tick(self, now: Seconds) -> None:
        late = law.is_late_tick(self._interval, Seconds(now - self._last_tick))
        self._last_tick = now
        reading = self._read(now)._replace(late=late)
        self._meet_protected()
        self._interval = law.next_tick(reading, self.rules.thresholds, self.held.past.fill)
        self._look_for_unknown(now, reading)
        if self.held.stage is Stage.FROZEN and self._confirm is None and reading.load.frozen is False:
            self.hold.containment.freeze()  # somebody thawed it: a keeper after a stop of ours, or the load
        due = now - self._passed_on >= machine.PASS_ON_EVERY
        looked = machine.look(self.held, Ticked(now, reading), self.rules, due=due)
        self.held = looked.held
        decided = self._carry_out(looked.decisions)
        if looked.counts or decided:  # a kill that is repeated changes nothing
            self._passed_on = now
            self._seq += 1
            self._pass_on(now, Sampled(reading, decided))
        if now - self._gone_at >= GONE_EVERY:
            self._gone_at = now
            if self.held.stage is not Stage.OVER and self.hold.containment.gone():
                self.stop(Ending.CONTAINMENT_GONE, "somebody else removed its containment", now=True)

    def _look_for_unknown(self, now: Seconds, reading: Reading) -> None:
        """Say once when the machine cannot be judged: the load runs on under its own limits alone."""
        if reading.host.mem_available is not None:
            self._known_at = now
        elif now - self._known_at >= UNKNOWN_FOR and not self._told_unknown:
            self._told_unknown = True
            longest = format_duration(self.rules.thresholds.frozen_max)
            self._trouble(
                "machine-unknown",
                f"The machine cannot be judged ({law.UNREADABLE}): its limits alone hold the load",
                f"{law.UNREADABLE} for {now - self._known_at:.0f} s",
                f"Look at /proc/meminfo. A load that is frozen stays so for {longest} at most: "
                "then it is killed, or goes on where it holds too little to matter.",
            )

    def _read(self, now: Seconds) -> Reading:
        host = self._host.sample(at=now, wall=Seconds(time()))
        load = self.hold.containment.sample(now)
        frames = None if self._frames is None else self._frames.read(now, FRAMES_WINDOW)
        protected = () if self._protected is None else self._protected.sample()
        reading = Reading(self._seq, host, load, frames, protected)
        self._looks.take(reading)
        self._available = host.mem_available
        return reading

    def _meet_protected(self) -> None:
        """Find the protected groups once the load runs: a quick start does not wait for them."""
        if self._protected is not None or not self.hold.members or self.held.stage is Stage.WAITING:
            return
        from steadyrun.desktop.protected import ProtectedReader

        self._protected = ProtectedReader(next(iter(self.hold.members)))
        if self.rules.usual.host_full is None:  # no baseline was taken
            self.rules = self.rules._replace(usual=self._protected.usual(self.rules.usual))

    def _carry_out(self, decisions: tuple[Decision, ...]) -> bool:
        """Carry out what was decided; tell whether a record names it."""
        recorded = False
        for decision in decisions:
            recorded = self._do(decision) or recorded
        return recorded

    def _pass_on(self, at: Seconds, event: Released | Sampled | Told) -> None:
        """Tell of what the machine decided from; before it the rules, where these are not those told last."""
        if self._ruled != self.rules:
            self._ruled = self.rules
            self._emit(Ruled(at, self.rules))
        self._emit(event)

    def _do(self, decision: Decision) -> bool:
        """Carry out one decision; tell whether there is a record of it, now or once it is confirmed."""
        began = self.now()
        if decision.action not in (Action.TIGHTEN, Action.LOOSEN):  # these may come beside a freeze
            self._close_freeze()
        match decision.action:
            case Action.FREEZE:
                self.hold.containment.freeze()
                self._confirm = (decision, began)
                return True
            case Action.THAW:
                self.hold.containment.thaw()
            case Action.TIGHTEN | Action.LOOSEN:
                self.watch(self._tightening.wish(decision, began), self._tightened)
                return True
            case Action.TERM:
                self.hold.term()
            case Action.KILL:
                self.hold.kill()
                self._count_soon()
                if not self._killing.news(began):
                    return False
            case Action.FINISH:
                return False
        self._report(decision, began)
        return True

    def _tightened(self) -> None:
        """Record what the hand has done."""
        for decision, began, cause, confirmed in self._tightening.done():
            self._report(decision._replace(cause=cause), began, confirmed=confirmed)

    def _report(self, decision: Decision, began: Seconds, *, confirmed: bool = True) -> None:
        took = Seconds(self.now() - began)
        wall = Seconds(time() - took)
        self._emit(Acted(began, wall, decision.seq, decision.action, decision.cause, took, confirmed))

    def _close_freeze(self, *, confirmed: bool | None = None) -> None:
        """Record a freeze that nobody has recorded yet: something else follows it, or it is given up."""
        if self._confirm is None:
            return
        (decision, began), self._confirm = self._confirm, None
        if confirmed is None:
            confirmed = bool(self.hold.containment.is_frozen())
        self._report(decision, began, confirmed=confirmed)

    def _confirm_freeze(self, now: Seconds) -> None:
        if self._confirm is None:
            return
        decision, began = self._confirm
        if self.hold.containment.is_frozen():
            self._close_freeze(confirmed=True)
        elif now - began > CONFIRM_WITHIN:
            self._close_freeze(confirmed=False)
            self._trouble(
                "freeze-unconfirmed",
                "The load was told to freeze and is not wholly frozen",
                f"no `frozen 1` within {CONFIRM_WITHIN:.0f} s; {decision.cause}",
                "A process in uninterruptible sleep cannot freeze; look at it with `ps -eo pid,stat,wchan`.",
            )

    def _member_ready(self, pid: int) -> None:
        waiting = self.hold.members.get(pid)
        if waiting is None:
            return
        pidfd = waiting.pidfd
        ended = self.hold.reap(pid)
        if ended is None:
            return
        self.forget(pidfd)
        self.give(MemberEnded(self.now(), ended))
        self._count()

    def _count_soon(self) -> None:
        """Count again a moment after a kill; one that is due already is not put off by another kill.

        A polled kill can take longer than a tick, and each tick kills: put off each time, the count
        that ends it all would never come.
        """
        if self._recount_due:
            return
        self._recount_due = True
        if self._recount is None:
            self._recount = RECOUNT_FIRST
        else:
            self._recount = Seconds(min(self._recount * 2, RECOUNT_LAST))
        self._recount_at = Seconds(self.now() + self._recount)

    def _count(self) -> None:
        self._recount_due = False
        living = self.hold.living()
        kills = self.hold.containment.sample(self.now()).kills_at_limit
        if not self.hold.members and self.held.stage is not Stage.KILLING:
            self.left_behind = len(living)
        if self.held.stage is Stage.KILLING:
            self._tell(self._killing.look(self.now(), self.hold.survivors(living)))
        self.give(Counted(self.now(), len(living), kills))
        if self.held.stage is not Stage.KILLING:
            self._recount = None

    def _watch_keeper(self) -> None:
        if self.hold.keeper.pidfd >= 0:
            self.watch(self.hold.keeper.pidfd, self._keeper_ended)

    def _keeper_ended(self) -> None:
        keeper = self.hold.keeper
        self.forget(keeper.pidfd)
        lost = keeper.lost(self.now())
        if lost.did_its_work:
            self.stop(Ending.GUARD_GONE, KEPT, now=True)
        self._tell(lost.finding)
        self._watch_keeper()

    def _retry_keeper(self, now: Seconds) -> None:
        if now >= self.hold.keeper.retry_at:
            self._tell(self.hold.keeper.retry(now))
            self._watch_keeper()

    def _tell(self, finding: Finding | None) -> None:
        if finding is not None:
            self._emit(Troubled(Seconds(time()), finding))

    def _trouble(self, code: str, title: str, evidence: str, remedy: str) -> None:
        self._tell(Finding(code, Severity.WARNING, title, evidence, remedy, ""))

    def _finish(self) -> LoadOutcome:
        now = self.now()
        self._pass_on(now, Sampled(self._read(now)))  # also a load of milliseconds has a last reading
        last = self.hold.last_sample()
        survivors = len(self.hold.survivors(self.hold.living()))
        self.forget(self._tightening.fd)
        self._tightening.close()
        self._tightened()
        if self._protected is not None:
            self._protected.close()
        if self.hold.keeper.pidfd >= 0:
            self.forget(self.hold.keeper.pidfd)
        removed = self.hold.remove()
        self._host.close()
        outcome = outcome_of(
            self.held,
            self.now(),
            last,
            cpu_of_members=self.hold.cpu,
            start_failed=self.hold.start_error,
            survivors=survivors,
            left_behind=self.left_behind,
            removed=removed,
            means=self._looks.means(),
        )
        self._emit(Ended(Seconds(time()), outcome))
        return outcome
