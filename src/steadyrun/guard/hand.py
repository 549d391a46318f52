"""What may wait is done by a hand, never by the guard's loop: a thread with one thing to do at a time.

A write of `memory.high` below usage reclaims in the writer (Documentation/admin-guide/cgroup-v2.rst,
"memory.high"); a limit on a disk may first empty the disk's queue (blk_mq_freeze_queue in
block/blk-throttle.c); any cgroup file waits for whoever holds the kernel's locks. The thread is started by
the first wish: a load that is never tightened has none. Of wishes that wait the newest alone is done.
"""

from __future__ import annotations

import _thread
import os
import signal
from time import monotonic

from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from steadyrun.guard.held import Decision
    from steadyrun.model.limits import Limits, ReadBack

LATE_AFTER = Seconds(2.0)
"""A deed that takes longer is told; the guard freezes meanwhile if it has to."""


class Wish(NamedTuple):
    """One change of limits that was decided."""

    decision: Decision
    at: Seconds
    """Of the decision, CLOCK_MONOTONIC."""
    limits: Limits
    names: frozenset[str]
    """Of the limits that change."""


class Done(NamedTuple):
    """What came of a wish."""

    wish: Wish
    readback: tuple[ReadBack, ...]
    trouble: str
    """Why it was not done; empty when it was."""


class Hand:
    """Does wishes one after the other."""

    __slots__ = ("_busy", "_deed", "_done", "_free", "_lock", "_next", "_since", "_told", "fd")

    def __init__(self, deed: Callable[[Limits, frozenset[str]], tuple[ReadBack, ...]]) -> None:
        """`deed` sets the named limits and reads them back; it may take as long as it likes."""
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        """Readable when something is done."""
        self._deed = deed
        self._next: Wish | None = None
        self._busy: Wish | None = None
        self._since = self._told = Seconds(0.0)
        self._done: list[Done] = []
        self._lock = _thread.allocate_lock()
        self._free = _thread.allocate_lock()
        """Held while the thread is there."""

    def is_idle(self) -> bool:
        """Tell whether its thread is not there."""
        return not self._free.locked()

    def wish(self, wish: Wish) -> None:
        """Have a wish done soon, instead of one that still waits. Never waits."""
        with self._lock:
            if self._next is not None:
                self._done.append(Done(self._next, (), "something newer was decided before it was done"))
                wish = wish._replace(names=wish.names | self._next.names)
            self._next = wish
            if self._busy is not None:
                return
            self._take()
            self._free.acquire()
        try:
            _thread.start_new_thread(self._work, ())
        except RuntimeError as error:  # no thread to be had
            self._finish((), str(error))

    def done(self) -> list[Done]:
        """Return what was done since the last call."""
        if self.fd >= 0:
            try:
                os.eventfd_read(self.fd)
            except BlockingIOError:
                pass
        with self._lock:
            done, self._done = self._done, []
        return done

    def late(self, now: Seconds) -> Wish | None:
        """Return a wish that has been under way for too long, once."""
        with self._lock:
            if self._busy is None or now - self._since < LATE_AFTER or self._told == self._since:
                return None
            self._told = self._since
            return self._busy

    def close(self, patience: Seconds) -> bool:
        """Wait for the thread, when nothing is guarded any more; False: it still waits for the kernel.

        What was done meanwhile is still to be had from `done`.
        """
        with self._lock:
            if self._next is not None:
                self._done.append(Done(self._next, (), "the load was over before it was done"))
                self._next = None
        if not self._free.acquire(timeout=patience):
            return False
        self._free.release()
        os.close(self.fd)
        self.fd = -1
        return True

    def _take(self) -> bool:
        self._busy, self._next = self._next, None
        self._since = Seconds(monotonic())
        return self._busy is not None

    def _work(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # signals are the guard's
        busy = self._busy
        while busy is not None:
            try:
                readback, trouble = self._deed(busy.limits, busy.names), ""
            except Exception as error:
                readback, trouble = (), f"{type(error).__name__}: {error}"
            self._finish(readback, trouble)
            busy = self._busy

    def _finish(self, readback: tuple[ReadBack, ...], trouble: str) -> None:
        with self._lock:
            if self._busy is not None:
                self._done.append(Done(self._busy, readback, trouble))
            os.eventfd_write(self.fd, 1)  # before `close` may have it: its number can be another file's then
            if not self._take():
                self._free.release()
