"""Phase 0: medians, what is too unwell to begin on; and when the machine has recovered."""

from __future__ import annotations

import pytest
from evidence import RAM, RESERVE, baseline, frames, host, observation, probe, psi, view

from steadyrun.model.desktop import ProbeName, Seen
from steadyrun.model.thresholds import Thresholds
from steadyrun.model.verdict import Answer
from steadyrun.ramp.baseline import judge_baseline, summarise
from steadyrun.ramp.recovery import recovered, still_missing
from steadyrun.units import GIB, MIB, Bytes, Cores, Ratio

FIRST = Bytes(500 * MIB)


def judged(*, yields=True, **changes):
    return judge_baseline(baseline(**changes), reserve=RESERVE, first_limit=FIRST, yields=yields)


def test_a_baseline_holds_the_medians_of_its_samples():
    samples = [
        host(100.0 + n, load1=load, mem_available=Bytes(gib * GIB), processes=count)
        for n, (load, gib, count) in enumerate([(1.0, 9, 300), (9.0, 1, 999), (2.0, 8, 301)])
    ]
    made = summarise(
        samples, frames(), view(), uptime=60.0, disk_free=GIB, on_battery=False, canary_cpu=0.01, cpu_idle=1.9
    )
    assert made.cpu_idle == 1.9
    assert (made.load1, made.mem_available, made.processes, made.samples) == (2.0, 8 * GIB, 301, 3)
    assert (made.mem_used, made.swap_used) == (RAM - 8 * GIB, 0)
    assert (made.started_wall, made.ended_wall) == (1_000_100.0, 1_000_102.0)
    assert (made.uptime, made.disk_free, made.on_battery, made.canary_cpu) == (60.0, GIB, False, 0.01)
    assert (made.healthy, made.checks) == (Answer.UNKNOWN, ())


def test_pressure_is_taken_over_the_whole_of_the_baseline():
    first = host(100.0, psi_memory=psi(0), psi_io=psi(0, 0))
    last = host(110.0, psi_memory=psi(1_000_000), psi_io=psi(3_000_000, 2_000_000))
    made = summarise([first, host(105.0), last], None, view())
    assert (made.psi_memory_some, made.psi_io_some, made.psi_io_full) == pytest.approx((0.1, 0.3, 0.2))


def test_figures_that_were_never_read_stay_unknown():
    made = summarise([host(mem_available=None, processes=None, load1=None)], None, view())
    assert (made.mem_available, made.mem_used, made.processes, made.load1) == (None, None, None, None)
    assert made.psi_memory_some is None


def test_a_sample_that_lacks_a_figure_does_not_hide_the_others():
    assert summarise([host(100.0), host(101.0, processes=None)], None, view()).processes == 300


def test_a_machine_that_is_well_may_be_ramped_on():
    health = judged()
    assert (health.answer, health.findings) == (Answer.YES, ())


LEAST = Bytes(RESERVE.reserve + FIRST)
TABLE = [
    ("available memory", {"mem_available": LEAST}, Answer.YES),
    ("available memory", {"mem_available": Bytes(LEAST - 1)}, Answer.NO),
    ("available memory", {"mem_available": None}, Answer.UNKNOWN),
    ("memory PSI some", {"psi_memory_some": Ratio(0.10)}, Answer.YES),
    ("memory PSI some", {"psi_memory_some": Ratio(0.11)}, Answer.NO),
    ("memory PSI some", {"psi_memory_some": None}, Answer.NOT_APPLICABLE),
    ("idle CPU time", {"cpu_idle": Cores(0.1)}, Answer.YES),
    ("idle CPU time", {"cpu_idle": Cores(0.09)}, Answer.NO),
    ("idle CPU time", {"cpu_idle": None}, Answer.UNKNOWN),
    ("idle CPU time", {"cpu_idle": Cores(0.0), "yields": False}, Answer.NOT_APPLICABLE),
    ("idle CPU time", {"cpu_idle": None, "yields": False}, Answer.NOT_APPLICABLE),
    ("canary p99", {"frames": frames(p99=33.0)}, Answer.YES),
    ("canary p99", {"frames": frames(p99=33.1)}, Answer.NO),
    ("canary p99", {"frames": frames(p99=None)}, Answer.UNKNOWN),
    ("canary p99", {"frames": None}, Answer.UNKNOWN),
    ("free disk", {"disk_free": Bytes(GIB)}, Answer.YES),
    ("free disk", {"disk_free": Bytes(GIB - 1)}, Answer.NO),
    ("free disk", {"disk_free": None}, Answer.UNKNOWN),
    ("mains power", {"on_battery": True}, Answer.NO),
    ("mains power", {"on_battery": None}, Answer.NOT_APPLICABLE),
    (
        "session can be watched",
        {"desktop": view(SSH=probe(ProbeName.SSH, Seen.UNKNOWN, None))},
        Answer.UNKNOWN,
    ),
    ("session can be watched", {"desktop": view(SSH=probe(ProbeName.SSH, Seen.ABSENT, None))}, Answer.YES),
]


