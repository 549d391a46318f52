"""The canary of a `run`: it comes once the command has lasted a moment, and comes again when it dies.

A command of a second never pays for it, and the guard waits neither for its exec nor for anything else of
its start: it is forked, and only while the load runs freely on a machine with memory to spare. A load that
is at its worst within its first second is guarded without it, as one is whose canary died meanwhile.
"""

from __future__ import annotations

import os

from steadyrun.contain.hierarchy import PARENT
from steadyrun.model.run import FramesSeen
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from steadyrun.guard.frames import CanaryProcess, FramesReader
    from steadyrun.guard.loop import Loop
    from steadyrun.model.sample import Frames

AFTER = Seconds(1.0)
"""Chosen: what is over by then nobody felt."""
LOOK_EVERY = Seconds(1.0)
"""Chosen: a canary that died is missed for so long."""
RETRY_LAST = Seconds(30.0)
"""Pauses between two starts are doubled up to this, and begin anew after one that lived longer: one that
cannot live must not become a load itself. As the keeper's (`guard/keeping.py`)."""
NOTHING_LATE = FramesSeen(0.0, 0.0, None)


class FrontCanary:
    """The canary of one run. Nothing of it is there before `AFTER`, nor after `close`.

    It is never worth the load: where it cannot be had there is none.
    """

    def __init__(
        self,
        *,
        start: Callable[[int], CanaryProcess] | None = None,
        is_alone: Callable[[], bool] = lambda: True,
    ) -> None:
        """Take what it is started by.

        Args:
            start: Starts one on the frames; `None`: `guard.frames.fork_canary`.
            is_alone: Tells whether no other thread is at work, between whose steps one may not fork.
        """
        self._start, self._is_alone = start, is_alone
        self._look_at, self._started = Seconds(0.0), Seconds(0.0)
        self._start_at: Seconds | None = None
        """`None`: it was not looked at yet, or the job was stopped."""
        self._pause = LOOK_EVERY
        self._fd = -1
        self._reader: FramesReader | None = None
        self._process: CanaryProcess | None = None
        self._ended: list[int] = []
        """Killed, and not reaped yet."""
        self._seen: FramesSeen | None = None
        self._trouble = ""

    def look(self, loop: Loop) -> None:
        """Start one when it is time to; called at each turn of the loop."""
        now = loop.now()
        if now < self._look_at:
            return
        if self._start_at is None:
            self._start_at = Seconds(now + AFTER)
        self._look_at = Seconds(now + LOOK_EVERY)
        if self._process is not None and not self._process.alive():
            self._bury(now)
        if self._process is None and now >= self._start_at and loop.is_calm() and self._is_alone():
            self._begin(loop, now)

    def rest(self) -> None:
        """End it while the job is stopped: nobody wants frames of it then. It comes again as it came."""
        if self._process is not None:
            self._ended.append(self._process.pid)
            self._process.dismiss()
            self._process = None
        self._look_at, self._start_at = Seconds(0.0), None

    def take(self, frames: Frames | None) -> None:
        """Remember the worst of what was seen."""
        if frames is None or frames.p99_ms is None or frames.worst_ms is None:
            return
        before = self._seen or NOTHING_LATE
        self._seen = before._replace(
            late_ms=max(before.late_ms, frames.p99_ms), gap_ms=max(before.gap_ms, frames.worst_ms)
        )

    def seen(self) -> FramesSeen | None:
        """Return the worst of it and what it cost; `None`: no frame was seen."""
        return self._seen

    def why_unseen(self) -> str:
        """Say why there was no frame; empty: there were some."""
        if self._seen is not None:
            return ""
        if self._trouble:
            return f"none could be started: {self._trouble}"
        return "the command was over before it came, or left no calm moment for it to start"

    def close(self) -> None:
        """End it, without waiting until it is gone. Idempotent."""
        self.rest()
        if self._reader is not None:
            if self._seen is not None:
                self._seen = self._seen._replace(cpu=self._reader.cpu_s())
            self._reader.close()
            self._reader = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def reap(self) -> None:
        """Reap what is gone by now; the rest is left to whoever inherits it."""
        for pid in self._ended:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass

    def _begin(self, loop: Loop, now: Seconds) -> None:
        from steadyrun.guard.frames import FramesReader, fork_canary, make_frames

        try:
            if self._fd < 0:
                self._fd = make_frames()
            if self._reader is None:
                self._reader = FramesReader(self._fd)
                loop.look_at(self._reader)
            self._process = (self._start or fork_canary)(self._fd)
        except Exception as error:  # nothing to be had of what it needs; its frames are unknown meanwhile
            self._trouble = f"{error}"
            self._later(now)
        self._started = now

    def _bury(self, now: Seconds) -> None:
        assert self._process is not None
        self._process.close()
        self._process = None
        if now - self._started > RETRY_LAST:
            self._pause = LOOK_EVERY
        self._later(now)

    def _later(self, now: Seconds) -> None:
        self._start_at = Seconds(now + self._pause)
        self._pause = Seconds(min(2 * self._pause, RETRY_LAST))


def why_no_desktop() -> str:
    """Say why a process of ours is not served as a desktop is: it gives way to others itself; empty: it is.

    In a load of ours everybody has the lowest weight; a nice value or a policy that gives way is taken back
    by the privileged alone. A weight or a quota that somebody else has put above us is not looked for.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) > 0:
        return "a nice value makes everything here give way"
    if os.sched_getscheduler(0) in (os.SCHED_IDLE, os.SCHED_BATCH):
        return "its scheduling policy makes everything here give way"
    try:
        with open("/proc/self/cgroup", "rb") as file:
            return "it runs within another load of steadyrun's" if is_in_ours(file.read()) else ""
    except OSError as error:
        return f"/proc/self/cgroup: {error.strerror}"


def is_in_ours(cgroups: bytes) -> bool:
    """Tell whether a process is in a cgroup or unit of ours, by its `/proc/PID/cgroup` (cgroups(7))."""
    ours = PARENT.encode("ascii")
    parts = (part for line in cgroups.splitlines() for part in line.split(b"/"))
    return any(part == ours or part.startswith(ours + b"-") for part in parts)
