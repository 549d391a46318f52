"""The exit code of `steadyrun run`: what a shell, `timeout` and a supervisor expect. Pure."""

from __future__ import annotations

import errno

from steadyrun.errors import (
    EXIT_RUN_KILLED,
    EXIT_RUN_NOT_EXECUTABLE,
    EXIT_RUN_NOT_FOUND,
    EXIT_RUN_OWN_FAILURE,
    EXIT_RUN_TIMEOUT,
)
from steadyrun.model.outcome import Ending, LoadOutcome
from steadyrun.typed import assert_never

SIGNAL_BASE = 128
_SIGTERM = 15


def exit_code(outcome: LoadOutcome) -> int:
    """Return the exit code for this outcome; a contained failure is never 0."""
    match outcome.ending:
        case Ending.EXITED:
            if outcome.signal is not None:
                return SIGNAL_BASE + outcome.signal
            return EXIT_RUN_OWN_FAILURE if outcome.exit_code is None else outcome.exit_code
        case Ending.WALL_TIME:
            return EXIT_RUN_TIMEOUT
        case Ending.MEMORY_LIMIT | Ending.HOST_MEMORY | Ending.HOST_PRESSURE:
            return EXIT_RUN_KILLED
        case Ending.STOPPED:
            return SIGNAL_BASE + (outcome.signal or _SIGTERM)
        case Ending.NOT_STARTED:
            missing = outcome.start_errno in (errno.ENOENT, errno.ENOTDIR)
            return EXIT_RUN_NOT_FOUND if missing else EXIT_RUN_NOT_EXECUTABLE
        case Ending.CONDUCTOR_GONE | Ending.GUARD_GONE | Ending.CONTAINMENT_GONE | Ending.UNKNOWN:
            return EXIT_RUN_OWN_FAILURE
        case _:
            assert_never(outcome.ending)
