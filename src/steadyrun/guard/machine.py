"""The guard as a state machine: inputs in, actions out. Pure: no clock, no file, no process.

    WAITING --release--> RUNNING --RED--> FROZEN --clean--> RUNNING
                            |               |
                  stop, wall time       BLACK twice, frozen too long
                            v               v
                         ENDING --grace--> KILLING --empty, or not to be killed--> OVER
                            (every member ended, nobody left: OVER at once)

`step` takes the state and one input and returns the next state and what is to be done, in order.
Each decision carries the number of the reading that caused it and the cause in words. The first
cause of an ending stays its cause. Time is in the inputs (CLOCK_MONOTONIC, seconds).
"""

from __future__ import annotations

from enum import Enum
from typing import assert_never

from steadyrun.guard.law import Judgement, Level, judge
from steadyrun.model.action import Action
from steadyrun.model.event import Thresholds
from steadyrun.model.outcome import Ending, MemberExit
from steadyrun.model.sample import Reading
from steadyrun.named import NamedTuple
from steadyrun.units import Bytes, Seconds, format_duration, format_size

NO_READING = -1
KERNEL_KILLED = "the kernel killed at the hard limit"


class Stage(Enum):
    """Where the load is."""

    WAITING = "waiting"
    RUNNING = "running"
    FROZEN = "frozen"
    ENDING = "ending"
    """TERM is out."""
    KILLING = "killing"
    OVER = "over"


class Rules(NamedTuple):
    """What stays the same while one load is held."""

    thresholds: Thresholds
    members: int
    wall_time: Seconds | None
    polled_memory: Bytes | None = None
    """The hard limit where no kernel holds it: a polled limit, the last resort."""


class Held(NamedTuple):
    """The state of one load."""

    stage: Stage = Stage.WAITING
    since: Seconds = Seconds(0.0)
    """Of the present stage."""
    released: Seconds | None = None
    frozen_total: Seconds = Seconds(0.0)
    """Of freezes and pauses that are over. Not wall time."""
    clean_since: Seconds | None = None
    """Frozen: when available memory was first back over the reserve."""
    black_seen: bool = False
    """The last reading was BLACK: one more and the load is killed."""
    late_before: bool = False
    paused_at: Seconds | None = None
    """Stopped by its own terminal (Ctrl-Z)."""
    exits: tuple[MemberExit, ...] = ()
    ending: Ending | None = None
    cause: str = ""


class Decision(NamedTuple):
    """One thing to do, and why."""

    action: Action
    cause: str
    seq: int = NO_READING


class Freed(NamedTuple):
    """The members run now."""

    at: Seconds


class Ticked(NamedTuple):
    """The guard looked."""

    at: Seconds
    reading: Reading
    late: bool
    """The look came so late that the guard itself must have slept."""


class MemberEnded(NamedTuple):
    """A member was reaped."""

    at: Seconds
    exit: MemberExit


class Counted(NamedTuple):
    """What is in the containment, looked at after a member ended or a kill."""

    at: Seconds
    left: int
    oom_kills: int | None
    """OOM kills at the load's own limit."""


class StopAsked(NamedTuple):
    """Somebody wants it ended. A second time, or with `now`, there is no grace."""

    at: Seconds
    ending: Ending
    cause: str
    now: bool = False


class Paused(NamedTuple):
    """The terminal stops the load (Ctrl-Z)."""

    at: Seconds


class Continued(NamedTuple):
    """The terminal lets it go on."""

    at: Seconds


Input = Freed | Ticked | MemberEnded | Counted | StopAsked | Paused | Continued
Step = tuple[Held, tuple[Decision, ...]]


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
            return _paused(held, at)
        case Continued(at):
            return _continued(held, at)
        case _:
            assert_never(given)


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


def _ticked(held: Held, tick: Ticked, rules: Rules) -> Step:
    if tick.late and not held.late_before:
        return held._replace(late_before=True), ()
    held = held._replace(late_before=tick.late)
    if held.stage is Stage.KILLING:
        return held, (Decision(Action.KILL, held.cause, tick.reading.seq),)
    if held.stage is not Stage.WAITING and (over := _over_its_limit(tick.reading, rules)):
        return _kill(held, tick.at, Ending.MEMORY_LIMIT, over, tick.reading.seq)
    judgement = judge(tick.reading, rules.thresholds)
    stage = held.stage
    if stage is Stage.RUNNING:
        return _running(held, tick, judgement, rules)
    if stage is Stage.FROZEN:
        return _frozen(held, tick, judgement, rules)
    if stage is Stage.ENDING:
        return _ending(held, tick, judgement, rules)
    return held, ()


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


def _running(held: Held, tick: Ticked, judgement: Judgement, rules: Rules) -> Step:
    seq = tick.reading.seq
    if judgement.level >= Level.RED:
        held = _rest_from_pause(held, tick.at)
        frozen = held._replace(
            stage=Stage.FROZEN, since=tick.at, clean_since=None, black_seen=judgement.level is Level.BLACK
        )
        return frozen, (Decision(Action.FREEZE, judgement.cause, seq),)
    if rules.wall_time is not None and running_time(held, tick.at) >= rules.wall_time:
        cause = f"it ran for its wall time, {format_duration(rules.wall_time)}"
        return _term(held, tick.at, Ending.WALL_TIME, cause, seq)
    return held, ()


