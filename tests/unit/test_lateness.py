"""One percentile out of all frames of a phase, with the frames that were never shown counted in."""

import pytest

from steadyrun.guard.frames import Entry
from steadyrun.ramp.lateness import PERIOD_US, LatenessFold


def folded(*lateness_us, first=()):
    fold = LatenessFold()
    fold.add(Entry(n, late, n in first) for n, late in enumerate(lateness_us, 1))
    return fold


def test_no_frame_and_a_single_one_are_no_percentile():
    assert folded().p99_ms() is None
    assert folded(70_000, first={1}).p99_ms() is None


@pytest.mark.parametrize(
    ("smooth", "late", "p99"),
    [
        (59, 1, 0.1),  # one late frame of 60: the latest alone says nothing
        (58, 2, 16.1),
        (990, 10, 0.1),  # a hundredth may be late
        (989, 11, 16.1),
        (0, 2, 16.1),
    ],
)
def test_a_hundredth_of_the_frames_or_one_may_be_later(smooth, late, p99):
    assert folded(*[50] * smooth, *[16_000] * late).p99_ms() == pytest.approx(p99)


def test_a_stall_counts_the_frames_that_it_hid():
    fold = folded(*[0] * 10, 5 * PERIOD_US + 100)
    assert fold.frames == 10 + 6
    # 83.4, 66.8, 50.1, 33.4, 16.8 and 0.1 ms late: all but the latest keep within the second of them.
    assert fold.p99_ms() == pytest.approx(66.8, abs=0.1)


def test_the_first_frame_of_a_new_canary_hid_none():
    assert folded(0, 5 * PERIOD_US, 0, first={2}).frames == 3


def test_a_frame_given_twice_is_counted_once_and_old_ones_are_left_out():
    fold = LatenessFold(since_ns=10)
    fold.add((Entry(10, 0, False), Entry(11, 0, False), Entry(12, 0, False)))
    fold.add((Entry(12, 0, False), Entry(13, 0, False)))
    assert (fold.frames, fold.last_ns) == (3, 13)


def test_portions_do_not_change_the_figure():
    entries = [Entry(n, n * 37 % 5000, False) for n in range(1, 500)]
    whole, parts = LatenessFold(), LatenessFold()
    whole.add(entries)
    for begin in range(0, 500, 7):
        parts.add(entries[max(0, begin - 1) : begin + 7])
    assert (whole.p99_ms(), whole.frames) == (parts.p99_ms(), parts.frames)
