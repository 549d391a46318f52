"""Settings of other guards of memory, as they write them: earlyoom, nohang, systemd-oomd. Pure.

What is not written as documented is left at `None`, never guessed. Sources: earlyoom(1); nohang's
configuration file, which says what it means; oomd.conf(5), systemd.time(7).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from steadyrun.units import KIB, MIB, Bytes, Ratio, Seconds

EARLYOOM_PERCENT = 10.0
_EARLYOOM_OPTIONS = "m:s:M:S:N:r:kingdvph"
_EARLYOOM_LONG = (
    "prefer=", "avoid=", "ignore=", "dryrun", "ignore-root-user", "sort-by-rss", "syslog", "help",
)  # fmt: skip
_SHARES = {"%": 100, "\N{PER MILLE SIGN}": 1000, "\N{PER TEN THOUSAND SIGN}": 10_000}
_SPANS = {
    "us": 1e-6, "usec": 1e-6, "ms": 1e-3, "msec": 1e-3, "": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0,
    "seconds": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hr": 3600.0,
}  # fmt: skip


class Earlyoom(NamedTuple):
    """What its command line says of SIGTERM."""

    memory: Bytes
    swap: Ratio
    dry: bool


def parse_earlyoom(argv: tuple[str, ...], *, total: Bytes, swap_total: Bytes | None) -> Earlyoom | None:
    """Read a command line of earlyoom; `None`: one that it would not take, or that we do not know.

    A percentage is of all memory here. From 1.8 on it is of what processes can have, which is less: the
    threshold is then lower than what is returned, never higher.

    Args:
        argv: Its own name first.
        total: MemTotal.
        swap_total: SwapTotal; `None`: not known, and sizes of swap cannot be told as a share.
    """
    from getopt import GetoptError, gnu_getopt

    try:
        options, _ = gnu_getopt(list(argv[1:]), _EARLYOOM_OPTIONS, list(_EARLYOOM_LONG))
        given = {name: value.partition(",")[0] for name, value in options}
        memory = _lower(given.get("-m"), given.get("-M"), total)
        swap = _lower(given.get("-s"), given.get("-S"), swap_total)
    except (GetoptError, ValueError):
        return None
    return Earlyoom(Bytes(round(total * memory)), Ratio(swap), "--dryrun" in given)


def _lower(percent: str | None, kib: str | None, total: Bytes | None) -> float:
    """Return the lower of two thresholds as a share, as earlyoom does where both are given.

    Raises:
        ValueError: One is no number.
    """
    shares = [] if percent is None else [float(percent) / 100]
    if kib is not None and total:
        shares.append(float(kib) * KIB / total)
    return min(shares, default=EARLYOOM_PERCENT / 100)


class Nohang(NamedTuple):
    """What its configuration says of the soft action. `None`: not there, or not as documented."""

    memory: Bytes | None
    swap: Ratio | None
    pressure: Ratio | None
    """`None` also where it is told not to look at pressure."""
    lasting: Seconds | None


def parse_nohang(text: str, *, total: Bytes, swap_total: Bytes | None) -> Nohang:
    """Read a configuration file of nohang."""
    found = _pairs(text.splitlines())
    watches = found.get("psi_checking_enabled") == "True"
    psi = _number(found.get("soft_threshold_max_psi")) if watches else None
    lasting = _number(found.get("psi_excess_duration")) if watches else None
    memory = _of(found.get("soft_threshold_min_mem"), total)
    swap = _of(found.get("soft_threshold_min_swap"), swap_total)
    return Nohang(
        memory=None if memory is None else Bytes(round(memory * total)),
        swap=None if swap is None else Ratio(swap),
        pressure=None if psi is None else Ratio(psi / 100),
        lasting=None if lasting is None else Seconds(lasting),
    )


def _of(value: str | None, total: Bytes | None) -> float | None:
    """Return `5 %` or `500 M` as a share of a total; a size of nothing is all of it."""
    number, unit = (value or "").rstrip("%M").strip(), (value or "")[-1:]
    size = _number(number)
    if size is None or unit not in ("%", "M"):
        return None
    if unit == "%":
        return size / 100
    return None if total is None else min(1.0, size * MIB / total) if total else 1.0


class Oomd(NamedTuple):
    """What systemd-oomd's own configuration says."""

    used: Ratio = Ratio(0.9)
    """Of memory, and of swap: it acts when both are used so far."""
    pressure: Ratio = Ratio(0.6)
    lasting: Seconds = Seconds(30.0)


def parse_oomd(texts: Iterable[str]) -> Oomd | None:
    """Read oomd.conf and its drop-ins, the later ones counting more; `None`: one is not as documented."""
    found: dict[str, str] = {}
    for text in texts:
        section = ""
        for line in text.splitlines():
            stripped = line.strip()
            if stripped.startswith("[") and stripped.endswith("]"):
                section = stripped
            elif section == "[OOM]":
                found.update(_pairs([stripped]))
    defaults = Oomd()
    used = _share(found.get("SwapUsedLimit"), defaults.used)
    pressure = _share(found.get("DefaultMemoryPressureLimit"), defaults.pressure)
    lasting = _span(found.get("DefaultMemoryPressureDurationSec"), defaults.lasting)
    if used is None or pressure is None or lasting is None:
        return None
    return Oomd(used, pressure, lasting)


def _pairs(lines: Iterable[str]) -> dict[str, str]:
    """Return `key = value` lines; comments begin with `#` or `;`, the last of a key counts."""
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith(("#", ";", "@")))
    return {key.strip(): value.strip() for key, sep, value in pairs if sep and key.strip()}


def _share(text: str | None, default: Ratio) -> Ratio | None:
    if not text:
        return default
    number = _number(text[:-1])
    return None if number is None or text[-1] not in _SHARES else Ratio(number / _SHARES[text[-1]])


def _span(text: str | None, default: Seconds) -> Seconds | None:
    """Return a time span such as `1min 30s`; nothing and 0 are the default (oomd.conf(5))."""
    if not text:
        return default
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text)
    left = re.sub(r"(\d+(?:\.\d+)?)\s*([a-z]*)", "", text).strip()
    if left or not parts or any(unit not in _SPANS for _, unit in parts):
        return None
    return Seconds(sum(float(number) * _SPANS[unit] for number, unit in parts)) or default


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if 0 <= found < float("inf") else None
