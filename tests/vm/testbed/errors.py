"""The testbed's own errors: what a developer can do something about."""

from __future__ import annotations


class TestbedError(Exception):
    """The testbed could not do its part; the message says what, and what to try."""

    __test__ = False
    """Not a test, whatever pytest thinks of the name."""


class PanickedError(TestbedError):
    """The guest's kernel panicked where nobody wanted it to.

    Args:
        message: As every error has it.
        by_emulator: It is a known fault of the emulator, and comes before anything of the guest runs.
    """

    def __init__(self, message: str, *, by_emulator: bool = False) -> None:
        super().__init__(message)
        self.by_emulator = by_emulator


class DeadlineError(TestbedError):
    """Something did not happen in time."""
