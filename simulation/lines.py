"""What a guard passed on, as lines of JSON: of each reading what changed in it, so that a trace is small."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from steadyrun.model.codec import decode_event, encode_event
from steadyrun.model.event import Event, Sampled


def lines_of(events: Iterable[Event]) -> Iterator[str]:
    """Yield a line for each event."""
    before: Any = {}
    for event in events:
        data: Any = encode_event(event)
        if isinstance(event, Sampled):
            data, before = _changed(before, data), data
            data["kind"] = Sampled.__name__
        yield json.dumps(data, separators=(",", ":")) + "\n"


def events_of(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the events again."""
    before: Any = {}
    for line in lines:
        data = json.loads(line)
        if data["kind"] == Sampled.__name__:
            data = before = _merged(before, data)
        yield decode_event(data)


def _changed(before: Any, now: Any) -> Any:
    if not isinstance(before, dict) or not isinstance(now, dict):
        return now
    return {
        key: _changed(before.get(key), value)
        for key, value in now.items()
        if key not in before or value != before[key]
    }


def _merged(before: Any, changed: Any) -> Any:
    if not isinstance(before, dict) or not isinstance(changed, dict):
        return changed
    return before | {key: _merged(before.get(key), value) for key, value in changed.items()}
