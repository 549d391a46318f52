"""The options that say what a load may use, the same for `run` and `ramp`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from steadyrun.errors import UsageError
from steadyrun.model.limits import Limits
from steadyrun.units import parse_cores, parse_count, parse_duration, parse_size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from types import SimpleNamespace

    from steadyrun.cli.quick import Options
    from steadyrun.cli.settings import Settings

T = TypeVar("T")

_OPTIONS = (
    ("--memory", "SIZE", "hard memory limit: 500M (= 500 MiB), 500MB, 4G"),
    ("--memory-high", "SIZE", "throttle limit, where the containment has one"),
    ("--swap", "SIZE", "swap on top of --memory (default 0)"),
    ("--cpus", "N", "CPU quota in cores: 1.5, or 150%%"),
    ("--cpu-weight", "1..10000", "share against others when the CPU is short (default 1, the lowest)"),
    ("--tasks", "N", "processes and threads together"),
    ("--io-read", "SIZE", "bytes read a second, for each disk"),
    ("--io-write", "SIZE", "bytes written a second, for each disk"),
    ("--timeout", "TIME", "wall time: 90, 10m, 1h30m; then TERM, 5 s later KILL"),
)
WEIGHT_RANGE = range(1, 10001)


def add_limit_options(parser: argparse.ArgumentParser | Options) -> None:
    """Add the options."""
    group = parser.add_argument_group("limits")
    for flag, metavar, about in _OPTIONS:
        group.add_argument(flag, metavar=metavar, help=about)


def limits_of(args: argparse.Namespace | SimpleNamespace, settings: Settings) -> Limits:
    """Return the limits that were asked for, on the command line or in the settings.

    Raises:
        UsageError: A value has no meaning.
    """
    some_size = partial(parse_size, least=1)

    def word(key: str) -> tuple[str, str] | None:
        given = getattr(args, key)
        if given is not None:
            return given, "--" + key.replace("_", "-")
        return settings.word(key)

    def read(key: str, parse: Callable[..., T]) -> T | None:
        found = word(key)
        return None if found is None else parse(found[0], source=found[1])

    memory, high = read("memory", some_size), read("memory_high", some_size)
    if memory is not None and high is not None and high > memory:
        raise UsageError("--memory-high: expected at most --memory, found more")
    weight = read("cpu_weight", parse_count)
    if weight is not None and weight not in WEIGHT_RANGE:
        raise UsageError(f"--cpu-weight: expected 1 to 10000, found {weight}")
    swap = read("swap", parse_size)
    return Limits(
        memory_max=memory,
        memory_high=high,
        swap_max=Limits().swap_max if swap is None else swap,
        cpu_max=read("cpus", parse_cores),
        cpu_weight=weight,
        tasks_max=read("tasks", parse_count),
        io_read_bps=read("io_read", some_size),
        io_write_bps=read("io_write", some_size),
        wall_time=read("timeout", parse_duration),
    )
