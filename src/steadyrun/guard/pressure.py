"""What the machine's state makes of a load that runs or is frozen. Pure.

Asymmetric: a load is tightened and frozen at once, thawed after the machine was well for `clean`, and
loosened a step in each `loosen_after`. A frozen load is always thawed or killed. Nothing is killed on one
look, nor for the machine's sake when it holds too little for that to help (`kill_least`): a load that
small is thawed and left alone for a minute, for somebody else is what the machine suffers from. Late frames
alone never kill: a load that is frozen and lets the frames be as late as before is not their cause.
"""

from __future__ import annotations

from steadyrun.guard import easing, trial
from steadyrun.guard.deeds import kill, rest_from_pause, running_time, term, thawed
from steadyrun.guard.grip import TIGHTEST, in_words, looser, tighter
from steadyrun.guard.held import LEFT_ALONE, Decision, Held, Stage, Step, Trial
from steadyrun.guard.law import Judgement, Kind, Level
from steadyrun.guard.signs import WINDOW, Signs, forget_frames
from steadyrun.model.action import Action
from steadyrun.model.given import Rules, Ticked
from steadyrun.model.outcome import Ending
from steadyrun.model.sample import Reading
from steadyrun.model.thresholds import Thresholds
from steadyrun.units import Seconds, format_duration, format_size

RED_EACH = Seconds(20.0)
"""Chosen: with three REDs a minute, which is also twice `frozen_max`."""


def reds_within(thresholds: Thresholds) -> Seconds:
    """Return how near to each other freezes have to be to be counted together.

    Twice `frozen_max`, so that a freeze that lasted as long as one may does not put the ones before and after
    it out of each other's sight; and as much time for each of `reds_max` as there is for each of three by
    default, or twice what its thaw takes by itself: else many would never be in sight at once.
    """
    each = max(RED_EACH, 2 * thresholds.clean)
    return Seconds(max(2 * thresholds.frozen_max, thresholds.reds_max * each))


def on_running(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, rules: Rules) -> Step:
    """Decide for a load that runs."""
    if held.trial.least is not None:
        if judgement.level >= Level.RED or judgement.level is Level.UNKNOWN:
            return _on_trial(held, tick, judgement, signs, rules)
        held = held._replace(trial=Trial())
    if judgement.level >= Level.RED and not _is_spared(held, tick, judgement, rules):
        return _freeze(held, tick, judgement, signs, rules)
    if rules.wall_time is not None and running_time(held, tick.at) >= rules.wall_time:
        return _out_of_time(held, tick, rules)
    if judgement.level >= Level.YELLOW and judgement.kind is Kind.FRAMES:
        return _hold_for_frames(held, tick, judgement, signs, rules)
    if judgement.level >= Level.YELLOW and judgement.kind is not Kind.MEMORY:
        return _tighten(held, tick, judgement, signs, rules)
    if judgement.level is Level.UNKNOWN or judgement.level >= Level.RED:  # RED, and it is spared
        return held._replace(clean_since=None), ()
    return _loosen(held, tick, judgement, rules)


def _on_trial(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, rules: Rules) -> Step:
    """Decide for a load that runs on trial and is still below the floor, or what is not known."""
    if trial.is_over(held, tick, rules) and worth_killing(tick.reading, rules):
        cause = f"held tightly for {format_duration(rules.thresholds.frozen_max)} and still {judgement.cause}"
        return kill(held, tick.at, Ending.HOST_MEMORY, cause, tick.reading.seq)
    if trial.goes_on(held, tick, judgement, signs, rules):
        if rules.wall_time is not None and running_time(held, tick.at) >= rules.wall_time:
            return _out_of_time(held, tick, rules)
        return held._replace(clean_since=None), ()
    if trial.is_memory_alone(judgement) or judgement.level is Level.UNKNOWN:
        broken = rest_from_pause(held._replace(trial=held.trial._replace(least=None)), tick.at)
        again = Decision(Action.FREEZE, f"tried, and {judgement.cause}", tick.reading.seq)
        return _frozen(broken, tick, black=False), (again,)
    return _freeze(held._replace(trial=Trial()), tick, judgement, signs, rules)


def _out_of_time(held: Held, tick: Ticked, rules: Rules) -> Step:
    cause = f"it ran for its wall time, {format_duration(rules.wall_time)}"
    return term(held, tick.at, Ending.WALL_TIME, cause, tick.reading.seq)


def _frozen(held: Held, tick: Ticked, *, black: bool) -> Held:
    frozen = held._replace(stage=Stage.FROZEN, since=tick.at, clean_since=None, black_seen=black)
    return frozen._replace(past=forget_frames(held.past, tick.at))


def _is_spared(held: Held, tick: Ticked, judgement: Judgement, rules: Rules) -> bool:
    if held.spared_until is None or tick.at >= held.spared_until:
        return False
    return judgement.kind is Kind.FRAMES or not worth_killing(tick.reading, rules)


