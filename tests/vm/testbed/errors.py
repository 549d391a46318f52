"""The testbed's own errors: what a developer can do something about."""

from __future__ import annotations


class TestbedError(Exception):
    """The testbed could not do its part; the message says what, and what to try."""

    __test__ = False
    """Not a test, whatever pytest thinks of the name."""


class PanickedError(TestbedError):
    """The guest's kernel panicked where nobody wanted it to."""


class DeadlineError(TestbedError):
    """Something did not happen in time."""
