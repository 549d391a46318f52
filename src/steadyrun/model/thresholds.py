"""When the guard acts: one frozen table, each value with its default and where that comes from.

`docs/settings.md` (`[guard]`) is this table for people; `SPANS` says what may be set there and between
which ends. The ends are such that no setting switches the guard off.
"""

from __future__ import annotations

from steadyrun.model.machine import Reserve
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Bytes, Ratio, Seconds

if TYPE_CHECKING:
    from typing import Any, Self


class Thresholds(NamedTuple):
    """The table.

    The defaults of time are chosen, not measured: a frozen load gets half a minute in which other memory
    may come back, a load that is asked to end five seconds to write what it has, as `docker stop` gives
    ten. A window is one second; a threshold on pressure is the larger of its value here and
    `usual_factor` times what is usual on this machine without the load.
    """

    reserve: Bytes
    floor: Bytes
    black: Bytes
    frozen_max: Seconds = Seconds(30.0)
    """A load frozen for memory alone is killed after this long, when the machine is no better."""
    term_grace: Seconds = Seconds(5.0)
    """Between TERM and KILL."""
    kill_max: Seconds = Seconds(60.0)
    """What is still there this long after the first kill waits uninterruptibly; nobody waits for it."""
    clean: Seconds = Seconds(2.0)
    """The machine must have been well this long before a thaw."""
    tick: Seconds = Seconds(0.1)
    protected_some: Ratio = Ratio(0.05)
    """YELLOW: share of a window that something in a protected group waited for memory."""
    protected_full: Ratio = Ratio(0.1)
    """RED: share of a window that all of a protected group waited for memory; settings say it as a time of a
    second, which a window is. 100 ms is where a person no longer takes an answer for immediate
    (R. B. Miller, "Response time in man-computer conversational transactions", 1968)."""
    host_full: Ratio = Ratio(0.15)
    """RED, together with low memory or late frames: the same of the whole machine."""
    frames_late: Seconds = Seconds(0.02)
    """YELLOW: p99 of the canary's lateness; more than one frame of 60 Hz."""
    frames_silent: Seconds = Seconds(0.5)
    """RED when seen twice: time without a frame."""
    usual_factor: float = 3.0
    stall_max: Seconds = Seconds(2.0)
    """BLACK: a protected group still stalls this long after the load was frozen."""
    reds_max: int = 3
    """BLACK: so many REDs within a minute, longer with other settings (`pressure.reds_within`)."""
    futile: Seconds = Seconds(5.0)
    """BLACK: so long the machine scans for memory and finds next to none."""
    loosen_after: Seconds = Seconds(10.0)
    """The machine must have been well this long before each step back."""
    kill_least: Bytes = Bytes(0)
    """A load that holds less than this is not killed for the machine: its end would bring nothing."""

    @classmethod
    def of(cls, reserve: Reserve, changes: dict[str, float] | None = None) -> Self:
        """Take the machine's reserve, the defaults, and what the settings changed (names in `SPANS`).

        `kill_least` is an eighth of the reserve: what is missing when memory is BLACK is at least twice that.
        """
        table = cls(reserve.reserve, reserve.floor, reserve.black, kill_least=Bytes(reserve.reserve // 8))
        set_to: dict[str, Any] = {
            name: int(value) if SPANS[name].unit == "count" else value
            for name, value in (changes or {}).items()
        }
        return table._replace(**set_to)


class Span(NamedTuple):
    """What a setting of the guard may be."""

    least: float
    most: float
    unit: str
    """`s`, `share`, `times`, `count`."""


SPANS = {
    "protected_some": Span(0.01, 0.5, "share"),
    "protected_full": Span(0.02, 0.9, "s"),
    "host_full": Span(0.02, 0.9, "s"),
    "frames_late": Span(0.002, 1.0, "s"),
    "frames_silent": Span(0.1, 10.0, "s"),
    "usual_factor": Span(1.0, 10.0, "times"),
    "frozen_max": Span(1.0, 600.0, "s"),
    "stall_max": Span(0.5, 30.0, "s"),
    "reds_max": Span(1, 20, "count"),
    "futile": Span(1.0, 60.0, "s"),
    "clean": Span(0.5, 60.0, "s"),
    "loosen_after": Span(1.0, 600.0, "s"),
    "term_grace": Span(0.1, 600.0, "s"),
}
"""What `[guard]` of the settings may change. The floors are the machine's, and are not set."""


class Usual(NamedTuple):
    """What is usual on this machine without the load. `None`: not known, the plain thresholds count."""

    protected_some: Ratio | None = None
    """Of the protected group that stalls most."""
    protected_full: Ratio | None = None
    host_full: Ratio | None = None
    frames_late: Seconds | None = None
    """p99."""
