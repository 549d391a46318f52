"""Renders report.json: the whole record with a unit in every name, and a summary. Pure.

The model's types say the unit (`Bytes`, `Seconds`), so names follow from them and a new field of
the model is in the report without a line here. docs/report-json.md describes the shape.
"""

from __future__ import annotations

import json
import math
import types
import typing
from enum import Enum
from typing import Any

from steadyrun import units
from steadyrun.model.record import RunRecord
from steadyrun.report.escape import as_utf8
from steadyrun.report.lines import clock_of
from steadyrun.report.totals import totals

SCHEMA = 1
"""Goes up when a name is removed or changes its meaning; new names do not change it."""

_SUFFIX: dict[Any, str] = {
    units.Bytes: "bytes",
    units.Seconds: "s",
    units.Microseconds: "us",
    units.Ratio: "frac",
    units.Cores: "cores",
}
_NAMES = {
    "io_read_bps": "io_read_bytes_per_s",
    "io_write_bps": "io_write_bytes_per_s",
    "guard_cpu": "guard_cpu_ratio",
    "canary_cpu": "canary_cpu_ratio",
    "output_dropped": "output_dropped_bytes",
}
"""Where the type alone gives a wrong or no unit: rates, shares of one core that may pass 1."""

_HINTS: dict[type, dict[str, Any]] = {}


def render_json(record: RunRecord) -> str:
    """Return the report as strict JSON text (RFC 8259: no NaN, no lone surrogates), ending in a newline."""
    value = {"schema": SCHEMA, "summary": summary_of(record), **_object(record)}
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def summary_of(record: RunRecord) -> dict[str, Any]:
    """Return the figures that one reads first, units in their names; unknown is null."""
    got, clock, end = totals(record), clock_of(record), record.end
    summary = {
        "started": clock.iso(record.header.started_wall),
        "ended": clock.iso(end.wall) if end else None,
        "exit_code": end.exit_code if end else None,
        "containment_guaranteed": not record.header.weak,
        "phases": got.phases,
        "phases_passed": got.passed,
        "attempts": got.attempts,
        "desktop": got.desktop.applicable,
        "desktop_restarts": got.desktop.restarts if got.desktop.applicable else None,
        "desktop_looks_unknown": got.desktop.unknown if got.desktop.applicable else None,
        "crashes": got.crashes,
        "boots_ended_between_phases": got.fate.between,
        "reboots": got.reboots,
        "load1_highest": got.load1_highest,
        "mem_available_lowest_bytes": got.mem_available_lowest,
        "load_memory_peak_bytes": got.peak_highest,
        "frames_gap_worst_ms": got.gap_worst_ms,
        "recovery_slowest_s": got.recovery_slowest,
        "not_recovered": got.unrecovered,
        "survivors": got.survivors,
        "oom_kills_outside": got.oom_kills_outside,
    }
    return {name: _plain(value) for name, value in summary.items()}


def _object(value: Any) -> dict[str, Any]:
    cls = type(value)
    hints = _HINTS.get(cls)
    if hints is None:
        hints = _HINTS[cls] = typing.get_type_hints(cls)
    return {name_of(name, hints[name]): _plain(getattr(value, name)) for name in cls._fields}


def name_of(name: str, hint: Any) -> str:
    """Return a field's name with the unit that its type says: `memory_max` -> `memory_max_bytes`."""
    if name in _NAMES:
        return _NAMES[name]
    inner = [t for t in typing.get_args(hint) if t is not type(None)] if _is_union(hint) else [hint]
    suffix = _SUFFIX.get(inner[0]) if len(inner) == 1 else None
    return name if suffix is None or name.endswith(f"_{suffix}") else f"{name}_{suffix}"


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _object(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return as_utf8(value)
    return value
