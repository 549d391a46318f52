"""Waiting for the machine after a load: too slow is one thing, nobody waited is another."""

from types import SimpleNamespace

import pytest
from evidence import RESERVE, evidence, host, observation

from steadyrun.ramp import attempt
from steadyrun.ramp.attempt import AttemptRunner, Recovery
from steadyrun.ramp.judge import observe
from steadyrun.report.judged import recovery_words


class Stop:
    def __init__(self, asked):
        self.asked = asked

    def wait(self, seconds):
        return self.asked > 0

    def count(self):
        return self.asked


class Machine:
    """A machine that never comes back."""

    frames = None

    def sample(self):
        return host()

    def glance(self, like):
        return observation(host=host(mem_available=0))


def waited(asked):
    care = SimpleNamespace(restart_if_dead=lambda: None)
    setting = SimpleNamespace(
        baseline=SimpleNamespace(psi_memory_some=None, frames=None),
        effective_ram=1 << 34,
        reserve=RESERVE,
        order=SimpleNamespace(guard=None),
    )
    runner = AttemptRunner(setting, None, None, Machine(), Stop(asked), care)
    return runner._recover(observation(), attempt.time.monotonic())


def test_a_second_stop_ends_the_wait_and_says_that_nobody_waited():
    assert waited(2) == Recovery(None, awaited=False)


@pytest.mark.parametrize("asked", [0, 1])
def test_a_machine_that_does_not_come_back_was_waited_for(asked, monkeypatch):
    monkeypatch.setattr(attempt, "RECOVERY_LIMIT", 0.05)
    assert waited(asked) == Recovery(None, awaited=True)


def test_what_was_not_waited_for_is_not_called_slow():
    seen = evidence(recovery=None, recovery_awaited=False)
    assert recovery_words(seen) == "unknown: a second stop ended the wait"
    assert "nobody waited" in observe(seen, SimpleNamespace(memory_max=None))
