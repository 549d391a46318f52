"""The barrier: real children, no cgroup."""

import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys
import time

import denying
import pytest

from conftest import until
from steadyrun.contain.spawn import inheritable_fds, spans, spawn_member
from steadyrun.model.plan import Member, RunAs

PYTHON = (sys.executable, "-I", "-S", "-c")
ENV = {"PATH": "/usr/bin:/bin"}


class Spawned:
    """A child with its output in a pipe."""

    def __init__(self, argv, *, cwd="/", env=None, **how):
        self.out, write_end = os.pipe2(os.O_CLOEXEC)
        self.waiting = spawn_member(
            Member(tuple(argv), str(cwd), ENV if env is None else env), stdout=write_end, **how
        )
        os.close(write_end)

    def run(self):
        """Release it; return (exit code, output, start error)."""
        self.waiting.release()
        error = self.waiting.start_error()
        output = b""
        while part := os.read(self.out, 65536):
            output += part
        _, status = os.waitpid(self.waiting.pid, 0)
        self.waiting.close()
        os.close(self.out)
        return os.waitstatus_to_exitcode(status), output.decode(), error


@pytest.fixture
def spawned():
    made = []

    def spawn(*argv, **how):
        made.append(Spawned(argv, **how))
        return made[-1]

    yield spawn
    for child in made:
        if child.waiting.pidfd >= 0:
            child.waiting.abort()
            os.close(child.out)


def script(path, text, mode=0o755):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return str(path)


def state_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_nothing_runs_before_the_release(spawned, tmp_path):
    child = spawned("touch", str(tmp_path / "ran"))
    time.sleep(0.1)
    assert not (tmp_path / "ran").exists()
    assert state_of(child.waiting.pid) == "S"
    assert child.run() == (0, "", None)
    assert (tmp_path / "ran").exists()


def test_a_waiting_child_ends_without_running_when_its_parent_dies(tmp_path):
    read_end, write_end = os.pipe()
    guard = os.fork()
    if guard == 0:
        try:
            child = Spawned(["touch", str(tmp_path / "ran")])
            os.write(write_end, str(child.waiting.pid).encode())
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.close(write_end)
    pid = int(os.read(read_end, 20))
    os.close(read_end)
    os.waitpid(guard, 0)
    end = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}") and state_of(pid) not in "ZX" and time.monotonic() < end:
        time.sleep(0.005)
    assert not os.path.exists(f"/proc/{pid}") or state_of(pid) in "ZX"
    assert not (tmp_path / "ran").exists()


def test_a_waiting_child_does_not_hold_the_barrier_of_another_one(spawned):
    first = spawned("true")
    second = spawned("true")
    time.sleep(0.05)
    first.waiting.close()  # as if the parent were gone: the second must not keep the first waiting
    assert os.waitpid(first.waiting.pid, 0)[1] != 0
    os.close(first.out)
    assert second.run()[0] == 0


def test_an_aborted_child_is_gone_and_reaped(spawned):
    child = spawned("true")
    pid = child.waiting.pid
    child.waiting.abort()
    os.close(child.out)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_releasing_a_child_that_died_is_no_error(spawned):
    child = spawned("true")
    os.kill(child.waiting.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.waiting.pid, os.WEXITED | os.WNOWAIT)
    assert child.run() == (-9, "", None)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["steadyrun-no-such-command"], errno.ENOENT),
        (["/no/such/file"], errno.ENOENT),
        (["/etc/passwd"], errno.EACCES),
        (["/"], errno.EACCES),
        ([""], errno.ENOENT),
        ([], errno.ENOENT),
        (["true", "a\0b"], errno.EINVAL),
    ],
)
def test_a_command_that_cannot_be_executed_gives_its_errno(spawned, argv, expected):
    code, output, error = spawned(*argv).run()
    assert (code, output, error.errno, error.doing) == (127, "", expected, "exec")


def test_a_start_error_says_what_and_why(spawned):
    _, _, error = spawned("steadyrun-no-such-command").run()
    assert error.message == "exec: steadyrun-no-such-command: No such file or directory"


def test_a_directory_that_cannot_be_entered_is_told_before_the_release(spawned):
    child = spawned("true", cwd="/no/such/directory")
    error = child.waiting.start_error()
    assert (error.errno, error.doing) == (errno.ENOENT, "chdir")
    assert (
        error.why == "its working directory cannot be entered: /no/such/directory: No such file or directory"
    )


def test_a_script_without_an_interpreter_line_is_run_by_sh(spawned, tmp_path):
    path = script(tmp_path / "script", 'echo "$0 $1"\n')
    assert spawned(path, "word").run() == (0, f"{path} word\n", None)


def test_a_binary_file_without_a_known_format_is_not_given_to_sh(spawned, tmp_path):
    code, _, error = spawned(script(tmp_path / "binary", b"\x7fNOT\0ELF\n")).run()
    assert (code, error.errno) == (127, errno.ENOEXEC)


