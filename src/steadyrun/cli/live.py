"""The terminal's live view of a run: phases, memory against its limit, load, PSI, canary.

Holds the newest record and a short history of readings and turns them into something rich can
draw. Never reads the machine or the clock: elapsed time comes from the readings. `rich` is
imported on first use, so that commands without a live view do not pay for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from steadyrun.cli.plain import line_for
from steadyrun.model.limits import Limits
from steadyrun.model.plan import LoadKind, Phase
from steadyrun.model.record import Attempt, RunRecord, State
from steadyrun.model.sample import Psi, Reading
from steadyrun.report.escape import one_line
from steadyrun.report.figures import finite, lasted, load, memory_size, millis, share
from steadyrun.report.lines import WEAK
from steadyrun.report.totals import attempts_of, phases_of
from steadyrun.units import format_size

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group, RenderResult
    from rich.live import Live
    from rich.text import Text

REFRESH_HZ = 2
"""Pictures a second: enough to follow, and a slow terminal keeps up."""
STEP = 0.5
"""Seconds between two points of a sparkline, so that its width is the last 15 s or so."""
POINTS = 30
EVENTS = 4
"""Last events shown."""
EVENT_LINES = 8
"""Lines that these take together at most, by choice: five phases, the gauges and they fit into 24."""
WINDOW = 1.0
"""Seconds over which a PSI share is taken, from the totals."""
NARROW = 60
"""Columns below which the widest parts are left out."""

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = ".:-=+*#@"
_MARKS = {
    State.READY: (" ", " ", "dim"),
    State.RUNNING: ("▶", ">", "bold cyan"),
    State.RECOVERING: ("↺", "~", "cyan"),
    State.PASSED: ("✔", "+", "green"),
    State.FAILED: ("✘", "x", "bold red"),
    State.DEGRADED: ("!", "!", "yellow"),
    State.UNKNOWN: ("?", "?", "yellow"),
    State.INVALID: ("?", "?", "yellow"),
    State.CRASHED: ("✘", "x", "bold red"),
    State.INTERRUPTED: ("!", "!", "yellow"),
    State.STOPPED: ("!", "!", "yellow"),
}


class Point(NamedTuple):
    """One point of the sparklines."""

    load1: float | None
    psi_memory: float | None
    """Share of the last second, 0 to 1."""
    gap_ms: float | None


def spark(values: Sequence[float | None], *, top: float, width: int, ascii_only: bool = False) -> str:
    """Draw values as one line of blocks, newest last; unknown is a blank, `top` and above is full."""
    blocks = _ASCII_BLOCKS if ascii_only else _BLOCKS
    shown = values[-width:] if width > 0 else ()
    cells = (" " if finite(v) is None else blocks[_level(v or 0.0, top, len(blocks))] for v in shown)
    return "".join(cells).rjust(max(width, 0))


def _level(value: float, top: float, levels: int) -> int:
    return min(levels - 1, max(0, int(value / top * levels))) if top > 0 else 0


def bar(part: float | None, *, width: int, ascii_only: bool = False) -> str:
    """Draw a share of 0 to 1 as a bar of `width` cells; unknown is an empty one."""
    full, empty = ("#", "-") if ascii_only else ("█", "░")
    number = finite(part)
    filled = 0 if number is None else min(width, max(0, round(number * width)))
    return full * filled + empty * (width - filled)


def stalled(earlier: Psi | None, now: Psi | None, seconds: float) -> float | None:
    """Return the share of `seconds` in which some task was stalled, from two totals; `None`: unknown."""
    if earlier is None or now is None or seconds <= 0:
        return None
    delta = now.some_total - earlier.some_total
    return min(1.0, delta / 1e6 / seconds) if delta >= 0 else None


class LiveView:
    """What a terminal shows while a run goes on.

    Args:
        ascii_only: Draw with ASCII alone; `None`: as the console's encoding says.
        stop_hint: How to stop, said in the last line until it is over.
    """

    def __init__(
        self, *, ascii_only: bool | None = None, stop_hint: str = "Ctrl-C asks to stop, twice insists"
    ) -> None:
        self._ascii = ascii_only
        self._last_line = f"To stop: {stop_hint}"
        self._record: RunRecord | None = None
        self._reading: Reading | None = None
        self._limits = Limits()
        self._recent: deque[Reading] = deque(maxlen=64)
        self._points: deque[Point] = deque(maxlen=POINTS)
        self._point_at = float("-inf")
        self._events: deque[str] = deque(maxlen=EVENTS)
        self._live: Live | None = None

    def update(self, record: RunRecord) -> LiveView:
        """Take the newest record; what changed since the last one becomes an event line."""
        self._events.extend(line_for(self._record, record))
        self._record = record
        return self

    def say(self, words: str) -> None:
        """Show these words in the last line, from the next picture on: printed they would tear this one."""
        self._last_line = words[:1].upper() + words[1:]

    def sample(self, reading: Reading, limits: Limits) -> LiveView:
        """Take one reading of the guard, and the limits its load has now."""
        if self._reading is not None and reading.host.at < self._reading.host.at:
            self._recent.clear()
            self._point_at = float("-inf")
        self._reading, self._limits = reading, limits
        self._recent.append(reading)
        if reading.host.at - self._point_at >= STEP:
            self._point_at = reading.host.at
            gap = reading.frames.worst_ms if reading.frames else None
            self._points.append(Point(reading.host.load1, self._psi_now(), gap))
        return self

    def _psi_now(self) -> float | None:
        now = self._reading
        if now is None:
            return None
        old = next((r for r in self._recent if now.host.at - r.host.at <= WINDOW), now)
        return stalled(old.host.psi_memory, now.host.psi_memory, now.host.at - old.host.at)

    def start(self, console: Console) -> None:
        """Begin to draw on a console, twice a second, until `stop`."""
        from rich.live import Live

        self._live = Live(
            self, console=console, refresh_per_second=REFRESH_HZ, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    def stop(self) -> None:
        """Stop drawing and leave the last picture; restores the cursor. Idempotent."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __enter__(self) -> LiveView:
        """Return the view; `start` needs a console and is the caller's."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Stop drawing, whatever happened."""
        self.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the picture at the width that rich has."""
        ascii_only = (
            self._ascii if self._ascii is not None else not console.encoding.lower().startswith("utf")
        )
        yield self.renderable(options.max_width, ascii_only=ascii_only)

    def renderable(self, width: int, *, ascii_only: bool) -> Group:
        """Return the picture for `width` columns; every line fits."""
        from rich.console import Group
        from rich.text import Text

        if self._record is None:
            return Group(Text("waiting for the run to begin"))
        lines = [self._title(width, ascii_only)]
        lines += [self._phase_line(p, width, ascii_only) for p in phases_of(self._record)]
        lines += self._gauges(width, ascii_only)
        lines += [Text(e, style="dim") for e in self._event_lines(width, ascii_only)]
        if self._record.end is None:
            lines.append(Text(_fit(self._last_line, width, ascii_only), style="bold"))
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
        return Group(*lines)

    def _event_lines(self, width: int, ascii_only: bool) -> list[str]:
        """Return the last events, wrapped: what comes last in one is the reason. The newest always."""
        lines: list[str] = []
        for event in reversed(self._events):
            wrapped = [_fit(line, width, ascii_only) for line in wrap(event, width, subsequent_indent="  ")]
            if lines and len(lines) + len(wrapped) > EVENT_LINES:
                break
            lines = wrapped[:EVENT_LINES] + lines
        return lines

    def _title(self, width: int, ascii_only: bool) -> Text:
        from rich.text import Text

        record = self._record
        assert record is not None
        weak = f" [{WEAK}]" if record.header.weak else ""
        return Text(_fit(f"steadyrun: {one_line(record.status)}{weak}", width, ascii_only), style="bold")

    def _phase_line(self, phase: Phase, width: int, ascii_only: bool) -> Text:
        from rich.text import Text

        assert self._record is not None
        tries = attempts_of(self._record, phase)
        state = tries[-1].state if tries else State.READY
        mark, ascii_mark, style = _MARKS[state]
        label = tries[-1].label if tries else phase.number
        text = f"{ascii_mark if ascii_only else mark} {label} {one_line(phase.name)}"
        summary = f" ({one_line(phase.summary)})" if phase.summary and width >= NARROW else ""
        right = self._progress(tries[-1], width, ascii_only) if tries else ""
        room = width - len(right) - 1
        return Text(
            _fit(text + summary, room, ascii_only).ljust(room) + f" {right}"
            if right
            else _fit(text + summary, width, ascii_only),
            style=style,
        )

    def _progress(self, attempt: Attempt, width: int, ascii_only: bool) -> str:
        """Return elapsed of expected of a running attempt, else its state and what it took."""
        if attempt.state is not State.RUNNING:
            outcome = attempt.evidence.outcome if attempt.evidence else None
            word = "" if attempt.state is State.READY else attempt.state.value
            return f"{word} {lasted(outcome.wall)}" if outcome and width >= NARROW else word
        elapsed = self._elapsed(attempt)
        if elapsed is None:
            return "starting"
        whole, words = expected_of(attempt), "of"
        if whole is None or elapsed > whole:  # a built-in load takes as long as it needs to fill
            whole, words = attempt.limits.wall_time, "of at most"
        if whole is None or elapsed > whole:
            return lasted(elapsed)
        cells = 12 if width >= NARROW else 6
        drawn = bar(elapsed / whole, width=cells, ascii_only=ascii_only)
        return f"{drawn} {lasted(elapsed)} {words} {lasted(whole)}"

    def _elapsed(self, attempt: Attempt) -> float | None:
        if attempt.started_wall is None or self._reading is None:
            return None
        elapsed = self._reading.host.wall - attempt.started_wall
        return elapsed if elapsed >= 0 else None

    def _gauges(self, width: int, ascii_only: bool) -> list[Text]:
        """Return memory, load, PSI and canary; nothing while no load has been sampled."""
        from rich.text import Text

        now = self._reading
        if now is None or self._record is None:
            return []
        points = list(self._points)
        cores = self._record.header.machine.cores
        psi = points[-1].psi_memory if points else None
        gap = now.frames.worst_ms if now.frames else None
        rows = (
            ("load", [p.load1 for p in points], 1.5 * cores, f"{load(now.host.load1)} on {cores} cores"),
            ("PSI", [p.psi_memory for p in points], 0.4, f"{share(psi)} stalled on memory"),
            ("canary", [p.gap_ms for p in points], 250.0, f"worst gap {millis(gap)}"),
        )
        cells = min(POINTS, max(4, width - 34))
        lines = [self._memory_line(now, width, ascii_only)]
        for name, values, top, words in rows:
            drawn = spark(values, top=top, width=cells, ascii_only=ascii_only)
            lines.append(Text(_fit(f"{name:<7} {drawn} {words}", width, ascii_only)))
        lines.append(
            Text(_fit(f"{'host':<7} {format_size(now.host.mem_available)} available", width, ascii_only))
        )
        return lines

    def _memory_line(self, now: Reading, width: int, ascii_only: bool) -> Text:
        from rich.text import Text

        used, limit = now.load.memory, self._limits.memory_max
        part = used / limit if used is not None and limit else None
        words = (
            f"{memory_size(used)} of {memory_size(limit)}"
            if limit is not None
            else f"{memory_size(used)}, no limit"
        )
        frozen = " frozen" if now.load.frozen else ""
        cells = min(POINTS, max(4, width - 34))
        style = (
            "red" if part is not None and part > 0.97 else "yellow" if part is not None and part > 0.9 else ""
        )
        drawn = bar(part, width=cells, ascii_only=ascii_only)
        return Text(_fit(f"{'memory':<7} {drawn} {words}{frozen}", width, ascii_only), style=style)


def expected_of(attempt: Attempt) -> float | None:
    """Return how many seconds an attempt should take; `None`: nobody can say (a command)."""
    spec = attempt.phase.load
    return spec.hold if spec.kind is not LoadKind.COMMAND and spec.hold > 0 else None


def _fit(text: str, width: int, ascii_only: bool) -> str:
    """Return text on one line of at most `width` cells."""
    from rich.cells import cell_len, set_cell_size

    if ascii_only:
        text = text.replace("→", "->").encode("ascii", "replace").decode()
    if cell_len(text) <= width:
        return text
    dots = "..." if ascii_only else "…"
    return set_cell_size(text, max(0, width - len(dots))) + dots[: max(0, width)]
