"""The guard as a state machine: inputs in, actions out. Pure: no clock, no file, no process.

    WAITING --release--> RUNNING --RED--> FROZEN --clean--> RUNNING
                            |               |
                  stop, wall time       BLACK, and looked again
                            v               v
                         ENDING --grace--> KILLING --empty, or not to be killed--> OVER
                            (every member ended, nobody left: OVER at once)

`step` takes the state and one input and returns the next state and what is to be done, in order.
Each decision carries the number of the reading that caused it and the cause in words. The first
cause of an ending stays its cause. Time is in the inputs (CLOCK_MONOTONIC, seconds). What pressure
makes of a running or frozen load is in `pressure.py`.
"""

from __future__ import annotations

from steadyrun.guard import easing
from steadyrun.guard.deeds import continued, kill, paused, rest_from_pause, term, thawed
from steadyrun.guard.grip import gripped, memory_bound
from steadyrun.guard.held import NO_READING, Decision, Held, Stage, Step, same
from steadyrun.guard.law import Judgement, Kind, Level, judge
from steadyrun.guard.pressure import on_frozen, on_running
from steadyrun.guard.signs import WINDOW, Past, Signs, remember, restart
from steadyrun.model.action import Action
from steadyrun.model.given import (
    Continued,
    Counted,
    Freed,
    Input,
    MemberEnded,
    Paused,
    Rules,
    StopAsked,
    Ticked,
)
from steadyrun.model.outcome import Ending
from steadyrun.model.sample import Reading
from steadyrun.named import NamedTuple
from steadyrun.typed import assert_never
from steadyrun.units import Seconds, format_size

KERNEL_KILLED = "the kernel killed at the hard limit"
PASS_ON_EVERY = Seconds(0.1)
"""A look is passed on so often, and whenever it changed the state, however fast the guard looks."""


class Looked(NamedTuple):
    """What came of a look."""

    held: Held
    decisions: tuple[Decision, ...]
    counts: bool
    """The state stands on it: it is passed on."""


def step(held: Held, given: Input, rules: Rules) -> Step:
    """Return the next state and what is to be done, in this order."""
    if held.stage is Stage.OVER:
        return held, ()
    match given:
        case Freed(at):
            if held.stage is not Stage.WAITING:
                return held, ()
            return held._replace(stage=Stage.RUNNING, since=at, released=at), ()
        case Ticked():
            return _ticked(held, given, rules)
        case MemberEnded():
            return held._replace(exits=(*held.exits, given.exit)), ()
        case Counted():
            return _counted(held, given, rules)
        case StopAsked():
            return _stop_asked(held, given)
        case Paused(at):
            return paused(held, at)
        case Continued(at):
            return continued(held, at)
        case _:
            assert_never(given)


def look(held: Held, tick: Ticked, rules: Rules, *, due: bool) -> Looked:
    """Take a look; one that is not to be passed on leaves no trace unless it changed something.

    So the state stands on nothing but what was passed on, and that, played again by `step`, decides the same.
    The fill rate alone is kept of every look: it says when to look next, and decides nothing.

    Args:
        held: The state.
        tick: The look.
        rules: Of the load.
        due: It is passed on in any case, since the last one that was is PASS_ON_EVERY ago.
    """
    after, decisions = step(held, tick, rules)
    if due or not same(after, held):
        return Looked(after, decisions, True)
    past = held.past._replace(fill=after.past.fill)
    return Looked(held._replace(past=past), decisions, False)


def _ticked(held: Held, tick: Ticked, rules: Rules) -> Step:
    late = tick.reading.late
    if late and not held.late_before:
        return held._replace(late_before=True, past=restart(held.past, tick.reading)), ()
    past, signs = _remembered(held, tick.reading, rules)
    held = held._replace(late_before=late, past=past)
    if held.stage is Stage.KILLING:
        return held, (Decision(Action.KILL, held.cause, tick.reading.seq),)
    if held.stage is not Stage.WAITING and (over := _over_its_limit(tick.reading, rules)):
        return kill(held, tick.at, Ending.MEMORY_LIMIT, over, tick.reading.seq)
    judgement = _judged(held, tick.reading, signs, rules)
    if held.stage is Stage.RUNNING:
        return on_running(held, tick, judgement, signs, rules)
    if held.stage is Stage.FROZEN:
        return on_frozen(held, tick, judgement, signs, rules)
    if held.stage is Stage.ENDING:
        return _ending(held, tick, judgement, rules)
    return held, ()


