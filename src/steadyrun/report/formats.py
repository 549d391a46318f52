"""The formats of a record: one table for the files that a ramp writes and for `steadyrun report`. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from steadyrun.model.record import RunKind, RunRecord
from steadyrun.report.json import render_json
from steadyrun.report.progress import render_progress
from steadyrun.report.single import render_single, render_single_json


class Format(NamedTuple):
    """One of them."""

    words: str
    """For people."""
    file: str
    """Its name in a ramp's folder."""
    ramp: Callable[[RunRecord], str]
    """Renders a ramp, whole."""
    single: Callable[[RunRecord], str]
    """Renders anything else, which is short."""

    def render(self, record: RunRecord) -> str:
        """Return a record of any kind as text."""
        return (self.ramp if record.header.kind is RunKind.RAMP else self.single)(record)


FORMATS = {
    "md": Format("Markdown", "PROGRESS.md", render_progress, render_single),
    "json": Format("JSON", "report.json", render_json, render_single_json),
}
"""By the name that `--format` takes; the first is what is written where none is named."""
