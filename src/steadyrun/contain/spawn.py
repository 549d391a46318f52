"""The barrier: a process that waits inside our own code until it is contained, then becomes the load.

    waiting = spawn_member(member, ...)   # forked; sets itself up; blocks on the barrier
    containment.admit(waiting.pid)        # moved, and verified by /proc/PID/cgroup
    waiting.release()                     # exec: its first instruction runs inside
    error = waiting.start_error()         # None: exec took place

If the parent dies first, the barrier's pipe ends and the child exits without having run anything.

What the fork is charged to: until it is admitted, to the parent's cgroup (kernel stack, task
structure, copied page tables: some hundred KiB). A charge does not move with the process
(Documentation/admin-guide/cgroup-v1/memory.rst, section 4.2; cgroup-v2.rst, "Memory Ownership"),
and exec gives the copied memory back, so the load begins with what it touches itself.

The caller must have one thread only: between fork and exec the child runs Python.
"""

from __future__ import annotations

import os
import signal

from steadyrun.contain.execute import execute, why_denied
from steadyrun.errors import FormatError
from steadyrun.model.outcome import StartError
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import NoReturn

    from steadyrun.model.containment import ContainmentPlan
    from steadyrun.model.plan import Member, RunAs

OOM_SCORE_ADJ = 1000
"""The first victim of every OOM kill; raising it needs no privilege (proc_pid_oom_score_adj(5))."""
EXIT_NEVER_STARTED = 127
"""Of a child that did not get as far as exec: nobody reads it, `StartError` says why."""

_GO = b"g"