def test_an_interpreter_that_does_not_exist_is_told(spawned, tmp_path):
    _, _, error = spawned(script(tmp_path / "script", "#!/no/such/interpreter\n")).run()
    assert error.errno == errno.ENOENT


def test_the_command_is_looked_up_in_the_members_own_path(spawned, tmp_path):
    script(tmp_path / "mine", "#!/bin/sh\necho found\n")
    _, _, error = spawned("mine").run()
    assert error.errno == errno.ENOENT
    assert spawned("mine", env={"PATH": f"/no/such:{tmp_path}"}).run()[1] == "found\n"
    assert spawned("mine", cwd=tmp_path, env={"PATH": "/bin:"}).run()[1] == "found\n"
    assert spawned("true", env={}).run()[0] == 0


def test_a_file_that_may_not_be_executed_does_not_hide_one_later_in_path(spawned, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    script(tmp_path / "a" / "mine", "no", mode=0o644)
    _, _, error = spawned("mine", env={"PATH": f"{tmp_path}/a:{tmp_path}/b"}).run()
    assert error.errno == errno.EACCES
    script(tmp_path / "b" / "mine", "#!/bin/sh\necho second\n")
    assert spawned("mine", env={"PATH": f"{tmp_path}/a:{tmp_path}/b"}).run()[1] == "second\n"


def test_the_environment_is_the_members_and_what_was_added(spawned):
    _, output, _ = spawned("env", env={"PATH": "/usr/bin:/bin", "A": "1"}, extra_env={"B": "2"}).run()
    assert sorted(output.split()) == ["A=1", "B=2", "PATH=/usr/bin:/bin"]


def test_words_that_are_not_utf8_arrive_as_they_were(spawned):
    word = os.fsdecode(b"\xff\xfe")
    child = spawned("printf", "%s", word, extra_env={"X": word})
    child.waiting.release()
    assert os.read(child.out, 10) == b"\xff\xfe"


def test_signals_have_their_defaults_but_those_to_stay_ignored(spawned):
    old = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        child = spawned("grep", "Sig", "/proc/self/status", keep_ignored=(signal.SIGHUP,))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGQUIT, old)
    found = dict(line.split(":\t") for line in child.run()[1].splitlines())
    assert int(found["SigBlk"], 16) == 0
    of_the_c_library = 1 << 31 | 1 << 32  # 32 and 33: no program may set them, some callers pass them on
    assert int(found["SigIgn"], 16) & ~of_the_c_library == 1 << (signal.SIGHUP - 1)


def test_the_oom_score_is_raised(spawned):
    assert spawned("cat", "/proc/self/oom_score_adj").run()[1] == "1000\n"
    with open("/proc/self/oom_score_adj") as file:
        own = file.read()
    assert spawned("cat", "/proc/self/oom_score_adj", oom_score_adj=None).run()[1] == own


def test_priorities_of_the_parent_are_not_handed_on(spawned):
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        pytest.skip("no real-time scheduling here")
    try:
        child = spawned(*PYTHON, "import os; print(os.sched_getscheduler(0), os.getpriority(0, 0))")
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    assert child.run()[1] == f"0 {max(0, os.getpriority(os.PRIO_PROCESS, 0))}\n"


@pytest.mark.parametrize("new_session", [True, False])
def test_a_child_has_its_own_session_or_stays_in_our_process_group(spawned, new_session):
    child = spawned(*PYTHON, "import os; print(os.getsid(0), os.getpgid(0))", new_session=new_session)
    pid = child.waiting.pid
    expected = (pid, pid) if new_session else (os.getsid(0), os.getpgid(0))
    assert child.run()[1] == "{} {}\n".format(*expected)


LIST_FDS = """
import os
fds = (int(name) for name in os.listdir("/proc/self/fd"))
print([fd for fd in sorted(fds) if os.path.exists(f"/proc/self/fd/{fd}")])
"""


def test_no_descriptor_but_the_streams_is_handed_on(spawned):
    low, high = os.dup(0), os.dup2(0, 200)
    os.set_inheritable(low, True)
    try:
        child = spawned(*PYTHON, LIST_FDS)
    finally:
        os.close(low)
        os.close(high)
    assert child.run()[1] == "[0, 1, 2]\n"


@pytest.mark.parametrize(
    ("fds", "expected"),
    [
        ((), []),
        ((3,), [(3, 4)]),
        ((5, 3, 4), [(3, 6)]),
        ((9, 3, 4, 200, 10), [(3, 5), (9, 11), (200, 201)]),
    ],
)
def test_descriptors_are_closed_in_ranges_that_hold_nothing_else(fds, expected):
    assert spans(fds) == expected


