"""The model of a machine fails in the ways machines were seen to fail."""

from itertools import count

import pytest
from simulation import others
from simulation.guards import GUARDS
from simulation.play import Sort, Sorted, faults, play, play_law, sort
from simulation.scenario import HORIZON, Kind, Late, Load, Machine, Other, Scenario, Store, Watching, draw
from simulation.world import DT, Fate, World

from steadyrun.model.action import Action

SSD = Store("ssd", 150.0, 500.0)
MACHINE = Machine(8192.0, 4, 2000.0, SSD, 0.0, 0.0, 230.0, 500.0, 500.0, 800.0, 1500.0, False)
LOAD = Load(Kind.BALLOON, 20_000.0, 2000.0, 1.0, 0.0, 0.0, 0.0, 40.0, False, None)
STILL = Other(((0.0, 200.0), (HORIZON, 200.0)), 0)
SEES = Watching(True, True, 0.0, (0.0, 0.0), 0.0)


def world(load=LOAD, machine=MACHINE, other=STILL, **options):
    return World(Scenario(1, machine, load, other, SEES), adj=0, **options)


def go(it, seconds, each=lambda: None):
    end = it.now + seconds
    while it.now < end and not it.lost:
        it.step()
        each()
    return it


def used(it):
    return it.machine.ram - it.free()


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_the_same_seed_is_the_same_story_and_no_memory_is_made_or_lost(seed):
    one, other = (World(draw(seed), adj=0) for _ in range(2))
    for _ in range(1000):
        one.step()
        other.step()
        assert one.free() > -1.0
        assert min(one.mem, one.cache, one.load_cache, one.hot_file, one.hot_anon, one.cold) > -1e-6
        assert sum(one.swapped.values()) <= one.machine.swap + 1e-6
    assert (one.mem, one.stall, one.fate) == (other.mem, other.stall, other.fate)


def test_without_a_limit_and_a_law_a_balloon_takes_the_desktop_before_the_kernel_ends_it():
    it = go(world(), 4.0)
    assert it.stall > 0.8
    assert it.fate is Fate.RUNS


def test_within_the_limit_of_what_is_there_less_the_reserve_it_dies_alone_and_nobody_waits():
    it = world(LOAD._replace(limit=4000.0))
    felt = []
    go(it, 10.0, lambda: felt.append(it.stall))
    assert it.fate is Fate.AT_LIMIT
    assert max(felt) == 0.0


def test_without_swap_the_pressure_of_a_load_is_near_zero_until_it_is_killed_at_its_limit():
    it = go(world(LOAD._replace(limit=4000.0)), 10.0)
    assert it.fate is Fate.AT_LIMIT
    assert it.totals["load full"] < 0.1


def test_freezing_frees_no_memory():
    it = go(world(LOAD._replace(limit=4000.0)), 1.0)
    it.frozen, before = True, it.mem
    go(it, 20.0)
    assert it.mem == before > 500
    assert it.fate is Fate.RUNS


def test_a_throttle_limit_below_the_working_set_holds_a_load_for_ever_where_there_is_no_swap():
    wants = LOAD._replace(target=2000.0)
    free, held = go(world(wants), 5.0), world(wants)
    held.high = 1000.0
    go(held, 5.0)
    assert free.mem == pytest.approx(2000.0)
    assert held.mem < 1600.0
    assert held.fate is Fate.RUNS


def test_cache_at_the_limit_is_given_back_and_kills_nobody():
    writer = LOAD._replace(kind=Kind.CACHE, target=100.0, cache=500.0, io=0.8, limit=1000.0)
    it = go(world(writer), 20.0)
    assert it.fate is Fate.RUNS
    assert it.load_cache <= 900.0


def test_available_memory_counts_hot_file_pages_so_a_machine_stalls_before_it_is_low():
    it = world(LOAD._replace(limit=None))
    go(it, 30.0, lambda: None if it.stall < 0.5 else setattr(it, "lost", it.lost or "seen"))
    assert it.available() > 0.03 * it.machine.ram


def test_a_cap_that_lets_a_load_swap_takes_the_store_from_everybody():
    machine = MACHINE._replace(swap=4096.0, swap_rate=300.0)
    thrasher = LOAD._replace(kind=Kind.SWAPPER, target=6000.0, may_swap=True, limit=3000.0)
    it = go(world(thrasher, machine), 20.0)
    assert it.fate is Fate.RUNS
    assert it.swapped["load"] > 500
    assert it.load_stall > 0.5


def test_where_services_of_the_session_are_worse_the_kernel_takes_them_before_the_load():
    it = go(world(LOAD._replace(target=1500.0), MACHINE._replace(services_first=True)), 3.0)
    it.kill_largest("the kernel's OOM killer", Fate.OOM)
    assert it.lost == "the kernel's OOM killer killed the session"
    raised = go(world(LOAD._replace(target=1500.0), MACHINE._replace(services_first=True)), 3.0)
    raised.adj = 1000
    raised.kill_largest("the kernel's OOM killer", Fate.OOM)
    assert (raised.lost, raised.fate) == ("", Fate.OOM)


# The laws of others


