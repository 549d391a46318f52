"""What was seen of the person's session: three-valued, with an identity that tells a restart."""

from __future__ import annotations

from enum import Enum

from steadyrun.named import NamedTuple
from steadyrun.units import Seconds


class Seen(Enum):
    """Absent is an answer; unknown is the lack of one."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class ProbeName(Enum):
    """What is probed. The values are the names a person reads."""

    SESSION = "graphical session"
    DISPLAY_MANAGER = "display manager"
    DISPLAY_SERVER = "display server"
    USER_MANAGER = "user manager"
    SSH = "SSH"


class Probe(NamedTuple):
    """One look at one thing."""

    name: ProbeName
    seen: Seen
    identity: str | None
    """Differs when the thing was restarted (session id, leader pid and start; InvocationID)."""
    label: str
    """For people: `lightdm`, `c2 (x11, seat0)`, `OpenSSH_9.2`; empty when absent."""
    since: Seconds | None
    """Unix time it started."""
    latency_ms: float | None
    """Of a round trip (SSH banner, X ping); `None` where there is none."""
    evidence: str
    """What was asked and what it said, one line."""


class DesktopView(NamedTuple):
    """All probes at one moment."""

    wall: Seconds
    probes: tuple[Probe, ...]

    def probe(self, name: ProbeName) -> Probe | None:
        """Return the probe of that name, `None` when it was not taken."""
        return next((p for p in self.probes if p.name is name), None)
