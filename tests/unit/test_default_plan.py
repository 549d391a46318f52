"""The default plan: the reference's five phases, and what becomes of them on a small machine."""

from __future__ import annotations

import itertools
import math

import pytest

from steadyrun.errors import CannotContainError
from steadyrun.model.machine import reserve_of
from steadyrun.model.plan import LoadKind, LoadSpec
from steadyrun.ramp.default_plan import (
    HOG_OVERHEAD,
    STORM_OVERHEAD,
    STORM_PROCESSES,
    default_plan,
    fit_load,
    phase_limits,
)
from steadyrun.ramp.plancheck import check_plan
from steadyrun.units import GIB, MIB, Bytes

RAMS_MIB = (512, 600, 700, 1000, 1024, 1500, 2048, 3000, 4096, 6000, 8192, 9200, 16384, 23 * 1024, 512 * 1024)


def plan_for(ram_mib, argv=()):
    ram = Bytes(ram_mib * MIB)
    return default_plan(effective_ram=ram, reserve=reserve_of(ram), argv=argv, problem="p", goal="g", tries=3)


def test_the_phases_are_those_of_the_reference():
    plan = plan_for(23 * 1024)
    loads = [(p.load.kind, p.load.processes, p.load.memory) for p in plan.phases]
    assert loads == [
        (LoadKind.HOG, 1, 500 * 10**6),
        (LoadKind.HOG, 1, 10**9),
        (LoadKind.HOG, 4, 500 * 10**6),
        (LoadKind.HOG, 8, 500 * 10**6),
        (LoadKind.STORM, STORM_PROCESSES, 6 * 10**9),
    ]
    assert [p.limits.memory_max for p in plan.phases] == [m * MIB for m in (500, 1000, 2000, 4000, 8000)]
    assert [p.load.hold for p in plan.phases] == [3, 3, 3, 3, 30]
    assert [p.limits.wall_time for p in plan.phases] == [60, 60, 60, 60, 120]
    assert {p.scaled for p in plan.phases} == {None}
    assert (plan.problem, plan.goal, plan.tries, plan.baseline) == ("p", "g", 3, 10)


def test_every_phase_keeps_out_of_swap_yields_the_cpu_and_cannot_fork_without_end():
    for phase in plan_for(23 * 1024).phases:
        limits = phase.limits
        assert (limits.swap_max, limits.cpu_weight, limits.cpu_max, limits.memory_high) == (0, 1, None, None)
        assert (limits.tasks_max, limits.output_max) == (4096, 64 * MIB)


def test_the_words_are_those_of_the_reference():
    plan = plan_for(23 * 1024, ("python3", "chat.py", "--test"))
    headings = [f"Phase {p.number}: {p.name} ({p.summary})" for p in plan.phases]
    assert headings == [
        "Phase 1: Ultra-Conservative (Single Process, 500MB)",
        "Phase 2: Conservative (Single Process, 1GB)",
        "Phase 3: Moderate (4 Processes, 2GB total)",
        "Phase 4: Progressive (8 Processes, 4GB total)",
        "Phase 5: Advanced (Original Test with Limits)",
    ]
    assert plan.phases[0].method == "Single python process, 500MB limit"
    assert plan.phases[3].method == "8 parallel processes, 500MB each"
    assert plan.phases[3].expected == "May see load but should stay stable"
    assert plan.phases[4].method == "python3 chat.py --test with conservative limits"


def test_the_command_takes_the_place_of_the_storm_without_a_wall_time():
    last = plan_for(23 * 1024, ("pytest", "-n", "8")).phases[-1]
    assert last.load == LoadSpec(LoadKind.COMMAND, argv=("pytest", "-n", "8"))
    assert last.limits.wall_time is None


@pytest.mark.parametrize("ram_mib", RAMS_MIB)
def test_on_every_machine_the_limits_increase_and_fit_and_hold_their_hogs(ram_mib):
    ram = Bytes(ram_mib * MIB)
    plan = plan_for(ram_mib)
    limits = [p.limits.memory_max for p in plan.phases]
    assert all(low < high for low, high in itertools.pairwise(limits))
    assert limits[-1] <= ram - reserve_of(ram).reserve
    check_plan(plan, effective_ram=ram, reserve=reserve_of(ram))
    for phase in plan.phases[:-1]:
        needed = phase.load.processes * (phase.load.memory + HOG_OVERHEAD)
        assert needed <= phase.limits.memory_max
    assert [p.load.processes for p in plan.phases] == [1, 1, 4, 8, STORM_PROCESSES]
    assert plan.phases[-1].load.memory <= plan.phases[-1].limits.memory_max * 6e9 / (8000 * MIB)


def test_a_scaled_phase_says_from_what_to_what_and_why_and_its_words_are_true():
    phase = plan_for(4096).phases[3]
    assert phase.scaled.startswith("scaled from 4000 MiB to 2478 MiB: loads get effective RAM 4 GiB less")
    assert phase.method == f"8 parallel processes, {phase.load.memory / 10**6:.0f}MB each"
    assert "4GB" not in phase.summary


def test_what_others_use_no_load_is_promised():
    ram, available = Bytes(2048 * MIB), Bytes(1500 * MIB)
    reserve = reserve_of(ram)
    plan = default_plan(effective_ram=ram, reserve=reserve, available=available)
    most = plan.phases[-1].limits.memory_max
    assert (available - reserve.reserve) * 0.9 < most < available - reserve.reserve
    assert "loads get 1500 MiB that others leave less the reserve 683 MiB" in plan.phases[-1].scaled


def test_a_machine_that_has_nothing_left_is_told_by_its_baseline_not_by_the_plan():
    ram = Bytes(8 * GIB)
    plan = default_plan(effective_ram=ram, reserve=reserve_of(ram), available=Bytes(0))
    check_plan(plan, effective_ram=ram, reserve=reserve_of(ram))


def test_what_fits_is_not_scaled():
    assert [p.scaled is None for p in plan_for(8192).phases] == [True, True, True, True, False]


def test_a_phase_that_would_leave_no_room_for_the_next_is_spread():
    assert phase_limits(Bytes(2001 * MIB))[1] == 1000 * MIB
    assert phase_limits(Bytes(2001 * MIB))[2] < 1500 * MIB


def test_a_machine_too_small_for_any_ramp_is_refused():
    with pytest.raises(CannotContainError, match="expected at least 512 MiB for a ramp, found 511 MiB"):
        plan_for(511)


def test_a_command_is_never_scaled():
    load = LoadSpec(LoadKind.COMMAND, argv=("make",))
    assert fit_load(load, Bytes(MIB)) == load


def test_a_storm_leaves_room_for_its_processes():
    storm = LoadSpec(LoadKind.STORM, STORM_PROCESSES, Bytes(6 * 10**9))
    assert fit_load(storm, Bytes(400 * MIB)).memory == 400 * MIB - STORM_OVERHEAD
    assert fit_load(storm, Bytes(100 * MIB)).memory == MIB


def test_the_storm_brings_the_load_average_past_that_of_the_reference():
    # 6 steps of 5 s: load = n * (1 - exp(-5/60) ** 6), include/linux/sched/loadavg.h
    assert STORM_PROCESSES * (1 - math.exp(-30 / 60)) > 36


def test_a_load_that_fits_stays_as_it_is():
    load = LoadSpec(LoadKind.HOG, 2, Bytes(100 * MIB))
    assert fit_load(load, Bytes(GIB)) == load
    assert fit_load(load, Bytes(100 * MIB)).memory == 36 * MIB
