"""The canary's frames: the shared layout, and what its frames say."""

import mmap
import os
import struct

import pytest

from steadyrun.cli.canary import display_json, display_words, line_of
from steadyrun.desktop.looks import absent, present, unknown
from steadyrun.guard import canary
from steadyrun.guard.frames import Entry, FramesReader, frames_of, make_frames, nearest_rank
from steadyrun.model.desktop import ProbeName
from steadyrun.model.sample import Frames
from steadyrun.units import Seconds

PERIOD = canary.PERIOD_NS
START = 1_000_000_000_000


class Shared:
    """Frames as a canary writes them, at times that the test gives."""

    def __init__(self):
        self.fd = make_frames()
        self.map = mmap.mmap(self.fd, canary.SIZE)
        self.number = 0

    def begin(self):
        struct.pack_into("@Q", self.map, 8 * canary.W_MAGIC, canary.MAGIC)
        struct.pack_into("@Q", self.map, 8 * canary.W_PID, os.getpid())

    def write(self, end_ns, lateness=100):
        self.number += 1
        canary.write_frame(self.map, self.number, end_ns, lateness)

    def poke(self, number, word, value):
        at = canary.HEADER_WORDS + (number - 1) % canary.RING * canary.ENTRY_WORDS + word
        struct.pack_into("@Q", self.map, 8 * at, value)


@pytest.fixture
def shared():
    made = Shared()
    yield made
    made.map.close()
    os.close(made.fd)


@pytest.fixture
def reader(shared):
    made = FramesReader(shared.fd)
    yield made
    made.close()


def entries(*ends_ms, lateness_us=100, first=()):
    return tuple(Entry(START + round(ms * 1e6), lateness_us, i in first) for i, ms in enumerate(ends_ms))


def at(ms):
    return Seconds((START + ms * 1e6) / 1e9)


def test_without_a_canary_nothing_is_known(reader):
    assert reader.read(Seconds(1000), Seconds(1)) is None
    assert reader.cpu_s() is None


def test_a_canary_that_has_not_shown_a_frame_is_not_silent_but_unknown(shared, reader):
    shared.begin()
    assert reader.read(Seconds(1000), Seconds(1)) is None
    assert reader.cpu_s() == 0


def test_frames_on_time_are_counted_in_their_window(shared, reader):
    shared.begin()
    for n in range(120):
        shared.write(START + n * PERIOD)
    seen = reader.read(Seconds((START + 119 * PERIOD) / 1e9), Seconds(0.999))
    assert seen.shown == 60
    assert seen.p99_ms == 0.1
    assert seen.worst_ms == pytest.approx(0, abs=0.001)
    assert seen.silent == pytest.approx(0, abs=1e-6)


def test_the_ring_wraps_and_forgets_the_oldest(shared, reader):
    shared.begin()
    for n in range(canary.RING + 100):
        shared.write(START + n * PERIOD)
    found = reader.entries(0)
    assert len(found) == canary.RING
    assert found[0].end_ns == START + 100 * PERIOD
    assert list(found) == sorted(found)


@pytest.mark.parametrize(("word", "value"), [(0, 7), (1, START), (2, 99), (3, 0)])
def test_a_torn_entry_is_left_out(shared, reader, word, value):
    shared.begin()
    for n in range(10):
        shared.write(START + n * PERIOD)
    shared.poke(5, word, value)
    found = reader.entries(0)
    assert [e.end_ns for e in found] == [START + n * PERIOD for n in range(10) if n != 4]


def test_an_entry_about_to_be_overwritten_is_left_out(shared, reader):
    shared.begin()
    for n in range(canary.RING):
        shared.write(START + n * PERIOD)
    shared.poke(1, 0, canary.RING + 1)
    assert len(reader.entries(0)) == canary.RING - 1


def test_an_entry_overwritten_whole_while_it_is_read_is_not_taken_for_the_old_one(shared, reader):
    shared.begin()
    for n in range(canary.RING + 1):
        shared.write(START + n * PERIOD)
    struct.pack_into("@Q", shared.map, 8 * canary.W_COUNT, canary.RING)  # as a reader saw it just before
    found = reader.entries(0)
    assert len(found) == canary.RING - 1
    assert list(found) == sorted(found)


def test_an_entry_of_zeros_is_no_frame():
    assert canary.checksum(0, 0, 0) != 0


