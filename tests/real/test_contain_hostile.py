"""Loads that do not want to end, on this machine's cgroups: after a kill nobody is left.

Survivors are looked for in all of /proc by a random word in the environment, not by what the
containment says of itself.
"""

import glob
import os
import signal
import sys
import time

import pytest

from conftest import until
from steadyrun.contain.poll import PollBackend
from steadyrun.contain.realtime import ahead_of_others
from steadyrun.model.containment import Capability

pytestmark = pytest.mark.real

HERE = os.path.join(os.path.dirname(__file__), "hostile")
TASKS = 200
QUIET = ["detach", "stopped", "zombies", "headless"]


KERNEL = ["systemd", "cgroup2", "cgroup1", "cgroup1 without a unified mount"]


@pytest.fixture(params=[*KERNEL, "cgroup2 without controllers", "poll"])
def backend(request, every_backend):
    return every_backend(request.param)


@pytest.fixture(params=[name for name in KERNEL if name.startswith("cgroup1")])
def legacy(request, every_backend):
    """Only with several hierarchies can a load leave one and stay in another."""
    return every_backend(request.param)


@pytest.fixture(params=KERNEL)
def kernel_backend(request, every_backend):
    return every_backend(request.param)


def bearing(token):
    found = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as file:
                if f"STEADYRUN_TEST_TOKEN={token}".encode() in file.read():
                    found.append(int(path.split("/")[2]))
        except OSError:
            continue
    return found


def start(held, name, *arguments):
    held.apply(tasks_max=TASKS, memory_max=256 << 20)
    held.start(sys.executable, "-I", "-S", os.path.join(HERE, f"{name}.py"), *arguments)
    assert held.read_line(seconds=30.0) == "ready"  # an emulated machine forks slowly


@pytest.mark.parametrize("name", QUIET)
def test_nobody_is_left(backend, hold, name):
    held = hold(backend)
    start(held, name)
    assert len(held.containment.pids()) >= 1
    assert held.kill_all()
    assert bearing(held.token) == []


@pytest.mark.parametrize("name", QUIET)
def test_nobody_is_left_of_what_was_frozen(backend, hold, name):
    held = hold(backend)
    start(held, name)
    held.containment.freeze()
    assert held.kill_all()
    assert bearing(held.token) == []


def test_nobody_is_left_of_what_forks_all_the_time(kernel_backend, hold):
    held = hold(kernel_backend)
    start(held, "forker")
    assert held.sample().tasks_peak == TASKS
    assert held.kill_all()
    assert bearing(held.token) == []


def test_what_forks_all_the_time_can_be_frozen_and_thawed(kernel_backend, hold):
    held = hold(kernel_backend)
    start(held, "forker")
    held.containment.freeze()
    end = time.monotonic() + 5
    while not held.containment.is_frozen() and time.monotonic() < end:
        time.sleep(0.002)
    pids = held.containment.pids()
    time.sleep(0.1)
    assert held.containment.pids() == pids
    held.containment.thaw()
    assert held.kill_all()


def hierarchies(held):
    return [os.path.dirname(p) for p in held.plan.procs_files]


def tops(held):
    """The top `cgroup.procs` of each hierarchy the containment is in."""
    return {d: "/".join(d.split("/")[:5]) + "/cgroup.procs" for d in hierarchies(held)}


@pytest.mark.parametrize("controller", ["memory", "cpu", "cpuacct", "pids", "blkio", "freezer", "unified"])
def test_a_privileged_load_that_left_one_hierarchy_is_found_and_killed(legacy, hold, controller):
    if os.geteuid() != 0:
        pytest.skip("only a privileged load can do this")
    held = hold(legacy)
    left = [top for top in tops(held).values() if top.split("/")[4] == controller]
    if not left:
        pytest.skip(f"this containment has no {controller} hierarchy")
    start(held, "escape", *left)
    assert held.containment.pids()
    assert held.kill_all()
    assert bearing(held.token) == []


