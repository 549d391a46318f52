import pytest
from readings import THRESHOLDS, frames, psi, reading

from steadyrun.guard import law
from steadyrun.guard.law import Kind, Level
from steadyrun.guard.signs import Past, remember, restart
from steadyrun.model.thresholds import Usual
from steadyrun.units import GIB, MIB


def judged(*readings, usual=Usual(), thresholds=THRESHOLDS, bound=None):  # noqa: B008
    past = Past()
    for each in readings:
        past, signs = remember(past, each, thresholds, usual)
        found = law.judge(each, signs, thresholds, usual, bound)
    return found


def second(start=0.0, **at_the_end):
    """Two readings, a second apart: what is given is of the later one, and nothing before."""
    calm = {
        "host": {"psi_memory": psi(), "psi_io": psi(), "scanned_pages": 0, "stolen_pages": 0},
        "protected": (("session", 0.0, 0.0), ("sshd", 0.0, 0.0)),
    }
    return reading(start, **calm), reading(start + 1.0, **(calm | at_the_end))


@pytest.mark.parametrize(
    ("available", "level"),
    [
        (20 * GIB, Level.GREEN),
        (2 * GIB, Level.GREEN),
        (2 * GIB - 1, Level.YELLOW),
        (1 * GIB, Level.YELLOW),
        (1 * GIB - 1, Level.RED),
        (512 * MIB, Level.RED),
        (512 * MIB - 1, Level.BLACK),
        (0, Level.BLACK),
        (None, Level.UNKNOWN),
    ],
)
def test_available_memory_is_judged_by_reserve_floor_and_half_the_floor(available, level):
    assert judged(reading(available=available)).level is level


def test_the_cause_names_the_figure_and_the_threshold():
    cause = judged(reading(available=900 * MIB)).cause
    assert cause == "available memory 900 MiB is below the floor, 1 GiB"


@pytest.mark.parametrize(("full", "level"), [(0.099, Level.GREEN), (0.1, Level.RED)])
def test_a_protected_group_that_stalls_for_a_tenth_of_a_second_is_red(full, level):
    found = judged(*second(protected=(("session", 0.0, 0.0), ("sshd", full, full))))
    assert found.level is level
    if level is Level.RED:
        assert (found.kind, found.cause) == (
            Kind.STALL,
            "all of sshd waited for memory for 100 ms of 1000 ms",
        )


def test_a_stall_is_seen_before_the_second_is_over():
    start, _ = second()
    assert judged(start, reading(0.2, protected=(("session", 0.15, 0.15),))).level is Level.RED


@pytest.mark.parametrize(("usual", "level"), [(0.04, Level.GREEN), (0.03, Level.RED), (None, Level.RED)])
def test_three_times_what_is_usual_here_is_no_sign(usual, level):
    stalled = second(protected=(("session", 0.1, 0.1),))
    assert judged(*stalled, usual=Usual(protected_full=usual)).level is level


@pytest.mark.parametrize(
    ("beside", "level"),
    [
        ({}, Level.GREEN),
        ({"available": 1900 * MIB}, Level.RED),
        ({"frames": frames(p99_ms=21.0)}, Level.RED),
        ({"frames": frames(p99_ms=19.0)}, Level.GREEN),
    ],
)
def test_the_machines_own_stall_counts_only_with_low_memory_or_late_frames(beside, level):
    assert judged(*second(host={"psi_memory": psi(0.2), "psi_io": psi()}, **beside)).level is level


def test_the_machines_own_stall_counts_with_a_silent_canary_and_is_a_stall_then():
    start, end = second(host={"psi_memory": psi(0.2), "psi_io": psi()}, frames=frames(silent=0.7))
    found = judged(start._replace(frames=frames(silent=0.7)), end)
    assert (found.level, found.kind) == (Level.RED, Kind.STALL)
    assert found.cause.endswith("with no frames")