def judged(held: Held, reading: Reading, rules: Rules) -> Judgement:
    """Return what the law says of a reading that comes next, for whoever plays a record again."""
    return _judged(held, reading, _remembered(held, reading, rules)[1], rules)


def _remembered(held: Held, reading: Reading, rules: Rules) -> tuple[Past, Signs]:
    usual = easing.usual(rules.usual, held, reading.host.at)
    return remember(held.past, reading, rules.thresholds, usual)


def _judged(held: Held, reading: Reading, signs: Signs, rules: Rules) -> Judgement:
    """Judge a reading of a load under the limits in force. One that is frozen or polled waits for none."""
    bound = None
    if held.stage is not Stage.FROZEN and rules.polled_memory is None:
        settled = held.gripped_at is None or reading.host.at - held.gripped_at >= WINDOW
        # A throttle limit that was wished for a moment ago may still wait for the kernel.
        grip = held.grip if settled else held.grip._replace(high=False)
        bound = memory_bound(gripped(rules.limits, grip, rules.cores))
    return judge(reading, signs, rules.thresholds, rules.usual, bound)


def _over_its_limit(reading: Reading, rules: Rules) -> str | None:
    """Say how the load went over a memory limit: where the kernel counts kills, by its count.

    A kill at the limit of a cgroup that the load made itself is the load's own business.
    """
    if (reading.load.kills_at_limit or 0) > 0:
        return KERNEL_KILLED
    polled, usage = rules.polled_memory, reading.load.memory
    if polled is not None and usage is not None and usage > polled:
        return f"its processes together use {format_size(usage)}, over {format_size(polled)} (polled)"
    return None


def _ending(held: Held, tick: Ticked, judgement: Judgement, rules: Rules) -> Step:
    asked_for = tick.at - held.since
    out_of_grace = asked_for >= rules.thresholds.term_grace
    stalls = judgement.level is Level.RED and judgement.kind is Kind.STALL
    if out_of_grace or judgement.level is Level.BLACK or (stalls and asked_for >= rules.thresholds.stall_max):
        return kill(held, tick.at, held.ending or Ending.UNKNOWN, held.cause, tick.reading.seq)
    return held, ()


def _counted(held: Held, counted: Counted, rules: Rules) -> Step:
    all_ended = len(held.exits) >= rules.members
    if (counted.oom_kills or 0) > 0 and held.ending in (None, Ending.MEMORY_LIMIT):
        held = held._replace(ending=Ending.MEMORY_LIMIT, cause=held.cause or KERNEL_KILLED)
    if all_ended and counted.left == 0:
        ending = held.ending or Ending.EXITED
        held = rest_from_pause(held, counted.at)
        over = thawed(held, counted.at)._replace(stage=Stage.OVER, ending=ending)
        return over, (Decision(Action.FINISH, held.cause),)
    if all_ended and held.stage is not Stage.KILLING:
        cause = held.cause or f"the command ended and left {counted.left} behind"
        return kill(held, counted.at, held.ending or Ending.EXITED, cause, NO_READING)
    if held.stage is Stage.KILLING:
        if counted.at - held.since >= rules.thresholds.kill_max:
            return held._replace(stage=Stage.OVER), (Decision(Action.FINISH, held.cause),)
        return held, (Decision(Action.KILL, held.cause),)
    if held.ending is Ending.MEMORY_LIMIT and held.stage is not Stage.WAITING:
        return kill(held, counted.at, Ending.MEMORY_LIMIT, held.cause, NO_READING)
    return held, ()


def _stop_asked(held: Held, stop: StopAsked) -> Step:
    if held.stage is Stage.KILLING:
        return held, ()
    if stop.now or held.stage in (Stage.ENDING, Stage.WAITING):
        return kill(held, stop.at, stop.ending, stop.cause, NO_READING)
    return term(held, stop.at, stop.ending, stop.cause, NO_READING)
