"""What every backend and the fake promise, as far as they declare it. One suite over all."""

import os
import signal

import pytest

from steadyrun.contain.fake import FakeBackend
from steadyrun.contain.processes import LOOKED_AT
from steadyrun.model.containment import Capability
from steadyrun.model.limits import Limits
from steadyrun.model.sample import CgroupId

MIB = 2**20
SLEEP = "import time; print('ready', flush=True); time.sleep(600)"
FILL = """
import mmap, sys
size = int(sys.argv[1])
memory = mmap.mmap(-1, size)
for at in range(0, size, 4096):
    memory[at] = 1
print('filled', flush=True)
import time; time.sleep(600)
"""
COUNT = """
import mmap, sys
with open(sys.argv[1], "r+b") as file:
    steps = memoryview(mmap.mmap(file.fileno(), 8)).cast("Q")
print("ready", flush=True)
while True:
    steps[0] += 1
"""

pytestmark = pytest.mark.real


BACKENDS = [
    "fake",
    "systemd",
    "cgroup2",
    "cgroup2 without controllers",
    "cgroup1",
    "cgroup1 without a unified mount",
    "poll",
]


@pytest.fixture(params=BACKENDS)
def backend(request, every_backend):
    return FakeBackend() if request.param == "fake" else every_backend(request.param)


@pytest.fixture
def held(backend, hold):
    return hold(backend)


def need(backend, *wanted):
    for capability in wanted:
        if capability not in backend.capabilities:
            pytest.skip(f"{backend.name.value} does not declare {capability.value}")


def until(holds, seconds=5.0):
    import time

    end = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < end:
        time.sleep(0.005)
    return found


def test_a_plan_has_no_effect_and_names_only_what_holds_the_random_name(backend):
    name = f"test-{os.urandom(6).hex()}"
    plan = backend.plan(name)
    assert plan.backend is backend.name
    assert plan.name == name
    assert all(name in d and not os.path.exists(d) for d in plan.directories)
    assert backend.reopen_planned(plan) is None
    files = [f for f in (plan.kill_file, plan.freeze_file, *plan.procs_files) if f]
    assert all(os.path.dirname(f) in plan.directories for f in files)
    assert plan.directories or plan.marker


def test_what_a_grip_changes_is_changed_while_the_load_runs_and_nothing_else_is(held, backend):
    need(backend, Capability.CPU_MAX, Capability.MEMORY_MAX)
    own = Limits(memory_max=200 * MIB, tasks_max=40, cpu_weight=100)
    held.containment.apply(own)
    tight = own._replace(cpu_max=0.25, cpu_weight=1)
    found = held.containment.adjust(tight, frozenset(("cpu_max", "cpu_weight")))
    assert {each.name for each in found} <= {"cpu_max", "cpu_weight"}
    assert [each.held for each in found if each.name == "cpu_max"] == [True]
    (back,) = held.containment.adjust(own._replace(cpu_max=1.0), frozenset(("cpu_max",)))
    assert back.found.startswith("1")
    again = {each.name: each for each in held.containment.apply(own)}
    assert again["memory_max"].held
    assert again["tasks_max"].held


def test_a_new_containment_is_empty(held):
    assert held.containment.pids() == ()
    assert not held.containment.gone()
    assert len(held.containment.made.identities) == len(held.plan.directories)


def test_two_of_one_name_cannot_be_made(backend, held):
    if not held.plan.directories:
        pytest.skip("nothing is made but processes")
    from steadyrun.errors import ContainmentFailedError

    with pytest.raises(ContainmentFailedError):
        backend.create(held.plan)
    assert not held.containment.gone()


def test_an_admitted_process_is_in_it_before_it_is_released(held):
    waiting = held.wait_in("true")
    assert held.containment.pids() == (waiting.pid,)


def test_a_process_that_is_gone_cannot_be_admitted(held):
    from steadyrun.errors import ContainmentFailedError

    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    with pytest.raises(ContainmentFailedError):
        held.containment.admit(pid)


def test_what_a_member_starts_is_in_it(held):
    held.python("import os, time\nos.fork()\nprint('ready', flush=True)\ntime.sleep(600)")
    held.read_line()
    assert until(lambda: len(held.containment.pids()) == 2)


