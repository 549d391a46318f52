"""Looking at the machine between and during the phases. Reads; never judges."""

from __future__ import annotations

import os
import shutil
import threading
import time
from typing import NamedTuple

from steadyrun.desktop.probes import take_view
from steadyrun.desktop.protected import ProtectedReader
from steadyrun.guard.frames import FramesReader
from steadyrun.kernel.kmsg import KernelLog
from steadyrun.kernel.reader import HostReader, boot_id
from steadyrun.model.desktop import DesktopView
from steadyrun.model.record import Observation
from steadyrun.model.sample import HostSample
from steadyrun.model.thresholds import Usual
from steadyrun.units import Bytes, Seconds

FRAMES_WINDOW = Seconds(2.0)
LOOK_EVERY = Seconds(5.0)
FIRST_LOOK = Seconds(0.5)
"""After the load began: also a load that lasts seconds has its session looked at."""


class Clocks(NamedTuple):
    """The three clocks at one moment: they tell a suspend and a set clock from time passing."""

    monotonic: float
    boottime: float
    wall: float

    @classmethod
    def now(cls) -> Clocks:
        """Read them."""
        return cls(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time())

    def suspended_since(self, before: Clocks) -> Seconds:
        """Return how long the machine slept: CLOCK_MONOTONIC stops then, CLOCK_BOOTTIME does not."""
        slept = (self.boottime - before.boottime) - (self.monotonic - before.monotonic)
        return Seconds(max(0.0, slept))

    def set_since(self, before: Clocks) -> Seconds:
        """Return by how much the wall clock was set; negative: back."""
        return Seconds((self.wall - before.wall) - (self.boottime - before.boottime))


class Observer:
    """Takes samples and whole observations."""

    def __init__(self, frames: FramesReader | None) -> None:
        self._host = HostReader()
        self.kernel_log = KernelLog()
        self.frames = frames

    def sample(self, *, count_processes: bool = False) -> HostSample:
        """Read the machine's counters now."""
        return self._host.sample(at=time.monotonic(), wall=time.time(), count_processes=count_processes)

    def observe(self, *, window: Seconds = FRAMES_WINDOW) -> Observation:
        """Look at everything, the session included. Takes up to the probes' deadline."""
        desktop = take_view(wall=Seconds(time.time()))
        return Observation(
            host=self.sample(count_processes=True),
            frames=None if self.frames is None else self.frames.read(Seconds(time.monotonic()), window),
            desktop=desktop,
            boot_id=boot_id(),
        )

    def glance(self, like: Observation) -> Observation:
        """Look at the counters and frames alone, quickly; the session is taken from `like`."""
        frames = None if self.frames is None else self.frames.read(Seconds(time.monotonic()), Seconds(1.0))
        return like._replace(host=self.sample(), frames=frames)

    def close(self) -> None:
        """Close the kept descriptors."""
        self._host.close()
        self.kernel_log.close()


class DesktopWatch:
    """Looks at the session every few seconds while a load runs, in a thread: a probe may wait."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._views: list[DesktopView] = []
        self._thread = threading.Thread(target=self._look, name="desktop", daemon=True)
        self._thread.start()

    def finish(self) -> tuple[DesktopView, ...]:
        """Stop looking and return what was seen, in order."""
        self._over.set()
        self._thread.join(LOOK_EVERY)
        return tuple(self._views)

    def _look(self) -> None:
        pause = FIRST_LOOK
        while not self._over.wait(pause):
            self._views.append(take_view(wall=Seconds(time.time())))
            pause = LOOK_EVERY


def usual_of(seen: Observation) -> Usual:
    """Return what is usual here, after a baseline: the minute that is over, and the canary's frames in it."""
    late = None if seen.frames is None else seen.frames.p99_ms
    reader = ProtectedReader(os.getpid())
    usual = reader.usual(Usual(frames_late=None if late is None else Seconds(late / 1000)))
    reader.close()
    return usual


def disk_free(*folders: str) -> Bytes | None:
    """Return the bytes free where it is tightest; `None` when a folder cannot be asked."""
    try:
        return Bytes(min(shutil.disk_usage(folder).free for folder in folders))
    except OSError:
        return None


def uptime() -> Seconds:
    """Return the seconds since boot, sleep included."""
    return Seconds(time.clock_gettime(time.CLOCK_BOOTTIME))
