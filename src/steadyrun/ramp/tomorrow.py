"""Tomorrow's command: what a passed ramp proved, as something to type. Pure."""

from __future__ import annotations

import shlex

from steadyrun.model.limits import Limits
from steadyrun.units import size_argument


def tomorrows_command(argv: tuple[str, ...], limits: Limits) -> str:
    """Return the exact `steadyrun run` command that applies what was proven."""
    words = ["steadyrun", "run", *limit_words(limits), "--"]
    return shlex.join(words) + " " + (shlex.join(argv) if argv else "YOUR COMMAND")


def limit_words(limits: Limits) -> list[str]:
    """Return the options of `steadyrun run` that stand for these limits; wall time is daily work's own."""
    words: list[str] = []
    if limits.memory_max is not None:
        words += ["--memory", size_argument(limits.memory_max)]
    if limits.swap_max:
        words += ["--swap", size_argument(limits.swap_max)]
    if limits.cpu_max is not None:
        words += ["--cpus", f"{limits.cpu_max:g}"]
    if limits.tasks_max is not None:
        words += ["--tasks", str(limits.tasks_max)]
    return words
