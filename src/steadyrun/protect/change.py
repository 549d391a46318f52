"""What a plan consists of: files and values with their reasons, and what is left alone and why. Pure."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from steadyrun.model.finding import Finding
from steadyrun.protect.facts import Facts
from steadyrun.protect.shares import Profile, Shares


class When(Enum):
    """From when on a change counts."""

    NOW = "at once"
    LOGIN = "from the next login on"


class Line(NamedTuple):
    """One line of a file that we write."""

    key: str
    value: str
    why: str
    source: str
    """Where the setting is described."""
    since: int = 0
    """systemd that understands it; 0: every one that steadyrun works with."""
    when: When = When.NOW

    def text(self) -> str:
        """Write it."""
        return f"{self.key}={self.value}"


class FileChange(NamedTuple):
    """A file of ours."""

    path: str
    text: str
    unit: str
    """The unit, or what else it is about, for people."""
    lines: tuple[Line, ...]


class ValueChange(NamedTuple):
    """A value of the running kernel, until the next boot."""

    path: str
    value: str
    now: str
    why: str
    source: str
    process: str = ""
    """`PID STARTED` where it is a process's: it is gone with it."""


class Skipped(NamedTuple):
    """Something that is left as it is."""

    what: str
    why: str


class Plan(NamedTuple):
    """What `protect` would do. `obstacle` empty: it can."""

    facts: Facts
    profile: Profile
    shares: Shares | None
    files: tuple[FileChange, ...]
    values: tuple[ValueChange, ...]
    skipped: tuple[Skipped, ...]
    findings: tuple[Finding, ...]
    """What is not protected, who else is there, what could be done besides."""
    obstacle: str = ""
    remedy: str = ""