@pytest.mark.parametrize(("name", "changes", "expected"), TABLE)
def test_the_baseline_is_refused_for_what_it_shows(name, changes, expected):
    health = judged(**changes)
    assert next(c for c in health.checks if c.name == name).answer is expected
    neutral = expected in (Answer.YES, Answer.NOT_APPLICABLE)
    assert health.answer is (Answer.YES if neutral else expected)
    assert [f.remedy != "" for f in health.findings] == ([] if neutral else [True])


def test_a_refusal_says_what_was_found_and_what_was_expected():
    finding = judged(mem_available=Bytes(2 * GIB)).findings[0]
    assert finding.code == "baseline-available-memory"
    assert finding.evidence == "2 GiB; expected at least 2.9 GiB: the reserve and phase 1"
    busy = judged(cpu_idle=Cores(0.02)).findings[0]
    assert (busy.code, busy.evidence.partition(";")[0]) == ("baseline-idle-cpu-time", "0.02 cores")
    assert "stop what keeps the cores busy" in busy.remedy


# -- recovery ----------------------------------------------------------------------------------------

EARLIER = host(108.0)


SHOWN = frames()


def now(at=109.0, *, shown=SHOWN, **changes):
    return observation(host=host(at, **changes), frames=shown)


def missing(seen, *, base=None, ram=RAM, earlier=EARLIER, guard=None):
    thresholds = Thresholds.of(RESERVE, guard)
    return still_missing(
        base or baseline(), observation(), seen, earlier=earlier, effective_ram=ram, thresholds=thresholds
    )


def has_recovered(seen):
    given = {"earlier": EARLIER, "effective_ram": RAM, "thresholds": Thresholds.of(RESERVE)}
    return recovered(baseline(), observation(), seen, **given)


def test_a_machine_that_is_as_before_has_recovered():
    assert missing(now()) == ()
    assert has_recovered(now())


def test_a_machine_that_is_not_as_before_has_not_recovered():
    low = now(mem_available=Bytes(GIB))
    assert not has_recovered(low)


NEAR = Bytes(20 * GIB - RAM // 20)
SMALL = Bytes(2 * GIB)

RECOVERY = [
    (now(mem_available=Bytes(NEAR + 1)), {}, None),
    (now(mem_available=Bytes(NEAR - 1)), {}, "available memory is"),
    (now(mem_available=Bytes(20 * GIB - 256 * MIB)), {"ram": SMALL}, None),
    (now(mem_available=Bytes(20 * GIB - 256 * MIB - 1)), {"ram": SMALL}, "available memory is"),
    (now(mem_available=None), {}, "available memory could not be read"),
    (now(psi_memory=psi(50_000)), {}, None),
    (now(psi_memory=psi(60_000)), {}, "memory PSI some is 6%, to come back to 5%"),
    (now(psi_memory=psi(60_000)), {"base": baseline(psi_memory_some=Ratio(0.02))}, None),
    (now(psi_memory=psi(60_000)), {"guard": {"protected_some": 0.1}}, None),
    (
        now(psi_memory=psi(60_000)),
        {"base": baseline(psi_memory_some=Ratio(0.02)), "guard": {"usual_factor": 1.0}},
        "to come back to 5%",
    ),
    (
        now(shown=frames(p99=21.0)),
        {"base": baseline(frames=frames(p99=1.0)), "guard": {"frames_late": 0.04}},
        None,
    ),
    (now(psi_memory=None), {}, "memory pressure could not be read"),
    (now(psi_memory=None), {"base": baseline(psi_memory_some=None)}, None),
    (now(108.0), {}, "memory pressure could not be read"),
    (now(shown=frames(p99=34.0)), {}, None),
    (now(shown=frames(p99=35.0)), {}, "frames are 35 ms late, to come back to 34 ms"),
    (now(shown=frames(p99=20.0)), {"base": baseline(frames=frames(p99=1.0))}, None),
    (now(shown=frames(p99=21.0)), {"base": baseline(frames=frames(p99=1.0))}, "frames are 21 ms late"),
    (now(shown=None), {}, "the canary shows no frames"),
    (now(shown=frames(p99=None)), {}, "the canary shows no frames"),
    (now(shown=None), {"base": baseline(frames=None)}, None),
]


@pytest.mark.parametrize(("seen", "given", "reason"), RECOVERY)
def test_recovery_waits_for_memory_pressure_and_frames_near_what_they_were(seen, given, reason):
    found = missing(seen, **given)
    assert len(found) == (0 if reason is None else 1)
    assert reason is None or reason in found[0]