def test_a_reader_takes_the_window_and_one_frame_before_it(shared, reader):
    shared.begin()
    for n in range(100):
        shared.write(START + n * PERIOD)
    assert len(reader.entries(START + 90 * PERIOD)) == 10


def test_the_size_of_the_frames_is_sealed(shared):
    for size in (0, canary.SIZE * 2):
        with pytest.raises(PermissionError):
            os.ftruncate(shared.fd, size)


def test_a_silent_canary_shows_no_frame_and_how_long_it_is_silent():
    seen = frames_of(entries(0, 16.7), at(5016.7), Seconds(1))
    assert (seen.shown, seen.p50_ms, seen.p99_ms, seen.worst_ms) == (0, None, None, None)
    assert seen.silent == pytest.approx(5.0)


def test_a_gap_that_ends_in_the_window_is_counted_whole():
    seen = frames_of(entries(0, 3000), at(3100), Seconds(1))
    assert seen.shown == 1
    assert seen.worst_ms == pytest.approx(3000 - 16.67, abs=0.1)


def test_the_gap_before_a_restarted_canary_is_nobodys_lateness():
    seen = frames_of(entries(0, 3000, 3016.7, first={1}), at(3100), Seconds(1))
    assert seen.worst_ms == pytest.approx(0.03, abs=0.1)


def test_the_clock_of_the_reader_may_be_a_little_behind_the_last_frame():
    assert frames_of(entries(0, 16), at(15), Seconds(1)).silent == 0


@pytest.mark.parametrize(
    ("count", "percent", "rank"), [(600, 99, 594), (600, 50, 300), (60, 99, 60), (1, 99, 1), (100, 99, 99)]
)
def test_percentiles_are_by_nearest_rank(count, percent, rank):
    assert nearest_rank([float(n) for n in range(1, count + 1)], percent) == rank


def test_no_value_has_no_percentile():
    assert nearest_rank([], 99) is None


@pytest.mark.parametrize(
    ("end", "due"),
    [(0, 1), (0.999, 1), (1, 2), (1.5, 2.5), (30, 31)],
)
def test_missed_frames_are_not_caught_up(end, due):
    assert canary.next_due(START, START + round(end * PERIOD)) == pytest.approx(
        START + due * PERIOD, abs=PERIOD / 500
    )


def test_the_frames_of_a_canary_that_exited_say_nothing(shared, reader):
    child = os.posix_spawn("/bin/true", ["true"], {})
    shared.begin()
    struct.pack_into("@Q", shared.map, 8 * canary.W_PID, child)
    shared.write(START)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # a zombie: nobody has reaped it yet
    assert reader.read(Seconds(START / 1e9), Seconds(1.0)) is None
    os.waitpid(child, 0)
    assert reader.read(Seconds(START / 1e9), Seconds(1.0)) is None


def test_a_second_without_trouble_reads_as_one():
    calm = Frames(window=1.0, shown=60, p50_ms=0.1, p99_ms=0.2, worst_ms=0.0, silent=0.0)
    assert line_of(calm) == "60.0 fps   late by p50 0.1 ms, p99 0.2 ms; worst gap 0.0 ms late"


@pytest.mark.parametrize(
    ("probe", "words", "told"),
    [
        (
            present(ProbeName.DISPLAY_SERVER, identity="i", label="X :0", evidence="e", latency_ms=0.8123),
            "X :0 answers in 0.8 ms",
            {"display": "X :0", "display_seen": "present", "display_ms": 0.812},
        ),
        (
            present(ProbeName.DISPLAY_SERVER, identity="i", label="", evidence="e"),
            "display server is there",
            {"display": None, "display_seen": "present", "display_ms": None},
        ),
        (
            absent(ProbeName.DISPLAY_SERVER, "no socket"),
            "no display server (no socket)",
            {"display": None, "display_seen": "absent", "display_ms": None},
        ),
        (
            unknown(ProbeName.DISPLAY_SERVER, "X0: no answer in 1 s"),
            "display server: X0: no answer in 1 s",
            {"display": None, "display_seen": "unknown", "display_ms": None},
        ),
    ],
)
def test_a_round_trip_to_the_display_reads_as_what_came_of_it(probe, words, told):
    assert (display_words(probe), display_json(probe)) == (words, told)


def test_a_display_that_nobody_asked_for_is_not_in_the_line():
    assert display_json(None) == {}
