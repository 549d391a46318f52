"""What became of the machine over all tries of a ramp: the facts that every summary of it stands on.

One place, because a ramp is summed up in many: its end, the headline, the desktop, the closing
words. What is counted here cannot be forgotten in one of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadyrun.model.record import Attempt, RunRecord, State
from steadyrun.model.run import WENT_DOWN, Down, RunKind
from steadyrun.model.verdict import Answer
from steadyrun.named import NamedTuple


class Fate(NamedTuple):
    """Tries by what they did to the machine; those in which it held are not counted."""

    crashes: int
    """Took it down."""
    failed: int
    """It did not hold, and stayed up."""
    degraded: int
    """It was worse than it should be, and lost nothing."""
    untold: int
    """It could not be told."""
    between: int = 0
    """No tries: boots that ended while no phase was running (`Down`)."""

    @property
    def held_throughout(self) -> bool:
        """No try says otherwise, and no boot ended between them."""
        return not any(self)

    @property
    def lost(self) -> int:
        """Boots that ended while the ramp was going on: what lived in the machine went with each."""
        return self.crashes + self.between


def fate_of(attempts: Iterable[Attempt], downs: Iterable[Down] = ()) -> Fate:
    """Count the tries, those of the runs that a ramp goes on from among them.

    Args:
        attempts: All tries.
        downs: Boots that ended apart from them (`downs_of`).
    """
    crashes = failed = degraded = untold = 0
    for attempt in attempts:
        host = None if attempt.host is None else attempt.host.answer
        if attempt.state is State.CRASHED:
            crashes += 1
        elif attempt.state is State.DEGRADED:
            degraded += 1
        elif host is Answer.NO:
            failed += 1
        elif host is Answer.UNKNOWN:
            untold += 1
    return Fate(crashes, failed, degraded, untold, sum(1 for _ in downs))


def downs_of(record: RunRecord) -> tuple[Down, ...]:
    """Return the boots that ended while no phase was running, of the runs before this one first."""
    header, end = record.header, record.end
    if end is None or not went_down_between(record):
        return header.downs
    walls = [header.started_wall]
    walls += [] if record.baseline is None else [record.baseline.ended_wall]
    walls += [a.ended_wall for a in record.attempts if a.ended_wall is not None]
    begun = [a.label for a in record.attempts if a.started_wall is not None]
    after = begun[-1] if begun else ""
    return (*header.downs, Down(header.run_id, header.boot_id, after, max(walls), end.wall))


def went_down_between(record: RunRecord) -> bool:
    """Tell whether the boot that a ramp ended with did so while no phase of it was running.

    A status that names a phase is that of a crash in a try, and counted as one.
    """
    return record.header.kind is RunKind.RAMP and record.status == WENT_DOWN


def machine_words(fate: Fate) -> str:
    """Say in half a sentence how the machine fared."""
    if fate.held_throughout:
        return "the machine held throughout"
    parts = (
        (fate.lost, down_words(fate)),
        (fate.failed, f"did not hold in {_tries(fate.failed)}"),
        (fate.degraded, f"was worse than it should be in {_tries(fate.degraded)}"),
        (fate.untold, f"could not be judged in {_tries(fate.untold)}"),
    )
    return f"the machine {' and '.join(words for count, words in parts if count)} on the way"


def down_words(fate: Fate) -> str:
    """Say how often the machine went down; empty: never."""
    between = f"went down or was booted {times(fate.between)} while no phase was running"
    parts = ((fate.crashes, f"went down {times(fate.crashes)}"), (fate.between, between))
    return " and ".join(words for count, words in parts if count)


def times(number: int) -> str:
    """Return `once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _tries(number: int) -> str:
    return "1 try" if number == 1 else f"{number} tries"
