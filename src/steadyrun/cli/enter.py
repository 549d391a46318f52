"""Asks once, where somebody can answer."""

from __future__ import annotations

import sys


def wait_for_enter(words: str, *, yes: bool) -> None:
    """Wait for Enter on a terminal; with `yes`, or without a terminal, go on at once.

    Raises:
        KeyboardInterrupt: The terminal is gone.
    """
    if yes or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    sys.stdout.write(words)
    sys.stdout.flush()
    if not sys.stdin.readline():
        raise KeyboardInterrupt