def looks(law, **given):
    """Give the deeds of a law that is told the same at each of its looks, and when."""
    memory, at = others.Memory(), 0.0
    calm = {"available": 0.5, "swap_total": 0.0, "swap_free": 1.0, "ram": 8192.0}
    calm |= {"some_avg10": 0.0, "full_avg10": 0.0} | given
    for _ in count():
        answer = law(others.Look(at=at, **calm), memory)
        yield at, answer.deed
        memory, at = answer.memory, answer.next_look


def first(law, within=60.0, **given):
    for at, deed in looks(law, **given):
        if deed is not others.Deed.NOTHING or at > within:
            return (round(at), deed) if deed is not others.Deed.NOTHING else None
    return None


SWAP_USED = {"swap_total": 4096.0, "swap_free": 0.05}


@pytest.mark.parametrize(
    ("law", "given", "expected"),
    [
        (others.earlyoom, {"available": 0.11}, None),
        (others.earlyoom, {"available": 0.09}, (0, others.Deed.TERM)),
        (others.earlyoom, {"available": 0.04}, (0, others.Deed.KILL)),
        (others.earlyoom, {"available": 0.04, "swap_total": 4096.0, "swap_free": 0.5}, None),
        (others.nohang, {"available": 0.06}, None),
        (others.nohang, {"available": 0.04}, (0, others.Deed.TERM)),
        (others.nohang, {"some_avg10": 0.5}, (30, others.Deed.TERM)),
        (others.nohang, {"some_avg10": 0.95}, (30, others.Deed.KILL)),
        (others.oomd, {"available": 0.01}, None),
        (
            others.oomd,
            {"available": 0.05, "swap_total": 4096.0, "swap_free": 0.05},
            (0, others.Deed.KILL_CGROUP),
        ),
        (others.oomd, {"full_avg10": 0.6}, (20, others.Deed.KILL_CGROUP)),
    ],
)
def test_each_law_acts_at_its_documented_defaults(law, given, expected):
    found = first(law, **given)
    if expected is None:
        assert found is None
    else:
        assert found[1] is expected[1]
        assert found[0] == pytest.approx(expected[0], abs=3)


def test_a_story_is_played_to_its_end_and_no_further_than_it_matters():
    class Still:
        adj = 0

        def look(self, world):
            self.last = world.now

    guard = Still()
    short = LOAD._replace(target=100.0, lasts=5.0, limit=1000.0)
    played = play(Scenario(1, MACHINE, short, STILL, SEES), lambda _world: guard)
    assert played.fate is Fate.ENDED
    assert guard.last < 8.0
    assert DT < 0.1


@pytest.mark.parametrize(("seed", "kind"), [(285, Kind.SUITE), (315, Kind.SWAPPER), (367, Kind.BALLOON)])
def test_a_load_that_was_frozen_at_a_peak_of_its_own_comes_down_on_trial(seed, kind):
    """Seeds in which the law killed the load before there were trials."""
    each = sort(seed)
    played = play_law("steadyrun", each)
    assert (each.scenario.load.kind, played.fate, played.lost) == (kind, Fate.ENDED, "")
    assert Action.THAW in played.acts


def test_frames_that_others_make_late_are_late_with_no_load_at_all():
    it = go(world(other=STILL._replace(late=Late(1.5, 3.0, 60.0, 0.2)), with_load=False), 1.0)
    assert it.p99_ms() < 1.0
    go(it, 2.0)
    assert 60.0 < it.p99_ms() < 150.0
    go(it, 2.0)
    assert it.p99_ms() < 1.0


def test_what_a_disk_has_not_taken_is_written_back_after_a_freeze():
    storm = LOAD._replace(kind=Kind.STORM, target=100.0, io=3.0)
    it = go(world(storm, MACHINE._replace(store=Store("disk", 15.0, 150.0))), 2.0)
    assert it.backlog > 200.0
    it.frozen = True
    assert go(it, 1.0).io_stall > 0.5
    assert go(it, 3.0).io_stall == 0.0


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, True),
        ({"tight": 15.0}, False),
        ({"acts": (Action.FREEZE,)}, False),
        ({"sort": Sort.BETWEEN}, False),
        ({"ends": HORIZON}, False),
        ({"io": 0.5}, False),
        ({"may_swap": True}, False),
    ],
)
def test_a_harmless_load_that_is_held_for_frames_of_others_is_a_fault(change, held):
    given = {
        "tight": 15.1,
        "acts": (),
        "sort": Sort.HARMLESS,
        "ends": HORIZON + 1,
        "io": 0.4,
        "may_swap": False,
    }
    given |= change
    load = LOAD._replace(io=given["io"], may_swap=given["may_swap"])
    other = STILL._replace(late=Late(0.0, given["ends"], 60.0, 0.2))
    scenario = Scenario(7, MACHINE, load, other, SEES)
    played = play(scenario, GUARDS["no law"])._replace(tight=given["tight"], acts=given["acts"])
    found = faults([(Sorted(scenario, given["sort"], played), played)])
    assert found.held_in_vain == ((7,) if held else ())


def test_the_time_under_a_quota_is_counted_while_the_load_runs():
    it = world(LOAD._replace(kind=Kind.STEADY, target=100.0))
    go(it, 1.0)
    it.quota = 0.5
    go(it, 2.0)
    it.frozen = True
    assert go(it, 3.0).tight == pytest.approx(2.0, abs=0.2)
