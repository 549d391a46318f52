"""The guard of a ramp as a process of its own, at the other end of the conductor's socket pair.

    conductor                         guard
       | Order                          |
       |------------------------------->| makes the containment, forks, admits, verifies
       | Prepared (or Refused)          |
       |<-------------------------------|
       | (writes the inodes, fsync)     |
       | RELEASE                        |
       |------------------------------->| lets the load go
       | Released, Sampled, Acted, ...  |
       |<-------------------------------|
       | Ended                          |

When the conductor goes, the load is killed: nobody is left to judge it. It goes when its end of the socket
pair does, or its main thread. Standard library alone.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import sys

from steadyrun.contain.facts import read_facts
from steadyrun.contain.open import open_backend
from steadyrun.errors import CannotContainError, SteadyrunError
from steadyrun.guard.channel import Channel
from steadyrun.guard.frames import FramesReader
from steadyrun.guard.hold import Hold, Streams, prepare
from steadyrun.guard.loop import Loop
from steadyrun.guard.orphans import Orphans
from steadyrun.guard.parent import end_of_parent
from steadyrun.guard.priority import come_first
from steadyrun.guard.rules import rules_of
from steadyrun.model.codec import decode
from steadyrun.model.event import Control, Ended, Event, Order, Prepared, Refused
from steadyrun.model.means import Priority
from steadyrun.model.outcome import Ending
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from typing import Any

KEEPER_WITHIN = Seconds(20.0)
"""A ramp's load waits for its keeper's first word; `run`, which must start quickly, does not."""
NEEDED_LATER = ("steadyrun.desktop.protected", "steadyrun.guard.hand")
"""Imported before the load runs: later the disk may be at its worst."""


def main(argv: list[str]) -> int:
    """Guard one load; `argv` is the number of the inherited socket."""
    channel = Channel(int(argv[0]))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    parent = end_of_parent()
    gc.disable()
    priority = come_first(lock=True)
    first = _first_words(channel)
    if not first:
        return 0
    order, early = decode(Order, first[0]), first[1:]
    try:
        hold = _prepare(order)
    except (SteadyrunError, OSError) as error:
        channel.emit(_refused(error))
        _send_the_rest(channel)
        return 0
    with hold:
        frames = None if order.frames_fd is None else FramesReader(order.frames_fd)
        rules = rules_of(
            order.thresholds,
            order.limits,
            len(order.members),
            hold.readback,
            capabilities=hold.capabilities,
            cores=len(os.sched_getaffinity(0)),
            usual=order.usual,
            may_throttle=order.may_throttle,
        )
        for name in NEEDED_LATER:
            importlib.import_module(name)
        loop = Loop(hold, rules, lambda event: _emit(channel, event), frames, priority=priority)
        channel.emit(_prepared(hold, priority))
        _serve(channel, parent, loop, early)
    _send_the_rest(channel)
    return 0


def _emit(channel: Channel, event: Event) -> None:
    channel.emit(event._replace(dropped=channel.dropped) if isinstance(event, Ended) else event)


def _first_words(channel: Channel) -> list[Any]:
    """Wait for the order; return it and what came with it; nothing when the conductor is gone."""
    poll = select.poll()
    poll.register(channel.fd, select.POLLIN)
    while channel.open:
        poll.poll()
        if words := channel.receive():
            return words
    return []


def _prepare(order: Order) -> Hold:
    backend = open_backend(order.plan.backend, read_facts())
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        streams = Streams(nothing, order.stdout_fd, order.stderr_fd)
        hold = prepare(
            backend,
            order.plan,
            order.limits,
            order.members,
            streams,
            run_as=order.run_as,
            new_session=True,
            orphans=Orphans(),
        )
        if not hold.keeper.watches(KEEPER_WITHIN):
            hold.abandon()
            raise CannotContainError(f"the keeper does not watch within {KEEPER_WITHIN:.0f} s of its start")
        return hold
    finally:
        for fd in {nothing, order.stdout_fd, order.stderr_fd}:
            os.close(fd)


def _refused(error: SteadyrunError | OSError) -> Refused:
    if isinstance(error, SteadyrunError):
        return Refused(error.message, error.hint, error.exit_code)
    return Refused(f"the containment could not be prepared: {error}", None, 3)


def _prepared(hold: Hold, priority: Priority) -> Prepared:
    return Prepared(
        made=hold.containment.made,
        readback=hold.readback,
        pids=tuple(hold.members),
        guard_pid=os.getpid(),
        keeper_pid=hold.keeper.pid,
        realtime=priority.realtime,
        locked=priority.locked,
    )


def _serve(channel: Channel, parent: int, loop: Loop, early: list[Any]) -> None:
    """Obey the conductor until the load is over.

    Args:
        channel: To the conductor.
        parent: Readable once its main thread is gone.
        loop: Holds the load.
        early: What it said together with the order.
    """

    def obey(messages: list[Any]) -> None:
        for message in messages:
            match Control(message):
                case Control.RELEASE:
                    loop.release()
                case Control.STOP:
                    loop.stop(Ending.STOPPED, "asked to stop")
                case Control.KILL:
                    loop.stop(Ending.STOPPED, "asked to stop at once", now=True)

    def hear() -> None:
        obey(channel.receive())
        if not channel.open:
            gone(channel.fd)

    def gone(fd: int) -> None:
        loop.forget(fd)
        loop.stop(Ending.CONDUCTOR_GONE, "the conductor is gone", now=True)

    loop.watch(channel.fd, hear)
    loop.watch(parent, lambda: gone(parent))
    obey(early)
    loop.run(each_turn=channel.flush)


def _send_the_rest(channel: Channel) -> None:
    """Wait until the conductor has read everything or is gone: events are never dropped."""
    poll = select.poll()
    poll.register(channel.fd, select.POLLOUT)
    while channel.unsent():
        poll.poll()
        channel.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
