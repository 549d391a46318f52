"""One load under one guard process, seen from the conductor.

Starts the guard, gives it the order, writes the inodes down before it says RELEASE, passes
requests to stop on, and collects every event until the guard has ended. Judges nothing. From RELEASE on
nothing that is called here may wait for a disk: a request to stop would wait with it.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
from collections.abc import Callable
from time import monotonic, time
from typing import NamedTuple

from steadyrun.errors import SteadyrunError
from steadyrun.guard.channel import Channel
from steadyrun.guard.keeping import needed_to_start
from steadyrun.guard.start import python_command
from steadyrun.kernel.processes import stat_of
from steadyrun.model.codec import decode_event, encode
from steadyrun.model.event import (
    Acted,
    Control,
    Ended,
    Event,
    Order,
    Prepared,
    Refused,
    Released,
    Ruled,
    Sampled,
    Troubled,
)
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.given import Continued, Counted, MemberEnded, Paused, StopAsked
from steadyrun.model.limits import ReadBack
from steadyrun.model.outcome import LoadOutcome
from steadyrun.model.sample import Reading
from steadyrun.ramp.stopping import StopRequests
from steadyrun.units import Ratio, Seconds, format_duration

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
LOOK_EVERY_S = 1.0
SILENT_S = 15.0
"""A guard looks ten times a second and tells it; the keeper gives up on a silent one after 3 s."""
PREPARING_S = 120.0
"""Before its first word it makes the containment: a service manager takes its time."""
DYING_S = 10.0
"""For a killed guard to be gone; one in uninterruptible sleep is not."""


class Guarded(NamedTuple):
    """What came of one guarded load."""

    outcome: LoadOutcome | None
    """`None`: the guard died before it could tell."""
    refused: Refused | None
    readback: tuple[ReadBack, ...]
    actions: tuple[Acted, ...]
    findings: tuple[Finding, ...]
    guard_cpu: Ratio | None


class GuardedLoad:
    """A guard process and what it has told so far."""

    def __init__(
        self,
        order: Order,
        *,
        stop: StopRequests,
        guard_log: int,
        on_prepared: Callable[[Prepared], None],
        on_reading: Callable[[Reading], None],
        on_event: Callable[[Event], None],
        on_turn: Callable[[], None],
    ) -> None:
        """Start the guard with this order; nothing of the load runs before `follow`.

        The order's descriptors are passed on to the guard; the caller closes its own copies.

        Args:
            order: Its `stdout_fd`, `stderr_fd` and `frames_fd` are open here.
            stop: Requests to stop; passed on as they come.
            guard_log: Where the guard's own standard error goes.
            on_prepared: Called before RELEASE; the load waits until it returns, for the disk if need be.
            on_reading: Called for each reading; never waits for the disk, nor do the following ones.
            on_event: Called for every other event.
            on_turn: Called several times a second.
        """
        self._stop, self._on_prepared = stop, on_prepared
        self._on_reading, self._on_event, self._on_turn = on_reading, on_event, on_turn
        ours, theirs = socket.socketpair()
        fds = {theirs.fileno(), order.stdout_fd, order.stderr_fd}
        if order.frames_fd is not None:
            fds.add(order.frames_fd)
        with theirs:
            self.process = subprocess.Popen(
                python_command("steadyrun.guard.process", str(theirs.fileno()), bare=True),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=guard_log,
                pass_fds=tuple(fds),
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", os.defpath)} | needed_to_start(),
            )
        self._socket = ours
        self._channel = Channel(ours.fileno())
        self._channel.send(encode(order))
        self._prepared: Prepared | None = None
        self._outcome: LoadOutcome | None = None
        self._refused: Refused | None = None
        self._actions: list[Acted] = []
        self._findings: list[Finding] = []
        self._released_at: float | None = None
        self._cpu: tuple[float, float] | None = None
        self._told_stop = 0
        self._last_cpu = (0.0, 0.0)

    def follow(self) -> Guarded:
        """Follow the load to its end, whatever happens to its guard.

        A guard that says nothing for long is killed: its keeper ends the load, and the caller what is left.
        Should anything fail here, the guard is left alone with the load, and ends it.
        """
        try:
            self._follow()
        finally:
            self._socket.close()
            try:
                self.process.wait(DYING_S)
            except subprocess.TimeoutExpired:
                self._end_guard(DYING_S)
        return self._result()

    def _follow(self) -> None:
        poll = select.poll()
        poll.register(self._channel.fd, select.POLLIN)
        poll.register(self._stop.fd, select.POLLIN)
        silent = 0.0
        while self._channel.open:
            # Only whole waits in vain count: not the time this process was busy, stopped or asleep.
            heard = poll.poll(LOOK_EVERY_S * 1000)
            silent = silent if heard else silent + LOOK_EVERY_S
            for message in self._channel.receive():
                silent = 0.0
                self._hear(decode_event(message))
            if silent >= (PREPARING_S if self._prepared is None else SILENT_S):
                self._end_guard(silent)
                break
            self._pass_on_stop()
            self._on_turn()
            self._channel.flush()

    def _end_guard(self, silent: float) -> None:
        """Kill a guard that is stopped or stuck. Its pid is its own: we have not reaped it."""
        stat = stat_of(self.process.pid)
        state = "unknown" if stat is None else stat.state
        self.process.kill()
        finding = _silent(self.process.pid, silent, state)
        self._findings.append(finding)
        self._on_event(Troubled(Seconds(time()), finding))

    def _hear(self, event: Event) -> None:
        match event:
            case Sampled(reading):
                self._note_cpu()
                self._on_reading(reading)
                return
            case Prepared():
                self._prepared = event
                self._release(event)
            case Released():
                self._released_at = monotonic()
                self._cpu = None
            case Acted():
                self._actions.append(event)
            case Troubled():
                self._findings.append(event.finding)
            case Ended():
                self._outcome = event.outcome
            case Refused():
                self._refused = event
            case Ruled() | MemberEnded() | Counted() | StopAsked() | Paused() | Continued():
                pass  # to be written down, like all others
        self._on_event(event)

    def _release(self, prepared: Prepared) -> None:
        """Write the identities down, then let go; what cannot be written down is not let go."""
        try:
            self._on_prepared(prepared)
        except SteadyrunError:
            self._channel.send(Control.KILL.value)
            raise
        self._pass_on_stop()  # one that came meanwhile: the guard lets nothing go that is to end
        self._channel.send(Control.RELEASE.value)

    def _pass_on_stop(self) -> None:
        asked = self._stop.count()
        if asked > self._told_stop:
            self._told_stop = asked
            self._channel.send((Control.STOP if asked == 1 else Control.KILL).value)

    def _note_cpu(self) -> None:
        """Note the guard's own CPU time at its first and latest reading."""
        stat = None if self._released_at is None else stat_of(self.process.pid)
        if stat is None:
            return
        used = (stat.utime + stat.stime) / _TICKS_PER_S
        first = (monotonic(), used) if self._cpu is None else self._cpu
        self._cpu = first
        self._last_cpu = (monotonic(), used)

    def _guard_cpu(self) -> Ratio | None:
        if self._cpu is None:
            return None
        seconds = self._last_cpu[0] - self._cpu[0]
        return Ratio((self._last_cpu[1] - self._cpu[1]) / seconds) if seconds > 1 else None

    def _result(self) -> Guarded:
        prepared = self._prepared
        return Guarded(
            outcome=self._outcome,
            refused=self._refused,
            readback=() if prepared is None else prepared.readback,
            actions=tuple(sorted(self._actions, key=lambda act: act.at)),
            findings=tuple(self._findings),
            guard_cpu=self._guard_cpu(),
        )


def _silent(pid: int, silent: float, state: str) -> Finding:
    return Finding(
        "guard-silent",
        Severity.PROBLEM,
        "The guard fell silent and was killed",
        f"pid {pid} said nothing for {format_duration(silent)}; its state was {state} "
        "(T: stopped by a signal, D: waiting for a device)",
        "see whether something stops or debugs processes here; `steadyrun ramp --resume` goes on",
        "killed the guard, at which its keeper ends the load",
    )
