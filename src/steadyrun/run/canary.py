"""The canary of a `run`: it comes once the command has lasted a moment, and comes again when it dies.

A command of a second never pays for it, and the guard waits neither for its exec nor for anything else of
its start: it is forked, and only while the load runs freely on a machine with memory to spare. A load that
is at its worst within its first second is guarded without it, as one is whose canary died meanwhile.
"""

from __future__ import annotations

import os

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
RETRY_LAST = Seconds(30.0)
"""Pauses between two starts are doubled up to this: one that cannot live must not become a load itself."""
NOTHING_LATE = FramesSeen(0.0, 0.0, None)
OURS = b"steadyrun"
"""The folder that holds cgroups of ours, and how the name of every other cgroup and unit of ours begins."""


class FrontCanary:
    """The canary of one run. Nothing of it is there before `AFTER`, nor after `close`."""

    def __init__(self, *, start: Callable[[int], CanaryProcess] | None = None) -> None:
        """`start` starts one on the frames; `None`: `guard.frames.fork_canary`."""
        self._start = start
        self._look_at = self._start_at = self._started = Seconds(0.0)
        self._pause = LOOK_EVERY
        self._fd = -1
        self._reader: FramesReader | None = None
        self._process: CanaryProcess | None = None
        self._seen: FramesSeen | None = None

    def look(self, loop: Loop) -> None:
        """Start one when it is time to; called at each turn of the loop."""
        now = loop.now()
        if now < self._look_at:
            return
        if self._look_at == 0.0:  # the first look: the disk is not at its worst yet
            import steadyrun.guard.frames  # noqa: F401

            self._start_at = Seconds(now + AFTER)
        self._look_at = Seconds(now + LOOK_EVERY)
        if self._process is not None and not self._process.alive():
            self._bury(now)
        if self._process is None and now >= self._start_at and loop.is_calm():
            self._begin(loop, now)

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

    def close(self) -> None:
        """End it, without waiting until it is gone. Idempotent."""
        if self._process is not None:
            self._process.dismiss()
            self._process = None
        if self._reader is not None:
            if self._seen is not None:
                self._seen = self._seen._replace(cpu=self._reader.cpu_s())
            self._reader.close()
            self._reader = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _begin(self, loop: Loop, now: Seconds) -> None:
        from steadyrun.guard.frames import FramesReader, fork_canary, make_frames

        try:
            if self._fd < 0:
                self._fd = make_frames()
            if self._reader is None:
                self._reader = FramesReader(self._fd)
                loop.look_at(self._reader)
            self._process = (self._start or fork_canary)(self._fd)
        except OSError:  # nothing to be had of what it needs; its frames are unknown meanwhile
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


def may_behave_like_a_desktop() -> bool:
    """Tell whether a process of ours is served as a desktop is: not where it gives way to others itself.

    In a load of ours everybody has the lowest weight, and nobody takes a nice value back without a privilege.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) > 0:
        return False
    try:
        with open("/proc/self/cgroup", "rb") as file:
            parts = (part for line in file for part in line.strip().split(b"/"))
            return not any(part == OURS or part.startswith(OURS + b"-") for part in parts)
    except OSError:
        return False