def test_every_limit_asked_for_is_read_back(backend, held):
    limits = Limits(
        memory_max=64 * MIB, memory_high=48 * MIB, cpu_max=1.5, cpu_weight=50, tasks_max=100,
        io_read_bps=100 * MIB, io_write_bps=100 * MIB, io_weight=50, wall_time=5.0, output_max=MIB,
    )  # fmt: skip
    found = {r.name: r for r in held.containment.apply(limits)}
    asked = {n for n, v in limits._asdict().items() if v is not None} - {"wall_time", "output_max"}
    assert set(found) == asked
    declared = {
        "memory_max": Capability.MEMORY_MAX, "memory_high": Capability.MEMORY_HIGH,
        "swap_max": Capability.SWAP_MAX, "cpu_max": Capability.CPU_MAX, "cpu_weight": Capability.CPU_WEIGHT,
        "tasks_max": Capability.TASKS_MAX, "io_read_bps": Capability.IO_MAX,
        "io_write_bps": Capability.IO_MAX, "io_weight": Capability.IO_WEIGHT,
    }  # fmt: skip
    for name, capability in declared.items():
        if capability in backend.capabilities:
            assert found[name].held, found[name]
        elif name != "swap_max":  # held without any file where the machine has no swap
            assert not found[name].held, found[name]
        assert found[name].found


def test_limits_can_be_raised_and_lowered(backend, held):
    need(backend, Capability.MEMORY_MAX)
    for size in (32 * MIB, 64 * MIB, 48 * MIB):
        found = held.apply(memory_max=size)
        assert found["memory_max"].held
        assert found["memory_max"].found == str(size)
        assert found["swap_max"].held


def test_a_limit_that_is_not_asked_for_any_more_is_opened(backend, held):
    need(backend, Capability.MEMORY_MAX, Capability.TASKS_MAX)
    held.apply(memory_max=32 * MIB, tasks_max=3, cpu_max=0.5)
    held.apply(memory_max=256 * MIB)
    held.python(FILL, str(48 * MIB))
    assert held.read_line() == "filled"


def test_an_over_allocator_dies_and_usage_never_exceeds_the_hard_limit(backend, held):
    need(backend, Capability.MEMORY_MAX, Capability.GUARANTEED)
    assert held.apply(memory_max=32 * MIB)["memory_max"].held
    waiting = held.python(FILL, str(256 * MIB))
    assert held.wait(waiting) == -signal.SIGKILL
    sample = held.sample()
    # A group kill counts its first victim twice (__oom_kill_process by oom_kill_process, then by
    # oom_kill_memcg_member, mm/oom_kill.c); /proc/vmstat counts with it, so nothing is taken off.
    assert sample.oom_kills in ((1, 2) if Capability.OOM_GROUP in backend.capabilities else (1,))
    assert sample.memory_peak <= 32 * MIB
    if Capability.MEMORY_PEAK in backend.capabilities:  # else the highest that was read, and all is over
        assert sample.memory_peak > 16 * MIB


def test_more_tasks_than_allowed_cannot_be_made(backend, held):
    need(backend, Capability.TASKS_MAX)
    held.apply(tasks_max=5)
    code = (
        "import os, time\nn = 1\n"
        "try:\n"
        "    while n < 20:\n"
        "        if os.fork() == 0: time.sleep(600)\n"
        "        n += 1\n"
        "except OSError: pass\n"
        "print(n, flush=True)\ntime.sleep(600)"
    )
    held.python(code)
    assert held.read_line() == "5"
    assert len(held.containment.pids()) == 5
    assert held.sample().tasks_peak == 5
    assert held.sample().forks_refused == 1


def test_a_sample_counts_memory_cpu_and_tasks(backend, held):
    if backend.capabilities == {Capability.KILL, Capability.FREEZE, Capability.PSI}:
        pytest.skip("a cgroup without controllers counts neither memory nor tasks")
    code = "import time\nx = b'x' * (24 << 20)\nwhile time.process_time() < 0.2: pass\n"
    held.python(code + "print('ready', flush=True)\ntime.sleep(600)")
    held.sample()
    held.read_line()
    sample = held.sample()
    assert 24 * MIB < sample.memory < 64 * MIB
    assert sample.working_set <= sample.memory <= sample.memory_peak
    assert 150_000 < sample.cpu_time < 3_000_000
    assert sample.tasks == 1
    assert sample.tasks_peak == 1
    assert sample.frozen is False


def test_declared_counters_are_known(backend, held):
    sample = held.sample()
    if isinstance(backend, FakeBackend):
        pytest.skip("a fake knows what its test sets")
    if Capability.PSI in backend.capabilities:
        assert None not in (sample.psi_memory, sample.psi_io, sample.psi_cpu)
    if Capability.MEMORY_PEAK in backend.capabilities:
        assert sample.memory_peak is not None
    if Capability.IO_COUNTERS in backend.capabilities:
        assert None not in (sample.io_read, sample.io_write)
    if Capability.MEMORY_MAX in backend.capabilities:
        assert sample.oom_kills == 0


