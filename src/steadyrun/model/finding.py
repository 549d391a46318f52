"""What the reader should know, as a value: never a mere log line."""

from __future__ import annotations

from enum import Enum

from steadyrun.named import NamedTuple


class Severity(Enum):
    """How much a finding matters to the person who reads it."""

    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """Something found, the evidence for it, and what mends it."""

    code: str
    """Stable, kebab-case: `oom-kill-inside`, `limit-not-applied`, `suspend-detected`."""
    severity: Severity
    title: str
    """One sentence."""
    evidence: str
    """The figures or the file that say so."""
    remedy: str
    """What the reader can do; a command where there is one. May be empty."""
    done: str = ""
    """What steadyrun itself did about it; fills "Solutions Applied"."""