def of_its_own(
    *,
    memory=GIB,
    load: float | None = 0.2,
    protected=(("session", 0.0, 0.0),),
    silent_before=False,
    **beside,
):
    """All wait for 200 ms of a second, and so does a load that is at its limit of 1 GiB."""
    given = {"memory": memory, "protected": protected, **beside}
    waited = None if load is None else psi(load, some=0.9)
    start, end = second(host={"psi_memory": psi(0.2), "psi_io": psi()}, psi_memory=waited, **given)
    start = start._replace(load=end.load._replace(psi_memory=psi()))
    return judged(start._replace(frames=end.frames) if silent_before else start, end, bound=GIB)


@pytest.mark.parametrize("beside", [{"frames": frames(p99_ms=21.0)}, {"available": 1900 * MIB}])
@pytest.mark.parametrize(
    ("given", "is_red"),
    [
        ({}, False),
        ({"load": 0.19}, False),
        ({"load": 0.17}, True),  # somebody else waits, too, while it does not
        ({"load": None, "memory": 1014 * MIB}, False),  # not known: its limit has to be used up
        ({"load": None, "memory": 1013 * MIB}, True),
        ({"memory": 922 * MIB}, False),
        ({"memory": 921 * MIB}, True),
        ({"memory": None}, True),
        ({"protected": (("session", 0.05, 0.0),)}, False),
        ({"protected": (("session", 0.06, 0.0), ("sshd", 0.01, 0.01))}, True),
    ],
)
def test_what_a_load_waits_for_at_its_own_limit_is_not_the_machines(beside, given, is_red):
    """Wherever the desktop is idle the load is all that runs, and all that runs waits."""
    assert (of_its_own(**given, **beside).level >= Level.RED) is is_red


def test_where_no_group_is_known_no_frames_count_beside_its_own_wait_and_late_ones_and_low_memory_do_not():
    assert of_its_own(protected=(), frames=frames(p99_ms=21.0)).level is Level.GREEN
    silent = of_its_own(protected=(), frames=frames(silent=0.7), silent_before=True)
    assert (silent.level, silent.kind) == (Level.RED, Kind.STALL)
    with_a_group = of_its_own(frames=frames(silent=0.7), silent_before=True)
    assert (with_a_group.level, with_a_group.kind) == (Level.RED, Kind.FRAMES)
    assert of_its_own(protected=(), available=1900 * MIB, load=None, memory=1013 * MIB).level is Level.RED
    assert of_its_own(protected=(), available=1900 * MIB, load=None).level is Level.YELLOW
    found = of_its_own(protected=(), available=1900 * MIB)
    assert (found.level, found.kind, found.own) == (Level.YELLOW, Kind.MEMORY, True)


def test_yellow_names_the_group_that_waits_longest_though_another_stalls_longer():
    told = [
        reading(float(at), protected=(("session", 0.5 * at, 0.0), ("sshd", 0.01 * at, 0.01 * at)))
        for at in range(3)
    ]
    found = judged(*told)
    assert found.level is Level.YELLOW
    assert found.cause.startswith("session waited for memory 50%")


def test_pressure_of_the_load_and_of_the_cpu_decides_nothing():
    busy = {"psi_memory": psi(0.9), "psi_cpu": psi(1.0), "psi_io": psi(1.0)}
    assert judged(*second(host={"psi_memory": psi(), "psi_cpu": psi(1.0)}, **busy)).level is Level.GREEN


def test_two_of_three_windows_with_a_waiting_group_are_yellow_and_one_is_not():
    def waited(*shares):
        total, story = 0.0, [reading(0.0, protected=(("session", 0.0, 0.0),))]
        for i, share in enumerate(shares, 1):
            total += share
            story.append(reading(float(i), protected=(("session", total, 0.0),)))
        return judged(*story)

    assert waited(0.06).level is Level.GREEN
    assert waited(0.06, 0.06).level is Level.YELLOW
    assert waited(0.06, 0.0, 0.06).level is Level.YELLOW
    assert waited(0.06, 0.0, 0.0, 0.06).level is Level.GREEN
    assert waited(0.05, 0.05, 0.05).level is Level.GREEN
    found = waited(0.06, 0.06)
    assert (found.kind, found.cause) == (
        Kind.STALL,
        "session waited for memory 6% of 1.0 s, over 5%; so it was in 2 of 3 windows",
    )


