"""What a load waits for: others at an ordinary weight, or its own quota; what a baseline sees of others."""

import os
import time

import pytest
from evidence import outcome

from steadyrun.kernel.reader import cpu_times
from steadyrun.model.containment import BackendName
from steadyrun.model.limits import CPU_WEIGHT_DEFAULT, CPU_WEIGHT_LOWEST
from steadyrun.model.outcome import Ending
from steadyrun.model.rates import idle_cores
from steadyrun.model.validity import cpu_share, is_starved
from steadyrun.ramp.baseline import CPU_IDLE_LEAST
from steadyrun.units import Seconds

pytestmark = pytest.mark.real
BUSY = "while True: pass"
SECONDS = 12.0
"""Half of it is what a starved load has waited at the least. The totals of a pressure file are up to 2 s old
(psi_show in kernel/sched/psi.c, PSI_FREQ), and at the lowest weight a load also takes seconds to start."""


@pytest.fixture
def others(hold, backend_named):
    """A busy loop for each core, at the weight of an ordinary program."""
    held = hold(backend_named(BackendName.CGROUP1))
    held.apply(cpu_weight=CPU_WEIGHT_DEFAULT)
    for _ in os.sched_getaffinity(0):
        held.python(BUSY)
    return held


def watched(held):
    """Let it run for a while; return its end at a wall time; skip where there is no PSI of a cgroup."""
    time.sleep(SECONDS)
    seen = held.sample()
    if seen.psi_cpu is None:
        pytest.skip("this kernel gives no cpu.pressure of a cgroup")
    return outcome(
        Ending.WALL_TIME,
        wall=Seconds(SECONDS),
        cpu=Seconds(seen.cpu_time / 1e6),
        psi_cpu_some=Seconds(seen.psi_cpu.some_total / 1e6),
        last=seen,
    )


def test_a_load_at_the_lowest_weight_beside_busy_cores_is_starved(contained, others):
    contained.apply(cpu_weight=CPU_WEIGHT_LOWEST)
    contained.python(BUSY)
    assert others.containment.pids()
    end = watched(contained)
    assert is_starved(end), cpu_share(end)


def test_a_load_that_its_own_quota_holds_back_is_not_starved(contained):
    contained.apply(cpu_max=0.05)
    contained.python(BUSY)
    end = watched(contained)
    assert end.cpu / SECONDS < 0.1
    assert end.psi_cpu_some / SECONDS > 0.5, "PSI counts it as waiting"
    assert not is_starved(end), cpu_share(end)


def test_a_baseline_beside_busy_cores_sees_none_idle(others):
    assert others.containment.pids()
    before = cpu_times()
    time.sleep(1.0)
    assert idle_cores(before, cpu_times()) < CPU_IDLE_LEAST
