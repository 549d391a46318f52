"""What tests of several levels share: containments of their own that never outlive a test.

Every cgroup and process that a test makes bears a random id; it is ended by that id or by its pid,
also when the test fails.
"""

import contextlib
import os
import select
import signal
import sys
import time

import hypothesis
import pytest

from steadyrun.contain.cgroup2 import Cgroup2Backend
from steadyrun.contain.choose import choose
from steadyrun.contain.facts import read_facts
from steadyrun.contain.open import open_backend
from steadyrun.contain.spawn import marker_environment, spawn_member
from steadyrun.contain.unified_placement import unified_memory
from steadyrun.errors import CannotContainError
from steadyrun.model.containment import BackendName, UnifiedLevel
from steadyrun.model.limits import Limits
from steadyrun.model.plan import Member
from steadyrun.units import Seconds

MIB = 2**20
PYTHON = (sys.executable, "-I", "-S")
TOKEN = "STEADYRUN_TEST_TOKEN"
ALL = "STEADYRUN_TESTS_ALL"
"""Set: those that are marked `long` run, too (`make test ALL=1`, `make test-vm ALL=1`)."""


# A shell starts its background jobs with INT and QUIT ignored, nohup what it starts with HUP, and children
# inherit that: what is tested here is a program that hears them (POSIX, Shell Command Language, 2.9.3.1
# "Asynchronous AND-OR Lists"; nohup(1)).
signal.signal(signal.SIGINT, signal.default_int_handler)
for ignored in (signal.SIGQUIT, signal.SIGHUP):
    signal.signal(ignored, signal.SIG_DFL)

# How long one example takes says how busy the machine is, and nothing about the code.
hypothesis.settings.register_profile("steadyrun", deadline=None)
hypothesis.settings.load_profile("steadyrun")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: says little that others do not say, and takes its time")


def pytest_collection_modifyitems(config, items):
    left_out = [] if os.environ.get(ALL) else [item for item in items if item.get_closest_marker("long")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def until(holds, seconds=5.0, every=0.005):
    """Wait until `holds()` is true; return what it gave last."""
    end = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < end:
        time.sleep(every)
    return found


def bearing(token):
    """Find the living processes with the token in their environment, by looking at all of /proc."""
    found = []
    wanted = f"{TOKEN}={token}".encode()
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            if wanted in file.read().split(b"\0"):
                found.append(int(pid))
    return found


class Held:
    """One containment of a test, and what it started in it."""

    def __init__(self, backend):
        self.backend = backend
        self.token = os.urandom(8).hex()
        self.plan = backend.plan(f"test-{self.token}")
        self.containment = backend.create(self.plan)
        self.started = []
        self.outputs = []

    def apply(self, **limits):
        """Set limits; return the read-backs by name."""
        return {r.name: r for r in self.containment.apply(Limits(**limits))}

    def wait_in(self, *argv, env=None, **how):
        """Fork a member, admit it, leave it behind its barrier; its output goes to `read`."""
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        self.outputs.append(read_end)
        member = Member(tuple(argv), "/", {"PATH": os.defpath, TOKEN: self.token, **(env or {})})
        how.setdefault("new_session", True)
        how.setdefault("extra_env", marker_environment(self.plan))
        waiting = spawn_member(member, stdout=write_end, **how)
        os.close(write_end)
        self.started.append(waiting)
        self.containment.admit(waiting.pid)
        return waiting

    def start(self, *argv, **how):
        """Fork a member, admit and release it."""
        waiting = self.wait_in(*argv, **how)
        waiting.release()
        assert waiting.start_error() is None
        return waiting

    def python(self, code, *arguments, **how):
        """Start Python code."""
        return self.start(*PYTHON, "-c", code, *arguments, **how)

    def read_line(self, index=-1, seconds=5.0):
        """Return the next line of a member's output."""
        line = b""
        end = time.monotonic() + seconds
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.outputs[index]], [], [], max(0, end - time.monotonic()))
            part = os.read(self.outputs[index], 1) if ready else b""
            if not part:
                break
            line += part
        return line.decode().rstrip("\n")

    def read_all(self, index=-1):
        """Return all of a member's output, to its end."""
        parts = b""
        while part := os.read(self.outputs[index], 65536):
            parts += part
        return parts.decode()

    def wait(self, waiting, seconds=10.0):
        """Reap a member; return its exit code, negative for a signal."""
        ready, _, _ = select.select([waiting.pidfd], [], [], seconds)
        assert ready, f"process {waiting.pid} did not end within {seconds} s"
        _, status = os.waitpid(waiting.pid, 0)
        self.started.remove(waiting)
        waiting.close()
        return os.waitstatus_to_exitcode(status)

    def sample(self):
        """Read the counters."""
        return self.containment.sample(Seconds(time.monotonic()))

    def kill_all(self, seconds=5.0):
        """Kill until nobody is left; return whether that came about."""

        def nobody():
            self.containment.kill()
            self._reap()
            return not self.containment.pids()

        return until(nobody, seconds)

    def _reap(self):
        """Collect every child of ours that ended: members, and orphans given to us as a subreaper."""
        ours = {w.pid for w in self.started}
        with contextlib.suppress(ChildProcessError):
            for waiting in list(self.started):
                os.waitpid(waiting.pid, os.WNOHANG)
        for pid in bearing(self.token):
            if pid not in ours:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def end(self):
        """Kill, reap, remove; return the processes that got away and whether the containment is gone."""
        self.containment.thaw()
        self.kill_all()
        for waiting in self.started:
            waiting.abort()
        survivors = until(lambda: not bearing(self.token), 2.0) or bearing(self.token)
        for pid in survivors if survivors is not True else ():
            with contextlib.suppress(OSError):
                os.kill(pid, 9)
        removed = until(self.containment.remove, 5.0)
        self.containment.close()
        for fd in self.outputs:
            os.close(fd)
        return (() if survivors is True else tuple(survivors)), removed