def test_of_two_groups_that_waited_the_one_that_waited_longer_is_named_wherever_it_stands():
    for groups in (("session", "sshd"), ("sshd", "session")):
        waits = {"session": 0.06, "sshd": 0.08}
        story = [reading(float(i), protected=tuple((g, i * waits[g], 0.0) for g in groups)) for i in range(4)]
        assert judged(*story).cause.startswith("sshd waited for memory 8% of 1.0 s")


def test_late_frames_in_two_windows_are_yellow():
    late = [reading(float(i), frames=frames(p99_ms=25.0)) for i in range(3)]
    found = judged(*late)
    assert (found.level, found.kind) == (Level.YELLOW, Kind.FRAMES)
    assert "25 ms late (p99), over 20 ms" in found.cause


def test_a_canary_that_is_silent_twice_is_red_and_one_that_exited_is_not():
    silent = frames(silent=0.6)
    assert judged(reading(0.0, frames=silent), reading(0.1, frames=silent)).level is Level.GREEN
    found = judged(reading(0.0, frames=silent), reading(0.1, frames=frames()), reading(0.9, frames=silent))
    assert (found.level, found.kind) == (Level.RED, Kind.FRAMES)
    assert judged(*(reading(i / 10, frames=None) for i in range(30))).level is Level.GREEN


def test_a_silence_is_forgotten_after_a_while():
    silent = frames(silent=0.6)
    assert judged(reading(0.0, frames=silent), reading(11.0, frames=silent)).level is Level.GREEN


def test_reclaim_in_vain_is_black_after_five_seconds():
    def scanning(seconds, stolen_share):
        story = [
            reading(t / 2, host={"scanned_pages": t * 50_000, "stolen_pages": int(t * 50_000 * stolen_share)})
            for t in range(2 * seconds + 1)
        ]
        return judged(*story)

    assert scanning(5, 0.05).level is Level.GREEN  # the first look has nothing to compare with
    found = scanning(6, 0.05)
    assert (found.level, found.kind) == (Level.BLACK, Kind.RECLAIM)
    assert scanning(8, 0.5).level is Level.GREEN


def test_a_few_pages_scanned_in_vain_are_not_worth_the_name_of_reclaim():
    few = [reading(t / 2, host={"scanned_pages": t * 4_900, "stolen_pages": 0}) for t in range(20)]
    assert judged(*few).level is Level.GREEN
    enough = [reading(t / 2, host={"scanned_pages": t * 5_000, "stolen_pages": 0}) for t in range(20)]
    assert judged(*enough).level is Level.BLACK


@pytest.mark.parametrize(
    ("changes", "io"),
    [
        ({}, True),
        ({"frames": frames(p99_ms=5.0)}, False),
        ({"io_read": 0}, False),
        ({"host": {"psi_io": psi(0.1)}}, False),
    ],
)
def test_the_disk_is_short_only_when_frames_are_late_and_the_load_uses_it(changes, io):
    given = {"host": {"psi_io": psi(0.5)}, "frames": frames(p99_ms=40.0), "io_read": 50 * MIB} | changes
    assert judged(*second(**given)).io is io


def test_a_silent_canary_is_as_late_as_can_be_for_the_disk():
    start, end = second(host={"psi_io": psi(0.5)}, frames=frames(silent=0.7), io_read=50 * MIB)
    assert judged(start._replace(frames=frames(silent=0.7)), end).io
    assert not judged(start, end).io


