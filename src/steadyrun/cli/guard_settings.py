"""`[guard]` of the settings: what it may hold, and what it makes of the guard's thresholds.

The names and their ends are `model.thresholds.SPANS`; imported only when such a setting is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steadyrun.errors import UsageError
from steadyrun.model.thresholds import SPANS, Span
from steadyrun.units import parse_duration

if TYPE_CHECKING:
    from steadyrun.cli.settings import Settings

TYPES = (int, float, str)


def parse(name: str, text: str, *, source: str) -> float:
    """Read one threshold.

    Raises:
        UsageError: It is not of its kind, or beyond its ends.
    """
    span = SPANS[name]
    value = _value(span, text, source)
    if value is None or not span.least <= value <= span.most:
        raise UsageError(f"{source}: expected {allowed(name)}, found {text!r}")
    return value


def allowed(name: str) -> str:
    """Say what one threshold may be: `a time of 0.02 to 0.9 s, such as "0.1s"`."""
    span = SPANS[name]
    ends = f"{span.least:g} to {span.most:g}"
    match span.unit:
        case "s":
            return f'a time of {ends} s, such as "{span.least:g}s"'
        case "share":
            return f"a share of {ends}, such as {span.least:g} or {span.least:.0%}"
        case "count":
            return f"a whole number of {ends}"
        case _:
            return f"a number of {ends}"


def changes(settings: Settings) -> dict[str, float]:
    """Return what the settings change."""
    set_here = settings.of_guard()
    return {name: parse(name, found.text, source=found.source) for name, found in set_here.items()}


def nearest(name: str) -> str | None:
    """Return the threshold that was probably meant."""
    from difflib import get_close_matches

    close = get_close_matches(name.lower().replace("-", "_"), SPANS, 1, 0.7)
    return close[0] if close else None


def _value(span: Span, text: str, source: str) -> float | None:
    text = text.strip()
    try:
        if span.unit == "s":
            return parse_duration(text, source=source)
        if span.unit == "count":
            return int(text)
        if span.unit == "share" and text.endswith("%"):
            return float(text[:-1]) / 100
        return float(text)
    except (ValueError, UsageError):
        return None
