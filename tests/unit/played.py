"""What a guard passed on, given to its machine again."""

from steadyrun.guard.held import Held
from steadyrun.guard.machine import step
from steadyrun.model.action import Action
from steadyrun.model.codec import decode, decode_event
from steadyrun.model.event import Acted, Released, Ruled, Sampled, Told
from steadyrun.model.given import Freed, Ticked
from steadyrun.model.sample import Reading


def played(events):
    """Yield (event, state after it, decisions) of every event that the machine decides from."""
    rules, held = None, Held()
    for event in events:
        match event:
            case Ruled():
                rules = event.rules
                continue
            case Released(at):
                given = Freed(at)
            case Sampled(reading):
                given = Ticked(reading.host.at, reading)
            case _ if isinstance(event, Told):
                given = event
            case _:
                continue
        held, decisions = step(held, given, rules)
        yield event, held, decisions


def acts_of(decisions):
    """Return (number of the reading, action, cause) of decisions or `Acted`, of a repeated kill the first."""
    acts = [(d.seq, d.action, d.cause) for d in decisions if d.action is not Action.FINISH]
    killed = [i for i, (_, action, _) in enumerate(acts) if action is Action.KILL]
    return [act for i, act in enumerate(acts) if i not in killed[1:]]


def from_journal(journal, run_id, serial):
    """Return what a journal has of an attempt, in the order of its times, the rules before all else."""
    rows = [decode(Reading, row.payload) for row in journal.samples(run_id, serial)]
    told = [decode_event(row.payload) for row in journal.events(run_id, serial)]
    timed = [(each.host.at, 1, Sampled(each)) for each in rows]
    timed += [(each.at, 0, each) for each in told if not isinstance(each, Acted) and hasattr(each, "at")]
    return [event for *_, event in sorted(timed, key=lambda each: each[:2])]