def test_a_privileged_load_that_left_all_but_the_memory_hierarchy_is_killed(legacy, hold):
    if os.geteuid() != 0:
        pytest.skip("only a privileged load can do this")
    held = hold(legacy)
    left = [top for top in tops(held).values() if top.split("/")[4] != "memory"]
    # The fork limit is left too, so what stays is a race that repeated kills win.
    start(held, "escape", *left)
    assert held.kill_all()
    assert bearing(held.token) == []


@pytest.fixture
def outside():
    """A cgroup of the pids hierarchy outside any containment: what fled there cannot fill the machine."""
    path = f"/sys/fs/cgroup/pids/test-{os.urandom(8).hex()}"
    try:
        os.mkdir(path)
    except OSError as error:
        pytest.skip(f"{path}: {error.strerror}")
    with open(f"{path}/pids.max", "w") as file:
        file.write("250")
    yield f"{path}/cgroup.procs"
    assert until(lambda: removed(path), seconds=30.0, every=0.05)


def removed(path):
    try:
        os.rmdir(path)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", ["grow", "chain"])
@pytest.mark.parametrize("kept", ["memory", "cpu", "cpuacct", "pids", "blkio", "freezer", "unified"])
def test_a_privileged_load_that_left_all_but_one_hierarchy_and_forks_for_its_life_is_killed(
    legacy, outside, hold, kept, kind
):
    if os.geteuid() != 0:
        pytest.skip("only a privileged load can do this")
    held = hold(legacy)
    ways = {top: outside if "/pids/" in top else top for top in tops(held).values()}
    stay = [top for top in ways if kept in top.split("/")[4].split(",")]
    if not stay:
        pytest.skip(f"this containment has no {kept} hierarchy")
    left = [way for top, way in ways.items() if top not in stay]
    with ahead_of_others():  # as the guard is; else the storm ends by itself before the test gets to kill it
        start(held, "storm", kind, *left, "--", *(ways[top] for top in stay))
        time.sleep(0.5)
        assert until(lambda: len(held.containment.pids()) > 5)
        took = [killing(held)]
        while held.containment.pids() and sum(took) < 5:
            time.sleep(0.02)
            took.append(killing(held))
        left_over = bearing(held.token)
    reaper = held.started[-1].pid  # it left all hierarchies, so nobody but the test ends it
    os.kill(reaper, signal.SIGKILL)
    assert left_over == [reaper]
    assert sum(took) < 5


def killing(held):
    before = time.monotonic()
    held.containment.kill()
    return time.monotonic() - before


def test_cgroups_that_the_load_made_below_its_own_are_killed_and_removed(kernel_backend, hold):
    if os.geteuid() != 0:
        pytest.skip("only a privileged load can do this")
    held = hold(kernel_backend)
    directories = hierarchies(held)
    start(held, "nest", *directories)
    assert len(held.containment.pids()) == 1 + len(directories)
    assert held.kill_all()
    end = time.monotonic() + 5
    while not held.containment.remove() and time.monotonic() < end:
        time.sleep(0.005)
    assert [d for d in directories if os.path.exists(d)] == []


def test_a_load_that_left_for_cgroups_it_made_in_every_hierarchy_is_found(kernel_backend, hold):
    if os.geteuid() != 0:
        pytest.skip("only a privileged load can do this")
    held = hold(kernel_backend)
    start(held, "burrow", *hierarchies(held))
    assert len(held.containment.pids()) == 1
    assert held.kill_all()
    assert bearing(held.token) == []


def test_after_a_kill_nothing_can_be_forked_in_it(kernel_backend, hold):
    held = hold(kernel_backend)
    held.containment.kill()
    held.python(
        "import os\n"
        "try:\n    pid = os.fork()\nexcept OSError as e:\n    pid = e.strerror\n"
        "if pid != 0:\n    print(pid, flush=True)\n"
    )
    assert held.read_line() == "Resource temporarily unavailable"


