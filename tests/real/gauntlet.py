"""The gauntlet: one table of what loads can do to a machine, and of what must hold in each.

`test_gauntlet.py` runs it on the machine it is on, `tests/vm/test_gauntlet.py` the same in the testbed, with
a desktop beside it. In every one, whatever else is said: nobody is left, no cgroup of it is left, usage never
was over the hard limit, and the record has the reason.
"""

import os
import sys
from random import Random
from typing import NamedTuple

MIB = 2**20
DEEDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hostile", "deeds.py")
MEMORY, TASKS = 128, 200
"""Of each, MiB and processes: little, so that the limit is met in a second. What one forks takes 0.6 MiB."""

KILLED, TIMED, DONE = "memory-limit", "wall-time", "exited"


class Scenario(NamedTuple):
    """One of them."""

    deeds: tuple[str, ...]
    """Names in `hostile/deeds.py`; several run at once."""
    ends: frozenset[str]
    """Terminations that are right; of a mixture whichever limit is met first."""
    seconds: float = 1.5
    """Its wall time."""
    tasks: int = TASKS
    code: int | None = None
    """Exit code of `run`, where only one is right."""
    full: bool = False
    """It meets the limit of tasks."""
    leaves: bool = False
    """It leaves processes behind, which are ended and counted."""
    swap: int = 0
    """MiB it may swap, and does; where the machine has less there is no such scenario."""

    @property
    def name(self):
        """For people."""
        return ", ".join(self.deeds)

    def argv(self):
        """Return its command."""
        return (sys.executable, "-I", "-S", DEEDS, *self.deeds)


def _one(deed, ends, **more):
    codes = {KILLED: 137, TIMED: 124, DONE: 0}
    return Scenario((deed,), frozenset({ends}), code=codes[ends], **more)


def _mixture(*deeds):
    return Scenario(deeds, frozenset({KILLED, TIMED}))


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        _one("fast balloon", KILLED, seconds=20.0),
        _one("slow balloon", KILLED, seconds=20.0),
        _one("4 busy loops a core", TIMED),
        _one("16 busy loops a core", TIMED),
        _one("fork bomb", TIMED, full=True, tasks=60),
        _one("10000 threads", DONE, seconds=20.0, full=True),
        _one("/dev/shm", KILLED, seconds=20.0),
        _one("memory file", KILLED, seconds=20.0),
        _one("SysV segment over the limit", KILLED, seconds=20.0),
        _one("SysV segment left behind", DONE, seconds=20.0),
        _one("page cache", DONE, seconds=30.0),
        _one("synced writes", DONE, seconds=30.0),
        Scenario(("locked memory",), frozenset({KILLED, DONE}), seconds=20.0),
        _one("swap thrash", TIMED, seconds=8.0, swap=256),
        _one("descriptors", DONE, seconds=20.0),
        _one("zombies", TIMED),
        _one("stopped tree", TIMED),
        _one("deaf daemons", DONE, seconds=20.0, leaves=True),
        _one("output flood", DONE, seconds=20.0),
        _mixture("fast balloon", "16 busy loops a core", "fork bomb", "deaf daemons"),
        _mixture("/dev/shm", "page cache", "synced writes", "4 busy loops a core"),
        _mixture("stopped tree", "zombies", "slow balloon", "output flood"),
    )
}
MIXTURES = tuple(name for name, scenario in SCENARIOS.items() if len(scenario.deeds) > 1)
LASTING = tuple(name for name, scenario in SCENARIOS.items() if TIMED in scenario.ends)
"""Those that are there long enough for somebody to be killed beside them."""


def moment(seed, name, least, most):
    """Return when something is to happen in a scenario, in seconds: another time with each seed."""
    return Random(f"{seed} {name}").uniform(least, most)
