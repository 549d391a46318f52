"""Prints figures for a person: times with their zone, loads, shares, chains of before -> peak -> after.

Pure. Never reads a clock: the zone comes from the record, so the same record gives the same
words on every machine. Unknown and not finite read "unknown".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple, TypeVar

from steadyrun.model.limits import Limits
from steadyrun.model.plan import LoadKind, LoadSpec
from steadyrun.units import format_duration, format_millis, format_size

UNKNOWN = "unknown"
T = TypeVar("T")


class Zone(NamedTuple):
    """The zone a report's times are in."""

    tz: tzinfo
    name: str
    """As the machine has it."""
    resolved: bool
    """False: `name` is no name of the zone database, the times are in UTC."""


def zone_of(name: str) -> Zone:
    """Return the zone of that name (`Europe/Berlin`), UTC when the name is not known here."""
    from zoneinfo import ZoneInfo

    if name in ("UTC", "Etc/UTC", "GMT"):
        return Zone(UTC, "UTC", True)
    try:
        return Zone(ZoneInfo(name), name, True)
    except (KeyError, ValueError, OSError):
        return Zone(UTC, name, False)


class Clock:
    """Prints moments in one zone; names the day only where it is not the run's first day."""

    __slots__ = ("_day", "zone")

    def __init__(self, zone: Zone, first: float | None) -> None:
        self.zone = zone
        moment = self._moment(first)
        self._day = moment.date() if moment else None

    def _moment(self, wall: float | None) -> datetime | None:
        try:
            return None if wall is None else datetime.fromtimestamp(wall, self.zone.tz)
        except (ValueError, OverflowError, OSError):
            return None

    def date(self, wall: float | None) -> str:
        """Return `2025-11-07`."""
        moment = self._moment(wall)
        return UNKNOWN if moment is None else f"{moment:%Y-%m-%d}"

    def time(self, wall: float | None, *, zoned: bool = True) -> str:
        """Return `15:49:21 PST`, with the day before it when that is another day."""
        moment = self._moment(wall)
        if moment is None:
            return UNKNOWN
        day = "" if moment.date() == self._day else f"{moment:%Y-%m-%d} "
        return f"{day}{moment:%H:%M:%S}" + (f" {self._short(moment)}" if zoned else "")

    def full_time(self, wall: float | None) -> str:
        """Return `15:49:21 PST (UTC-08:00, America/Los_Angeles)`."""
        moment = self._moment(wall)
        if moment is None:
            return UNKNOWN
        name = self.zone.name if self.zone.resolved else f"the machine says {self.zone.name!r}"
        parts = dict.fromkeys((self._short(moment), _offset(moment), name))
        first, *others = parts
        return f"{moment:%H:%M:%S} {first}" + (f" ({', '.join(others)})" if others else "")

    def iso(self, wall: float | None) -> str | None:
        """Return `2025-11-07T15:49:21-08:00`; `None` for unknown."""
        moment = self._moment(wall)
        return None if moment is None else moment.isoformat(timespec="seconds")

    def span(self, start: float | None, end: float | None, *, open_end: str = "end not recorded") -> str:
        """Return `15:49:58 - 15:50:02 PST (4.2 s)`; says so when one of both is not known."""
        if start is None:
            return "not started"
        if end is None:
            return f"{self.time(start)} - ({open_end})"
        took = lasted(end - start) if end >= start else "the clock was set back"
        return f"{self.time(start, zoned=False)} - {self.time(end)} ({took})"

    def _short(self, moment: datetime) -> str:
        name = moment.tzname() or ""
        return name if name.isalpha() else _offset(moment)


def _offset(moment: datetime) -> str:
    text = f"{moment:%z}"
    return f"UTC{text[:3]}:{text[3:5]}"


def finite(value: float | None) -> float | None:
    """Return the value, `None` when it is not a finite number."""
    return value if value is not None and math.isfinite(value) else None


def lasted(seconds: float | None) -> str:
    """Return a duration; what would print as 0.0 s reads `under 0.1 s`."""
    number = finite(seconds)
    if number is not None and 0 <= number < 0.05:
        return "under 0.1 s"
    return format_duration(number)


def load(value: float | None) -> str:
    """Return a load average as `uptime` prints it: `3.10`."""
    return UNKNOWN if finite(value) is None else f"{value:.2f}"


