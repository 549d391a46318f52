"""Words of judgement come from thresholds, and unknown figures earn none."""

import pytest

from steadyrun.report import words
from steadyrun.report.figures import chain, load, load_size, memory_size, millis, share
from steadyrun.units import GIB, MIB


@pytest.mark.parametrize(
    ("before", "peak", "after", "word"),
    [
        (3.10, 3.12, 3.10, "minimal change"),
        (3.10, 3.12, 3.01, "minimal change, lower afterwards than before"),
        (3.10, 4.11, 4.0, "moderate increase"),
        (3.10, 4.10, 4.0, "minimal change"),
        (3.10, 20.0, 9.0, "heavy load"),
        (1.79, 36.01, 34.0, "extreme load"),
        (36.0, 36.4, 34.0, "as busy as before"),
        (35.0, 39.0, 34.0, "extreme load"),
        (None, 36.0, 1.0, ""),
        (1.0, None, 1.0, ""),
    ],
)
def test_the_word_for_a_load(before, peak, after, word):
    assert words.load_word(before, peak, after, 20) == word


@pytest.mark.parametrize(
    ("before", "after", "lowest", "word"),
    [
        (21 * GIB, 21 * GIB, 21 * GIB, "stable"),
        (21 * GIB, 21 * GIB, 19 * GIB, "recovered"),
        (21 * GIB, 19 * GIB, 18 * GIB, "2 GiB less than before"),
        (None, 19 * GIB, 18 * GIB, ""),
    ],
)
def test_the_word_for_memory(before, after, lowest, word):
    assert words.memory_word(before, after, lowest, 23 * GIB) == word


@pytest.mark.parametrize(
    ("gap", "word"), [(33.0, "smooth"), (34.0, "a short hitch"), (251.0, "a person feels this"), (None, "")]
)
def test_the_word_for_frames(gap, word):
    assert words.frames_word(gap) == word


@pytest.mark.parametrize(("took", "word"), [(2.0, "immediate"), (2.1, "quick"), (10.1, "slow"), (None, "")])
def test_the_word_for_a_recovery(took, word):
    assert words.recovery_word(took) == word


def test_unknown_is_said_and_never_zero():
    assert (load(None), share(None), millis(float("nan")), memory_size(None)) == ("unknown",) * 4
    assert chain(load, None, None) == "unknown"
    assert chain(load, 1.0, None) == "1.00 → unknown"


def test_sizes_are_shown_as_the_plan_wrote_them():
    assert (load_size(500 * 10**6), load_size(10**9), load_size(512 * MIB)) == ("500 MB", "1 GB", "512 MiB")
    assert (memory_size(2000 * MIB), memory_size(4 * GIB), memory_size(488 * MIB)) == (
        "2000 MiB",
        "4 GiB",
        "488 MiB",
    )