@pytest.fixture(scope="session")
def facts():
    """What this machine can contain with."""
    return read_facts()


@pytest.fixture
def backend_named(facts):
    """Open a backend by its name, or skip with the reason that `choose` gives."""

    def open_named(name):
        try:
            choose(facts, wanted=name)
        except CannotContainError as error:
            pytest.skip(error.message)
        return open_backend(name, facts)

    return open_named


@pytest.fixture
def legacy_backend(facts, backend_named):
    """The legacy backend as on a machine without a unified mount: frozen and killed by the v1 freezer."""
    backend_named(BackendName.CGROUP1)
    mounts = tuple(m for m in facts.mounts if not m.unified)
    if not any("freezer" in m.controllers and m.path in facts.creatable for m in mounts):
        pytest.skip("no freezer hierarchy to make cgroups in")
    return open_backend(BackendName.CGROUP1, facts._replace(mounts=mounts, kill_supported=False))


@pytest.fixture
def bare_unified_backend(facts):
    """The unified backend in a unified mount without controllers: kill, freeze and PSI."""
    mount = next((m for m in facts.mounts if m.unified), None)
    if mount is None or unified_memory(facts) is not None:
        pytest.skip("the unified hierarchy has the controllers here: cgroup2 itself is tested")
    if mount.path not in facts.creatable:
        pytest.skip(f"no cgroup can be made in {mount.path}")
    level = UnifiedLevel(mount.path, (), (), True, True, True, False, False)
    return Cgroup2Backend(facts, level, mount)


@pytest.fixture
def every_backend(request, backend_named):
    """Open a backend by its name, or by what is missing of it."""

    def open_named(name):
        if name == "cgroup1 without a unified mount":
            return request.getfixturevalue("legacy_backend")
        if name == "cgroup2 without controllers":
            return request.getfixturevalue("bare_unified_backend")
        return backend_named(BackendName(name))

    return open_named


@pytest.fixture
def hold():
    """Make containments of a backend; all are killed and removed at the end, and must be."""
    made = []

    def make(backend):
        made.append(Held(backend))
        return made[-1]

    yield make
    ends = [(h.plan.name, *h.end()) for h in reversed(made)]
    assert [(name, (), True) for name, _, _ in ends] == ends, "processes or cgroups were left"


@pytest.fixture
def contained(backend_named, hold):
    """A random-named containment of the best backend here, always killed and removed."""
    return hold(backend_named(BackendName.CGROUP1))


@pytest.fixture
def steadyrun(tmp_path):
    from program import Program

    program = Program(tmp_path)
    yield program
    program.clean_up()


@pytest.fixture
def nothing_left(steadyrun):
    """Fail when a containment of this test's runs is there at its end."""
    from program import our_cgroups

    yield
    run_ids = steadyrun.run_ids()
    assert [path for path in our_cgroups() if any(run_id in path for run_id in run_ids)] == []
