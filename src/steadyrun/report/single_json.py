"""How the load of a `run` ended, as JSON: keys carry their units, unknown is null. Shape in docs/run-json.md.

Pure, and apart from the page: `run --json` needs no more than this.
"""

from __future__ import annotations

from typing import Any

from steadyrun.model.codec import encode
from steadyrun.model.containment import BackendName
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import LoadOutcome
from steadyrun.model.run import FramesSeen

SCHEMA = 1


def canary_keys(seen: FramesSeen | None, why: str) -> dict[str, Any]:
    """Return the keys about the canary of a run that both share: what it saw, else why nothing."""
    told = seen and {
        "late_ms": round(seen.late_ms, 3),
        "gap_ms": round(seen.gap_ms, 3),
        "cpu_s": None if seen.cpu is None else round(seen.cpu, 6),
    }
    return {"canary": told, "no_canary": why or None}


_OUTCOME = {
    "cause": "cause",
    "exit_code": "exit_code",
    "signal": "signal",
    "start_error": "start_error",
    "wall_s": "wall",
    "frozen_s": "frozen",
    "cpu_s": "cpu",
    "memory_peak_bytes": "memory_peak",
    "oom_kills": "oom_kills",
    "tasks_peak": "tasks_peak",
    "forks_refused": "forks_refused",
    "io_read_bytes": "io_read",
    "io_write_bytes": "io_write",
    "psi_memory_some_s": "psi_memory_some",
    "psi_memory_full_s": "psi_memory_full",
    "psi_io_full_s": "psi_io_full",
    "psi_cpu_some_s": "psi_cpu_some",
    "left_behind": "left_behind",
    "survivors": "survivors",
    "removed": "removed",
}
"""Keys and the fields of a LoadOutcome."""


def outcome_object(backend: BackendName, limits: Limits, outcome: LoadOutcome | None) -> dict[str, Any]:
    """Return the keys that `run --json` and `report --json` share; `None` as the outcome: it never told."""
    return {
        "containment": backend.value,
        "termination": None if outcome is None else outcome.ending.value,
        **{key: getattr(outcome, name, None) for key, name in _OUTCOME.items()},
        "means": None if outcome is None else encode(outcome.means),
        "memory_max_bytes": limits.memory_max,
        "swap_max_bytes": limits.swap_max,
        "cpu_max_cores": limits.cpu_max,
        "cpu_weight": limits.cpu_weight,
        "tasks_max": limits.tasks_max,
        "wall_time_max_s": limits.wall_time,
    }
