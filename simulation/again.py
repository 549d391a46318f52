"""What a guard passed on, given to its machine again: a trace, the events of a test, a ramp's journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from steadyrun.guard import law
from steadyrun.guard.held import Decision, Held
from steadyrun.guard.machine import judged, step
from steadyrun.journal.read import Reader
from steadyrun.model.codec import decode, decode_event
from steadyrun.model.event import Acted, Event, Released, Ruled, Sampled, Told
from steadyrun.model.given import Freed, Input, Rules, Ticked
from steadyrun.model.sample import Reading


class Turn(NamedTuple):
    """One event, and what the machine made of it: nothing of what it does not decide from."""

    event: Event
    rules: Rules | None
    """Those in force; `None`: it comes before any."""
    before: Held
    after: Held
    decisions: tuple[Decision, ...]

    def judgement(self) -> law.Judgement | None:
        """Return what the law says of a reading; `None`: it is none."""
        if self.rules is None or not isinstance(self.event, Sampled):
            return None
        return judged(self.before, self.event.reading, self.rules)


def played(events: Iterable[Event]) -> Iterator[Turn]:
    """Yield a turn for each event."""
    rules: Rules | None = None
    held = Held()
    for event in events:
        if isinstance(event, Ruled):
            rules = event.rules
        before, given = held, _given(event)
        decisions: tuple[Decision, ...] = ()
        if rules is not None and given is not None:
            held, decisions = step(before, given, rules)
        yield Turn(event, rules, before, held, decisions)


def from_journal(journal: Reader, run_id: str, serial: int) -> list[Event]:
    """Return what a journal has of an attempt, in the order of its times, the rules before all else."""
    readings = [decode(Reading, row.payload) for row in journal.samples(run_id, serial)]
    told = [decode_event(row.payload) for row in journal.events(run_id, serial)]
    timed: list[tuple[float, int, Event]] = [(one.host.at, 1, Sampled(one)) for one in readings]
    timed += [(one.at, 0, one) for one in told if isinstance(one, Ruled | Released | Acted | Told)]
    return [event for *_, event in sorted(timed, key=lambda one: one[:2])]


def _given(event: Event) -> Input | None:
    match event:
        case Released(at):
            return Freed(at)
        case Sampled(reading):
            return Ticked(reading.host.at, reading)
        case _:
            return event if isinstance(event, Told) else None