def worth_killing(reading: Reading, rules: Rules) -> bool:
    """Tell whether the end of the load would give the machine much; a load of unknown size may.

    Cache that reclaim can take at once is not counted: it would bring nothing (ray-project/ray#59796).
    """
    load = reading.load
    memory = load.memory if load.working_set is None else load.working_set
    return memory is None or memory + (load.swap or 0) >= rules.thresholds.kill_least


def _freeze(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, rules: Rules) -> Step:
    """Freeze; a load that made somebody wait goes on under the tightest grip once it is thawed."""
    held, seq = rest_from_pause(held, tick.at), tick.reading.seq
    within = reds_within(rules.thresholds)
    reds = tuple(at for at in held.reds if tick.at - at < within)
    if judgement.kind is not Kind.FRAMES:
        reds = (*reds, tick.at)
    frozen = _frozen(held, tick, black=judgement.level is Level.BLACK)._replace(reds=reds, trial=Trial())
    freeze = Decision(Action.FREEZE, judgement.cause, seq)
    if judgement.kind in (Kind.STALL, Kind.FRAMES) and rules.tightens:
        frozen = easing.held_for(frozen, tick, judgement, signs)
        frozen, tightened = _gripped(frozen, tick, judgement, signs, rules, to=TIGHTEST)
        return frozen, (freeze, *tightened)
    return frozen, (freeze,)


def _hold_for_frames(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, rules: Rules) -> Step:
    """Tighten a load whose frames are late, until that is seen to change nothing."""
    if judgement.level >= Level.RED:  # and it is spared
        return held._replace(clean_since=None), ()
    if easing.is_in_vain(held, tick, signs):
        return easing.ease(held, tick, judgement, signs)
    return _tighten(held, tick, judgement, signs, rules)


def _tighten(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, rules: Rules) -> Step:
    held = held._replace(clean_since=None)
    if not rules.tightens:
        return held, ()
    held = easing.held_for(held, tick, judgement, signs)
    if held.gripped_at is not None and tick.at - held.gripped_at < WINDOW:  # it is not yet in the window
        return held, ()
    return _gripped(held, tick, judgement, signs, rules, to=held.grip.step + 1)


def _gripped(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, rules: Rules, *, to: int) -> Step:
    grip = tighter(
        held.grip,
        to=to,
        read_rate=signs.read_rate if judgement.io else None,
        write_rate=signs.write_rate if judgement.io else None,
        high=judgement.kind is Kind.STALL and _may_throttle(tick.reading, rules),
    )
    if grip == held.grip:
        return held, ()
    cause = f"{judgement.cause}: {in_words(rules.limits, grip, rules.cores)}"
    decision = Decision(Action.TIGHTEN, cause, tick.reading.seq, grip)
    return held._replace(grip=grip, gripped_at=tick.at, clean_since=None), (decision,)


def _may_throttle(reading: Reading, rules: Rules) -> bool:
    """Tell whether what the throttle limit takes has somewhere to go.

    Without swap a throttle limit below the working set livelocks the load and those who wait for it
    (Containarium#1454: 90 minutes, SSH refused).
    """
    most, free = rules.limits.memory_max, reading.host.swap_free
    return rules.throttles and most is not None and free is not None and free >= most // 10


def _loosen(held: Held, tick: Ticked, judgement: Judgement, rules: Rules) -> Step:
    if held.grip.step == 0:
        return (held if held.clean_since is None else held._replace(clean_since=None)), ()
    since = tick.at if held.clean_since is None else held.clean_since
    if tick.at - since < rules.thresholds.loosen_after:
        return held._replace(clean_since=since), ()
    grip = looser(held.grip)
    well = f"the machine was well for {format_duration(rules.thresholds.loosen_after)} ({judgement.cause})"
    cause = f"{well}: {in_words(rules.limits, grip, rules.cores)}"
    loosened = held._replace(grip=grip, clean_since=tick.at, late_at_grip=None, waited_at=None)
    return loosened, (Decision(Action.LOOSEN, cause, tick.reading.seq, grip),)