def _frozen(held: Held, tick: Ticked, judgement: Judgement, rules: Rules) -> Step:
    seq, limits = tick.reading.seq, rules.thresholds
    if judgement.level is Level.BLACK and held.black_seen:
        return _kill(held, tick.at, Ending.HOST_MEMORY, judgement.cause, seq)
    held = held._replace(black_seen=judgement.level is Level.BLACK)
    if tick.at - held.since >= limits.frozen_max:
        cause = f"frozen for {format_duration(limits.frozen_max)} and still {judgement.cause}"
        return _kill(held, tick.at, Ending.HOST_MEMORY, cause, seq)
    if judgement.level is not Level.GREEN:
        return held._replace(clean_since=None), ()
    clean_since = tick.at if held.clean_since is None else held.clean_since
    if tick.at - clean_since < limits.clean:
        return held._replace(clean_since=clean_since), ()
    thawed = _thawed(held, tick.at)
    return thawed, (Decision(Action.THAW, judgement.cause, seq),)


def _ending(held: Held, tick: Ticked, judgement: Judgement, rules: Rules) -> Step:
    out_of_grace = tick.at - held.since >= rules.thresholds.term_grace
    if out_of_grace or judgement.level is Level.BLACK:
        return _kill(held, tick.at, held.ending or Ending.UNKNOWN, held.cause, tick.reading.seq)
    return held, ()


def _counted(held: Held, counted: Counted, rules: Rules) -> Step:
    all_ended = len(held.exits) >= rules.members
    if (counted.oom_kills or 0) > 0 and held.ending in (None, Ending.MEMORY_LIMIT):
        held = held._replace(ending=Ending.MEMORY_LIMIT, cause=held.cause or KERNEL_KILLED)
    if all_ended and counted.left == 0:
        ending = held.ending or Ending.EXITED
        held = _rest_from_pause(held, counted.at)
        over = _thawed(held, counted.at)._replace(stage=Stage.OVER, ending=ending)
        return over, (Decision(Action.FINISH, held.cause),)
    if all_ended and held.stage is not Stage.KILLING:
        cause = held.cause or f"the command ended and left {counted.left} behind"
        return _kill(held, counted.at, held.ending or Ending.EXITED, cause, NO_READING)
    if held.stage is Stage.KILLING:
        if counted.at - held.since >= rules.thresholds.kill_max:
            return held._replace(stage=Stage.OVER), (Decision(Action.FINISH, held.cause),)
        return held, (Decision(Action.KILL, held.cause),)
    if held.ending is Ending.MEMORY_LIMIT and held.stage is not Stage.WAITING:
        return _kill(held, counted.at, Ending.MEMORY_LIMIT, held.cause, NO_READING)
    return held, ()


def _stop_asked(held: Held, stop: StopAsked) -> Step:
    if held.stage is Stage.KILLING:
        return held, ()
    if stop.now or held.stage in (Stage.ENDING, Stage.WAITING):
        return _kill(held, stop.at, stop.ending, stop.cause, NO_READING)
    return _term(held, stop.at, stop.ending, stop.cause, NO_READING)


def _paused(held: Held, at: Seconds) -> Step:
    if held.stage is Stage.RUNNING and held.paused_at is None:
        return held._replace(paused_at=at), (Decision(Action.FREEZE, "stopped from its terminal"),)
    return held, ()


def _continued(held: Held, at: Seconds) -> Step:
    if held.stage is Stage.RUNNING and held.paused_at is not None:
        return _rest_from_pause(held, at), (Decision(Action.THAW, "continued from its terminal"),)
    return held, ()


def _rest_from_pause(held: Held, at: Seconds) -> Held:
    if held.paused_at is None:
        return held
    return held._replace(paused_at=None, frozen_total=Seconds(held.frozen_total + at - held.paused_at))


def _thawed(held: Held, at: Seconds) -> Held:
    if held.stage is not Stage.FROZEN:
        return held
    total = Seconds(held.frozen_total + at - held.since)
    running = held._replace(stage=Stage.RUNNING, since=at, frozen_total=total)
    return running._replace(clean_since=None, black_seen=False)


def _term(held: Held, at: Seconds, ending: Ending, cause: str, seq: int) -> Step:
    """Thaw first: a frozen or stopped process does not hear a TERM (sosy-lab/benchexec#840)."""
    held = _rest_from_pause(_thawed(held, at), at)
    named = held._replace(
        stage=Stage.ENDING, since=at, ending=held.ending or ending, cause=held.cause or cause
    )
    return named, (Decision(Action.THAW, cause, seq), Decision(Action.TERM, cause, seq))


def _kill(held: Held, at: Seconds, ending: Ending, cause: str, seq: int) -> Step:
    held = _rest_from_pause(_thawed(held, at), at)
    named = held._replace(
        stage=Stage.KILLING, since=at, ending=held.ending or ending, cause=held.cause or cause
    )
    return named, (Decision(Action.KILL, named.cause, seq),)
