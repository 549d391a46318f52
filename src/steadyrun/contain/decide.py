"""Facts read and a backend chosen, for whoever starts a load: a slow systemd is no reason to give limits up.

A manager that answers late still enforces every limit that it is then given; polled limits enforce none.
So before polling it is asked once more, with patience, and when it stays silent that is an error and not
a choice.
"""

from __future__ import annotations

from steadyrun.contain.choose import choose
from steadyrun.contain.facts import ask_again, read_facts
from steadyrun.errors import CannotContainError
from steadyrun.model.containment import Choice, ContainmentFacts
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds, format_duration

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND_PATIENCE = Seconds(25.0)
"""As long as systemd's own tools wait for an answer (sd_bus_set_method_call_timeout(3))."""


def decide(*, accept_weak: bool, say: Callable[[str], None]) -> tuple[ContainmentFacts, Choice]:
    """Read the facts of this machine and choose the best backend that can be used.

    Args:
        accept_weak: The user takes polled limits: no silent manager is waited for.
        say: Hears that it takes longer.

    Raises:
        CannotContainError: Nothing but polling is left because a manager did not answer.
    """
    facts = read_facts()
    choice = choose(facts)
    if accept_weak or not _only_silent(facts, choice):
        return facts, choice
    say(f"systemd does not answer yet: waiting for it, {format_duration(SECOND_PATIENCE)} at most")
    facts = ask_again(facts, SECOND_PATIENCE)
    choice = choose(facts)
    if _only_silent(facts, choice):
        raise CannotContainError(
            f"no containment that the kernel holds is to be had now ({reasons(choice)})",
            hint="busctl status   # or try again; --accept-weak goes on with polled limits",
        )
    return facts, choice


def reasons(choice: Choice) -> str:
    """Return why no better backend can be used, in words."""
    return "; ".join(f"{o.backend.value}: {o.reason}" for o in choice.obstacles) or "no cgroups here"


def _only_silent(facts: ContainmentFacts, choice: Choice) -> bool:
    silent = facts.manager is not None and facts.manager.silent
    return silent and choice.backend.is_weak
