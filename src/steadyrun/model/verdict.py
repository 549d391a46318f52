"""Answers that keep "unknown" apart from "yes"."""

from __future__ import annotations

from enum import Enum

from steadyrun.named import NamedTuple


class Answer(Enum):
    """What a check can say. `NOT_APPLICABLE` is neutral; `UNKNOWN` keeps a verdict from being yes."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"

    @staticmethod
    def of(holds: bool) -> Answer:
        """Return the answer to a question that could be told."""
        return Answer.YES if holds else Answer.NO


class Scope(Enum):
    """Whose check it is: two verdicts, never mixed."""

    HOST = "host"
    JOB = "job"


class Check(NamedTuple):
    """One question with its figures, in words that a person reads."""

    name: str
    scope: Scope
    answer: Answer
    before: str
    worst: str
    after: str
    why: str
    """The limit it was held against, or what could not be read."""
    degraded: bool = False
    """A NO that is worth a second try (late frames), not a lost session."""


class Verdict(NamedTuple):
    """All checks of one scope and what they come to."""

    answer: Answer
    checks: tuple[Check, ...]

    def failed(self) -> tuple[Check, ...]:
        """Return the checks that keep this verdict from being yes, in their order."""
        return tuple(c for c in self.checks if c.answer in (Answer.NO, Answer.UNKNOWN))


def combine(answers: tuple[Answer, ...]) -> Answer:
    """Return NO if any is NO, else UNKNOWN if any is unknown, else YES if any is, else not applicable."""
    for wanted in (Answer.NO, Answer.UNKNOWN, Answer.YES):
        if wanted in answers:
            return wanted
    return Answer.NOT_APPLICABLE
