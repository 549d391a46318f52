"""The one error family of steadyrun, and the exit code of each member.

Only `steadyrun.cli` prints these and exits with their code; everything else raises them.
A message reads `<where>: expected <what>, found <what>`; the hint is the command that mends
it, wherever there is one.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_JOB_FAILED = 1
EXIT_USAGE = 2
EXIT_CANNOT_CONTAIN = 3
EXIT_UNHEALTHY = 4
EXIT_HOST_FAILED = 5
EXIT_DECISION_NEEDED = 6
EXIT_BUG = 70
EXIT_JOURNAL = 74
EXIT_BUSY = 75
EXIT_INTERRUPTED = 130
"""128 + SIGINT: what a shell reports for a command that was interrupted."""

# `steadyrun run` alone: what coreutils' `timeout` and POSIX shells use for the same things.
EXIT_RUN_TIMEOUT = 124
EXIT_RUN_OWN_FAILURE = 125
EXIT_RUN_NOT_EXECUTABLE = 126
EXIT_RUN_NOT_FOUND = 127
EXIT_RUN_KILLED = 137


class SteadyrunError(Exception):
    """Something went wrong that the person at the terminal should read about.

    Args:
        message: What happened, one line, without a full stop.
        hint: What to type or do next, `None` where nothing helps.
    """

    exit_code = EXIT_BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(SteadyrunError):
    """The command line or a setting is wrong: the caller types it again."""

    exit_code = EXIT_USAGE


class PlanError(UsageError):
    """A plan cannot be carried out as written: the caller edits the named key."""


class FormatError(SteadyrunError):
    """Text from the kernel or a file does not have the form it is documented to have.

    The value it was to give is then unknown; whoever needs it decides what that means.
    """


class CannotContainError(SteadyrunError):
    """This machine gives no containment that holds what was asked."""

    exit_code = EXIT_CANNOT_CONTAIN


class ContainmentFailedError(CannotContainError):
    """A containment was there and an operation on it did not take effect."""


class EndedBeforeStartError(ContainmentFailedError):
    """The command's process was ended by a signal while it still waited to be contained.

    A Ctrl-C, or a TERM to the whole process group, that came in that very moment.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(f"signal {signal} ended the command before it began")
        self.signal = signal


class BusError(CannotContainError):
    """D-Bus, or whom we asked over it, gave no answer that helps: what it would have told is unknown.

    Args:
        message: What happened, one line.
        hint: What to type or do next, `None` where nothing helps.
        name: The D-Bus name of the error that was answered, such as
            `org.freedesktop.systemd1.NoSuchUnit`; `None`: there was no answer.
        silent: There is somebody, who did not answer in time: later it may go well.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, name: str | None = None, silent: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.name = name
        self.silent = silent


class UnhealthyBaselineError(SteadyrunError):
    """The machine is not well before any load: nothing was started."""

    exit_code = EXIT_UNHEALTHY


class DecisionNeededError(SteadyrunError):
    """An earlier run took the machine down and a person has to say how to go on."""

    exit_code = EXIT_DECISION_NEEDED


class JournalUnwritableError(SteadyrunError):
    """The journal cannot be written: nothing that loosens may start."""

    exit_code = EXIT_JOURNAL


class BusyError(SteadyrunError):
    """Somebody else holds what this command needs; try again later."""

    exit_code = EXIT_BUSY
