"""The loop around real processes in a fake containment: what it does when something of its own fails."""

import contextlib
import os
import select
import signal
import threading
from itertools import pairwise

import pytest
from acts import acts_of
from readings import frames
from simulation.again import played

from conftest import until
from steadyrun.contain.fake import FakeBackend
from steadyrun.errors import CannotContainError
from steadyrun.guard import keeping, killing
from steadyrun.guard import loop as loops
from steadyrun.guard.grip import Grip
from steadyrun.guard.held import Decision, Stage
from steadyrun.guard.hold import Streams, prepare
from steadyrun.guard.keeping import RETRY_FIRST
from steadyrun.guard.loop import Loop
from steadyrun.guard.signs import Past, Wrong
from steadyrun.guard.tightening import Tightening
from steadyrun.model.action import Action
from steadyrun.model.event import Acted, Released, Ruled, Sampled, Troubled
from steadyrun.model.given import Rules
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import Ending
from steadyrun.model.plan import Member
from steadyrun.model.thresholds import Thresholds, Usual

CALM = Thresholds(0, 0, 0)


class Guarding:
    """A loop over one shell script, and what it told."""

    def __init__(self, script, thresholds=CALM, wall_time=None):
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        backend = FakeBackend()
        member = Member(("/bin/sh", "-c", script), "/", {"PATH": os.defpath})
        self.hold = prepare(
            backend, backend.plan(os.urandom(8).hex()), Limits(), (member,),
            Streams(nothing, nothing, nothing), run_as=None, new_session=True,
        )  # fmt: skip
        os.close(nothing)
        self.containment = self.hold.containment
        self.pids = list(self.hold.members)
        self.events = []
        self.loop = Loop(self.hold, Rules(thresholds, 1, wall_time), self.events.append)

    def run(self, each_turn=None):
        with self.hold:
            self.loop.release()
            return self.loop.run(each_turn)

    def codes(self):
        return [event.finding.code for event in self.events if isinstance(event, Troubled)]

    def clean_up(self):
        with contextlib.suppress(AttributeError):
            del self.containment.kill
        self.hold.end_at_once()
        for pid in self.hold.members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@pytest.fixture
def guard():
    made = []

    def start(*arguments, **options):
        made.append(Guarding(*arguments, **options))
        return made[-1]

    yield start
    for each in made:
        each.clean_up()


