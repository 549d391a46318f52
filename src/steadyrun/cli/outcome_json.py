"""How a `run` ended, as JSON: keys carry their units, unknown is null. Shape in docs/run-json.md."""

from __future__ import annotations

import json
from typing import Any

from steadyrun.guard.once import Finished
from steadyrun.model.codec import encode

SCHEMA = 1


def outcome_json(finished: Finished) -> str:
    """Render the outcome file."""
    outcome, limits = finished.outcome, finished.limits
    value: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": finished.run_id,
        "containment": finished.backend.value,
        "termination": outcome.ending.value,
        "cause": outcome.cause,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "start_error": outcome.start_error,
        "wall_s": outcome.wall,
        "frozen_s": outcome.frozen,
        "cpu_s": outcome.cpu,
        "memory_peak_bytes": outcome.memory_peak,
        "memory_max_bytes": limits.memory_max,
        "swap_max_bytes": limits.swap_max,
        "cpu_max_cores": limits.cpu_max,
        "cpu_weight": limits.cpu_weight,
        "tasks_max": limits.tasks_max,
        "wall_time_max_s": limits.wall_time,
        "oom_kills": outcome.oom_kills,
        "tasks_peak": outcome.tasks_peak,
        "io_read_bytes": outcome.io_read,
        "io_write_bytes": outcome.io_write,
        "psi_memory_some_s": outcome.psi_memory_some,
        "psi_memory_full_s": outcome.psi_memory_full,
        "psi_io_full_s": outcome.psi_io_full,
        "psi_cpu_some_s": outcome.psi_cpu_some,
        "left_behind": outcome.left_behind,
        "survivors": outcome.survivors,
        "removed": outcome.removed,
        "limits_not_in_force": [encode(r) for r in finished.readback if not r.held],
        "guard_pid": finished.guard_pid,
        "keeper_pid": finished.keeper_pid,
    }
    return json.dumps(value, indent=2) + "\n"
