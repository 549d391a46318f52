"""What became of the machine over all tries of a ramp: the facts that every summary of it stands on.

One place, because a ramp is summed up in many: its end, the headline, the desktop, the closing
words. What is counted here cannot be forgotten in one of them.
"""

from collections.abc import Iterable

from steadyrun.model.record import Attempt, State
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

    @property
    def held_throughout(self) -> bool:
        """No try says otherwise."""
        return not any(self)


def fate_of(attempts: Iterable[Attempt]) -> Fate:
    """Count the tries, those of the runs that a ramp goes on from among them."""
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
    return Fate(crashes, failed, degraded, untold)


def machine_words(fate: Fate) -> str:
    """Say in half a sentence how the machine fared."""
    if fate.held_throughout:
        return "the machine held throughout"
    parts = (
        (fate.crashes, f"went down {times(fate.crashes)}"),
        (fate.failed, f"did not hold in {_tries(fate.failed)}"),
        (fate.degraded, f"was worse than it should be in {_tries(fate.degraded)}"),
        (fate.untold, f"could not be judged in {_tries(fate.untold)}"),
    )
    return f"the machine {' and '.join(words for count, words in parts if count)} on the way"


def times(number: int) -> str:
    """Return `once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _tries(number: int) -> str:
    return "1 try" if number == 1 else f"{number} tries"
