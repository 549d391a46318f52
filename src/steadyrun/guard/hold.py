"""A load in its containment: made, filled behind the barrier, killed, removed. The guard's hands.

Carries out single deeds; when and why is `machine.py`'s to say.
"""

from __future__ import annotations

import os
import signal
import sys
from time import monotonic, sleep

from steadyrun.contain.base import Backend, Containment
from steadyrun.contain.spawn import Waiting, marker_environment, spawn_member
from steadyrun.errors import CannotContainError, ContainmentFailedError, EndedBeforeStartError
from steadyrun.guard.keeping import Keeping
from steadyrun.model.containment import Capability, ContainmentMade, ContainmentPlan
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.outcome import MemberExit, StartError
from steadyrun.model.plan import Member, RunAs
from steadyrun.model.sample import CgroupSample
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Self

    from steadyrun.guard.orphans import Orphans

REMOVE_WITHIN = Seconds(5.0)
"""A cgroup of dead processes may stay busy for a moment while the kernel lets go of them."""


class Streams(NamedTuple):
    """The load's standard streams (`None`: the guard's own), and what else it inherits."""

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    others: tuple[int, ...] = ()
    """Descriptors above 2 that the caller meant for the command (a jobserver's pipes)."""
    ignored: tuple[int, ...] = ()
    """Signals that the caller had ignored (`nohup`)."""


class Hold:
    """One load. Make it with `prepare`; in the end `remove` leaves nothing."""

    def __init__(
        self, containment: Containment, readback: tuple[ReadBack, ...], orphans: Orphans | None = None
    ) -> None:
        """Hold a containment that has no member yet; `orphans` knows what of it left the containment.

        Raises:
            CannotContainError: There is no keeper to be had for it.
        """
        self._orphans = orphans
        self.containment = containment
        self.readback = readback
        try:
            self.keeper = Keeping(containment.made)
        except OSError as error:
            raise CannotContainError(f"the keeper could not be started: {error}") from error
        self.members: dict[int, Waiting] = {}
        """The members that live, by pid."""
        self._over = False
        """Removed, and its descriptors closed."""
        self.capabilities: frozenset[Capability] = frozenset()
        """Of the containment's backend."""
        self.start_error: StartError | None = None
        self.cpu = Seconds(0.0)
        """Of the members reaped and what they waited for; for containments that count none."""

    def __enter__(self) -> Self:
        """Hold it while something is done that may fail."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """After any failure of our own nothing of the load lives on: nobody would guard it."""
        if error is not None:
            self.end_at_once()

    def end_at_once(self) -> None:
        """Kill and remove it whatever happens; what that cannot do is left to the keeper.

        Ends without an error: it is called because of another one.
        """
        if self._over:
            return
        for deed in (self.kill, self.remove):
            try:
                deed()
            except Exception:  # the next deed, and our end tells the keeper
                continue

    def fill(
        self,
        members: tuple[Member, ...],
        streams: Streams,
        *,
        run_as: RunAs | None,
        new_session: bool,
        meanwhile: Callable[[ContainmentMade], None] | None = None,
    ) -> None:
        """Fork the members behind their barrier, move each in and verify it.

        `meanwhile`, where given, is called between the two, with the containment that is made.
        """
        extra = marker_environment(self.containment.made.plan)
        for member in members:
            waiting = spawn_member(
                member,
                run_as=run_as,
                stdin=streams.stdin,
                stdout=streams.stdout,
                stderr=streams.stderr,
                new_session=new_session,
                extra_env=extra,
                keep_fds=streams.others,
                keep_ignored=streams.ignored,
            )
            self.members[waiting.pid] = waiting
        if meanwhile is not None:
            meanwhile(self.containment.made)
        for waiting in self.members.values():
            self._admit(waiting)

    def _admit(self, waiting: Waiting) -> None:
        try:
            self.containment.admit(waiting.pid)
        except ContainmentFailedError:
            if (number := waiting.ended_by()) is not None:
                raise EndedBeforeStartError(number) from None
            raise

    def release(self) -> None:
        """Let every member go.

        Raises:
            CannotContainError: The keeper has ended already (an interpreter that does not start).
        """
        if self.keeper.failed():
            raise CannotContainError(
                "the keeper ended as soon as it was started: expected it to watch, found it dead",
                hint=f"does `{sys.executable} -I -S -c pass` work in an empty environment?",
            )
        for waiting in self.members.values():
            waiting.release()

    def reap(self, pid: int) -> MemberExit | None:
        """Collect a member that ended; `None` while it lives."""
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found == 0:
            return None
        waiting = self.members.pop(pid)
        self.start_error = waiting.start_error() or self.start_error
        waiting.close()
        self.cpu = Seconds(self.cpu + usage.ru_utime + usage.ru_stime)
        code = os.waitstatus_to_exitcode(status)
        return MemberExit(pid, code if code >= 0 else None, -code if code < 0 else None)

    def term(self) -> None:
        """Ask everything in it to end."""
        for pid in self.living():
            signal_and_wake(pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill everything in it, and the members and what they left wherever it is.

        Never raises for a process that the kernel does not let us kill: `cgroup.kill` takes it all the same,
        and where there is none it counts among those that are left.
        """
        found = self.containment.kill()
        if self._orphans is not None:  # who was not there yet is taken for a stray, and killed all the same
            self._orphans.kill(self._strays(found))
        for waiting in self.members.values():
            try:
                signal.pidfd_send_signal(waiting.pidfd, signal.SIGKILL)
            except OSError:
                continue

    def living(self) -> set[int]:
        """Name what lives in it, and what left it as far as that is known."""
        inside = self.containment.pids()
        return {*inside, *self._strays(inside)}

    def _strays(self, inside: Collection[int]) -> set[int]:
        if self._orphans is None:
            return set()
        return self._orphans.living({*self.members, self.keeper.pid}, inside)

    def survivors(self, living: Collection[int]) -> tuple[int, ...]:
        """Add to what was found living the members that were not reaped, wherever they are."""
        return tuple(sorted({*living, *self.members}))

    def last_sample(self) -> CgroupSample:
        """Read the final counters; must come before `remove` (containers/conmon#426)."""
        return self.containment.sample(Seconds(monotonic()))

    def remove(self) -> bool:
        """Remove the containment and dismiss the keeper; False when it stayed busy."""
        until = monotonic() + REMOVE_WITHIN
        pause = 0.001
        while not (gone := self.containment.remove()) and monotonic() < until:
            self.containment.kill()
            sleep(pause)
            pause = min(pause * 2, 0.05)
        self._over = True
        self.containment.close()
        self.keeper.dismiss()
        return gone

    def abandon(self) -> None:
        """Undo a preparation that failed: nothing was released, nothing stays."""
        self.kill()
        for pid, waiting in self.members.items():
            os.waitpid(pid, 0)
            waiting.close()
        self.members.clear()
        self.remove()


