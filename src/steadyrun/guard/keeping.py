"""Starting the keeper and giving it signs of life."""

from __future__ import annotations

import os
import signal
import sys

from steadyrun.guard import keeper
from steadyrun.model.containment import ContainmentMade
from steadyrun.units import Seconds

BEAT_EVERY = Seconds(1.0)
"""A third of the keeper's patience: one lost second does no harm."""


class Keeper:
    """A started keeper. Its pipe's write end exists in this process alone."""

    __slots__ = ("_last", "_pipe", "pid", "pidfd")

    def __init__(self, made: ContainmentMade) -> None:
        """Start it; it watches from its first read on, and an earlier death is an EOF it finds then."""
        read_end, self._pipe = os.pipe2(os.O_CLOEXEC)
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", keeper.__file__, *_arguments(made)],
                {"PATH": os.defpath},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, read_end, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGPIPE),
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(read_end)
        self.pidfd = os.pidfd_open(self.pid)
        os.set_blocking(self._pipe, False)
        self._last = Seconds(float("-inf"))

    def beat(self, now: Seconds) -> None:
        """Give a sign of life, at most one in BEAT_EVERY. A dead keeper is not noticed here."""
        if now - self._last >= BEAT_EVERY:
            self._last = now
            self._say(keeper.BEAT)

    def pause(self) -> None:
        """Announce silence: the guard is about to be stopped. The next `beat` ends it."""
        self._last = Seconds(float("-inf"))
        self._say(keeper.PAUSE)

    def dismiss(self) -> None:
        """End and reap it: nothing is left to keep, or it is dead already.

        SIGKILL, so that a short command does not wait for an interpreter to start and to end.
        """
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(self._pipe)
        os.close(self.pidfd)
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass

    def _say(self, word: bytes) -> None:
        try:
            os.write(self._pipe, word)
        except OSError:
            pass  # dead, which the loop sees by its pidfd, or a full pipe of unread beats


def _arguments(made: ContainmentMade) -> list[str]:
    plan = made.plan
    words: list[str] = []
    for identity in reversed(made.identities):
        words += ["dir", f"{identity.inode}:{identity.path}"]
    for path in plan.procs_files:
        words += ["procs", path]
    if plan.kill_file is not None:
        words += ["kill", plan.kill_file]
    if plan.freeze_file is not None:
        words += ["freeze", plan.freeze_file]
    if plan.marker is not None:
        words += ["marker", plan.marker]
    return words
