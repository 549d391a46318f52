"""What the tests in the virtual machine share: fresh machines, deadlines, evidence, and how long all took.

Where the host's programs are missing the whole level is skipped with the command that installs them;
`make test-vm` calls a level that did not run a failure.
"""

import contextlib
import signal
import time

import pytest
from testbed import hosttools
from testbed.commandline import MODES
from testbed.errors import DeadlineError, TestbedError
from testbed.machine import Machine
from testbed.place import ROOT
from testbed.program import ensure_program
from testbed.recipe import chosen_suite
from testbed.state import taken_up

EVIDENCE = ROOT / "build" / "test-vm"
"""A folder for each test that failed; what a test measured beside them."""
TIMES_FILE = EVIDENCE / "times.txt"
"""What took how long, written as it comes: also of a run that is ended."""
DEADLINE_S = 300
"""Of a test that does not say another: `@pytest.mark.deadline(seconds)`."""
TIMES = pytest.StashKey()
MACHINES = pytest.StashKey()


def pytest_configure(config):
    config.addinivalue_line("markers", "deadline(seconds): the test is ended after this time")
    config.stash[TIMES] = []
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    TIMES_FILE.unlink(missing_ok=True)
    # Ended by somebody: the fixtures end the machines.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("SIGTERM", returncode=143))


def pytest_collection_modifyitems(config, items):
    if lacking := hosttools.missing():
        reason = f"apt-get install --no-install-recommends {' '.join(lacking)}"
        for item in items:
            if "vm" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason=reason))


@contextlib.contextmanager
def timed(config, what):
    """Note how long something took, for the table at the end."""
    began = time.monotonic()
    try:
        yield
    finally:
        config.stash[TIMES].append((what, time.monotonic() - began))
        with TIMES_FILE.open("a") as file:
            file.write(f"{config.stash[TIMES][-1][1]:8.1f}  {what}\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """End a test that hangs; what it holds is ended by its fixtures."""
    marker = item.get_closest_marker("deadline")
    seconds = marker.args[0] if marker else DEADLINE_S

    def too_late(*_):
        raise DeadlineError(f"the test took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)
    try:
        with timed(item.config, item.name):
            return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Keep the console, the screen and the system's log of a failed test, and name the folder."""
    report = yield
    machines = item.stash.get(MACHINES, [])
    if report.failed and call.when == "call" and machines:
        folder = EVIDENCE / "".join(c if c.isalnum() or c in "-_" else "-" for c in item.name)
        for machine in machines:
            keep(machine, folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "why.txt").write_text(report.longreprtext)
        report.sections.append(("evidence kept", str(folder)))
    return report


def keep(machine, folder):
    """Copy what tells how it went out of a machine."""
    with contextlib.suppress(TestbedError, OSError):
        machine.keep(folder)
        told = machine.guest().run("journalctl -b --no-pager | tail -n 2000", seconds=20, check=False)
        (folder / "journal.log").write_text(told.out)


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter, config):
    if times := config.stash[TIMES]:
        terminalreporter.section("how long it took, seconds")
        for what, seconds in times:
            terminalreporter.write_line(f"{seconds:8.1f}  {what}")


@pytest.fixture(scope="session")
def say(request):
    """Tell on the terminal what takes long."""
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    return lambda line: reporter.write_line(f"testbed: {line}")


@pytest.fixture(scope="session")
def evidence():
    """The folder for what is kept of a test that did not fail."""
    return EVIDENCE


@pytest.fixture(scope="session")
def state(request, say):
    """What machines start from, by cgroup mode and suite: desktop up, the built wheel installed."""
    made = {}

    def of(mode="unified", suite=None):
        key = mode, suite or chosen_suite()
        if key not in made:
            with timed(request.config, f"image and state, {' '.join(key)}"):
                made[key] = ensure_program(say, MODES[mode], suite=suite)
        return made[key]

    return of


@pytest.fixture
def start_machine(request, state):
    """Start fresh machines; all end with the test."""
    with contextlib.ExitStack() as stack:
        machines = request.node.stash[MACHINES] = []

        def start(mode="unified", suite=None, **how):
            base = state(mode, suite)
            with timed(request.config, f"  take up a machine for {request.node.name}"):
                machine = stack.enter_context(Machine(base, **how))
                machines.append(machine)
                taken_up(machine)
            return machine

        yield start


@pytest.fixture
def machine(start_machine):
    """A fresh machine with unified cgroups and the desktop up."""
    return start_machine()


@pytest.fixture
def guest(machine):
    """Root's way into it."""
    return machine.guest()
