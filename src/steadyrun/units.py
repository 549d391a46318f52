"""Quantities with their units: the types, how a person writes them, how they are printed.

Sizes are read as systemd, Docker and the GNU tools read them: `500M` and `500MiB` are
500 * 2**20 bytes, `500MB` is 500 * 10**6 bytes (systemd.syntax(7), GNU coreutils manual
"Block size"). Nothing here reads a clock or the machine.
"""

from __future__ import annotations

import math
import re

from steadyrun.errors import UsageError
from steadyrun.typed import NewType

Bytes = NewType("Bytes", int)
Seconds = NewType("Seconds", float)
Microseconds = NewType("Microseconds", int)
Ratio = NewType("Ratio", float)
Cores = NewType("Cores", float)

KIB = 2**10
MIB = 2**20
GIB = 2**30
TIB = 2**40

_BINARY = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}
_DECIMAL = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = r"\s*(?P<whole>[0-9]{1,20})(?:\.(?P<part>[0-9]{1,20}))?\s*(?P<prefix>[KMGT]?)(?P<suffix>(?:i?B)?)\s*"
_DURATION_PART = r"\s*(?P<number>[0-9]{1,20}(?:\.[0-9]{1,20})?)\s*(?P<unit>ms|sec|s|min|m|h|d)?\s*"
_FLAGS = re.IGNORECASE | re.ASCII
"""Without ASCII, IGNORECASE takes the Kelvin sign for a K and the long s for an s."""
_SIZE_END = 2**63
"""The kernel's own numbers of bytes end here (signed 64 bit)."""
_DURATION_UNIT_S = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}

_SIZE_EXAMPLES = "a size such as 500M (= 500 MiB), 500MB (= 500 * 10^6 bytes) or 4G"
_DURATION_EXAMPLES = "a duration such as 90, 90s, 10m or 1h30m"
_CPU_EXAMPLES = "a number of cores such as 1.5, or 150%"


_BARE_MOST = 100_000
"""A number alone below this was rather meant as MiB."""


def parse_size(text: str, *, source: str, least: int = 0) -> Bytes:
    """Read a size that a person wrote.

    Args:
        text: For example `500M`, `500MiB`, `500MB`, `1.5G`, `1048576`; a fraction is rounded down.
        source: Where the text came from, for the message (`--memory`, `plan.toml: phase[2].memory`).
        least: The smallest size, in bytes, that makes sense there. 0 does for swap.

    Raises:
        UsageError: The text is not a size, is below `least`, or is a fraction of a byte.
    """
    match = re.fullmatch(_SIZE, text, _FLAGS)
    if match is None:
        raise UsageError(f"{source}: expected {_SIZE_EXAMPLES}, found {_shown(text)}")
    prefix, suffix = match["prefix"].upper(), match["suffix"].lower()
    if suffix == "ib" and not prefix:
        raise UsageError(f"{source}: expected {_SIZE_EXAMPLES}, found {_shown(text)}")
    part = match["part"] or ""
    unit = (_DECIMAL if suffix == "b" else _BINARY)[prefix]
    scaled = int(match["whole"] + part) * unit
    size = scaled // 10 ** len(part)
    if size >= _SIZE_END or (scaled and not size):
        raise UsageError(f"{source}: expected {_SIZE_EXAMPLES}, found {_shown(text)}")
    if size < least:
        bare = match["whole"] == text and 0 < size < _BARE_MOST
        raise UsageError(
            f"{source}: expected at least {format_size(least)}, found {_shown(text)}",
            hint=f"a number alone is bytes: {text}M?" if bare else None,
        )
    return Bytes(size)


def parse_duration(text: str, *, source: str) -> Seconds:
    """Read a duration that a person wrote; a bare number is seconds.

    Raises:
        UsageError: The text is not a duration, or is zero.
    """
    part = re.compile(_DURATION_PART, _FLAGS)
    position, total = 0, 0.0
    while position < len(text):
        match = part.match(text, position)
        if match is None or (match["unit"] is None and match.end() - match.start() != len(text)):
            raise UsageError(f"{source}: expected {_DURATION_EXAMPLES}, found {_shown(text)}")
        total += float(match["number"]) * _DURATION_UNIT_S[(match["unit"] or "s").lower()]
        position = match.end()
    if total <= 0:
        raise UsageError(f"{source}: expected {_DURATION_EXAMPLES}, more than 0, found {_shown(text)}")
    return Seconds(total)