def on_frozen(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, rules: Rules) -> Step:
    """Decide for a frozen load: it is killed, thawed, or looked at again."""
    worth = worth_killing(tick.reading, rules)
    if worth and (cause := _why_kill(held, tick, judgement, signs, rules)):
        ending = Ending.HOST_MEMORY if judgement.kind is Kind.MEMORY else Ending.HOST_PRESSURE
        return kill(held, tick.at, ending, cause, tick.reading.seq)
    held = held._replace(black_seen=judgement.level is Level.BLACK)
    if cause := _why_not_the_cause(held, tick, judgement, signs, rules, worth=worth):
        spared = held._replace(spared_until=Seconds(tick.at + LEFT_ALONE))
        return _thaw(spared, tick, judgement, signs, cause)
    if judgement.level is Level.YELLOW and tick.at - held.since >= rules.thresholds.frozen_max:
        # One more RED within `reds_within` kills: it does not freeze and thaw for ever.
        strikes = (tick.at,) * (rules.thresholds.reds_max - 1)
        cause = f"frozen for {format_duration(rules.thresholds.frozen_max)}, and {judgement.cause}: no worse"
        return _thaw(held._replace(reds=strikes), tick, judgement, signs, cause)
    if trial.is_due(held, tick, judgement, signs, rules):
        return _try(held, tick, judgement, signs, rules)
    if not _is_well(held, tick, judgement, rules):
        return held._replace(clean_since=None), ()
    since = tick.at if held.clean_since is None else held.clean_since
    if tick.at - since < rules.thresholds.clean:
        return held._replace(clean_since=since), ()
    return _thaw(held, tick, judgement, signs, judgement.cause)


def _try(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, rules: Rules) -> Step:
    """Tighten a frozen load as far as can be; once that is in force, thaw it on trial."""
    if not trial.is_gripped(held, tick):
        if held.grip.step >= TIGHTEST:
            return held, ()
        held = easing.held_for(held, tick, judgement, signs)
        return _gripped(held, tick, judgement, signs, rules, to=TIGHTEST)
    cause = f"on trial: nobody waits, although {judgement.cause}; it may be at a peak of its own"
    tried = held._replace(trial=trial.begun(held, tick, rules))
    return _thaw(tried, tick, judgement, signs, cause)


def _why_kill(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, rules: Rules) -> str | None:
    """Say why the load has to die; `None`: it has not. Each of these was seen at two looks or more."""
    thresholds, frozen_for = rules.thresholds, Seconds(tick.at - held.since)
    if judgement.level is Level.BLACK and held.black_seen:
        return judgement.cause
    if judgement.kind is Kind.FRAMES:
        return None
    red = judgement.level >= Level.RED
    if red and len(held.reds) >= thresholds.reds_max:
        within = format_duration(reds_within(thresholds))
        return f"frozen for the {len(held.reds)}. time within {within}: {judgement.cause}"
    if red and judgement.kind is Kind.STALL and _outlasts(frozen_for, signs, rules):
        return f"frozen for {format_duration(frozen_for)} and still {judgement.cause}"
    no_better = red or judgement.level is Level.UNKNOWN
    if no_better and trial.frozen_in_all(held, tick.at) >= thresholds.frozen_max:
        return f"frozen for {format_duration(thresholds.frozen_max)} and still {judgement.cause}"
    return None


def _outlasts(frozen_for: Seconds, signs: Signs, rules: Rules) -> bool:
    """Tell whether what is seen now is there in spite of the freeze: none of the window is from before it.

    `stall_max` may be set below a window, and a late look makes a window longer.
    """
    return frozen_for >= rules.thresholds.stall_max and signs.over <= frozen_for


def _why_not_the_cause(
    held: Held, tick: Ticked, judgement: Judgement, signs: Signs, rules: Rules, *, worth: bool
) -> str | None:
    """Say why the load is not what the machine suffers from; `None`: it may be."""
    if judgement.level is not Level.UNKNOWN and judgement.level < Level.RED:
        return None
    frozen_for = Seconds(tick.at - held.since)
    outlasts = _outlasts(frozen_for, signs, rules)
    if judgement.kind is Kind.FRAMES and outlasts:
        return (
            f"frozen for {format_duration(frozen_for)} and still {judgement.cause}: not because of this load"
        )
    stalls = judgement.kind is Kind.STALL and outlasts
    if not worth and (stalls or frozen_for >= rules.thresholds.frozen_max):
        held_size = format_size(tick.reading.load.working_set or tick.reading.load.memory)
        return (
            f"frozen for {format_duration(frozen_for)} and still {judgement.cause}: "
            f"not because of this load, which holds {held_size}"
        )
    return None


def _is_well(held: Held, tick: Ticked, judgement: Judgement, rules: Rules) -> bool:
    """Tell whether the load may go on soon: frames that stay late without it are not its doing."""
    if judgement.level is Level.YELLOW and judgement.kind is Kind.FRAMES and not judgement.low:
        return tick.at - held.since >= rules.thresholds.stall_max
    return judgement.level is Level.GREEN


def _thaw(held: Held, tick: Ticked, judgement: Judgement, signs: Signs, cause: str) -> Step:
    """Thaw; a load that is frozen for nothing is held for nothing, too."""
    running, thaw = thawed(held, tick.at), Decision(Action.THAW, cause, tick.reading.seq)
    if judgement.kind is not Kind.FRAMES:
        return running, (thaw,)
    eased, loosened = easing.thawed(running, tick, judgement, signs, cause)
    return eased, (thaw, *loosened)