INNER_LIMIT = """
import os, sys
own, inner = sys.argv[1], sys.argv[1] + '/inner'
os.mkdir(inner)
legacy = os.path.exists(own + '/memory.limit_in_bytes')
if not legacy:  # no controller is given to children while a process is in the parent (cgroup-v2.rst)
    os.mkdir(own + '/self')
    open(own + '/self/cgroup.procs', 'w').write('0')
    open(own + '/cgroup.subtree_control', 'w').write('+memory')
open(inner + ('/memory.limit_in_bytes' if legacy else '/memory.max'), 'w').write(str(32 << 20))
pid = os.fork()
if pid == 0:
    open(inner + '/cgroup.procs', 'w').write('0')
    x = b'x' * (100 << 20)
os.waitpid(pid, 0)
print('ready', flush=True)
__import__('time').sleep(600)
"""


def test_an_oom_kill_in_a_cgroup_that_the_load_made_is_counted(kernel_backend, hold):
    if os.geteuid() != 0:
        pytest.skip("only a privileged load can do this")
    held = hold(kernel_backend)
    held.apply(memory_max=48 << 20)
    memory = next(d for d in hierarchies(held) if "/memory/" in d or os.path.exists(f"{d}/memory.max"))
    code = (
        "import os, sys\n"
        "inner = sys.argv[1] + '/inner'\n"
        "os.mkdir(inner)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    open(inner + '/cgroup.procs', 'w').write(str(os.getpid()))\n"
        "    x = b'x' * (200 << 20)\n"
        "os.waitpid(pid, 0)\n"
        "print('ready', flush=True)\n"
        "__import__('time').sleep(600)\n"
    )
    held.python(code, memory)
    if Capability.OOM_GROUP in kernel_backend.capabilities:  # the limit is the load's, and so is the kill
        assert held.read_all() == ""
        assert held.sample().oom_kills >= 2
    else:
        assert held.read_line() == "ready"
        assert held.sample().oom_kills == 1
    assert held.sample().kills_at_limit == held.sample().oom_kills


def test_an_oom_kill_at_a_limit_that_the_load_set_itself_is_told_apart(kernel_backend, hold):
    if os.geteuid() != 0:
        pytest.skip("only a privileged load can do this")
    held = hold(kernel_backend)
    held.apply(memory_max=256 << 20)
    memory = next(d for d in hierarchies(held) if "/memory/" in d or os.path.exists(f"{d}/memory.max"))
    held.python(INNER_LIMIT, memory)
    assert held.read_line() == "ready"
    sample = held.sample()
    assert (sample.oom_kills, sample.kills_at_limit) == (1, 0)


def test_a_polled_daemon_that_dropped_its_marker_is_found_as_an_orphan(hold):
    held = hold(PollBackend())
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        name = 'STEADYRUN_TEST_TOKEN'\n"
        "        os.execve('/bin/sleep', ['sleep', '600'], {name: os.environ[name]})\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    held.python(code)
    assert held.read_line() == "ready"
    time.sleep(0.05)
    assert len(held.containment.pids()) == 2
    assert held.kill_all()
    assert bearing(held.token) == []


def test_a_polled_freeze_does_not_wake_what_the_load_stopped_itself(hold):
    held = hold(PollBackend())
    start(held, "stopped")
    held.containment.freeze()
    held.containment.thaw()
    states = []
    for pid in held.containment.pids():
        with open(f"/proc/{pid}/stat") as file:
            states.append(file.read().rpartition(")")[2].split()[0])
    assert sorted(states) == ["S", "T"]


def test_a_helper_of_the_owner_is_no_part_of_a_polled_load(hold):
    held = hold(PollBackend())
    read_end, write_end = os.pipe()
    helper = os.fork()
    if helper == 0:
        child = os.fork()
        if child != 0:
            os.write(write_end, str(child).encode())
        time.sleep(600)
        os._exit(0)
    child = int(os.read(read_end, 20))
    os.close(read_end)
    os.close(write_end)
    try:
        waiting = held.python("import time\nprint('ready', flush=True)\ntime.sleep(600)")
        held.read_line()
        assert held.containment.pids() == (waiting.pid,)
        assert held.kill_all()
        assert os.waitpid(helper, os.WNOHANG) == (0, 0)
    finally:
        for pid in (child, helper):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(helper, 0)
