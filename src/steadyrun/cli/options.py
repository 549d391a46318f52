"""Every option that is a setting too: one table for the command line, the environment and the files.

A new one is a row of `OPTIONS`, and a row of docs/settings.md. On the start-up path of `run`; reads
nothing.
"""

from __future__ import annotations

from functools import partial

from steadyrun.errors import UsageError
from steadyrun.model.limits import Limits
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import MIB, parse_cores, parse_count, parse_duration, parse_size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from types import SimpleNamespace
    from typing import Any

    from steadyrun.cli.quick import Options
    from steadyrun.cli.settings import Settings

PROGRESS = ("auto", "bar", "text", "none")
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def _weight(text: str, *, source: str) -> int:
    value = int(text) if text.isdecimal() and len(text) <= 18 else 0
    if not 1 <= value <= 10000:
        raise UsageError(f"{source}: expected a weight of 1 to 10000, found {text[:40]!r}")
    return value


def _progress(text: str, *, source: str) -> str:
    if text not in PROGRESS:
        raise UsageError(f"{source}: expected one of {', '.join(PROGRESS)}, found {text!r}")
    return text


def _words(text: str, *, source: str) -> str:
    if not text.strip():
        raise UsageError(f"{source}: expected some text, found none")
    return text


def _flag(text: str, *, source: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise UsageError(f"{source}: expected true or false, found {text!r}")
    return text.lower() in _TRUE


class Kind(NamedTuple):
    """What a value may be."""

    read: Callable[..., Any]
    """From text, with `source=` for the message; raises UsageError."""
    allowed: str
    types: tuple[type, ...]
    """In TOML; in the environment everything is text."""
    how: tuple[tuple[str, Any], ...] = ()
    """What argparse is told beside flag, metavar and help."""


_SIZE_WORDS = 'a size such as "500M", "500MB" or a number of bytes'
_SIZE = Kind(partial(parse_size, least=1), _SIZE_WORDS, (str, int))
_MEMORY = Kind(partial(parse_size, least=MIB), _SIZE_WORDS, (str, int))
"""Nothing starts in less, and who types 512 means 512M."""
_SIZE_OR_NONE = Kind(parse_size, _SIZE_WORDS, (str, int))
_CORES = Kind(parse_cores, 'a number of cores such as 1.5, or "150%"', (int, float, str))
_WEIGHT = Kind(_weight, "a whole number of 1 to 10000", (int, str))
_COUNT = Kind(parse_count, "a whole number of at least 1", (int, str))
_TIME = Kind(parse_duration, 'seconds, or a duration such as "10m"', (int, float, str))
_TEXT = Kind(_words, "some text in quotes", (str,))
_SHOW = Kind(_progress, "one of " + ", ".join(f'"{p}"' for p in PROGRESS), (str,), (("choices", PROGRESS),))
_SWITCH = Kind(_flag, "true or false", (bool,), (("action", "store_true"),))


class Option(NamedTuple):
    """One option."""

    key: str
    """In a file; STEADYRUN_KEY in the environment, --key on the command line."""
    kind: Kind
    metavar: str | None
    about: str
    limit: str | None = None
    """The field of `Limits` it sets."""

    @property
    def flag(self) -> str:
        """As it is typed."""
        return "--" + self.key.replace("_", "-")


OPTIONS = (
    Option("memory", _MEMORY, "SIZE", "hard memory limit: 500M (= 500 MiB), 500MB, 4G", "memory_max"),
    Option("memory_high", _MEMORY, "SIZE", "throttle limit, where the containment has one", "memory_high"),
    Option("swap", _SIZE_OR_NONE, "SIZE", "swap on top of --memory (default 0)", "swap_max"),
    Option("cpus", _CORES, "N", "CPU quota in cores: 1.5, or 150%%", "cpu_max"),
    Option(
        "cpu_weight",
        _WEIGHT,
        "1..10000",
        "share against others when the CPU is short (default 1, the lowest)",
        "cpu_weight",
    ),
    Option("tasks", _COUNT, "N", "processes and threads together", "tasks_max"),
    Option("io_read", _SIZE, "SIZE", "bytes read a second, for each disk", "io_read_bps"),
    Option("io_write", _SIZE, "SIZE", "bytes written a second, for each disk", "io_write_bps"),
    Option("timeout", _TIME, "TIME", "wall time: 90, 10m, 1h30m; then TERM, 5 s later KILL", "wall_time"),
    Option("report", _TEXT, "DIR", "where the log goes (default steadyrun-report)"),
    Option("progress", _SHOW, None, "live view, lines, nothing"),
    Option("problem", _TEXT, "TEXT", "for the log: what is wrong today"),
    Option("goal", _TEXT, "TEXT", "for the log: what is wanted"),
    Option("tries", _COUNT, "N", "tries of the command after kills at its limit (4)"),
    Option("no_canary", _SWITCH, None, "without the canary that tells how the desktop fares (13 MiB)"),
    Option("yes", _SWITCH, None, "do not wait for Enter"),
)
KEYS = {option.key: option for option in OPTIONS}
LIMITS = tuple(option for option in OPTIONS if option.limit is not None)


def add_options(parser: argparse.ArgumentParser | Options, *keys: str) -> None:
    """Add the options of these keys."""
    for key in keys:
        _add(parser, KEYS[key])


def add_limit_options(parser: argparse.ArgumentParser | Options) -> None:
    """Add the options that say what a load may use."""
    group = parser.add_argument_group("limits")
    for option in LIMITS:
        _add(group, option)


def _add(parser: Any, option: Option) -> None:
    named = {} if option.metavar is None else {"metavar": option.metavar}
    parser.add_argument(option.flag, help=option.about, **named, **dict(option.kind.how))


def limits_of(args: argparse.Namespace | SimpleNamespace, settings: Settings) -> Limits:
    """Return the limits that were asked for, on the command line or in the settings.

    Raises:
        UsageError: A value has no meaning.
    """
    found: dict[str, Any] = {}
    for option in LIMITS:
        given = getattr(args, option.key)
        word = settings.word(option.key) if given is None else (given, option.flag)
        if word is not None:
            found[option.limit or ""] = option.kind.read(word[0], source=word[1])
    limits = Limits(**found)
    high, hard = limits.memory_high, limits.memory_max
    if hard is not None and high is not None and high > hard:
        raise UsageError("--memory-high: expected at most --memory, found more")
    return limits
