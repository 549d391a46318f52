"""A bug of ours that ended a ramp, as the record tells it: that it was ours, and where to read more. Pure."""

from __future__ import annotations

import traceback

from steadyrun import __version__
from steadyrun.model.finding import Finding, Severity


def where_raised(error: BaseException) -> str:
    """Return the innermost place of ours that a traceback goes through: `ramp/judge.py:42 in judge`."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/steadyrun/" in frame.filename] or list(frames)
    if not ours:
        return "an unknown place"
    last = ours[-1]
    return f"{last.filename.rpartition('/steadyrun/')[2]}:{last.lineno} in {last.name}"


def bug_reason(error: BaseException) -> str:
    """Return how the run ended, in one line."""
    return f"steadyrun itself failed: {_named(error)}"


def bug_finding(error: BaseException, log: str) -> Finding:
    """Return what the reader should know.

    Args:
        error: What nobody expected.
        log: The file that has its traceback.
    """
    return Finding(
        "own-failure",
        Severity.PROBLEM,
        f"A bug of steadyrun {__version__} ended the ramp; it says nothing about the machine or the command",
        f"{_named(error)}, at {where_raised(error)}; the whole traceback is in {log}",
        "report it with that traceback; `steadyrun recover` cleans up, `steadyrun ramp --resume` goes on",
    )


def _named(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
