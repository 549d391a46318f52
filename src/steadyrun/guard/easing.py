"""Late frames that no grip mends: the load is let go, and so late is usual here for a while. Pure.

Frames may be late because of somebody else: another user's build, a machine that emulates, a display that
waits for the network. A load that is held as tightly as can be, with frames as late as before, is held in
vain, and so is one that is frozen meanwhile. While the disk or memory is short nothing of the kind is said:
what a load wrote is written back long after it was frozen. Whatever made a grip, no load is held for late
frames for more than `HELD_MOST`.
"""

from __future__ import annotations

from steadyrun.guard.grip import TIGHTEST, Grip
from steadyrun.guard.held import LEFT_ALONE, Decision, Held, Step
from steadyrun.guard.law import Judgement, Kind, Level
from steadyrun.guard.signs import WINDOW, WINDOWS, Signs, Wrong, forget_frames, is_short
from steadyrun.model.action import Action
from steadyrun.model.given import Ticked
from steadyrun.model.thresholds import Usual
from steadyrun.units import Ratio, Seconds

HELPED = Ratio(0.5)
"""Chosen: of how late frames were in the mean of the windows: the p99 of 60 frames is the latest of them."""
SETTLED = Seconds((WINDOWS + 1) * WINDOW)
"""The windows that are compared are of a grip in force: a hand that tightens may need one of its own."""
HELD_MOST = LEFT_ALONE
"""A load that may be why frames are late has half of the time at the least."""
NO_FRAMES = Seconds(float("inf"))
"""There were none at all: whatever is shown now is better."""


def held_for(held: Held, tick: Ticked, judgement: Judgement, signs: Signs) -> Held:
    """Remember what a load is held for from now on: for frames how late they are, for anything else when.

    Frames that are later meanwhile are nothing new; a load that was loosened since begins anew, also where
    something besides frames had made the grip.
    """
    if judgement.kind is not Kind.FRAMES:
        return _waited(held, tick.at)
    if held.late_at_grip is not None or held.waited_at is not None:
        return held
    late = _late(signs)
    return held._replace(late_at_grip=_mean(late) if late else NO_FRAMES)


def _waited(held: Held, at: Seconds) -> Held:
    """Remember when, as often as a window: each state is kept."""
    if held.late_at_grip is None and held.waited_at is not None and at - held.waited_at < WINDOW:
        return held
    return held._replace(late_at_grip=None, waited_at=at)


def is_in_vain(held: Held, tick: Ticked, signs: Signs) -> bool:
    """Tell whether the tightest grip changes nothing for late frames, or has had its time to."""
    since = held.gripped_at
    if since is None or held.grip.step < TIGHTEST or tick.at - since < SETTLED:
        return False
    if held.late_at_grip is not None and _is_unchanged(held.late_at_grip, signs):
        return True
    return tick.at - max(since, held.waited_at or since) >= HELD_MOST


def ease(held: Held, tick: Ticked, judgement: Judgement, signs: Signs) -> Step:
    """Let a load go whose grip changes nothing."""
    cause = f"held as tightly as can be, and still {judgement.cause}: not because of this load"
    return _let_go(held, tick, signs, cause)


def thawed(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, cause: str) -> Step:
    """Let a load go that was frozen, with frames that are as late as before, or as missing."""
    silent = judgement.level >= Level.RED and not is_short(signs)
    before = Seconds(0.0) if held.grip.step == 0 else held.late_at_grip
    if silent or (before is not None and _is_unchanged(before, signs)):
        return _let_go(held, tick, signs, cause)
    return held, ()


def usual(known: Usual, held: Held, at: Seconds) -> Usual:
    """Return what is usual for windows of late frames at this moment."""
    late, until = held.usual_late, held.usual_until
    if late is None or until is None or at >= until:
        return known
    return known._replace(frames_late=late if known.frames_late is None else max(late, known.frames_late))


def _is_unchanged(before: Seconds, signs: Signs) -> bool:
    """Tell whether each of the last windows was late, all about as late as before, and nothing was short."""
    late = _late(signs)
    if len(late) < WINDOWS or any(window.short for window in late):
        return False
    return _mean(late) > HELPED * before


def _let_go(held: Held, tick: Ticked, signs: Signs, cause: str) -> Step:
    late = _late(signs)
    free = held._replace(late_at_grip=None, waited_at=None, past=forget_frames(held.past, tick.at))
    if late:
        free = free._replace(
            usual_late=max(window.late for window in late), usual_until=Seconds(tick.at + LEFT_ALONE)
        )
    if held.grip.step == 0:
        return free, ()
    loosen = Decision(Action.LOOSEN, cause, tick.reading.seq, Grip())
    return free._replace(grip=Grip(), gripped_at=None, clean_since=None), (loosen,)


def _late(signs: Signs) -> list[Wrong]:
    return [window for window in signs.wrong if window.frames]


def _mean(late: list[Wrong]) -> Seconds:
    return Seconds(sum(window.late for window in late) / len(late))
