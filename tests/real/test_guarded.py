"""A guarded load as the conductor has it: what asks it to stop while the inodes are written down."""

import os

import pytest

from conftest import MIB, TOKEN, bearing
from steadyrun.model.containment import BackendName
from steadyrun.model.event import Order, Released
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import Ending
from steadyrun.model.plan import Member
from steadyrun.model.thresholds import Thresholds
from steadyrun.ramp.guarded import GuardedLoad
from steadyrun.units import GIB

pytestmark = pytest.mark.real


class Asked:
    """Requests to stop, as `StopRequests` counts them."""

    def __init__(self):
        self.fd, self._write = os.pipe()
        self._count = 0

    def ask(self):
        self._count += 1
        os.write(self._write, b"!")

    def count(self):
        return self._count

    def close(self):
        os.close(self.fd)
        os.close(self._write)


@pytest.fixture
def stop():
    stop = Asked()
    yield stop
    stop.close()


def test_a_load_that_is_asked_to_stop_before_it_is_let_go_never_runs(backend_named, stop, tmp_path):
    """As when the disk that its inodes are to be on stalls, and somebody presses Ctrl-C meanwhile."""
    backend, token, mark = backend_named(BackendName.CGROUP1), os.urandom(8).hex(), tmp_path / "ran"
    plan, events = backend.plan(f"test-{token}"), []
    member = Member(("/bin/sh", "-c", f"touch {mark}; sleep 60"), "/", {"PATH": os.defpath, TOKEN: token})
    nothing = os.open(os.devnull, os.O_RDWR)
    order = Order(
        plan=plan,
        limits=Limits(memory_max=100 * MIB, tasks_max=50),
        members=(member,),
        thresholds=Thresholds(GIB, GIB // 2, GIB // 4),
        run_as=None,
        frames_fd=None,
        stdout_fd=nothing,
        stderr_fd=nothing,
    )
    load = GuardedLoad(
        order,
        stop=stop,
        guard_log=2,
        on_prepared=lambda _prepared: stop.ask(),
        on_reading=lambda _reading: None,
        on_event=events.append,
        on_turn=lambda: None,
    )
    os.close(nothing)
    guarded = load.follow()
    assert guarded.outcome.ending is Ending.STOPPED
    assert not any(isinstance(event, Released) for event in events)
    assert not mark.exists()
    assert not bearing(token)
    assert not [path for path in plan.directories if os.path.exists(path)]
