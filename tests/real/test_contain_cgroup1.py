"""The legacy backend on this machine: placement, races, limits as the kernel applies them."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from steadyrun.contain.cgroup1 import Cgroup1Backend
from steadyrun.contain.cgroup1_containment import Cgroup1Containment
from steadyrun.contain.cgroup1_placement import places
from steadyrun.contain.cgroupfs import CgroupDirectory
from steadyrun.contain.facts import read_facts, takes_children
from steadyrun.contain.readback import machine_has_swap
from steadyrun.errors import ContainmentFailedError
from steadyrun.model.containment import BackendName, Capability
from steadyrun.model.plan import RunAs

pytestmark = pytest.mark.real

MIB = 2**20
PYTHON = (sys.executable, "-I", "-S", "-c")
NOBODY = RunAs(uid=65534, gid=65534, groups=(65534,), name="nobody", home="/")


def until(holds, seconds=5.0):
    end = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < end:
        time.sleep(0.005)
    return found


def of(held, controller):
    """The containment's directory in one hierarchy."""
    return next(d for d in held.plan.directories if controller in d.split("/")[4].split(","))


def read(path):
    with open(path) as file:
        return file.read()


def test_whether_children_are_taken_is_seen_without_making_one(backend_named, facts):
    backend_named(BackendName.CGROUP1)
    bases = [place.base for place in places(facts) if not place.mount.unified]
    before = [set(os.listdir(base)) for base in bases]
    assert [takes_children(base) for base in bases] == [True] * len(bases)
    assert [takes_children_as_nobody(base) for base in bases] == [False] * len(bases)
    assert [set(os.listdir(base)) for base in bases] == before


def takes_children_as_nobody(directory):
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY.gid, NOBODY.gid, NOBODY.gid)
            os.setresuid(NOBODY.uid, NOBODY.uid, NOBODY.uid)
            os._exit(takes_children(directory))
        finally:
            os._exit(2)
    return {0: False, 1: True}[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]


def test_the_first_instruction_of_a_load_is_inside_every_hierarchy(contained):
    contained.start("cat", "/proc/self/cgroup")
    lines = contained.read_all().splitlines()
    inside = [line for line in lines if contained.plan.name in line]
    assert len(inside) == len(contained.plan.directories)


def test_a_fork_storm_is_inside_from_its_first_fork(contained):
    contained.apply(tasks_max=60, memory_max=128 * MIB)
    contained.python(
        "import os, time\n"
        "n = 0\n"
        "while n < 200:\n"
        "    n += 1\n"
        "    try:\n"
        "        if os.fork() == 0: os.setsid()\n"
        "    except OSError: break\n"
        "os.write(1, b'full\\n')\ntime.sleep(600)\n"
    )
    assert contained.read_line() == "full"
    token = f"STEADYRUN_TEST_TOKEN={contained.token}".encode()
    outside, inside = [], []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if token not in file.read():
                    continue
            places = [
                line for line in read(f"/proc/{pid}/cgroup").splitlines() if contained.plan.name in line
            ]
        except OSError:
            continue
        (inside if len(places) == len(contained.plan.directories) else outside).append(pid)
    assert outside == []
    assert len(inside) == 60


def test_a_member_that_waits_has_run_nothing_and_holds_almost_no_memory(contained):
    contained.wait_in("true")
    assert contained.sample().memory < MIB
    assert contained.sample().tasks == 1


def test_a_load_of_another_user_cannot_write_our_cgroup_files(contained):
    if os.geteuid() != 0:
        pytest.skip("only root runs loads for others")
    files = [
        f"{d}/{name}"
        for d in contained.plan.directories
        for name in ("cgroup.procs", "memory.limit_in_bytes", "pids.max", "cpu.shares", "cgroup.freeze")
        if os.path.exists(f"{d}/{name}")
    ]
    code = 'for f in "$@"; do if (echo 1 >"$f") 2>/dev/null; then echo "$f"; fi; done; id -u; id -g'
    contained.start("sh", "-c", code, "sh", *files, run_as=NOBODY)
    assert contained.read_all().split() == ["65534", "65534"]


def test_the_parent_is_removed_with_the_last_and_not_before(backend_named, hold):
    backend = backend_named(BackendName.CGROUP1)
    one, two = hold(backend), hold(backend)
    parent = one.plan.parent
    assert os.path.basename(parent) == "steadyrun"
    assert until(one.containment.remove)
    assert os.path.isdir(parent)
    others = [e.name for e in os.scandir(parent) if e.is_dir() and e.name != two.plan.name]
    assert until(two.containment.remove)
    if not others:
        assert not os.path.exists(parent)