def ended(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_keeper_that_cannot_be_replaced_does_not_end_the_guard(guard, monkeypatch):
    held = guard("exec sleep 60", wall_time=2.5)
    assert held.hold.keeper.watches(20.0)
    monkeypatch.setattr(keeping.sys, "executable", "/nowhere/python")
    monkeypatch.setattr(keeping, "RETRY_FIRST", 0.0)
    first = held.hold.keeper.pid
    outcome = held.run(each_turn=lambda: held.hold.keeper.pid == first and os.kill(first, signal.SIGKILL))
    assert (outcome.ending, outcome.removed) == (Ending.WALL_TIME, True)
    assert held.codes() == ["keeper-died"]


@pytest.mark.parametrize(
    ("changes", "reserve", "calm"),
    [
        ({}, 0, True),
        ({}, 1 << 60, False),
        ({"grip": Grip(1)}, 0, False),
        ({"stage": Stage.FROZEN}, 0, False),
        ({"stage": Stage.ENDING}, 0, False),
        ({"paused_at": 1.0}, 0, False),
        ({"past": Past(windows=(None, Wrong(True, "late")))}, 0, False),
        ({"past": Past(windows=(None, None))}, 0, True),
    ],
)
def test_a_load_is_calm_while_it_runs_freely_with_memory_to_spare_and_nobody_waits(
    guard, changes, reserve, calm
):
    held = guard("exec sleep 60", thresholds=CALM._replace(reserve=reserve))
    assert not held.loop.is_calm(), "nothing is known yet"
    held.loop.release()
    held.loop.held = held.loop.held._replace(**changes)
    assert held.loop.is_calm() is calm


def test_a_load_is_not_calm_while_a_hand_is_at_work(guard):
    held, over = guard("exec sleep 60"), threading.Event()
    held.loop.release()
    held.containment.adjust = lambda *_limits: (over.wait(20), ())[1]
    held.loop._tightening.wish(Decision(Action.TIGHTEN, "late", grip=Grip(1)), held.loop.now())
    assert not held.loop.is_calm()
    over.set()
    assert until(held.loop.is_calm)


def test_a_keeper_that_died_early_is_replaced_after_a_while(guard):
    held = guard("exec sleep 60", wall_time=RETRY_FIRST + 1.0)
    first, seen = held.hold.keeper.pid, []

    def look():
        if not seen:
            os.kill(first, signal.SIGKILL)
        seen.append(held.hold.keeper.pid)

    held.run(each_turn=look)
    assert 0 in seen
    assert seen[-1] != 0  # nor taken for one of the load's
    assert held.codes() == ["keeper-died"]


def test_whatever_goes_wrong_in_the_guard_ends_the_load_before_it_is_told(guard):
    held = guard("exec sleep 60")

    def fail():
        raise ZeroDivisionError("a bug of ours")

    with pytest.raises(ZeroDivisionError):
        held.run(each_turn=fail)
    assert until(lambda: all(ended(pid) for pid in held.pids))
    assert held.hold.keeper.pid == 0


def test_a_load_is_not_released_when_its_keeper_is_dead_already(guard, monkeypatch, tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 127\n")
    program.chmod(0o755)
    mark = tmp_path / "mark"
    monkeypatch.setattr(keeping.sys, "executable", str(program))
    held = guard(f"touch {mark}")
    assert until(held.hold.keeper.failed)
    with pytest.raises(CannotContainError, match="keeper"):
        held.run()
    assert until(lambda: all(ended(pid) for pid in held.pids))
    assert not mark.exists()


def test_a_guard_that_was_silent_and_whose_keeper_ended_the_load_says_so(guard):
    held = guard("exec sleep 60")
    assert held.hold.keeper.watches(20.0)
    own = held.hold.keeper._keeper

    def hang(done=[]):  # noqa: B006
        if not done:
            done.append(True)
            os.close(own._pipe)  # as if we had died
            own._pipe = os.open(os.devnull, os.O_RDONLY)
            assert until(lambda: all(ended(pid) for pid in held.pids), 20)
            assert until(held.hold.keeper.failed, 20)

    outcome = held.run(each_turn=hang)
    assert outcome.ending is Ending.GUARD_GONE
    assert "keeper ended it" in outcome.cause


IMMORTAL = "setsid sleep 60 & exec sleep 60"


def test_what_cannot_be_killed_is_named_then_given_up_and_never_a_flood_of_records(guard, monkeypatch):
    """A containment whose kill does nothing stands for processes that wait uninterruptibly."""
    monkeypatch.setattr(killing, "STUCK_AFTER", 0.6)
    held = guard(IMMORTAL, thresholds=CALM._replace(kill_max=1.5, term_grace=0.1), wall_time=0.2)
    monkeypatch.setattr("steadyrun.guard.hold.REMOVE_WITHIN", 0.2)
    held.containment.kill = lambda: None
    held.hold.term = lambda: None
    began = held.loop.now()
    outcome = held.run()
    took = held.loop.now() - began
    assert 1.7 <= took < 6.0
    assert (outcome.ending, outcome.survivors, outcome.removed) == (Ending.WALL_TIME, 1, False)
    assert held.codes() == ["kill-stuck"]
    acts = [event.action.value for event in held.events if isinstance(event, Acted)]
    assert acts[:2] == ["thaw", "term"]
    assert 1 <= acts.count("kill") <= 3


def test_a_kill_that_takes_longer_than_a_tick_does_not_put_off_the_count_that_ends_it(guard):
    """A polled kill on a busy machine: walking /proc took 70 ms where a tick is 50 ms."""
    held = guard("exec sleep 60", thresholds=CALM._replace(tick=0.005, term_grace=0.05), wall_time=0.05)
    kill = held.containment.kill
    held.hold.term = lambda: None

    def slowly():
        kill()
        select.select((), (), (), 0.02)

    held.containment.kill = slowly
    began = held.loop.now()
    assert held.run().ending is Ending.WALL_TIME
    assert held.loop.now() - began < 5.0


def test_nor_does_one_that_a_member_has_not_ended_by(guard, monkeypatch):
    """Nobody's end is told then: the count alone says that nobody is left."""
    monkeypatch.setattr(loops, "RECOUNT_FIRST", 0.3)
    monkeypatch.setattr(loops, "RECOUNT_LAST", 0.3)
    held = guard("exec sleep 60", thresholds=CALM._replace(tick=0.005))
    kill, living, killed_at = held.containment.kill, held.hold.living, []

    def slowly():
        killed_at.append(held.loop.now())
        kill()
        select.select((), (), (), 0.02)

    held.containment.kill = slowly
    somebody = {os.getpid()}

    def seen():
        return living() or (set() if killed_at and held.loop.now() - killed_at[0] >= 0.5 else somebody)

    held.hold.living = seen

    def turn():
        if not killed_at:
            held.loop.stop(Ending.STOPPED, "asked", now=True)
        assert held.loop.now() - killed_at[0] < 5.0

    assert held.run(turn).ending is Ending.STOPPED


def test_a_load_is_released_once_and_not_at_all_when_it_is_to_end(guard):
    held = guard("sleep 0.3")
    held.run(each_turn=held.loop.release)
    assert [type(event) for event in held.events].count(Released) == 1
    stopped = guard("exec sleep 60")
    stopped.loop.stop(Ending.STOPPED, "asked")
    assert stopped.run().ending is Ending.STOPPED
    assert Released not in [type(event) for event in stopped.events]


def test_a_frozen_load_that_somebody_else_thawed_is_frozen_again(guard):
    held = guard("exec sleep 60", thresholds=CALM._replace(floor=2**60, frozen_max=1.5))

    def thaw():
        if held.containment.deeds == ["freeze"] and held.containment.is_frozen() and not held.loop._confirm:
            held.containment.thaw()

    held.run(each_turn=thaw)
    assert held.containment.deeds[:3] == ["freeze", "thaw", "freeze"]


def test_a_containment_that_somebody_else_removed_ends_the_load(guard, monkeypatch):
    monkeypatch.setattr(loops, "GONE_EVERY", 0.1)
    held = guard("exec sleep 60", wall_time=20.0)
    held.containment.is_gone = True
    outcome = held.run()
    assert outcome.ending is Ending.CONTAINMENT_GONE
    assert "somebody else removed its containment" in outcome.cause


def test_a_machine_that_cannot_be_judged_any_more_is_told_once_and_what_becomes_of_a_frozen_load(
    guard, monkeypatch
):
    held = guard("exec sleep 60", thresholds=CALM._replace(frozen_max=7.0), wall_time=2.0)
    monkeypatch.setattr(loops, "UNKNOWN_FOR", 0.3)
    read = held.loop._read
    blind = []

    def unknown(now):
        reading = read(now)
        blind.append(now)
        return reading._replace(host=reading.host._replace(mem_available=None))

    held.loop._read = unknown
    outcome = held.run()
    assert outcome.ending is Ending.WALL_TIME
    assert held.codes() == ["machine-unknown"]
    (told,) = [event for event in held.events if isinstance(event, Troubled)]
    assert "could not be read" in told.finding.title
    assert "A load that is frozen stays so for 7.0 s at most: then it is killed" in told.finding.remedy


def test_one_reading_that_fails_is_no_news(guard):
    held = guard("exec sleep 60", wall_time=1.0)
    read, count = held.loop._read, []

    def sometimes(now):
        reading = read(now)
        count.append(now)
        unknown = reading._replace(host=reading.host._replace(mem_available=None))
        return unknown if len(count) % 3 else reading

    held.loop._read = sometimes
    held.run()
    assert held.codes() == []


def acts(held):
    return [event for event in held.events if isinstance(event, Acted)]


def test_a_freeze_that_a_kill_follows_before_it_is_confirmed_has_a_record_of_its_own(guard):
    held = guard("exec sleep 60")
    held.containment.is_frozen = lambda: False
    stop = lambda: held.loop.stop(Ending.STOPPED, "asked", now=True)  # noqa: E731
    held.loop.rules = held.loop.rules._replace(thresholds=CALM._replace(floor=2**60))
    held.run(each_turn=stop)
    freeze, kill = acts(held)[:2]
    assert (freeze.action.value, freeze.confirmed) == ("freeze", False)
    assert (kill.action.value, kill.confirmed) == ("kill", True)
    (named,) = [e.reading for e in held.events if isinstance(e, Sampled) and e.reading.seq == freeze.seq]
    assert named.host.mem_available < 2**60


def test_a_freeze_that_is_never_confirmed_is_recorded_as_that_and_the_reader_told(guard, monkeypatch):
    monkeypatch.setattr(loops, "CONFIRM_WITHIN", 0.1)
    held = guard("exec sleep 60", thresholds=CALM._replace(floor=2**60, frozen_max=0.5))
    held.containment.is_frozen = lambda: False
    held.run()
    assert [(a.action.value, a.confirmed) for a in acts(held)[:2]] == [("freeze", False), ("kill", True)]
    assert held.codes() == ["freeze-unconfirmed"]


def test_every_record_that_names_a_reading_names_one_that_is_never_dropped(guard):
    held = guard("exec sleep 60", thresholds=CALM._replace(floor=2**60, frozen_max=0.3))
    held.run()
    kept = {event.reading.seq for event in held.events if isinstance(event, Sampled) and event.decided}
    assert {a.seq for a in acts(held) if a.seq >= 0} <= kept


def test_what_a_guard_passed_on_is_enough_to_decide_the_same_again(guard, monkeypatch):
    """It looks every hundredth of a second, as near the floor, and passes on few of its looks."""
    monkeypatch.setattr(loops.machine, "PASS_ON_EVERY", 0.5)
    near = CALM._replace(reserve=1000, floor=1000, tick=0.01, clean=0.3)
    held = guard("exec sleep 60", thresholds=near, wall_time=2.0)
    read, began = held.loop._read, held.loop.now()

    def short_of_memory(now):
        reading = read(now)
        low = 0.3 <= now - began < 0.6
        return reading._replace(host=reading.host._replace(mem_available=500)) if low else reading

    held.loop._read = short_of_memory
    held.run()
    again = list(played(held.events))
    told = acts(held)
    assert [act.action.value for act in told[:2]] == ["freeze", "thaw"]
    assert acts_of([d for turn in again for d in turn.decisions]) == acts_of(told)
    last = again[-1].after
    fill = held.loop.held.past.fill
    assert last._replace(past=last.past._replace(fill=fill)) == held.loop.held
    assert sum(isinstance(event, Sampled) for event in held.events) < held.loop._looks.means().looks


def test_a_look_before_which_the_guard_must_have_slept_is_passed_on_as_late(guard):
    held = guard("exec sleep 60", wall_time=2.5)
    late = []

    def sleep_once():
        if not late:
            late.append(held.loop.now())
            select.select((), (), (), 1.3)

    held.run(each_turn=sleep_once)
    readings = [event.reading for event in held.events if isinstance(event, Sampled)]
    first = next(seen for seen in readings if seen.late)
    assert 1.3 <= first.host.at - late[0] < 3.0


def test_the_rules_are_told_before_anything_that_is_decided_from_and_again_when_they_change(guard):
    held = guard("exec sleep 60", wall_time=1.0)
    rules = held.loop.rules
    usual = rules._replace(usual=Usual(host_full=0.01))
    held.run(each_turn=lambda: setattr(held.loop, "rules", usual))
    told = [event for event in held.events if isinstance(event, (Ruled, Released, Sampled))]
    assert [type(event) for event in told[:2]] == [Ruled, Released]
    ruled = [event.rules for event in told if isinstance(event, Ruled)]
    assert (ruled[0], ruled[-1]) == (rules, usual)
    assert all(a != b for a, b in pairwise(ruled))


# Tightening: what the machine decides is carried out beside the loop


class Busy:
    """Readings of a loop whose canary is late for a while."""

    def __init__(self, held, seconds):
        self.read, self.until = held.loop._read, held.loop.now() + seconds
        held.loop._read = self

    def __call__(self, now):
        return self.read(now)._replace(frames=frames(p99_ms=30.0 if now < self.until else 0.3))


def tightening(guard, wall_time, late_for):
    held = guard("exec sleep 60", thresholds=CALM._replace(loosen_after=0.5), wall_time=wall_time)
    held.loop.rules = held.loop.rules._replace(tightens=True, cores=2.0, limits=Limits(memory_max=2**30))
    held.loop._tightening = Tightening(held.containment, held.loop.rules)
    Busy(held, late_for)
    return held


def test_a_grip_is_put_in_force_and_loosened_and_each_step_has_its_record(guard):
    held = tightening(guard, wall_time=8.0, late_for=2.5)
    outcome = held.run()
    assert outcome.ending is Ending.WALL_TIME
    steps = [(a.action.value, a.confirmed) for a in acts(held) if a.action.value in ("tighten", "loosen")]
    assert steps[0] == ("tighten", False)  # the fake declares no quota
    assert steps[-1][0] == "loosen"
    assert "not in force: cpu_max: refused by the fake" in acts(held)[0].cause
    quotas = [limits.cpu_max for limits in held.containment.limits]
    assert quotas[1] == 1.0
    assert quotas[-1] is None
    kept = {event.reading.seq for event in held.events if isinstance(event, Sampled) and event.decided}
    assert {a.seq for a in acts(held) if a.seq >= 0} <= kept


def test_a_grip_beside_a_freeze_does_not_close_the_record_of_the_freeze(guard):
    held = tightening(guard, wall_time=1.5, late_for=0.0)
    read, is_frozen, looks = held.loop._read, held.containment.is_frozen, []
    held.loop._read = lambda now: read(now)._replace(frames=frames(silent=2.0))

    def later():
        looks.append(True)
        return len(looks) > 1 and is_frozen()

    held.containment.is_frozen = later
    held.run()
    freeze, tighten = (
        next(a for a in acts(held) if a.action.value == name) for name in ("freeze", "tighten")
    )
    assert freeze.confirmed
    assert freeze.seq == tighten.seq


def test_a_kernel_that_does_not_answer_neither_stops_the_guard_nor_goes_untold(guard, monkeypatch):
    monkeypatch.setattr("steadyrun.guard.hand.LATE_AFTER", 0.3)
    monkeypatch.setattr("steadyrun.guard.tightening.PATIENCE", 0.2)
    held = tightening(guard, wall_time=4.0, late_for=60.0)
    stuck = threading.Event()
    held.containment.adjust = lambda limits, names: stuck.wait(60) and ()
    began = held.loop.now()
    try:
        outcome = held.run()
    finally:
        stuck.set()
    assert outcome.ending is Ending.WALL_TIME
    assert held.loop.now() - began < 10.0
    assert "tighten-late" in held.codes()
    seen = [event.reading.host.at for event in held.events if isinstance(event, Sampled)]
    assert max(b - a for a, b in pairwise(seen)) < 1.0
