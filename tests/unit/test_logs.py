"""What a load writes is always read, kept up to its cap, and never stops the load."""

import os
import resource
from contextlib import contextmanager

import pytest

from steadyrun.ramp.logs import TAIL_BYTES, LogPump

ENDS_WITHIN = 20.0


@pytest.fixture
def pump(tmp_path):
    """Pump into a file of the test's; returns (pump, write end, path)."""
    open_fds = []

    def make(most=1 << 30, path=tmp_path / "log"):
        read_end, write_end = os.pipe()
        open_fds.append(write_end)
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        return LogPump(read_end, file, most=most), write_end, path

    yield make
    for fd in open_fds:
        try:
            os.close(fd)
        except OSError:
            pass


def end(pump, write_end):
    os.close(write_end)
    assert pump.finish(ENDS_WITHIN)


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data) :]


def test_everything_is_kept_below_the_cap(pump):
    made, fd, path = pump()
    write_all(fd, b"one\ntwo\n")
    end(made, fd)
    assert path.read_bytes() == b"one\ntwo\n"
    assert (made.total, made.kept, made.dropped, made.trouble) == (8, 8, 0, None)
    assert made.tail() == "one\ntwo\n"


def test_the_cap_holds_to_the_byte_and_the_rest_is_read_and_counted(pump):
    made, fd, path = pump(most=100_001)
    write_all(fd, bytes(range(256)) * 4000)
    end(made, fd)
    assert path.read_bytes() == (bytes(range(256)) * 4000)[:100_001]
    assert (made.total, made.kept, made.dropped) == (1_024_000, 100_001, 923_999)


def test_the_tail_is_the_end_of_all_that_came_also_of_what_was_dropped(pump):
    made, fd, _ = pump(most=10)
    write_all(fd, b"a" * TAIL_BYTES + b"the end\xff\n")
    end(made, fd)
    tail = made.tail()
    assert tail.endswith("athe end\N{REPLACEMENT CHARACTER}\n")
    assert len(tail) == TAIL_BYTES


def test_a_full_disk_does_not_stop_the_load_and_is_told(pump):
    made, fd, _ = pump(path="/dev/full")
    write_all(fd, b"x" * 1_000_000)
    end(made, fd)
    assert made.trouble == "No space left on device"
    assert (made.total, made.kept) == (1_000_000, 0)


@contextmanager
def files_end_at(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_a_part_of_the_last_write_is_told_too(pump):
    """A write may be cut short before the one that fails (write(2), ERRORS)."""
    with files_end_at(1000):
        made, fd, path = pump()
        write_all(fd, b"x" * 1500)
        end(made, fd)
    assert path.stat().st_size == made.kept == 1000
    assert made.trouble == "File too large"


def test_somebody_who_still_holds_the_pipe_is_not_waited_for(pump):
    made, _, _ = pump()
    assert not made.finish(0.0)


def test_the_file_is_given_back(pump):
    made, fd, path = pump()
    held = [each for each in os.listdir("/proc/self/fd") if leads_to(each) == str(path)]
    assert len(held) == 1
    end(made, fd)
    assert leads_to(held[0]) != str(path)


def leads_to(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return None