def test_a_counter_that_went_backwards_is_unknown_and_not_a_time_below_nothing():
    high = {"psi_memory": psi(5.0), "psi_io": psi(5.0), "scanned_pages": 500_000, "stolen_pages": 400_000}
    low = {"psi_memory": psi(1.0), "psi_io": psi(1.0), "scanned_pages": 600_000, "stolen_pages": 100}
    before = reading(0.0, host=high, protected=(("session", 5.0, 5.0),), io_read=MIB, io_write=MIB)
    past, _ = remember(Past(), before, THRESHOLDS, Usual())
    after = reading(1.0, host=low, protected=(("session", 1.0, 1.0),))
    past, signs = remember(past, after, THRESHOLDS, Usual())
    assert (signs.stall, signs.host_full, signs.io_full) == (None, None, None)
    assert (signs.read_rate, signs.write_rate, past.futile_since) == (None, None, None)


def test_a_group_that_is_new_or_was_made_anew_says_nothing_yet():
    start, _ = second()
    assert judged(start, reading(1.0, protected=(("other", 9.0, 9.0),))).level is Level.GREEN
    before = reading(0.0, protected=(("session", 5.0, 5.0),))
    assert judged(before, reading(1.0, protected=(("session", 1.0, 1.0),))).level is Level.GREEN


def test_what_cannot_be_read_fires_nothing():
    nothing = dict.fromkeys(("psi_memory", "psi_io", "psi_cpu", "scanned_pages", "stolen_pages"))
    assert judged(*second(host=nothing, protected=())).level is Level.GREEN


def test_something_known_fires_although_available_memory_is_unknown():
    stalled = second(available=None, protected=(("session", 0.5, 0.5), ("sshd", 0.0, 0.0)))
    assert judged(*stalled).level is Level.RED


def test_a_window_made_longer_by_a_late_look_asks_for_more():
    def over(seconds, full):
        start = reading(0.0, protected=(("session", 0.0, 0.0),))
        return judged(start, reading(seconds, protected=(("session", full, full),))).level

    assert over(4.0, 0.3) is Level.GREEN
    assert over(4.0, 0.4) is Level.RED


@pytest.mark.parametrize(
    ("available", "expected"),
    [(20 * GIB, 0.1), (1 * GIB + 420_000_000, 0.05), (1 * GIB, 0.01), (0, 0.01), (None, 0.1)],
)
def test_the_guard_looks_more_often_the_nearer_the_floor(available, expected):
    assert law.next_tick(reading(available=available), THRESHOLDS) == pytest.approx(expected)


def test_the_worst_fill_rate_seen_makes_it_look_more_often():
    near = reading(available=3 * GIB)
    assert law.next_tick(near, THRESHOLDS, 40e9) < law.next_tick(near, THRESHOLDS) == 0.1
    past, _ = remember(Past(), reading(0.0, 20 * GIB), THRESHOLDS, Usual())
    past, _ = remember(past, reading(0.1, 19 * GIB), THRESHOLDS, Usual())
    assert past.fill == pytest.approx(10 * GIB)


def test_what_is_missing_after_a_millisecond_is_no_fill_rate():
    past, _ = remember(Past(), reading(0.0, 20 * GIB), THRESHOLDS, Usual())
    past, _ = remember(past, reading(0.001, 19 * GIB), THRESHOLDS, Usual())
    assert past.fill == 0.0


def test_a_sleep_of_the_guard_takes_its_windows_and_not_the_worst_fill_rate():
    past, _ = remember(Past(), reading(0.0, 20 * GIB), THRESHOLDS, Usual())
    past, _ = remember(past, reading(0.1, 19 * GIB), THRESHOLDS, Usual())
    slept = restart(past, reading(60.0, 20 * GIB))
    assert (len(slept.marks), slept.windows, slept.fill) == (1, (), past.fill)


@pytest.mark.parametrize(
    ("expected", "actual", "late"),
    [(0.01, 0.9, False), (0.1, 0.9, False), (0.1, 1.1, True), (0.5, 1.1, False), (0.5, 2.6, True)],
)
def test_only_a_tick_that_missed_by_far_is_late(expected, actual, late):
    assert law.is_late_tick(expected, actual) is late


def test_a_window_is_of_few_marks_however_fast_the_guard_looks():
    past = Past()
    for i in range(1000):
        past, _ = remember(past, reading(i / 100), THRESHOLDS, Usual())
    assert len(past.marks) <= 24
