"""What asks a ramp to stop: heard from the first moment of its process on, and counted."""

import signal
import subprocess
import sys

import pytest

from steadyrun.guard.start import python_command
from steadyrun.ramp.stopping import BLOCKED, StopRequests, held_back

COUNTS = """
from steadyrun.ramp.stopping import StopRequests
stop = StopRequests()
print(stop.count(), stop.last_signal)
"""


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGINT, f"1 {signal.SIGINT:d}"),
        (signal.SIGTERM, f"1 {signal.SIGTERM:d}"),
        (signal.SIGHUP, "0 None"),
    ],
)
def test_what_comes_while_the_interpreter_starts_is_heard_when_it_has(number, told):
    """The signal is sent before the new process can have run a line: without the mask it would end it."""
    root = python_command("x", bare=False)[-2]
    code = f"import sys; sys.path.insert(0, {root!r}){COUNTS}"
    with held_back():
        child = subprocess.Popen([sys.executable, "-I", "-c", code], stdout=subprocess.PIPE, text=True)
    child.send_signal(number)
    out, _ = child.communicate(timeout=60)
    assert (child.returncode, out.strip()) == (0, told)


def test_who_starts_it_has_the_mask_it_had():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with held_back():
        assert set(BLOCKED) <= signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_what_a_conductor_starts_hears_everything():
    """Its loads must not inherit a mask that they did not ask for."""
    before = {number: signal.getsignal(number) for number in BLOCKED}
    try:
        with held_back():
            StopRequests()
            assert not set(BLOCKED) & signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