def test_a_frozen_load_does_nothing_until_it_is_thawed(backend, held, tmp_path):
    """Told by what it does: the kernel says `frozen 1` before the last of it has left its CPU, so that its
    CPU time may grow a little yet (do_freezer_trap in kernel/signal.c: cgroup_enter_frozen, then schedule).
    """
    need(backend, Capability.FREEZE)
    steps = tmp_path / "steps"
    steps.write_bytes(bytes(8))
    held.python(COUNT, str(steps))
    assert held.read_line(seconds=30.0) == "ready"
    held.containment.freeze()
    assert until(held.containment.is_frozen)
    assert held.sample().frozen
    before = steps.read_bytes()
    import time

    time.sleep(0.1)
    assert steps.read_bytes() == before
    held.containment.thaw()
    held.containment.thaw()
    assert until(lambda: held.containment.is_frozen() is False)
    assert until(lambda: steps.read_bytes() != before)


def test_a_frozen_load_is_killed(backend, held):
    need(backend, Capability.FREEZE)
    held.python("import os, time\nos.fork()\nprint('ready', flush=True)\ntime.sleep(600)")
    held.read_line()
    held.containment.freeze()
    assert until(held.containment.is_frozen)
    assert held.kill_all()


def test_a_zombie_does_not_count_as_in_it(held):
    waiting = held.start("true")
    assert waiting.start_error() is None
    assert until(lambda: held.containment.pids() == ())


def test_a_kill_names_nobody_but_who_was_in_it(held):
    held.python(SLEEP)
    held.read_line()
    inside = set(held.containment.pids())
    assert set(held.containment.kill()) <= inside
    assert held.kill_all()
    assert set(held.containment.kill()) == set()


def test_zombies_that_nobody_reaps_are_not_in_it_however_many_live_beside_them(held):
    alive, zombies = LOOKED_AT + 10, 40
    held.python(f"""
import os, signal
for number in range({alive + zombies}):
    if os.fork() == 0:
        if number < {alive}:
            signal.pause()
        os._exit(0)
print('ready', flush=True)
signal.pause()
""")
    assert held.read_line()
    assert until(lambda: len(held.containment.pids()) == alive + 1), len(held.containment.pids())
    assert held.kill_all()


def test_killing_and_thawing_what_is_empty_does_nothing(held):
    held.containment.kill()
    held.containment.thaw()
    held.containment.kill()
    assert held.containment.pids() == ()


def test_what_is_in_use_is_not_removed(held):
    held.python(SLEEP)
    held.read_line()
    assert held.containment.remove() is False
    assert len(held.containment.pids()) == 1


def test_another_process_takes_hold_of_it_by_what_was_recorded(backend, held):
    waiting = held.python(SLEEP)
    held.read_line()
    again = backend.reopen(held.containment.made)
    assert again is not None
    assert again.pids() == (waiting.pid,)
    again.kill()
    assert until(lambda: (held.kill_all(0.1), held.containment.pids() == ())[1])
    again.close() if again is not held.containment else None


def test_one_planned_and_made_is_found_by_its_plan(backend, held):
    held.python(SLEEP)
    held.read_line()
    again = backend.reopen_planned(held.plan)
    assert again is not None
    assert again.pids() == held.containment.pids()


def test_once_removed_it_is_not_found_again(backend, held):
    made = held.containment.made
    held.start("true")
    assert until(lambda: held.kill_all() and held.containment.remove())
    assert backend.reopen(made) is None
    assert backend.reopen_planned(held.plan) is None


def test_a_directory_with_another_inode_is_not_taken_for_it(backend, held):
    made = held.containment.made
    if not made.identities:
        pytest.skip("nothing is made but processes")
    strangers = tuple(CgroupId(i.path, i.inode + 1) for i in made.identities)
    assert backend.reopen(made._replace(identities=strangers)) is None


def test_two_containments_do_not_see_each_other(backend, hold):
    one, two = hold(backend), hold(backend)
    one.python(SLEEP)
    one.read_line()
    waiting = two.python(SLEEP)
    two.read_line()
    assert one.kill_all()
    assert two.containment.pids() == (waiting.pid,)


def test_a_child_that_set_itself_apart_is_killed(held):
    code = (
        "import os, signal, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    if os.fork() == 0:\n"
        "        os.write(1, b'ready\\n')\n"
        "        time.sleep(600)\n"
        "    os._exit(0)\n"
        "time.sleep(600)\n"
    )
    held.python(code)
    held.read_line()
    assert len(held.containment.pids()) >= 2
    assert held.kill_all()
