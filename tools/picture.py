"""Draws one attempt of a journal over time, as SVG: frames, memory, pressure, level and deeds of the guard.

`python -m tools.picture JOURNAL_FOLDER OUT.svg [SERIAL]`: of the newest ramp, the last attempt without
SERIAL. The level is not in the journal: the readings are given to the guard's machine once more, and what
it judged then is judged again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from simulation.again import from_journal, played

from steadyrun.guard.law import Judgement, Level
from steadyrun.journal.write import open_journal
from steadyrun.kernel.reader import boot_id
from steadyrun.model.event import Acted, Event, Released, Sampled
from steadyrun.model.given import Rules
from steadyrun.model.record import RunKind
from steadyrun.model.sample import Psi, Reading

WIDTH, LEFT, RIGHT = 1200, 70, 20
PANEL, GAP, TOP = 130, 34, 40
COLOURS = {
    Level.UNKNOWN: "#bbbbbb",
    Level.GREEN: "#7fbf7f",
    Level.YELLOW: "#e6c84d",
    Level.RED: "#d9534f",
    Level.BLACK: "#333333",
}
LINES = ("#1f5fa8", "#c7601b", "#3b8f3b", "#8a4fa3")


class Moment(NamedTuple):
    """One reading, and what it was judged as."""

    at: float
    """Seconds since the load was released."""
    reading: Reading
    judgement: Judgement


class Curve(NamedTuple):
    """One line of a panel. A point without a value interrupts it."""

    name: str
    points: tuple[tuple[float, float | None], ...]


class Panel(NamedTuple):
    """One picture of several above the same time."""

    title: str
    curves: tuple[Curve, ...]
    levels: tuple[tuple[str, float], ...] = ()
    """Named values, drawn across."""


def main(argv: list[str]) -> int:
    """Draw one attempt."""
    events = events_of(argv[0], int(argv[2]) if len(argv) > 2 else None)
    moments, acts, rules = seen(events)
    Path(argv[1]).write_text(svg(moments, acts, rules))
    for moment, following in pairwise(moments):
        if following.judgement.level != moment.judgement.level:
            print(f"{following.at:7.2f} s  {following.judgement.level.name:6} {following.judgement.cause}")
    for at, act in acts:
        print(f"{at:7.2f} s  {act.action.value:8} {act.cause}")
    return 0


def events_of(folder: str, serial: int | None) -> list[Event]:
    """Return what the guard of an attempt passed on."""
    with open_journal(folder, boot_id=boot_id()) as journal:
        run = journal.latest(RunKind.RAMP) or ""
        last = journal.record(run).attempts[-1].serial
        return from_journal(journal, run, last if serial is None else serial)


def seen(events: Sequence[Event]) -> tuple[list[Moment], list[tuple[float, Acted]], Rules]:
    """Return the readings with what they are judged as, the deeds, and the rules at the end."""
    turns = list(played(events))
    began = next(event.at for event in events if isinstance(event, Released))
    moments = [
        Moment(turn.event.reading.host.at - began, turn.event.reading, judgement)
        for turn in turns
        if isinstance(turn.event, Sampled) and (judgement := turn.judgement()) is not None
    ]
    acts = [(event.at - began, event) for event in events if isinstance(event, Acted)]
    rules = turns[-1].rules
    assert rules is not None, "a guard passes on its rules first"
    return moments, acts, rules


def panels(moments: Sequence[Moment], rules: Rules) -> Iterator[Panel]:
    """Give what is drawn, from the top."""

    def curve(name: str, of: Callable[[Reading], float | None]) -> Curve:
        return Curve(name, tuple((one.at, of(one.reading)) for one in moments))

    def stalled(name: str, of: Callable[[Reading], float | None]) -> Curve:
        return Curve(name, tuple(_rates(moments, of)))

    table = rules.thresholds
    yield Panel(
        "the canary's frames, ms late (p99 of a second)",
        (curve("p99", lambda one: one.frames and one.frames.p99_ms),),
        (("YELLOW", 1000 * table.frames_late),),
    )
    yield Panel(
        "memory, MiB",
        (
            curve("available", lambda one: _mib(one.host.mem_available)),
            curve("the load's", lambda one: _mib(one.load.memory)),
            curve("swap used", _swap),
        ),
        (
            ("reserve", table.reserve / 2**20),
            ("floor", table.floor / 2**20),
        ),
    )
    yield Panel(
        "waiting for memory, share of time",
        (
            stalled("machine, all", lambda one: _full(one.host.psi_memory)),
            stalled("the load, some", lambda one: one.load.psi_memory and one.load.psi_memory.some_total),
            stalled("protected, all (worst)", lambda one: _worst(one, "full_total")),
            stalled("protected, some (worst)", lambda one: _worst(one, "some_total")),
        ),
        (("host_full", table.host_full), ("protected_full", table.protected_full)),
    )
    yield Panel(
        "disk and CPU, share of time",
        (
            stalled("machine waits for disk, all", lambda one: _full(one.host.psi_io)),
            stalled("the load's CPU of all", lambda one: _cpu(one, rules)),
        ),
    )


def svg(moments: Sequence[Moment], acts: Sequence[tuple[float, Acted]], rules: Rules) -> str:
    """Return the picture."""
    last = max(one.at for one in moments)
    drawn = list(panels(moments, rules))
    height = TOP + len(drawn) * (PANEL + GAP) + 60

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * max(at, 0.0) / last

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for one, following in pairwise(moments):
        colour = COLOURS[one.judgement.level]
        wide = max(0.5, x(following.at) - x(one.at))
        out.append(
            f'<rect x="{x(one.at):.1f}" y="12" width="{wide:.1f}" height="14" fill="{colour}">'
            f"<title>{one.at:.2f} s {escape(one.judgement.cause)}</title></rect>"
        )
    out.append(f'<text x="{LEFT - 6}" y="23" text-anchor="end">level</text>')
    for number, panel in enumerate(drawn):
        out += _drawn(panel, TOP + number * (PANEL + GAP), x, last)
    for at, act in acts:
        out.append(
            f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="12" y2="{height - 50}" stroke="#d9534f"'
            ' stroke-dasharray="2 3"/>'
            f'<text x="{x(at):.1f}" y="{height - 36}" transform="rotate(35 {x(at):.1f} {height - 36})">'
            f"{escape(act.action.value)}</text>"
        )
    out.append("</svg>\n")
    return "\n".join(out)


def _drawn(panel: Panel, top: float, x: Callable[[float], float], last: float) -> Iterator[str]:
    values = [value for curve in panel.curves for _, value in curve.points if value is not None]
    most = max([*values, *(value for _, value in panel.levels), 1e-9]) * 1.05

    def y(value: float) -> float:
        return top + 16 + (PANEL - 16) * (1 - value / most)

    yield f'<text x="{LEFT}" y="{top + 11}" font-weight="bold">{escape(panel.title)}</text>'
    yield (
        f'<rect x="{LEFT}" y="{top + 16}" width="{WIDTH - LEFT - RIGHT}" height="{PANEL - 16}" fill="none"'
        ' stroke="#999999"/>'
    )
    for value in (0.0, most / 2, most):
        said = f"{value:.2f}" if most < 10 else f"{value:.0f}"
        yield f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{said}</text>'
    for step_s in range(0, int(last) + 1, max(1, int(last / 12))):
        yield f'<text x="{x(step_s):.1f}" y="{top + PANEL + 13}" fill="#666666">{step_s} s</text>'
    for name, value in panel.levels:
        yield (
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"'
            ' stroke="#999999" stroke-dasharray="6 4"/>'
            f'<text x="{WIDTH - RIGHT - 4}" y="{y(value) - 3:.1f}" text-anchor="end" fill="#666666">'
            f"{escape(name)}</text>"
        )
    along = LEFT + 9 * len(panel.title)
    for colour, curve in zip(LINES, panel.curves, strict=False):
        for part in _parts(curve):
            points = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in part)
            yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>'
        yield f'<text x="{along}" y="{top + 11}" fill="{colour}">{escape(curve.name)}</text>'
        along += 8 * len(curve.name) + 20


def _parts(curve: Curve) -> Iterator[list[tuple[float, float]]]:
    part: list[tuple[float, float]] = []
    for at, value in curve.points:
        if value is None:
            yield part
            part = []
        else:
            part.append((at, value))
    yield part


def _rates(
    moments: Sequence[Moment], of: Callable[[Reading], float | None]
) -> Iterator[tuple[float, float | None]]:
    """Give the growth of a counter of microseconds, over the second before each reading."""
    first = 0
    for number, one in enumerate(moments):
        while one.at - moments[first].at > 1.0 and first < number - 1:
            first += 1
        before, now = of(moments[first].reading), of(one.reading)
        over = one.at - moments[first].at
        known = before is not None and now is not None and over > 0
        yield one.at, max(0.0, (now - before) / 1e6 / over) if known else None  # type: ignore[operator]


def _full(psi: Psi | None) -> float | None:
    return None if psi is None else psi.full_total


def _worst(reading: Reading, name: str) -> float | None:
    return max((getattr(one, name) for one in reading.protected), default=None)


def _cpu(reading: Reading, rules: Rules) -> float | None:
    return None if reading.load.cpu_time is None else reading.load.cpu_time / rules.cores


def _mib(size: int | None) -> float | None:
    return None if size is None else size / 2**20


def _swap(reading: Reading) -> float | None:
    total, free = reading.host.swap_total, reading.host.swap_free
    return None if total is None or free is None else (total - free) / 2**20


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
