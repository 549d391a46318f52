"""Stories of a load and its machine, told ten times a second, for tests of what the guard decides."""

from readings import THRESHOLDS, reading

from steadyrun.guard.held import Held
from steadyrun.guard.machine import step
from steadyrun.model.action import Action
from steadyrun.model.given import Freed, Rules, Ticked
from steadyrun.model.limits import Limits
from steadyrun.units import GIB, MIB

RULES = Rules(
    THRESHOLDS._replace(kill_least=256 * MIB),
    members=1,
    wall_time=None,
    limits=Limits(memory_max=8 * GIB, swap_max=None),
    cores=4.0,
    tightens=True,
)
FREEZE, THAW, TIGHTEN, LOOSEN, KILL = (
    Action.FREEZE,
    Action.THAW,
    Action.TIGHTEN,
    Action.LOOSEN,
    Action.KILL,
)


class Story:
    """A load that was released at 0, and a machine that is told of ten times a second."""

    def __init__(self, rules=RULES):
        self.rules, self.blind = rules, False
        self.now, self.stalled, self.waited, self.done = 0.0, 0.0, 0.0, []
        self.held, _ = step(Held(), Freed(0.0), rules)
        self.go(0.1)

    def go(self, seconds, stall=0.0, some=0.0, **given):
        """Go on; `stall` is the share of the time that all of the session waits for memory, `some` a part."""
        for _ in range(round(seconds * 10)):
            self.now = round(self.now + 0.1, 6)
            self.stalled += stall * 0.1
            self.waited += max(stall, some) * 0.1
            given.setdefault("memory", GIB)
            given["working_set"] = given["memory"]
            protected = () if self.blind else (("session", self.waited, self.stalled),)
            look = reading(self.now, seq=round(self.now * 10), protected=protected, **given)
            self.held, decisions = step(self.held, Ticked(self.now, look), self.rules)
            self.done += decisions
        return self

    def acts(self):
        return [decision.action for decision in self.done]
