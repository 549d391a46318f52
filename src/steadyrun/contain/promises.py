"""What other contained loads of this machine may still take: read from the kernel, whoever runs them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from steadyrun.contain.hierarchy import PARENT, SLICE
from steadyrun.errors import FormatError
from steadyrun.kernel.cgroupfiles import parse_limit
from steadyrun.kernel.reader import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steadyrun.contain.base import Backend

_LIMIT = ("memory.max", "memory.limit_in_bytes")
_USAGE = ("memory.current", "memory.usage_in_bytes")


def promised_here(backend: Backend) -> tuple[tuple[int, int], ...]:
    """Return (hard memory limit, usage) in bytes of each containment that is there now.

    One without a limit is left out: it was promised nothing that could be counted. Empty where the
    backend has no cgroups.
    """
    plan = backend.plan("promises")
    return tuple(_each(plan.parent)) if plan.directories else ()


def _each(parent: str) -> Iterator[tuple[int, int]]:
    """Look at each cgroup of ours in the parent: all in one that bears our name, else those that do."""
    all_ours = os.path.basename(parent) in (PARENT, SLICE)
    try:
        names = [name for name in os.listdir(parent) if all_ours or name.startswith(f"{PARENT}-")]
    except OSError:
        return
    for name in names:
        limit = _first(f"{parent}/{name}", _LIMIT)
        usage = _first(f"{parent}/{name}", _USAGE)
        if limit is not None and usage is not None:
            yield limit, usage


def _first(directory: str, names: tuple[str, ...]) -> int | None:
    for name in names:
        text = read_text(f"{directory}/{name}")
        if text is not None:
            try:
                return parse_limit(text, source=name)
            except FormatError:
                return None
    return None
