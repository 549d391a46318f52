"""`steadyrun run` while nobody reads its standard error, and without a keeper: the guard goes on guarding."""

import os
import signal
import time

import pytest
from program import has_ended

from conftest import until

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_left")]


def keeper_of(guard):
    """Return the pid of a guard's keeper, `None` when it has none now."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/cmdline") as line:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
                if int(parent) == guard and state != "Z" and "keeper.py" in line.read():
                    return int(pid)
        except OSError:
            continue
    return None


@pytest.fixture
def full_pipe():
    """A pipe without room."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(write_end, True)
    yield read_end, write_end
    for end in (read_end, write_end):
        try:
            os.close(end)
        except OSError:
            pass


def drain(read_end):
    data = b""
    while part := os.read(read_end, 65536):
        data += part
    return data.replace(b"x", b"", data.count(b"x" * 100) * 100).decode()


def test_a_standard_error_that_nobody_reads_does_not_stop_the_guard(steadyrun, full_pipe):
    read_end, write_end = full_pipe
    run = steadyrun.start(
        "run", "-q", "--timeout", "2s", "--", "sh", "-c", "echo $$; exec sleep 60", stderr=write_end
    )
    os.close(write_end)
    load = int(run.stdout.readline())
    first = until(lambda: keeper_of(run.pid))
    os.kill(first, signal.SIGKILL)  # something to tell, and nowhere to write it
    assert until(lambda: keeper_of(run.pid) not in (None, first), 10)
    assert until(lambda: has_ended(load), 15), "its wall time was not enforced"
    time.sleep(0.3)
    assert run.poll() is None, "it did not wait for its reader at the end"
    told = drain(read_end)
    assert run.wait(10) == 124
    lines = [line[line.index("steadyrun: ") :] for line in told.splitlines() if "steadyrun: " in line]
    assert [("keeper died" in line, "wall time" in line) for line in lines] == [(True, False), (False, True)]
