"""The canary's frames: the shared memory, starting the canary on it, and what its frames say.

The layout is the canary's (`canary.py`). Reading takes no lock and never waits; `frames_of` is pure.
Nothing here decides whether a frame was too late.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import signal
import struct

from steadyrun.contain.spawn import spawn_member
from steadyrun.guard import canary
from steadyrun.guard.keeping import script_environment, script_words, start_script
from steadyrun.model.plan import Member
from steadyrun.model.sample import Frames
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD_MS = canary.PERIOD_NS / 1e6
_ENTRY = struct.Struct(f"@{canary.ENTRY_WORDS}Q")


class Entry(NamedTuple):
    """One frame as the canary wrote it."""

    end_ns: int
    """CLOCK_MONOTONIC when it was finished."""
    lateness_us: int
    """Behind the 60 Hz schedule."""
    first: bool
    """The first frame of a canary: nothing is known about the time before it."""


def make_frames() -> int:
    """Make the shared memory; return its descriptor (close-on-exec).

    All of it is allocated at once, so that it is charged to the caller's cgroup and not to the
    canary's or a reader's (Documentation/admin-guide/cgroup-v2.rst, "Memory Ownership"), and its
    size is sealed, so that no writer can make a reader die of SIGBUS (memfd_create(2), "File sealing").

    Raises:
        OSError: The kernel gives no memory for it.
    """
    fd = os.memfd_create("steadyrun-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.posix_fallocate(fd, 0, canary.SIZE)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(fd)
        raise
    return fd


class FramesReader:
    """Reads one canary's frames. The descriptor stays the caller's and may be closed afterwards."""

    __slots__ = ("_before", "_map", "_pid", "_pidfd", "_words")

    def __init__(self, fd: int) -> None:
        """Map the frames that `make_frames` made.

        Raises:
            OSError, ValueError: It is no such memory.
        """
        self._map = mmap.mmap(fd, canary.SIZE, prot=mmap.PROT_READ)
        self._words = memoryview(self._map).cast("Q")
        self._pid = 0
        self._pidfd = -1
        self._before = 0
        """Frames that there were before this canary came: their end is nobody's silence."""

    def read(self, now_s: Seconds, window_s: Seconds) -> Frames | None:
        """Return the frames of the window that ends now, CLOCK_MONOTONIC.

        `None`: no canary ever wrote, or the one that wrote has exited. Its silence would not be the
        machine's lateness, so nothing is known until another one is started.
        """
        if not self._canary_lives():
            return None
        since_ns = int((now_s - window_s) * 1e9)
        return frames_of(self.entries(since_ns), now_s, window_s)

    def _canary_lives(self) -> bool:
        """Tell whether the process that writes is there and has shown a frame; a zombie is not."""
        pid, known = self._words[canary.W_PID], self._pid
        if pid != known:
            self._forget()
            try:
                self._pidfd = os.pidfd_open(pid) if pid else -1
            except OSError:
                return False
            self._pid, self._before = pid, self._words[canary.W_COUNT] if known else 0
        if self._pidfd < 0 or self._words[canary.W_COUNT] == self._before:
            return False
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return not poll.poll(0)

    def _forget(self) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._pid, self._pidfd = 0, -1

    def cpu_s(self) -> Seconds | None:
        """Return the CPU time of all canaries that wrote here; `None`: none ever did."""
        if self._words[canary.W_MAGIC] != canary.MAGIC:
            return None
        return Seconds(self._words[canary.W_CPU] / 1e9)

    def entries(self, since_ns: int) -> tuple[Entry, ...]:
        """Return the frames that ended after `since_ns` and the one before them, oldest first.

        An entry that is being overwritten at this moment is left out.
        """
        if self._words[canary.W_MAGIC] != canary.MAGIC:
            return ()
        newest = self._words[canary.W_COUNT]
        found: list[Entry] = []
        for number in range(newest, max(0, newest - canary.RING), -1):
            entry = self._entry(number)
            if entry is None:
                continue
            found.append(entry)
            if entry.end_ns <= since_ns:
                break
        found.reverse()
        return tuple(found)

    def _entry(self, number: int) -> Entry | None:
        at = canary.HEADER_WORDS + (number - 1) % canary.RING * canary.ENTRY_WORDS
        found, end_ns, lateness, check = _ENTRY.unpack_from(self._map, at * 8)
        if found != number or check != canary.checksum(found, end_ns, lateness):
            return None
        return Entry(end_ns, lateness & canary.LATENESS_MASK, bool(lateness & canary.FIRST))

    def close(self) -> None:
        """Unmap. The frames stay."""
        self._forget()
        self._words.release()
        self._map.close()


