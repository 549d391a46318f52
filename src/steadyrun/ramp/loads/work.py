"""Reads what the built-in loads report about their work. Pure; runs nothing."""

from __future__ import annotations

import json
from typing import Any, assert_never

from steadyrun.model.plan import LoadKind, LoadSpec
from steadyrun.ramp.loads.members import asked_bytes
from steadyrun.units import format_size


def work_of(load: LoadSpec, output_tail: str) -> tuple[str | None, bool | None]:
    """Return what a load says it did, in words, and whether it reached what it was to reach.

    Args:
        load: What was run.
        output_tail: The end of what it wrote. Lines that are no report are passed over.

    Returns:
        `(None, None)` for a user's command: its work is not ours to know. `(None, False)` for a
        built-in load that never reported: it was ended before its end.
    """
    match load.kind:
        case LoadKind.COMMAND:
            return None, None
        case LoadKind.HOG:
            return _hogs(load, _reports(output_tail, "hog"))
        case LoadKind.STORM:
            return _storm(load, _reports(output_tail, "storm"))
        case _:
            assert_never(load.kind)


def _hogs(load: LoadSpec, reports: list[dict[str, Any]]) -> tuple[str | None, bool]:
    if not reports:
        return None, False
    asked = asked_bytes(load) * load.processes
    reached = sum(_count(r, "reached_bytes") for r in reports)
    touched = sum(_count(r, "touched_pages") for r in reports)
    words = (
        f"{len(reports)} of {load.processes} processes finished; reached {reached} of {asked} bytes "
        f"({format_size(reached)}), touched pages {touched} times"
    )
    full = sum(1 for r in reports if _count(r, "reached_bytes") >= asked_bytes(load))
    return words, full >= load.processes


def _storm(load: LoadSpec, reports: list[dict[str, Any]]) -> tuple[str | None, bool]:
    if not reports:
        return None, False
    report = reports[-1]
    asked, reached, lost = asked_bytes(load), _count(report, "reached_bytes"), _count(report, "lost")
    together = _count(report, "together") == 1
    at_once = "all at once" if together else "never all at once"
    words = (
        f"{_count(report, 'processes')} processes counted to {_count(report, 'iterations')} together, "
        f"reached {reached} of {asked} bytes ({format_size(reached)}, {at_once}), "
        f"1-minute load {report.get('load1') or 'unknown'} at the end"
    )
    if lost:
        words += f", {lost} processes lost"
    return words, reached >= asked and together and not lost and _count(report, "iterations") > 0


def _reports(text: str, kind: str) -> list[dict[str, Any]]:
    found = []
    for line in text.splitlines():
        if not line.startswith("{"):
            continue
        try:
            report = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(report, dict) and report.get(kind) == 1:
            found.append(report)
    return found


def _count(report: dict[str, Any], key: str) -> int:
    """Return a count of the report, 0 when it is missing: what was not reported was not reached."""
    value = report.get(key)
    return value if type(value) is int and value >= 0 else 0
