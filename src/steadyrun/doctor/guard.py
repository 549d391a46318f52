"""The doctor's judgement of what a guard could see and do here. Pure.

Nothing of it is needed to contain a load: what is unknown fires nothing, and the kernel's limits hold.
"""

from __future__ import annotations

from steadyrun.doctor.rung import Level, Rung
from steadyrun.model.containment import Capability
from steadyrun.model.means import Means
from steadyrun.report.means import deed_words, lack_words, sense_words

_WITH_A_LOAD = "frames"
_NOT_LOOKED = "no load could be put into a containment to look at"


def judge_guard(means: Means | None) -> tuple[Rung, Rung]:
    """Return the two rungs; `None`: nothing could be looked at."""
    return inputs(means), deeds(means)


def inputs(means: Means | None) -> Rung:
    """Judge what a guard sees; the canary comes with a load, and is not looked for here."""
    name = "guard's inputs"
    if means is None:
        return Rung(name, Level.UNKNOWN, _NOT_LOOKED, "")
    said = f"{sense_words(means, without=_WITH_A_LOAD)}; the canary comes with a load"
    lacking = lack_words(means, without=_WITH_A_LOAD)
    return Rung(name, Level.DEGRADED if lacking else Level.OK, said, "")


def deeds(means: Means | None) -> Rung:
    """Judge what a guard can do to a load that runs: short of a freeze, and a freeze at all."""
    name = "guard's deeds"
    if means is None:
        return Rung(name, Level.UNKNOWN, _NOT_LOOKED, "")
    said = deed_words(means.deeds)
    if Capability.FREEZE not in means.deeds:
        return Rung(name, Level.DEGRADED, f"{said}: what presses the machine can only be killed", "")
    if Capability.CPU_MAX not in means.deeds:
        return Rung(name, Level.DEGRADED, f"{said}: what presses the machine is frozen at once", "")
    if Capability.KILL not in means.deeds:
        return Rung(name, Level.DEGRADED, f"{said}: what forks quickly can get away", "")
    return Rung(name, Level.OK, said, "")