def frames_of(entries: tuple[Entry, ...], now: Seconds, window: Seconds) -> Frames | None:
    """Return what the frames of the window say.

    Args:
        entries: Oldest first; those before the window tell the length of the gap into it.
        now: CLOCK_MONOTONIC, the end of the window.
        window: Its length.

    Returns:
        `None` when there is no entry at all: nothing is known then, not even silence.
    """
    if not entries:
        return None
    since_ns = (now - window) * 1e9
    lateness = sorted(e.lateness_us / 1e3 for e in entries if e.end_ns > since_ns)
    silent = Seconds(max(0.0, now - entries[-1].end_ns / 1e9))
    return Frames(
        window=window,
        shown=len(lateness),
        p50_ms=nearest_rank(lateness, 50),
        p99_ms=nearest_rank(lateness, 99),
        worst_ms=_worst_gap_ms(entries, since_ns),
        silent=silent,
    )


def nearest_rank(ordered: list[float], percent: int) -> float | None:
    """Return the percentile by nearest rank, always one of the values; `None` of no values."""
    if not ordered:
        return None
    return ordered[max(1, -(-len(ordered) * percent // 100)) - 1]


def _worst_gap_ms(entries: tuple[Entry, ...], since_ns: float) -> float | None:
    """Return the longest gap that ends in the window, less a period; `None` when no frame is in it."""
    worst: float | None = None
    before: Entry | None = None
    for entry in entries:
        if entry.end_ns > since_ns:
            known = before is not None and not entry.first
            gap_ms = (entry.end_ns - before.end_ns) / 1e6 if known and before is not None else PERIOD_MS
            worst = max(worst or 0.0, gap_ms - PERIOD_MS)
        before = entry
    return worst


CANARY_FDS = ("1", "0")
"""What the canary is told: its frames are standard output, its parent's pipe standard input."""


class CanaryProcess:
    """A started canary. Ends when nobody holds `pipe` any more, or at `close`."""

    __slots__ = ("pid", "pidfd", "pipe")

    def __init__(self, pid: int, pidfd: int, pipe: int) -> None:
        """Own a child, its pidfd and the pipe whose end ends it."""
        self.pid = pid
        self.pidfd = pidfd
        """Readable when it has ended. -1 after `close` or `leave`."""
        self.pipe = pipe
        """Close-on-exec; a process that is to keep the canary alive inherits it. -1 as `pidfd`."""

    def alive(self) -> bool:
        """Tell whether it still runs; one that exited may be started again on the same frames."""
        if self.pidfd < 0:
            return False
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """End and reap it. SIGKILL, which a stopped or starved one dies of as well. Idempotent."""
        if self.pidfd < 0:
            return
        self.dismiss()
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # reaped by a SIGCHLD handler or a `waitpid(-1)` of the caller

    def dismiss(self) -> None:
        """End it and let go of it, for a caller that ends now: whoever inherits it reaps it. Idempotent."""
        if self.pidfd < 0:
            return
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.leave()

    def leave(self) -> None:
        """Let go without ending it: it lives on with whoever else holds the pipe. Idempotent."""
        if self.pidfd < 0:
            return
        os.close(self.pidfd)
        os.close(self.pipe)
        self.pidfd = self.pipe = -1


def start_canary(fd: int) -> CanaryProcess:
    """Start a canary on the frames `fd`, in a session of its own: no terminal reaches it.

    Raises:
        OSError: It could not be started; none is left.
    """
    return _started(
        lambda parent: start_script(canary.__file__, [*CANARY_FDS], stdin=parent, stdout=fd, env={})
    )


def fork_canary(fd: int) -> CanaryProcess:
    """Start one as `start_canary` does, without waiting for its exec: it may wait for a disk or a processor.

    What a guard took for itself (real time, a better nice value, its OOM score) the canary has not. The
    caller must have one thread (`contain/spawn.py`).

    Raises:
        OSError: There is no process or descriptor for it; none is left.
    """
    return _started(lambda parent: _forked(fd, parent))


def _forked(fd: int, parent: int) -> int:
    words = tuple(script_words(canary.__file__, [*CANARY_FDS]))
    nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        waiting = spawn_member(
            Member(words, "/", script_environment({})),
            stdin=parent,
            stdout=fd,
            stderr=nothing,
            new_session=True,
            oom_score_adj=0,
        )
    finally:
        os.close(nothing)
    waiting.release()
    waiting.close()
    return waiting.pid


def _started(start: Callable[[int], int]) -> CanaryProcess:
    """Have one started with the end of a pipe that tells it when its parent is gone."""
    read_end, pipe = os.pipe2(os.O_CLOEXEC)
    try:
        pid = start(read_end)
    except BaseException:
        os.close(pipe)
        raise
    finally:
        os.close(read_end)
    try:
        pidfd = os.pidfd_open(pid)
    except BaseException:
        os.close(pipe)
        os.kill(pid, signal.SIGKILL)  # not reaped yet: nobody else has this number
        os.waitpid(pid, 0)
        raise
    return CanaryProcess(pid, pidfd, pipe)
