"""Keeping a canary alive while a ramp lasts: one that exited is started again, and that is said."""

from __future__ import annotations

import os
from collections.abc import Callable

from steadyrun.guard.frames import CanaryProcess, start_canary
from steadyrun.kernel.processes import pid_alive, pid_started
from steadyrun.model.finding import Finding, Severity


class CanaryCare:
    """The canary that the client started, and the ones that replaced it."""

    def __init__(
        self, frames_fd: int, pid: int, *, start: Callable[[int], CanaryProcess] = start_canary
    ) -> None:
        """Look after the canary with this pid, which lives; `start` starts another one."""
        self._fd, self._start = frames_fd, start
        self._own: CanaryProcess | None = None
        self._follow(pid)
        self._gone: int | None = None
        """The one that died and could not be replaced yet."""
        self._told = False

    def restart_if_dead(self) -> Finding | None:
        """Start another canary when the last one has exited; an exit is not a late frame.

        A machine that starts no process now may do so at the next call: until then there are no frames,
        which is told once.
        """
        if self._gone is None:
            if pid_alive(self._pid, self._started):
                return None
            self._gone = self._pid
            self.close()
        gone = self._gone
        try:
            self._own = self._start(self._fd)
        except OSError as error:
            return None if self._told else self._tell_missing(gone, error)
        self._gone, self._told = None, False
        self._follow(self._own.pid)
        return Finding(
            "canary-restarted",
            Severity.WARNING,
            "The canary died and was started again",
            f"pid {gone} ended",
            "",
            f"started another one, pid {self._pid}; frames that were missed are not held against the machine",
        )

    def _follow(self, pid: int) -> None:
        """Know the canary from now on by its pid and its start: the pid alone is somebody else's soon."""
        self._pid, self._started = pid, pid_started(pid) or 0

    def _tell_missing(self, gone: int, error: OSError) -> Finding:
        self._told = True
        return Finding(
            "canary-missing",
            Severity.WARNING,
            "The canary died and could not be started again yet",
            f"pid {gone} ended; starting another one: {os.strerror(error.errno or 0)}",
            "see how many processes there may be: ulimit -u; cat /proc/sys/kernel/pid_max",
            "tries again; without frames nothing is known about them",
        )

    def close(self) -> None:
        """End the one we started; the client's ends with the pipe it watches."""
        if self._own is not None:
            self._own.close()
            self._own = None