def parse_cores(text: str, *, source: str) -> Cores:
    """Read an amount of CPU: `1.5` is one and a half cores, as `150%` is.

    Raises:
        UsageError: The text is not a positive number.
    """
    match = re.fullmatch(
        r"\s*(?P<number>[0-9]{1,20}(?:\.[0-9]{1,20})?|\.[0-9]{1,20})\s*(?P<percent>%?)\s*", text
    )
    value = float(match["number"]) if match else 0.0
    if match is None or not 0 < value < 1e6:
        raise UsageError(f"{source}: expected {_CPU_EXAMPLES}, found {_shown(text)}")
    return Cores(value / 100 if match["percent"] else value)


def parse_count(text: str, *, source: str) -> int:
    """Read a whole number of at least one.

    Raises:
        UsageError: The text is not such a number.
    """
    match = re.fullmatch(r"\s*([0-9]{1,18})\s*", text, re.ASCII)
    if match is None or int(match[1]) < 1:
        most = " and of 18 digits at most" if re.fullmatch(r"[0-9]{19,}", text.strip()) else ""
        raise UsageError(f"{source}: expected a whole number of at least 1{most}, found {_shown(text)}")
    return int(match[1])


def parse_exit_codes(text: str, *, source: str) -> tuple[int, ...]:
    """Read exit codes with commas between them: `1,5`; each 0 to 255 (wait(2): eight bits).

    Raises:
        UsageError: The text is no such list.
    """
    words = [word.strip() for word in text.split(",")]
    if any(re.fullmatch(r"[0-9]{1,3}", word) is None or int(word) > 255 for word in words):
        raise UsageError(f"{source}: expected exit codes such as 1,5 (0 to 255), found {_shown(text)}")
    return tuple(int(word) for word in words)


def _shown(text: str) -> str:
    """Quote what a person wrote for a message, cut where it is longer than a line takes."""
    return repr(text if len(text) <= 40 else text[:40] + "...")


def format_millis(value: float | None) -> str:
    """Print milliseconds for a person: `0.2 ms`, `33 ms`; `unknown` for `None`."""
    if value is None:
        return "unknown"
    return f"{value:.0f} ms" if value >= 10 or value == 0 else f"{value:.1f} ms"


def format_size(size: int | None) -> str:
    """Print bytes for a person, in binary units: `500 MiB`, `2000 MiB`, `7.4 GiB`; `unknown` for `None`."""
    if size is None:
        return "unknown"
    if GIB < size < 16 * GIB and size % MIB == 0 and size % GIB:
        return f"{size // MIB} MiB"  # a limit somebody set in MiB: 2000 MiB, not 2.0 GiB
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if abs(size) >= unit:
            value = size / unit
            return f"{value:.0f} {name}" if value >= 100 or value == int(value) else f"{value:.1f} {name}"
    return f"{size} B"


def format_oom_kills(count: int | None) -> str:
    """Print a number of OOM kills for a person: `no OOM kills`, `1 OOM kill`; `None` is not none."""
    if count is None:
        return "an unknown number of OOM kills"
    return "1 OOM kill" if count == 1 else f"{count or 'no'} OOM kills"


def size_argument(size: int) -> str:
    """Print bytes so that `parse_size` gives the same number back: `8000M`, `500MB`-free, exact."""
    if size == 0:
        return "0"
    for unit, suffix in ((GIB, "G"), (MIB, "M"), (KIB, "K")):
        if size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


def format_duration(seconds: float | None) -> str:
    """Print seconds for a person: `0.4 s`, `30 s`, `2 min 5 s`, `1 h 3 min`.

    `None` and what is no number are `unknown`; what somebody set to infinity is `for ever`.
    """
    if seconds is None or math.isnan(seconds):
        return "unknown"
    if math.isinf(seconds):
        return "for ever"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    if whole < 172800:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} days {whole % 86400 // 3600} h"
