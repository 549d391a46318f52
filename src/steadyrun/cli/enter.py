"""Asks once, where somebody can answer."""

from __future__ import annotations

import os
import sys


def wait_for_enter(words: str, *, yes: bool) -> None:
    """Wait for Enter where a person sits: at standard input, be it that what we print goes to a pipe.

    With `yes`, or where nobody can answer, go on at once.

    Raises:
        KeyboardInterrupt: They said no, whatever they typed but "yes", or the terminal is gone.
    """
    shown = next((each for each in (sys.stdout, sys.stderr) if each is not None and each.isatty()), None)
    if yes or shown is None or not _somebody_is_there():
        return
    shown.write(words)
    shown.flush()
    answer = sys.stdin.readline()
    if not answer or answer.strip().lower() not in ("", "y", "yes"):
        raise KeyboardInterrupt


def _somebody_is_there() -> bool:
    """Tell whether standard input is a terminal, and ours: reading stops a job in the background."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return True