class Waiting:
    """A child behind its barrier. Reaping it is the caller's, save after `abort`."""

    __slots__ = ("_barrier", "_error", "name", "pid", "pidfd")

    def __init__(self, pid: int, barrier: int, error: int, name: str) -> None:
        self.pid = pid
        self._barrier = barrier
        self._error = error
        self.name = name
        self.pidfd = os.pidfd_open(pid)

    @property
    def error_fd(self) -> int:
        """Becomes readable when exec took place (end of file) or failed; -1 once read."""
        return self._error

    def release(self) -> None:
        """Let it become its command. A child that died behind the barrier is no error here."""
        if self._barrier < 0:
            return
        try:
            os.write(self._barrier, _GO)
        except BrokenPipeError:
            pass
        os.close(self._barrier)
        self._barrier = -1

    def start_error(self) -> StartError | None:
        """Wait for exec and return why it failed, `None` when it took place. Once.

        Blocks until then: call it after `release`, or when `error_fd` is readable.
        """
        if self._error < 0:
            return None
        parts = b""
        while part := os.read(self._error, 4096):
            parts += part
        os.close(self._error)
        self._error = -1
        return _decode_error(parts, self.name) if parts else None

    def ended_by(self) -> int | None:
        """Return the signal that ended it; `None` while it lives, and when none did. Does not reap it."""
        found = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        killed = found is not None and found.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
        return found.si_status if found is not None and killed else None

    def abort(self) -> None:
        """End it unreleased and reap it."""
        from signal import SIGKILL, pidfd_send_signal

        try:
            pidfd_send_signal(self.pidfd, SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        self.close()

    def close(self) -> None:
        """Close the descriptors. A child that still waits ends by that."""
        for fd in (self._barrier, self._error, self.pidfd):
            if fd >= 0:
                os.close(fd)
        self._barrier = self._error = self.pidfd = -1


def marker_environment(plan: ContainmentPlan) -> dict[str, str]:
    """Return the plan's marker as an environment, empty where the backend needs none."""
    if plan.marker is None:
        return {}
    name, _, value = plan.marker.partition("=")
    return {name: value}


def inheritable_fds() -> tuple[int, ...]:
    """Name the descriptors above 2 that this process was given to pass on.

    Call it at the start: Python opens its own ones close-on-exec (PEP 446), so what is inheritable
    then came from the caller (a shell's `<(...)`, a jobserver's pipes).
    """
    found = []
    for fd in _open_fds():
        try:
            if fd > 2 and os.get_inheritable(fd):
                found.append(fd)
        except OSError:  # the descriptor of the listing itself
            continue
    return tuple(sorted(found))


def _open_fds() -> Iterator[int]:
    """Name this process's descriptors, and the one of the listing, which is closed again."""
    return map(int, os.listdir("/proc/self/fd"))


def spans(fds: Iterable[int]) -> list[tuple[int, int]]:
    """Return descriptors as ranges without a gap, in order: each its first, and the one after its last."""
    found: list[tuple[int, int]] = []
    for fd in sorted(fds):
        if found and found[-1][1] == fd:
            found[-1] = (found[-1][0], fd + 1)
        else:
            found.append((fd, fd + 1))
    return found


def spawn_member(
    member: Member,
    *,
    run_as: RunAs | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    new_session: bool = False,
    oom_score_adj: int | None = OOM_SCORE_ADJ,
    extra_env: Mapping[str, str] | None = None,
    keep_fds: tuple[int, ...] = (),
    keep_ignored: tuple[int, ...] = (),
) -> Waiting:
    """Fork a child that sets itself up for `member` and waits.

    Args:
        member: The command, its directory and its whole environment (PATH is looked up there).
        run_as: The user to become; `None`: stay who we are.
        stdin: Descriptor that becomes its standard input; `None`: ours.
        stdout: As `stdin`.
        stderr: As `stdin`.
        new_session: A session of its own without a terminal; else our process group.
        oom_score_adj: What to set; `None`: ours. Where it is refused it stays ours.
        extra_env: Added to the member's environment.
        keep_fds: Descriptors above 2 that the command gets, under their numbers; all others are closed.
        keep_ignored: Signals that stay ignored (what `nohup` set up); all others get their default.

    Raises:
        OSError: No process, pipe or descriptor to be had. Everything later comes by `Waiting.start_error`.
    """
    name = member.argv[0] if member.argv else ""
    environment = {**member.env, **(extra_env or {})}
    pipes = [*_pipe_above_streams()]
    try:
        pipes += _pipe_above_streams()
    except BaseException:
        _close_all(pipes)
        raise
    barrier_read, barrier_write, error_read, error_write = pipes
    # A signal that comes before the child has its own handlers waits until it has: a blocked signal is
    # kept also where the parent ignores it (signal(7); sig_ignored in kernel/signal.c).
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        closed = spans({*_open_fds()} - {0, 1, 2, barrier_read, error_write, *keep_fds})
        pid = os.fork()
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _close_all(pipes)
        raise
    if pid == 0:
        try:
            _Child(barrier_read, error_write).become(
                member, environment, run_as, (stdin, stdout, stderr), new_session, oom_score_adj,
                closed, keep_fds, frozenset(keep_ignored),
            )  # fmt: skip
        finally:  # whatever was raised ends here: no second copy of the parent may go on
            os._exit(EXIT_NEVER_STARTED)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(barrier_read)
    os.close(error_write)
    try:
        return Waiting(pid, barrier_write, error_read, name)
    except BaseException:
        os.kill(pid, signal.SIGKILL)  # not reaped yet: nobody else has this number
        os.waitpid(pid, 0)
        _close_all([barrier_write, error_read])
        raise


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _pipe_above_streams() -> tuple[int, int]:
    """Open a pipe whose descriptors are above 2, also where the caller closed a standard stream."""
    import fcntl

    ends = os.pipe2(os.O_CLOEXEC)
    moved = []
    for fd in ends:
        if fd > 2:
            moved.append(fd)
        else:
            moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3))
            os.close(fd)
    return moved[0], moved[1]


def _decode_error(data: bytes, name: str) -> StartError:
    head, _, why = os.fsdecode(data).partition("\n")
    number, _, doing = head.partition(" ")
    if not number.isdecimal():
        raise FormatError(f"start of {name}: expected an errno and a step, found {data!r}")
    what = f"{doing}: {name}" if doing == "exec" else doing
    return StartError(int(number), doing, f"{what}: {os.strerror(int(number))}", why)


