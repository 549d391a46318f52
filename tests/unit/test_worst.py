"""The fold of the worst figures: extremes, the worst second, samples that were not kept."""

from __future__ import annotations

import pytest
from evidence import RAM, frames, psi, reading

from steadyrun.guard.frames import Entry
from steadyrun.ramp.worst import WorstFold, mem_used, swap_used
from steadyrun.units import GIB, MIB, Bytes


def folded(*readings):
    fold = WorstFold()
    for one in readings:
        fold.add(one)
    return fold.result()


def test_without_a_reading_nothing_is_known():
    result = folded()
    assert result.samples == 0
    assert {value for name, value in result._asdict().items() if name not in ("samples", "dropped")} == {None}


def test_it_keeps_the_worst_of_each_figure():
    result = folded(
        reading(0, 100.0, load=Bytes(MIB), mem_available=Bytes(9 * GIB), load1=1.0, runnable=3),
        reading(1, 100.1, load=Bytes(3 * MIB), mem_available=Bytes(7 * GIB), load1=36.0, runnable=90),
        reading(2, 100.2, load=Bytes(2 * MIB), mem_available=Bytes(8 * GIB), load1=5.0, runnable=5),
    )
    assert (result.mem_available, result.mem_used) == (7 * GIB, RAM - 7 * GIB)
    assert (result.load1, result.runnable, result.load_memory) == (36.0, 90, 3 * MIB)
    assert (result.samples, result.dropped) == (3, 0)


def test_unknown_figures_neither_count_nor_hide_known_ones():
    result = folded(
        reading(0, 100.0, mem_available=None, load1=4.0),
        reading(1, 100.1, mem_available=Bytes(GIB), load1=None),
    )
    assert (result.mem_available, result.load1, result.load_memory) == (GIB, 4.0, None)


def test_frames_keep_their_worst_gap_and_silence():
    result = folded(
        reading(0, 100.0, frames=frames(20.0, 30.0, 0.3)),
        reading(1, 100.1),
        reading(2, 100.2, frames=frames(10.0, 90.0, 0.1)),
    )
    assert (result.frames_gap_ms, result.frames_silent) == (90.0, 0.3)
    assert (result.frames_p99_ms, result.frames_shown) == (None, None)


def test_the_percentile_is_of_every_frame_and_not_of_the_worst_second():
    fold = WorstFold(frames_since_ns=1_000)
    one_late = [Entry(1_000 + n, 40_000 if n in (100, 150) else 90, first=False) for n in range(301)]
    fold.add_frames(one_late)
    fold.add_frames(one_late)
    result = fold.result()
    assert result.frames_p99_ms == pytest.approx(23.4)  # 40, 40, 23.4 and 23.4 ms: three of 304 may be later
    assert result.frames_shown == 304
    assert fold.frames_until_ns == 1_300


def test_the_highest_count_of_tasks_is_that_of_the_kernel_where_it_has_one():
    one = reading()
    busy = one._replace(load=one.load._replace(tasks=3, tasks_peak=8))
    assert folded(busy).tasks == 8
    assert folded(one._replace(load=one.load._replace(tasks=3))).tasks == 3


def test_gaps_in_the_numbers_are_samples_that_were_not_kept():
    assert folded(reading(4), reading(5), reading(9), reading(9)).dropped == 3


def ticks(totals_us, every=0.1):
    return [reading(n, 100 + n * every, psi_memory=psi(t, t)) for n, t in enumerate(totals_us)]


def test_psi_is_that_of_the_worst_second_not_of_one_tick():
    # 0.5 s of stall within one second, nothing for 2 s before and after it.
    totals = [0] * 21 + [100_000, 200_000, 300_000, 400_000, 500_000] + [500_000] * 20
    result = folded(*ticks(totals))
    assert result.psi_memory_some == pytest.approx(0.5, rel=0.01)
    assert result.psi_memory_full == pytest.approx(0.5, rel=0.01)


def test_each_kind_of_pressure_has_its_own_figure():
    readings = [
        reading(
            n,
            100 + n,
            psi_memory=psi(n * 100_000, n * 200_000),
            psi_io=psi(9, n * 300_000),
            psi_cpu=psi(n * 400_000),
        )
        for n in range(3)
    ]
    result = folded(*readings)
    shares = (result.psi_memory_some, result.psi_memory_full, result.psi_io_full, result.psi_cpu_some)
    assert shares == pytest.approx((0.1, 0.2, 0.3, 0.4))


def test_a_load_shorter_than_a_second_is_judged_by_all_its_time():
    assert folded(*ticks([0, 0, 0, 100_000, 200_000])).psi_memory_some == pytest.approx(0.5)


def test_a_load_of_a_tick_has_no_pressure_to_speak_of():
    assert folded(*ticks([0, 100_000])).psi_memory_some is None


def test_pressure_that_could_not_be_read_is_unknown():
    assert folded(*(reading(n, 100 + n, psi_memory=None) for n in range(5))).psi_memory_some is None


def test_it_holds_about_a_second_however_long_the_load_runs():
    fold = WorstFold()
    for one in ticks([0] * 2000, every=0.01):
        fold.add(one)
    assert len(fold._recent) <= 103


def test_used_memory_and_swap_are_unknown_when_either_figure_is():
    host = reading(mem_total=None, swap_free=None).host
    assert (mem_used(host), swap_used(host)) == (None, None)
    host = reading(swap_total=Bytes(GIB), swap_free=Bytes(MIB)).host
    assert swap_used(host) == GIB - MIB


def test_kills_in_the_containment_are_remembered_when_it_is_gone():
    fold = WorstFold()
    for kills in (0, 2, None):
        one = reading(0, 100.0)
        fold.add(one._replace(load=one.load._replace(oom_kills=kills)))
    assert fold.load_kills == 2
