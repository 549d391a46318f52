"""What a probe is given, and the three things it can say, made in one place so that none forgets a field."""

from __future__ import annotations

import time
from typing import NamedTuple

from steadyrun.model.desktop import Probe, ProbeName, Seen
from steadyrun.units import Seconds

_FOR_BUS = 0.6
"""Share of the time left that a bus gets; reading files and pinging a socket take milliseconds."""
_MOST_SHOWN = 300
"""Characters of a label or of evidence; a path and a banner (255 bytes, RFC 4253) mostly fit."""


class Asked(NamedTuple):
    """What every probe is given."""

    root: str
    """Where `/proc`, `/run`, `/tmp` and `/etc` are looked for."""
    env: dict[str, str]
    uid: int
    """Whose session is meant: ours, or under sudo the user's who called it."""
    until: float
    """CLOCK_MONOTONIC by which to have answered, seconds."""
    patience_s: float
    """The whole time there was, for the evidence."""

    def asks_bus(self) -> bool:
        """Tell whether a bus may be asked: of this machine, not for a tree that only tests look into."""
        return self.root == "/" or "DBUS_SYSTEM_BUS_ADDRESS" in self.env

    def bus_until(self) -> float:
        """Return by when a bus has to answer, so that files can still be read instead."""
        now = time.monotonic()
        return now + max(0.0, self.until - now) * _FOR_BUS

    def path(self, inside: str) -> str:
        """Return a path below the root; `inside` begins with a slash."""
        return self.root.rstrip("/") + inside


def present(
    name: ProbeName,
    *,
    identity: str | None,
    label: str,
    evidence: str,
    since: Seconds | None = None,
    latency_ms: float | None = None,
) -> Probe:
    """Say that it is there."""
    identity = None if identity is None else _clean(identity)
    return Probe(name, Seen.PRESENT, identity, _clean(label), since, latency_ms, _clean(evidence))


def absent(name: ProbeName, evidence: str) -> Probe:
    """Say that there is none: an answer."""
    return Probe(name, Seen.ABSENT, None, "", None, None, _clean(evidence))


def unknown(name: ProbeName, evidence: str) -> Probe:
    """Say that it could not be told."""
    return Probe(name, Seen.UNKNOWN, None, "", None, None, _clean(evidence))


def _clean(text: str) -> str:
    """Return one line fit for a terminal and for UTF-8: a banner or a file may hold anything."""
    shown = "".join(each if each.isprintable() else "?" for each in text[: _MOST_SHOWN + 1])
    return shown if len(shown) <= _MOST_SHOWN else shown[:_MOST_SHOWN] + "..."