def share(value: float | None) -> str:
    """Return a share as percent: `0.4 %`, `12 %`."""
    number = finite(value)
    if number is None:
        return UNKNOWN
    percent = number * 100
    return f"{percent:.0f} %" if percent == 0 or abs(percent) >= 10 else f"{percent:.1f} %"


def millis(value: float | None) -> str:
    """Return milliseconds: `8.1 ms`, `121 ms`."""
    number = finite(value)
    if number is None:
        return UNKNOWN
    return format_millis(number)


def count(value: int | None) -> str:
    """Return a count: `489`."""
    return UNKNOWN if value is None else str(value)


def plural(number: int, one: str, many: str = "") -> str:
    """Return `1 phase`, `3 phases`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def chain(show: Callable[[T], str], *values: T) -> str:
    """Return `a → b → c`, each shown by `show`; a chain of unknowns alone is one `unknown`."""
    shown = [show(value) for value in values]
    return UNKNOWN if set(shown) == {UNKNOWN} else " → ".join(shown)


def highest(values: Iterable[float | None]) -> float | None:
    """Return the largest known value; `None` when none is known."""
    return max((v for v in values if finite(v) is not None), default=None)  # type: ignore[type-var]


def lowest(values: Iterable[float | None]) -> float | None:
    """Return the smallest known value; `None` when none is known."""
    return min((v for v in values if finite(v) is not None), default=None)  # type: ignore[type-var]


def load_size(size: int | None) -> str:
    """Return a load's size as the plan wrote it: `500 MB` when it is whole in decimal units alone."""
    if size is not None and size % 2**20:
        for unit, name in ((10**9, "GB"), (10**6, "MB")):
            if size >= unit and size * 10 % unit == 0:
                return f"{size / unit:g} {name}"
    return format_size(size)


def memory_size(size: int | None) -> str:
    """Return bytes so that a peak can be told from its limit: in whole MiB, in GiB where that is even."""
    if size is None or size < 2**20 or size >= 100 * 2**30 or size % 2**30 == 0:
        return format_size(size)
    return f"{size / 2**20:.0f} MiB"


def processes(number: int) -> str:
    """Return `Single process` or `4 parallel processes`."""
    return "Single process" if number == 1 else f"{number} parallel processes"


def load_words(load_spec: LoadSpec) -> str:
    """Return what a built-in load does, in words; of a command only that it is one."""
    if load_spec.kind is LoadKind.COMMAND:
        return "the command"
    held = f"held for {lasted(load_spec.hold)}"
    if load_spec.kind is LoadKind.HOG:
        each = "" if load_spec.processes == 1 else " each"
        several = load_spec.processes > 1 and load_spec.memory is not None
        in_all = f" ({load_size(load_spec.memory_in_all)} in all)" if several else ""
        return f"{processes(load_spec.processes)}, {load_size(load_spec.memory)}{each}{in_all}, {held}"
    return (
        f"built-in storm: {plural(load_spec.processes, 'runnable process', 'runnable processes')} and memory "
        f"growing to {load_size(load_spec.memory)}, for {lasted(load_spec.hold)}"
    )


def limit_words(limits: Limits) -> str:
    """Return every limit that was asked for, in words, the most telling first."""
    parts = (
        [f"memory {memory_size(limits.memory_max)}"]
        if limits.memory_max is not None
        else ["memory not limited"]
    )
    if limits.memory_high is not None:
        parts.append(f"throttled from {memory_size(limits.memory_high)}")
    if limits.swap_max is None:
        parts.append("swap not limited")
    else:
        parts.append("no swap" if limits.swap_max == 0 else f"swap {format_size(limits.swap_max)}")
    parts += _other_limits(limits)
    return ", ".join(parts)


def _other_limits(limits: Limits) -> list[str]:
    rates = (("reads", limits.io_read_bps), ("writes", limits.io_write_bps))
    return [
        text
        for text in (
            None if limits.cpu_max is None else f"{limits.cpu_max:g} cores",
            None if limits.cpu_weight is None else f"CPU weight {limits.cpu_weight}",
            None if limits.tasks_max is None else f"{limits.tasks_max} tasks",
            *(None if rate is None else f"{what} {format_size(rate)}/s" for what, rate in rates),
            None if limits.io_weight is None else f"I/O weight {limits.io_weight}",
            None if limits.wall_time is None else f"wall time {lasted(limits.wall_time)}",
        )
        if text is not None
    ]
