"""What each deed makes of the state of a load, whoever decided it. Pure."""

from __future__ import annotations

from steadyrun.guard.grip import Grip
from steadyrun.guard.held import Decision, Held, Stage, Step
from steadyrun.guard.signs import forget_frames
from steadyrun.model.action import LET_GO, PAUSED, WENT_ON, Action
from steadyrun.model.outcome import Ending
from steadyrun.units import Seconds


def running_time(held: Held, at: Seconds) -> Seconds:
    """Return how long the load has run, freezes and pauses left out."""
    if held.released is None:
        return Seconds(0.0)
    resting = held.frozen_total
    if held.stage is Stage.FROZEN:
        resting = Seconds(resting + at - held.since)
    elif held.paused_at is not None:
        resting = Seconds(resting + at - held.paused_at)
    return Seconds(at - held.released - resting)


def paused(held: Held, at: Seconds) -> Step:
    """Stop the load for its terminal (Ctrl-Z)."""
    if held.stage is Stage.RUNNING and held.paused_at is None:
        return held._replace(paused_at=at), (Decision(Action.FREEZE, PAUSED),)
    return held, ()


def continued(held: Held, at: Seconds) -> Step:
    """Let it go on."""
    if held.stage is Stage.RUNNING and held.paused_at is not None:
        return rest_from_pause(held, at), (Decision(Action.THAW, WENT_ON),)
    return held, ()


def rest_from_pause(held: Held, at: Seconds) -> Held:
    """Count a pause that is over as no running time, and what was seen meanwhile as nothing of the load's."""
    if held.paused_at is None:
        return held
    held = held._replace(paused_at=None, frozen_total=Seconds(held.frozen_total + at - held.paused_at))
    anew = held._replace(past=forget_frames(held.past, at))
    return anew if held.gripped_at is None else anew._replace(gripped_at=at)


def thawed(held: Held, at: Seconds) -> Held:
    """Return the state after a freeze by the guard is over."""
    if held.stage is not Stage.FROZEN:
        return held
    total = Seconds(held.frozen_total + at - held.since)
    running = held._replace(stage=Stage.RUNNING, since=at, frozen_total=total)
    return running._replace(clean_since=None, black_seen=False)


def term(held: Held, at: Seconds, ending: Ending, cause: str, seq: int) -> Step:
    """Thaw first: a frozen or stopped process does not hear a TERM (sosy-lab/benchexec#840)."""
    held = rest_from_pause(thawed(held, at), at)
    named = held._replace(
        stage=Stage.ENDING, since=at, ending=held.ending or ending, cause=held.cause or cause
    )
    free, released = let_go(named, seq)
    return free, (Decision(Action.THAW, cause, seq), *released, Decision(Action.TERM, cause, seq))


def kill(held: Held, at: Seconds, ending: Ending, cause: str, seq: int) -> Step:
    """Kill, and go on killing until nobody is left."""
    held = rest_from_pause(thawed(held, at), at)
    named = held._replace(
        stage=Stage.KILLING, since=at, ending=held.ending or ending, cause=held.cause or cause
    )
    free, released = let_go(named, seq)
    return free, (Decision(Action.KILL, named.cause, seq), *released)


def let_go(held: Held, seq: int) -> Step:
    """Give a load that ends what was taken from it: it ends sooner, and so its memory is free sooner.

    What exits frees its memory by its own CPU time, and what waits for a limited disk cannot be killed: under
    the tightest grip that took 8 s for 900 processes, and 13 s for four writers
    (emulated; docs/adr/0023-what-a-load-waits-for-is-its-own.md).
    """
    if held.grip.step == 0:
        return held, ()
    loosen = Decision(Action.LOOSEN, LET_GO, seq, Grip())
    return held._replace(grip=Grip(), gripped_at=None), (loosen,)
