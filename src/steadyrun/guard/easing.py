"""Late frames that no grip mends: they are taken for usual here, and the load is let go. Pure.

Frames may be late because of somebody else: another user's build, a machine that emulates, a display that
waits for the network. A load that is held as tightly as can be, with frames as late as before, is held in
vain, and so is one with frames that are late while it is frozen. For a while frames as late as these are
usual here, as if a baseline had seen them: what is three times as late still counts. Where the grip helped it
stays until the frames are well; where something besides frames made it, it stays, too.
"""

from __future__ import annotations

from steadyrun.guard.grip import TIGHTEST, Grip
from steadyrun.guard.held import Decision, Held, Step
from steadyrun.guard.law import Judgement
from steadyrun.guard.signs import WINDOW, WINDOWS, Signs
from steadyrun.model.action import Action
from steadyrun.model.given import Rules, Ticked
from steadyrun.units import Ratio, Seconds

HELPED = Ratio(0.5)
"""Chosen: of how late frames were. The p99 of a second of 60 frames wanders, but seldom in one direction for
WINDOWS of them."""
SETTLED = Seconds((WINDOWS + 1) * WINDOW)
"""The windows that are compared are of a grip in force: a hand that tightens may need one of its own."""
EASED = Seconds(60.0)
"""Chosen, as `pressure.SPARED`: a load that is tightened once more after it is held for 7 s of a minute."""
NO_FRAMES = Seconds(float("inf"))
"""There were none at all: whatever is shown now is better."""


def begun(held: Held, signs: Signs) -> Held:
    """Remember how late the frames are that a load begins to be held for; later ones are nothing new."""
    if held.grip.step > 0:
        return held
    return held._replace(late_at_grip=max(_late(signs), default=NO_FRAMES))


def is_in_vain(held: Held, tick: Ticked, signs: Signs) -> bool:
    """Tell whether each of the last windows was about as late as before, under the tightest grip."""
    before, since = held.late_at_grip, held.gripped_at
    if before is None or since is None or held.grip.step < TIGHTEST or tick.at - since < SETTLED:
        return False
    return sum(late > HELPED * before for late in _late(signs)) == WINDOWS


def ease(held: Held, tick: Ticked, judgement: Judgement, signs: Signs) -> Step:
    """Let a load go whose grip changes nothing."""
    cause = f"held as tightly as can be, and still {judgement.cause}: not because of this load"
    return let_go(held, tick, signs, cause)


def let_go(held: Held, tick: Ticked, signs: Signs, cause: str) -> Step:
    """Take frames as late as these for usual, and back what the load is held by for their sake."""
    late = max(_late(signs), default=None)
    free = held._replace(late_at_grip=None, past=held.past._replace(windows=()))
    if late is not None:
        free = free._replace(usual_late=late, usual_until=Seconds(tick.at + EASED))
    if held.grip.step == 0 or held.late_at_grip is None:
        return free, ()
    loosen = Decision(Action.LOOSEN, cause, tick.reading.seq, Grip())
    return free._replace(grip=Grip(), gripped_at=None, clean_since=None), (loosen,)


def with_usual(rules: Rules, held: Held, at: Seconds) -> Rules:
    """Return the rules with what is usual here at this moment."""
    late, until = held.usual_late, held.usual_until
    if late is None or until is None or at >= until:
        return rules
    known = rules.usual.frames_late
    return rules._replace(usual=rules.usual._replace(frames_late=late if known is None else max(late, known)))


def _late(signs: Signs) -> list[Seconds]:
    return [window.late for window in signs.wrong if window.frames]
