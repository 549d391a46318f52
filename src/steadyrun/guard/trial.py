"""A load that is frozen below the floor, and whether it may go on a little: it may be at its own peak. Pure.

A freeze frees no memory, so a load that is frozen at a short peak stays at it. Where nobody stalls it is
thawed on trial: under the tightest grip, which is in force before, and looked at as closely as can be. It
ends well when memory is above the floor again. It is broken off, and the load frozen again, as soon as
somebody waits, a reading is unknown or available memory falls by more than a little; each next one waits
twice as long. Time on trial is not endless either: what is no better after `frozen_max` is at no peak.
"""

from __future__ import annotations

from steadyrun.guard.grip import TIGHTEST
from steadyrun.guard.held import Held, Trial
from steadyrun.guard.law import Judgement, Kind, Level
from steadyrun.guard.signs import WINDOW, Signs, is_late, limit, share, waits
from steadyrun.model.given import Rules, Ticked
from steadyrun.model.thresholds import Thresholds
from steadyrun.units import Bytes, Seconds

STEPS = 4
"""A trial may cost a quarter of what lies between the floor and where the load is killed at once."""


def frozen_in_all(held: Held, at: Seconds) -> Seconds:
    """Return how long a frozen load has been frozen since memory was last well, trials left out."""
    return Seconds(held.trial.frozen + at - held.since)


def is_due(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, rules: Rules) -> bool:
    """Tell whether a frozen load may be tried: low memory is all that is wrong, and that is known."""
    available = tick.reading.host.mem_available
    thresholds, frozen_for = rules.thresholds, tick.at - held.since
    if not rules.tightens or available is None:
        return False
    if not is_memory_alone(judgement):
        return False
    waited = frozen_for >= thresholds.stall_max * 2**held.trial.tries
    after_the_freeze = signs.over <= frozen_for  # `stall_max` may be set below a window
    room = available >= thresholds.black + 2 * _step(thresholds)
    return waited and after_the_freeze and room and nobody_waits(judgement, signs, rules)


def is_memory_alone(judgement: Judgement) -> bool:
    """Tell whether available memory below the floor is all that is wrong."""
    return judgement.level is Level.RED and judgement.kind is Kind.MEMORY


def is_gripped(held: Held, tick: Ticked) -> bool:
    """Tell whether the tightest grip has had the time to be in force."""
    gripped = held.grip.step >= TIGHTEST
    return gripped and (held.gripped_at is None or tick.at - held.gripped_at >= WINDOW)


def begun(held: Held, tick: Ticked, rules: Rules) -> Trial:
    """Return the trial of a load that is thawed now, `is_due` having found that it may be."""
    available = tick.reading.host.mem_available or Bytes(0)
    least = Bytes(available - _step(rules.thresholds))
    return Trial(least, frozen_in_all(held, tick.at), held.trial.tries + 1)


def goes_on(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, rules: Rules) -> bool:
    """Tell whether a load on trial that is still below the floor may run on."""
    least, available = held.trial.least, tick.reading.host.mem_available
    if least is None or available is None or available < least:
        return False
    return is_memory_alone(judgement) and nobody_waits(judgement, signs, rules)


def is_over(held: Held, tick: Ticked, rules: Rules) -> bool:
    """Tell whether a trial has taken as long as a freeze may."""
    return held.trial.least is not None and tick.at - held.since >= rules.thresholds.frozen_max


def nobody_waits(judgement: Judgement, signs: Signs, rules: Rules) -> bool:
    """Tell whether it is known that nobody stalls: of what can be seen here, something was, and is well."""
    thresholds, usual, over = rules.thresholds, rules.usual, signs.over
    host = signs.host_full
    if host is None and signs.wait is None:
        return False
    if signs.silent or is_late(signs, thresholds, usual) or signs.futile_for:
        return False
    waiting = waits(signs, thresholds, usual)
    most = limit(thresholds.host_full, usual.host_full, thresholds) / 2
    if host is not None and share(host, over) > most and not (judgement.own and waiting is False):
        return False
    return waiting is not True


def _step(thresholds: Thresholds) -> Bytes:
    return Bytes((thresholds.floor - thresholds.black) // STEPS)
