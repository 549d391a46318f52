"""The guard's grip on a real load in real cgroups: quota, freeze, thaw and kill, with their records."""

import os

import pytest
from readings import frames

from conftest import until
from steadyrun.guard.hold import Streams, prepare
from steadyrun.guard.loop import Loop
from steadyrun.guard.rules import rules_of
from steadyrun.model.containment import Capability
from steadyrun.model.event import Acted
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import Ending
from steadyrun.model.plan import Member
from steadyrun.model.sample import ProtectedSample
from steadyrun.model.thresholds import Thresholds

pytestmark = pytest.mark.real

MIB, GIB = 2**20, 2**30
CALM = Thresholds(0, 0, 0, loosen_after=1.0, clean=0.5)
BUSY = "while :; do :; done"


class Guarded:
    """A busy load under the real loop, whose readings a test changes."""

    def __init__(self, backend, thresholds=CALM, wall_time=None):
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.limits = Limits(memory_max=200 * MIB, tasks_max=20, cpu_weight=100, wall_time=wall_time)
        self.hold = prepare(
            backend, backend.plan(f"test-{os.urandom(6).hex()}"), self.limits,
            (Member(("/bin/sh", "-c", BUSY), "/", {"PATH": os.defpath}),),
            Streams(nothing, nothing, nothing), run_as=None, new_session=True,
        )  # fmt: skip
        os.close(nothing)
        rules = rules_of(
            thresholds, self.limits, 1, self.hold.readback, capabilities=self.hold.capabilities, cores=2
        )
        self.events = []
        self.loop = Loop(self.hold, rules, self.events.append)
        self._real, self.change = self.loop._read, lambda reading: reading
        self.loop._read = lambda now: self.change(self._real(now))
        self.began = self.loop.now()

    def since(self):
        return self.loop.now() - self.began

    def run(self, each_turn):
        with self.hold:
            self.loop.release()
            return self.loop.run(each_turn)

    def acts(self):
        return [event for event in self.events if isinstance(event, Acted)]

    def quota(self):
        """The quota in force, in cores, read where the kernel has it: the least of what it is in."""
        found = []
        for directory in self.hold.containment.made.plan.directories:
            for quota, period in (("cpu.cfs_quota_us", "cpu.cfs_period_us"), ("cpu.max", "cpu.max")):
                try:
                    with open(f"{directory}/{quota}") as file:
                        most = file.read().split()[0]
                    with open(f"{directory}/{period}") as file:
                        per = file.read().split()[-1]
                except OSError:
                    continue
                if most not in ("max", "-1"):
                    found.append(int(most) / int(per))
        return min(found, default=None)


@pytest.fixture(params=["systemd", "cgroup2", "cgroup1"])
def guarded(request, every_backend):
    backend = every_backend(request.param)
    if Capability.CPU_MAX not in backend.capabilities:
        pytest.skip("its CPU controller cannot be used here")
    made = []

    def make(**options):
        made.append(Guarded(backend, **options))
        return made[-1]

    yield make
    for each in made:
        each.hold.end_at_once()


def test_late_frames_take_the_cores_by_halves_and_calm_ones_give_them_back(guarded):
    held = guarded(wall_time=12.0)
    seen, used = set(), []

    def late(reading):
        used.append((reading.host.at, reading.load.cpu_time))
        return reading._replace(frames=frames(p99_ms=30.0 if held.since() < 4.5 else 0.3))

    held.change = late
    outcome = held.run(lambda: seen.add(held.quota()))
    assert outcome.ending is Ending.WALL_TIME
    assert seen == {None, 1.0, 0.5, 0.25}
    steps = [a for a in held.acts() if a.action.value in ("tighten", "loosen")]
    assert [a.action.value for a in steps] == ["tighten"] * 3 + ["loosen"] * 3
    assert all(a.confirmed for a in steps)
    assert "30 ms late" in steps[0].cause
    assert "1 of 2 cores" in steps[0].cause
    # The quota is real: on an idle machine the loop would have had a whole core.
    least = [(at, cpu) for at, cpu in used if steps[2].at + 0.5 < at < steps[3].at - 0.2]
    (t0, cpu0), (t1, cpu1) = least[0], least[-1]
    assert t1 - t0 > 1.0
    assert (cpu1 - cpu0) / 1e6 <= 0.25 * (t1 - t0) + 0.05


def test_a_session_that_waits_freezes_the_load_and_when_it_does_not_any_more_thaws_it_tightly(guarded):
    held = guarded(wall_time=6.0)
    total = [0]
    seen = []

    def stalls(reading):
        total[0] += 50_000 if 1.0 < held.since() < 1.5 else 0
        return reading._replace(protected=(ProtectedSample("session", total[0], total[0]),))

    def turn():
        seen.append((held.hold.containment.is_frozen(), held.quota()))

    held.change = stalls
    outcome = held.run(turn)
    assert outcome.ending is Ending.WALL_TIME
    acts = sorted(held.acts(), key=lambda act: act.at)
    assert [a.action.value for a in acts[:3]] == ["freeze", "tighten", "thaw"]
    assert "all of session waited for memory" in acts[0].cause
    assert (True, 0.25) in seen
    assert seen[-1][0] is not True
    assert 0.5 < outcome.frozen < 5.0
    assert acts[0].confirmed
    assert acts[1].confirmed


def test_a_session_that_waits_on_although_the_load_is_frozen_is_worth_a_kill(guarded):
    held = guarded(wall_time=30.0)
    total = [0]

    def stalls(reading):
        total[0] = int(1e6 * held.since() / 2)
        return reading._replace(protected=(ProtectedSample("session", total[0], total[0]),))

    held.change = stalls
    outcome = held.run(lambda: None)
    assert outcome.ending is Ending.HOST_PRESSURE
    assert "still all of session waited for memory" in outcome.cause
    assert (outcome.survivors, outcome.removed) == (0, True)
    assert until(lambda: not any(map(os.path.exists, held.hold.containment.made.plan.directories)))


def test_a_load_frozen_at_a_peak_runs_on_trial_under_the_quota_until_it_has_come_down(guarded):
    held = guarded(thresholds=CALM._replace(reserve=2 * GIB, floor=GIB, black=GIB // 2), wall_time=5.0)
    worked, began = [], []

    def comes_down_by_running(reading):
        frozen = reading.load.frozen
        if frozen and not began:
            began.append(reading.load.cpu_time)
        done = began and reading.load.cpu_time - began[0] > 300_000
        if began and not frozen and not done:
            worked.append((reading.host.at, reading.load.cpu_time))
        return reading._replace(host=reading.host._replace(mem_available=(3 if done else 0.9) * GIB))

    held.change = comes_down_by_running
    outcome = held.run(lambda: None)
    assert outcome.ending is Ending.WALL_TIME
    acts = sorted(held.acts(), key=lambda act: act.at)
    assert [a.action.value for a in acts[:3]] == ["freeze", "tighten", "thaw"]
    assert acts[2].cause.startswith("on trial: nobody waits, although available memory")
    assert acts[2].at - acts[1].at >= 0.9  # a second between the looks that decided; at is when it was done
    assert 2.5 < outcome.frozen < 5.0
    (t0, cpu0), (t1, cpu1) = worked[0], worked[-1]
    assert cpu1 - cpu0 > 150_000
    assert (cpu1 - cpu0) / 1e6 <= 0.25 * (t1 - t0) + 0.05