def test_runs_that_begin_and_end_at_once_do_not_take_the_parent_from_each_other(backend_named):
    backend_named(BackendName.CGROUP1)
    code = (
        "import os, time\n"
        "from steadyrun.contain.facts import read_facts\n"
        "from steadyrun.contain.cgroup1 import Cgroup1Backend\n"
        "backend = Cgroup1Backend(read_facts())\n"
        "for _ in range(40):\n"
        "    held = backend.create(backend.plan('test-' + os.urandom(8).hex()))\n"
        "    while not held.remove(): time.sleep(0.001)\n"
        "    held.close()\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [run.wait(60) for run in runs] == [0, 0, 0]


def test_nothing_is_left_when_one_directory_cannot_be_made(backend_named):
    backend = backend_named(BackendName.CGROUP1)
    plan = backend.plan(f"test-{os.urandom(6).hex()}")
    last = plan.directories[-1]
    os.makedirs(last)
    try:
        with pytest.raises(ContainmentFailedError) as caught:
            backend.create(plan)
        assert last in caught.value.message
        assert [d for d in plan.directories if os.path.exists(d)] == [last]
    finally:
        os.rmdir(last)
        try:
            os.rmdir(os.path.dirname(last))
        except OSError:
            pass


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".", "..", "a b", "x\n"])
def test_a_name_that_could_lead_elsewhere_is_refused(backend_named, name):
    with pytest.raises(ContainmentFailedError):
        backend_named(BackendName.CGROUP1).plan(name)


@pytest.mark.parametrize(
    "path", ["/tmp/steadyrun/x", "/sys/fs/cgroup/memory/x", "/sys/fs/cgroup/memory/../steadyrun/x"]
)
def test_a_recorded_path_that_is_not_our_place_is_refused(backend_named, path):
    backend = backend_named(BackendName.CGROUP1)
    plan = backend.plan("x")._replace(directories=(path,))
    with pytest.raises(ContainmentFailedError):
        backend.reopen_planned(plan)
    with pytest.raises(ContainmentFailedError):
        backend.create(plan)


def test_one_that_was_removed_and_made_again_is_left_alone(contained):
    """Identity is not a path: the old handle neither fills, freezes, kills nor removes the new cgroup."""
    old = contained.containment
    path = of(contained, "memory")
    assert until(old.remove)
    assert old.gone()
    again = contained.containment = contained.backend.create(contained.plan)
    try:
        waiting = contained.python("import time\nprint('ready', flush=True)\ntime.sleep(600)")
        contained.read_line()
        assert os.path.isdir(path)
        assert old.gone()
        old.kill()
        old.freeze()
        assert old.remove()
        assert old.pids() == ()
        assert old.sample(0.0).memory is None
        with pytest.raises(ContainmentFailedError):
            old.admit(os.getpid())
        assert again.pids() == (waiting.pid,)
        assert contained.backend.reopen(old.made) is None
    finally:
        old.close()


def test_what_is_left_of_a_half_removed_one_is_found_and_removed(contained):
    os.rmdir(contained.plan.directories[0])
    again = contained.backend.reopen(contained.containment.made)
    assert contained.containment.gone()
    assert again.made.plan.directories == contained.plan.directories[1:]
    assert again.remove()
    again.close()
    assert [d for d in contained.plan.directories if os.path.exists(d)] == []


def test_a_member_is_not_admitted_halfway_without_notice(contained):
    os.rmdir(contained.plan.directories[-1])
    with pytest.raises(ContainmentFailedError) as caught:
        contained.wait_in("true")
    assert contained.plan.directories[-1] in caught.value.message


def test_a_member_that_is_elsewhere_after_all_is_refused(contained, facts):
    """As where the kernel took the write and the process is not there: what counts is /proc/PID/cgroup."""
    elsewhere = tuple(p._replace(mount=p.mount._replace(root="/elsewhere")) for p in places(facts))
    directories = [CgroupDirectory(d) for d in contained.plan.directories]
    doubtful = Cgroup1Containment(contained.plan, directories, elsewhere)
    waiting = contained.wait_in("true")
    with pytest.raises(ContainmentFailedError) as caught:
        doubtful.admit(waiting.pid)
    doubtful.close()
    assert f"/proc/{waiting.pid}/cgroup: expected /elsewhere/" in caught.value.message


