"""Limits as something to type: the `steadyrun run` command that applies them. Pure."""

from __future__ import annotations

import shlex

from steadyrun.model.limits import Limits
from steadyrun.units import size_argument


def run_command(argv: tuple[str, ...], limits: Limits) -> str:
    """Return the exact `steadyrun run` command that runs `argv` under these limits."""
    words = ["steadyrun", "run", *limit_options(limits), "--"]
    return shlex.join(words) + " " + (shlex.join(argv) if argv else "YOUR COMMAND")


def ramp_command(argv: tuple[str, ...]) -> str:
    """Return the command that finds out how much of `argv` this machine carries."""
    return f"steadyrun ramp -- {shlex.join(argv)}" if argv else "steadyrun ramp"


def limit_options(limits: Limits) -> list[str]:
    """Return the options of `steadyrun run` that stand for these limits."""
    words: list[str] = []
    if limits.memory_max is not None:
        words += ["--memory", size_argument(limits.memory_max)]
    if limits.swap_max:
        words += ["--swap", size_argument(limits.swap_max)]
    if limits.cpu_max is not None:
        words += ["--cpus", f"{limits.cpu_max:g}"]
    if limits.tasks_max is not None:
        words += ["--tasks", str(limits.tasks_max)]
    if limits.wall_time is not None:
        words += ["--timeout", f"{limits.wall_time:g}"]
    return words