class _Child:
    """The forked child. It ends in exec or exit; what fails is said through the error pipe."""

    def __init__(self, barrier: int, error: int) -> None:
        self.barrier = barrier
        self.error = error

    def become(
        self,
        member: Member,
        environment: dict[str, str],
        run_as: RunAs | None,
        streams: tuple[int | None, int | None, int | None],
        new_session: bool,
        oom_score_adj: int | None,
        closed: list[tuple[int, int]],
        keep_fds: tuple[int, ...],
        keep_ignored: frozenset[int],
    ) -> NoReturn:
        """Set up, wait, exec."""
        doing = "streams"
        try:
            _take_streams(streams)
            _close(closed)
            for fd in keep_fds:
                os.set_inheritable(fd, True)
            doing = "session"
            if new_session:
                os.setsid()
            _be_ordinary(oom_score_adj)
            _reset_signals(keep_ignored)
            doing = "user"
            if run_as is not None:
                _become_user(run_as)
            doing = "chdir"
            os.chdir(member.cwd)  # as the user: a directory that only root may enter is not theirs
            if os.read(self.barrier, 1) != _GO:
                os._exit(EXIT_NEVER_STARTED)
            doing = "exec"
            execute(member.argv, environment)
        except OSError as error:
            os.write(self.error, os.fsencode(f"{error.errno or 0} {doing}\n{_why(error, doing)}"))
        except ValueError:  # a NUL byte in a word: no command can have that
            os.write(self.error, f"22 {doing}".encode("ascii"))
        os._exit(EXIT_NEVER_STARTED)


def _why(error: OSError, doing: str) -> str:
    """Say what was in the way of this user, where it can be told."""
    import errno

    path = error.filename
    if doing == "chdir":
        return f"its working directory cannot be entered: {path}: {os.strerror(error.errno or 0)}"
    denied = doing == "exec" and error.errno == errno.EACCES and isinstance(path, str)
    return why_denied(path) if denied else ""


def _close(ranges: list[tuple[int, int]]) -> None:
    """Close what was open at the fork.

    One close_range(2) a range; where there is none (before 5.9, denied by a seccomp filter, unknown to the C
    library that Python was built with) Python closes number by number, so ranges hold what is open alone:
    up to the greatest number that there may be it takes minutes (python/cpython#57997).
    """
    for first, end in ranges:
        os.closerange(first, end)


def _take_streams(streams: tuple[int | None, int | None, int | None]) -> None:
    """Put the given descriptors at 0, 1 and 2, in whatever order they were."""
    import fcntl

    copies = [None if fd is None else fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in streams]
    for target, copy in enumerate(copies):
        if copy is not None:
            os.dup2(copy, target, inheritable=True)
            os.close(copy)


def _be_ordinary(oom_score_adj: int | None) -> None:
    """Give back what the guard took for itself: real-time scheduling, a better nice value, OOM rank.

    A policy that gives way to others (SCHED_IDLE, SCHED_BATCH) is the user's and stays; to leave SCHED_IDLE
    wants a privilege (sched(7)).

    A real-time process could not be admitted: a legacy cpu cgroup has no real-time runtime of its
    own where RT_GROUP_SCHED is on (Documentation/scheduler/sched-rt-group.rst, section 2.3).
    """
    if os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK in (os.SCHED_FIFO, os.SCHED_RR):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    if oom_score_adj is None:
        return
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(oom_score_adj).encode("ascii"))
        finally:
            os.close(fd)
    except OSError:
        pass  # the limits are what holds


def _reset_signals(keep_ignored: frozenset[int]) -> None:
    """Give every signal its default but those that stay ignored, and block none.

    Python ignores SIGPIPE and SIGXFSZ for itself, and exec keeps that (execve(2)).
    """
    for number in signal.valid_signals():
        if number in (signal.SIGKILL, signal.SIGSTOP):
            continue
        try:
            signal.signal(number, signal.SIG_IGN if number in keep_ignored else signal.SIG_DFL)
        except (OSError, ValueError):  # the two real-time signals of the C library
            continue
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _become_user(user: RunAs) -> None:
    """Drop to the user for good: groups, group, user, each with its real, effective and saved id."""
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