def signal_and_wake(pid: int, number: int) -> None:
    """Send a signal to a process of the load; a stopped one is woken so that it hears it.

    One that is gone is passed over, and so is one that is not ours to signal: a load may hold processes of
    another user (sudo, a sandbox's helper, the subordinate ids of a rootless container; kill(2), EPERM).
    """
    try:
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)
    except (ProcessLookupError, PermissionError):
        pass


def prepare(
    backend: Backend,
    plan: ContainmentPlan,
    limits: Limits,
    members: tuple[Member, ...],
    streams: Streams,
    *,
    run_as: RunAs | None,
    new_session: bool,
    meanwhile: Callable[[ContainmentMade], None] | None = None,
    orphans: Orphans | None = None,
) -> Hold:
    """Make the containment, set and read back its limits, and put the waiting members into it.

    `meanwhile`, where given, is called once the containment is made and before the members are moved;
    `orphans` is of a process that has no other children. The backend hears of the wall time only where
    the load has a session of its own: its clock does not stop while a terminal holds the load.

    Raises:
        SteadyrunError: It could not be made or a member is not in it. Nothing ran, nothing is left.
    """
    if not new_session:  # a terminal may stop it for any time, which is not wall time (Ctrl-Z)
        limits = limits._replace(wall_time=None)
    containment = backend.create(plan, limits=limits)
    try:
        hold = Hold(containment, containment.apply(limits), orphans)
        hold.capabilities = backend.capabilities
    except BaseException:
        containment.remove()
        containment.close()
        raise
    try:
        hold.fill(members, streams, run_as=run_as, new_session=new_session, meanwhile=meanwhile)
    except BaseException:  # `meanwhile` may raise anything; the members must not wait for nobody
        hold.abandon()
        raise
    return hold
