"""Keeping a canary alive while a ramp lasts: one that exited is started again, and that is said."""

from __future__ import annotations

from steadyrun.guard.frames import CanaryProcess, start_canary
from steadyrun.kernel.proc import parse_pid_stat
from steadyrun.model.finding import Finding, Severity


class CanaryCare:
    """The canary that the client started, and the ones that replaced it."""

    def __init__(self, frames_fd: int, pid: int) -> None:
        self._fd, self._pid = frames_fd, pid
        self._own: CanaryProcess | None = None

    def restart_if_dead(self) -> Finding | None:
        """Start another canary when the last one has exited; an exit is not a late frame."""
        if self._lives():
            return None
        gone = self._pid
        self.close()
        self._own = start_canary(self._fd)
        self._pid = self._own.pid
        return Finding(
            "canary-restarted",
            Severity.WARNING,
            "The canary died and was started again",
            f"pid {gone} ended",
            "",
            f"started another one, pid {self._pid}; frames that were missed are not held against the machine",
        )

    def _lives(self) -> bool:
        try:
            with open(f"/proc/{self._pid}/stat", encoding="ascii", errors="replace") as file:
                return parse_pid_stat(file.read()).state not in ("Z", "X")
        except OSError:
            return False

    def close(self) -> None:
        """End the one we started; the client's ends with the pipe it watches."""
        if self._own is not None:
            self._own.close()
            self._own = None