SPAWN = f"""
import os, sys
from steadyrun.contain.spawn import spawn_member
from steadyrun.model.plan import Member
os.dup2(0, 200)
waiting = spawn_member(Member((sys.executable, "-I", "-S", "-c", {LIST_FDS!r}), "/", {{}}))
waiting.release()
print(waiting.start_error(), os.waitpid(waiting.pid, 0)[1])
"""


def test_a_start_without_close_range_closes_what_is_open_and_does_not_try_every_number():
    """As before 5.9, in a container that denies the call, or with a Python built on an older C library."""
    denied = [sys.executable, denying.__file__, str(denying.CLOSE_RANGE), sys.executable, "-c", SPAWN]
    with subprocess.Popen(denied, stdout=subprocess.PIPE, text=True, start_new_session=True) as spawner:
        try:
            assert spawner.communicate(timeout=20)[0] == "[0, 1, 2]\nNone 0\n"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(spawner.pid, signal.SIGKILL)


def test_a_child_that_waits_holds_its_streams_and_the_two_ends_it_needs(spawned):
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    child = spawned("true", stdin=null, stderr=null)
    os.close(null)
    assert until(lambda: state_of(child.waiting.pid) == "S")
    assert len([fd for fd in os.listdir(f"/proc/{child.waiting.pid}/fd") if int(fd) > 2]) == 2


def test_descriptors_to_keep_are_handed_on_under_their_numbers(spawned):
    read_end, write_end = os.pipe()
    os.write(write_end, b"through")
    os.close(write_end)
    child = spawned(*PYTHON, f"import os; print(os.read({read_end}, 10))", keep_fds=(read_end,))
    os.close(read_end)
    assert child.run()[1] == "b'through'\n"


def test_descriptors_given_by_the_caller_are_told_from_our_own():
    ours, given = os.dup(0), os.dup(0)
    os.set_inheritable(given, True)
    try:
        found = inheritable_fds()
    finally:
        os.close(ours)
        os.close(given)
    assert given in found
    assert ours not in found


def test_streams_can_be_swapped(spawned, tmp_path):
    out, err = (os.open(tmp_path / n, os.O_CREAT | os.O_WRONLY) for n in ("out", "err"))
    waiting = spawn_member(Member(("sh", "-c", "echo out; echo err >&2"), "/", ENV), stdout=out, stderr=err)
    waiting.release()
    assert waiting.start_error() is None
    os.waitpid(waiting.pid, 0)
    waiting.close()
    os.close(out)
    os.close(err)
    assert (tmp_path / "out").read_text() == "out\n"
    assert (tmp_path / "err").read_text() == "err\n"


def test_it_works_with_the_standard_streams_closed(tmp_path):
    guard = os.fork()
    if guard == 0:
        try:
            os.closerange(0, 3)
            out = os.open(tmp_path / "out", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC)  # becomes 0
            waiting = spawn_member(Member(("echo", "fine"), "/", ENV), stdout=out)
            waiting.release()
            failed = waiting.start_error()
            _, status = os.waitpid(waiting.pid, 0)
            os._exit(0 if failed is None and status == 0 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(guard, 0)[1] == 0
    assert (tmp_path / "out").read_text() == "fine\n"


NOBODY = RunAs(uid=65534, gid=65534, groups=(65534,), name="nobody", home="/")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_as_another_user_every_id_is_that_users(spawned):
    _, output, error = spawned(
        "grep", "-E", "^(Uid|Gid|Groups|CapEff)", "/proc/self/status", run_as=NOBODY
    ).run()
    assert error is None
    found = {line.split(":")[0]: line.split(":")[1].split() for line in output.splitlines()}
    assert found["Uid"] == found["Gid"] == ["65534"] * 4
    assert found["Groups"] == ["65534"]
    assert int(found["CapEff"][0], 16) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_directory_is_entered_with_the_users_rights(spawned, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=stat.S_IRWXU)
    error = spawned("true", cwd=closed, run_as=NOBODY).waiting.start_error()
    assert (error.errno, error.doing) == (errno.EACCES, "chdir")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may become anybody")
def test_becoming_another_user_without_the_right_is_told(spawned):
    assert spawned("true", run_as=NOBODY).waiting.start_error().errno == errno.EPERM


def test_a_signal_that_ended_a_waiting_child_is_told_without_reaping_it(spawned):
    child = spawned("true")
    assert child.waiting.ended_by() is None
    os.kill(child.waiting.pid, signal.SIGTERM)
    os.waitid(os.P_PIDFD, child.waiting.pidfd, os.WEXITED | os.WNOWAIT)
    assert child.waiting.ended_by() == child.waiting.ended_by() == signal.SIGTERM


def test_a_child_that_exited_was_ended_by_no_signal(spawned):
    child = spawned("true")
    child.waiting.release()
    os.waitid(os.P_PIDFD, child.waiting.pidfd, os.WEXITED | os.WNOWAIT)
    assert child.waiting.ended_by() is None