def inside_limited(controller, file, text):
    """Make a cgroup with one limit; return its directory, to be removed by the caller."""
    base = f"/sys/fs/cgroup/{controller}/test-{os.urandom(6).hex()}"
    if not os.path.isdir(os.path.dirname(base)):
        pytest.skip(f"no {controller} hierarchy")
    os.mkdir(base)
    with open(f"{base}/{file}", "w") as target:
        target.write(text)
    return base


INSIDE = """
import json, os, sys, time
base, limits = sys.argv[1], eval(sys.argv[2])
with open(base + "/cgroup.procs", "w") as f: f.write(str(os.getpid()))
from steadyrun.contain.facts import read_facts
from steadyrun.contain.cgroup1 import Cgroup1Backend
from steadyrun.model.limits import Limits
backend = Cgroup1Backend(read_facts())
held = backend.create(backend.plan("test-" + os.urandom(8).hex()))
try:
    found = {r.name: [r.found, r.held] for r in held.apply(Limits(**limits))}
    print(json.dumps([held.made.plan.directories, found]))
finally:
    while not held.remove(): time.sleep(0.001)
"""


@pytest.mark.parametrize(
    ("controller", "file", "text", "limits", "expected"),
    [
        ("memory", "memory.limit_in_bytes", str(96 * MIB), {"memory_max": 512 * MIB}, str(96 * MIB)),
        ("pids", "pids.max", "30", {"tasks_max": 500}, "30"),
        ("cpu", "cpu.cfs_quota_us", "50000", {"cpu_max": 1.5}, "0.5"),
    ],
)
def test_our_own_limit_is_not_escaped_and_is_reported(facts, controller, file, text, limits, expected):
    if not any(
        controller in m.controllers and m.path in facts.creatable for m in facts.mounts if not m.unified
    ):
        pytest.skip(f"no {controller} hierarchy to make cgroups in")
    base = inside_limited(controller, file, text)
    try:
        run = subprocess.run(
            [sys.executable, "-c", INSIDE, base, repr(limits)],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert run.returncode == 0, run.stderr
        directories, found = json.loads(run.stdout)
        assert next(d for d in directories if d.startswith(f"/sys/fs/cgroup/{controller}/")).startswith(base)
        (name,) = limits
        assert found[name][1] is True
        assert f"an ancestor allows {expected}" in found[name][0]
    finally:
        assert until(lambda: os.rmdir(base) is None)


def test_a_limit_below_what_is_in_use_is_told_as_not_held(contained):
    contained.apply(memory_max=64 * MIB)
    contained.python("x = b'x' * (40 << 20)\nprint('ready', flush=True)\nimport time; time.sleep(600)")
    contained.read_line()
    found = contained.apply(memory_max=16 * MIB)["memory_max"]
    assert not found.held
    assert found.found.startswith(str(64 * MIB))
    assert "memory.limit_in_bytes: writing" in found.found


def test_swap_is_closed_off_with_the_memory_limit(contained):
    found = contained.apply(memory_max=64 * MIB, swap_max=0)["swap_max"]
    assert found.held
    assert found.found == "0"
    memory = of(contained, "memory")
    assert read(f"{memory}/memory.memsw.limit_in_bytes") == read(f"{memory}/memory.limit_in_bytes")
    assert read(f"{memory}/memory.swappiness") == "0\n"


def test_swap_allowed_comes_on_top_of_the_memory_limit(contained):
    found = contained.apply(memory_max=64 * MIB, swap_max=32 * MIB)["swap_max"]
    assert (found.held, found.found) == (True, str(32 * MIB))


def test_swap_without_a_memory_limit_cannot_be_bounded_on_legacy_cgroups(contained):
    found = contained.apply()["swap_max"]
    assert found.held is not machine_has_swap()


def test_memory_is_rounded_down_to_a_page_and_held(contained):
    found = contained.apply(memory_max=64 * MIB + 1000)["memory_max"]
    assert (found.held, found.found) == (True, str(64 * MIB))


@pytest.mark.parametrize(("cores", "found"), [(0.005, "0.005"), (0.5, "0.5"), (1.5, "1.5"), (64, "64")])
def test_a_quota_is_given_in_cores(contained, cores, found):
    readback = contained.apply(cpu_max=cores)["cpu_max"]
    assert (readback.held, readback.found) == (True, found)


def test_a_quota_slows_the_load_down(contained):
    contained.apply(cpu_max=0.2)
    contained.python("print('ready', flush=True)\nwhile True: pass")
    contained.read_line()
    first = contained.sample()
    time.sleep(0.6)
    last = contained.sample()
    used = (last.cpu_time - first.cpu_time) / 1e6 / (last.at - first.at)
    assert 0.05 < used < 0.35
    assert last.cpu_throttled > first.cpu_throttled


def test_weights_can_go_down_to_idle_and_up_again(contained):
    cpu = of(contained, "cpu")
    assert contained.apply(cpu_weight=50)["cpu_weight"].found == "512 of 1024 shares"
    lowest = contained.apply(cpu_weight=1)["cpu_weight"]
    assert lowest.held
    if os.path.exists(f"{cpu}/cpu.idle"):
        assert (lowest.found, read(f"{cpu}/cpu.idle")) == ("idle", "1\n")
    assert contained.apply(cpu_weight=10000)["cpu_weight"].found == "102400 of 1024 shares"
    contained.apply()
    assert read(f"{cpu}/cpu.shares") == "1024\n"


def test_io_limits_stand_for_every_disk_and_are_opened_again(contained):
    if Capability.IO_MAX not in contained.backend.capabilities:
        pytest.skip("no disk or no blkio hierarchy")
    found = contained.apply(io_read_bps=10 * MIB, io_write_bps=5 * MIB)
    assert found["io_read_bps"].held
    assert found["io_write_bps"].held
    assert "buffered" in found["io_write_bps"].found
    contained.apply()
    assert read(f"{of(contained, 'blkio')}/blkio.throttle.read_bps_device") == ""


def test_direct_writes_are_counted_and_throttled(contained, tmp_path):
    if Capability.IO_MAX not in contained.backend.capabilities:
        pytest.skip("no disk or no blkio hierarchy")
    contained.apply(io_write_bps=2 * MIB)
    before = time.monotonic()
    waiting = contained.start(
        "dd", "if=/dev/zero", f"of={tmp_path}/file", "bs=256k", "count=6", "oflag=direct", "status=none"
    )
    if contained.wait(waiting) != 0:
        pytest.skip("no direct I/O on this file system")
    assert contained.sample().io_write >= 6 * 256 * 1024
    assert time.monotonic() - before > 0.4


def test_page_cache_is_in_the_usage_and_not_in_the_working_set(contained, tmp_path):
    contained.apply(memory_max=128 * MIB)
    waiting = contained.start("dd", "if=/dev/zero", f"of={tmp_path}/file", "bs=1M", "count=32", "status=none")
    assert contained.wait(waiting) == 0
    sample = contained.sample()
    assert sample.memory > 30 * MIB
    assert sample.working_set < 8 * MIB


def test_pressure_of_a_load_at_its_limit_is_seen(contained):
    if Capability.PSI not in contained.backend.capabilities:
        pytest.skip("no PSI here")
    contained.apply(cpu_max=0.2)
    contained.python("import os\nos.fork()\nprint('ready', flush=True)\nwhile True: pass")
    contained.read_line()
    assert until(lambda: contained.sample().psi_cpu.some_total > 50_000)


def test_a_sample_is_cheap(contained):
    contained.sample()
    begin = time.perf_counter()
    for _ in range(100):
        contained.sample()
    assert (time.perf_counter() - begin) / 100 < 0.002


def test_descriptors_are_all_given_back(backend_named, hold):
    backend = backend_named(BackendName.CGROUP1)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        held = backend.create(backend.plan(f"test-{os.urandom(8).hex()}"))
        held.sample(0.0)
        assert until(held.remove)
        held.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_facts_leave_nothing_behind():
    before = {d for d in os.listdir("/sys/fs/cgroup/memory") if "probe" in d}
    found = read_facts()
    assert {d for d in os.listdir("/sys/fs/cgroup/memory") if "probe" in d} <= before
    assert Cgroup1Backend(found).name is BackendName.CGROUP1


def test_a_load_killed_at_its_limit_shows_what_it_was(contained):
    contained.apply(memory_max=32 * MIB)
    waiting = contained.python("x = b'x' * (200 << 20)")
    assert contained.wait(waiting) == -signal.SIGKILL
    sample = contained.sample()
    assert sample.oom_kills == 1
    assert sample.memory_peak <= 32 * MIB
    assert contained.containment.pids() == ()
