"""Limits as something to type: the `steadyrun run` command that applies them. Pure."""

from __future__ import annotations

import shlex

from steadyrun.model.limits import CPU_WEIGHT_LOWEST, Limits
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
    sizes = (
        ("--memory", limits.memory_max),
        ("--memory-high", limits.memory_high),
        ("--swap", limits.swap_max or None),
        ("--io-read", limits.io_read_bps),
        ("--io-write", limits.io_write_bps),
    )
    weight = None if limits.cpu_weight == CPU_WEIGHT_LOWEST else limits.cpu_weight
    numbers = (
        ("--cpus", limits.cpu_max),
        ("--cpu-weight", weight),
        ("--tasks", limits.tasks_max),
        ("--timeout", limits.wall_time),
    )
    words = [(flag, size_argument(size)) for flag, size in sizes if size is not None]
    words += [(flag, f"{number:g}") for flag, number in numbers if number is not None]
    return [word for pair in words for word in pair]
