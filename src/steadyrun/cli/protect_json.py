"""What `steadyrun protect --json` says. Pure: values in, objects out."""

from __future__ import annotations

from typing import Any

from steadyrun.protect.change import Line, Plan
from steadyrun.protect.inforce import Standing
from steadyrun.protect.protection import Undone
from steadyrun.protect.record import Change, Record
from steadyrun.protect.status import Status

SCHEMA = 1
"""Goes up when a name is removed or changes its meaning."""


def plan_object(plan: Plan, pending: tuple[Change, ...], record: Record) -> dict[str, Any]:
    """Return a plan for programs."""
    waiting = {change.path for change in pending}
    begun = record.last()
    return {
        "schema": SCHEMA,
        "possible": not plan.obstacle,
        "obstacle": plan.obstacle or None,
        "remedy": plan.remedy or None,
        "applied": bool(record.standing()),
        "applied_by": None if begun is None else begun.version,
        "profile": plan.profile.value,
        "effective_ram_bytes": plan.facts.ram,
        "systemd": plan.facts.version,
        "shares": None if plan.shares is None else {f"{k}": v for k, v in plan.shares._asdict().items()},
        "files": [
            {
                "path": each.path,
                "unit": each.unit,
                "pending": each.path in waiting,
                "settings": [_line(line) for line in each.lines],
                "text": each.text,
            }
            for each in plan.files
        ],
        "values": [
            {"path": v.path, "now": v.now, "value": v.value, "why": v.why, "source": v.source}
            for v in plan.values
        ],
        "skipped": [each._asdict() for each in plan.skipped],
        "findings": [{**each._asdict(), "severity": each.severity.value} for each in plan.findings],
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "key": line.key,
        "value": line.value,
        "why": line.why,
        "source": line.source,
        "when": line.when.value,
    }


def status_object(status: Status, record: Record) -> dict[str, Any]:
    """Return a status for programs."""
    begun = record.last()
    return {
        "schema": SCHEMA,
        "applied": bool(record.standing()),
        "interrupted": record.undoing() or bool(record.unfinished()),
        "profile": None if begun is None else begun.profile,
        "holds": status.holds(),
        "files": [{"path": f.path, "state": f.state.value, "found": f.found} for f in status.files],
        "settings": [_standing(each) for each in status.settings],
    }


def _standing(each: Standing) -> dict[str, Any]:
    return {"cgroup": each.unit, "setting": each.setting, "state": each.state.value, "found": each.found}


def undone_object(undone: Undone) -> dict[str, Any]:
    """Return an undo for programs."""
    return {
        "schema": SCHEMA,
        "undone": [path for path in undone.paths if path not in {left.path for left in undone.left}],
        "left": [left._asdict() for left in undone.left],
        "trouble": list(undone.trouble),
    }
