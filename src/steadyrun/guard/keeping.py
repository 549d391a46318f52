"""Starting the keeper, giving it signs of life, and replacing it when it dies."""

from __future__ import annotations

import os
import select
import signal
import sys
from time import monotonic

from steadyrun.guard import keeper
from steadyrun.model.containment import ContainmentMade
from steadyrun.model.finding import Finding, Severity
from steadyrun.named import NamedTuple
from steadyrun.units import Seconds

BEAT_EVERY = Seconds(1.0)
"""A third of the keeper's patience: one lost second does no harm."""
RETRY_FIRST, RETRY_LAST = Seconds(1.0), Seconds(30.0)
"""Pauses before another try, doubled each time: a keeper that cannot start must not become a load itself."""
AT_ONCE, NEVER = Seconds(0.0), Seconds(float("inf"))
_PASSED_ON = ("LD_LIBRARY_PATH",)
"""Without it some Pythons do not start (ld.so(8)); no setting of the interpreter is passed on (-I)."""


class Keeper:
    """A started keeper. Its pipe's write end exists in this process alone."""

    __slots__ = ("_heard", "_last", "_pipe", "_ready", "pid", "pidfd", "started")

    def __init__(self, made: ContainmentMade) -> None:
        """Start it; it watches from its first read on, and an earlier death is an EOF it finds then.

        Raises:
            OSError: There is no process, descriptor or interpreter for it.
        """
        read_end, self._pipe = os.pipe2(os.O_CLOEXEC)
        try:
            self._ready, ready_end = os.pipe2(os.O_CLOEXEC)
            try:
                self.pid = _spawn(made, read_end, ready_end)
                self.pidfd = _pidfd(self.pid)
            except BaseException:
                os.close(self._ready)
                raise
            finally:
                os.close(ready_end)
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(read_end)
        os.set_blocking(self._pipe, False)
        os.set_blocking(self._ready, False)
        self.started = Seconds(monotonic())
        self._heard = False
        self._last = Seconds(float("-inf"))

    def beat(self, now: Seconds) -> None:
        """Give a sign of life, at most one in BEAT_EVERY. A dead keeper is not noticed here."""
        if now - self._last >= BEAT_EVERY:
            self._last = now
            self._say(keeper.BEAT)

    def pause(self) -> None:
        """Announce silence: the guard is about to be stopped. The next `beat` ends it."""
        self._last = Seconds(float("-inf"))
        self._say(keeper.PAUSE)

    def watches(self, within: Seconds = AT_ONCE) -> bool:
        """Tell whether it has said that it watches; wait for that word at most `within`."""
        if not self._heard and within > 0:
            poll = select.poll()
            poll.register(self._ready, select.POLLIN)
            poll.poll(within * 1000)
        if not self._heard:
            try:
                self._heard = bool(os.read(self._ready, 1))
            except BlockingIOError:
                pass
        return self._heard

    def lives(self) -> bool:
        """Tell whether it has not ended."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return not poll.poll(0)

    def dismiss(self) -> int | None:
        """End and reap it: nothing is left to keep, or it is dead already.

        SIGKILL, so that a short command does not wait for an interpreter to start and to end.

        Returns:
            Its exit code, negative for a signal; `None`: somebody else reaped it.
        """
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        for fd in (self._pipe, self._ready, self.pidfd):
            os.close(fd)
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return None

    def _say(self, word: bytes) -> None:
        try:
            os.write(self._pipe, word)
        except OSError:
            pass  # dead, which the loop sees by its pidfd, or a full pipe of unread beats


class Lost(NamedTuple):
    """What became of a keeper that ended."""

    did_its_work: bool
    """It took us for dead and has ended the load."""
    finding: Finding | None
    """What the reader should know, unless it was told before."""


class Keeping:
    """The keeper of one load: replaced when it dies, and done without while none can be had.

    A missing keeper is told once, until there has been one that watched for RETRY_FIRST again.
    """

    __slots__ = ("_keeper", "_made", "_pause", "_retry_at", "_told")

    def __init__(self, made: ContainmentMade) -> None:
        """Start the first one.

        Raises:
            OSError: It could not be started.
        """
        self._made = made
        self._keeper: Keeper | None = Keeper(made)
        self._retry_at = NEVER
        self._pause = RETRY_FIRST
        self._told = False

    @property
    def pid(self) -> int:
        """Its process; 0 while there is none."""
        return 0 if self._keeper is None else self._keeper.pid

    @property
    def pidfd(self) -> int:
        """Readable once it has ended; -1 while there is none."""
        return -1 if self._keeper is None else self._keeper.pidfd

    @property
    def retry_at(self) -> Seconds:
        """When `retry` is to be called, CLOCK_MONOTONIC; NEVER while there is a keeper."""
        return self._retry_at

    def failed(self) -> bool:
        """Tell whether there is no keeper or it has ended."""
        return self._keeper is None or not self._keeper.lives()

    def watches(self, within: Seconds) -> bool:
        """Tell whether it watches; wait for that at most `within`."""
        return self._keeper is not None and self._keeper.watches(within)

    def beat(self, now: Seconds) -> None:
        """Give a sign of life."""
        if self._keeper is not None:
            self._keeper.beat(now)

    def pause(self) -> None:
        """Announce silence."""
        if self._keeper is not None:
            self._keeper.pause()

    def dismiss(self) -> None:
        """End it: nothing is left to keep. Idempotent."""
        keeper, self._keeper, self._retry_at = self._keeper, None, NEVER
        if keeper is not None:
            keeper.dismiss()

    def lost(self, now: Seconds) -> Lost:
        """Bury the keeper that ended; start another one at once if it had watched for a while."""
        old = self._keeper
        assert old is not None
        watched = old.watches() and now - old.started >= RETRY_FIRST
        self._keeper = None
        code = old.dismiss()
        if code == 0:
            return Lost(True, None)
        evidence = f"pid {old.pid} ended with {_how(code)}"
        if watched:
            self._pause, self._told = RETRY_FIRST, False
            error = self._start(now)
            if error is None:
                return Lost(False, _died(evidence, f"started another one, pid {self.pid}"))
            evidence = f"{evidence}; another one: {error}"
        else:
            self._later(now)
        return Lost(False, self._missing(evidence))

    def retry(self, now: Seconds) -> Finding | None:
        """Start another one when it is time to."""
        if now < self._retry_at:
            return None
        error = self._start(now)
        return None if error is None else self._missing(error)

    def _start(self, now: Seconds) -> str | None:
        """Start one; return why it could not be done, and try again later then."""
        try:
            self._keeper = Keeper(self._made)
        except OSError as error:
            self._later(now)
            return error.strerror or str(error)
        self._retry_at = NEVER
        return None

    def _later(self, now: Seconds) -> None:
        self._retry_at = Seconds(now + self._pause)
        self._pause = Seconds(min(self._pause * 2, RETRY_LAST))

    def _missing(self, evidence: str) -> Finding | None:
        if self._told:
            return None
        self._told = True
        return _died(evidence, "the guard goes on without one and tries again")


def _died(evidence: str, done: str) -> Finding:
    title = f"The keeper died while the load ran: {evidence}; {done}"
    return Finding("keeper-died", Severity.WARNING, title, evidence, "", done)


def _how(code: int | None) -> str:
    if code is None:
        return "an unknown code"
    return f"signal {-code}" if code < 0 else f"code {code}"


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _spawn(made: ContainmentMade, read_end: int, ready_end: int) -> int:
    words = [*_arguments(made), "guard", str(os.getpid())]
    return start_script(keeper.__file__, words, stdin=read_end, stdout=ready_end, env=_mark(made))


def needed_to_start() -> dict[str, str]:
    """Return what this very interpreter may have needed of the environment to be started.

    What gets it is the same user's and the same program: whatever LD_LIBRARY_PATH can do is done already.
    """
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def script_words(script: str, words: list[str]) -> list[str]:
    """Return how the bare interpreter is called with a script of ours."""
    return [sys.executable, "-I", "-S", script, *words]


def script_environment(env: dict[str, str]) -> dict[str, str]:
    """Return `env` with what an interpreter needs to be started."""
    return {"PATH": os.defpath} | needed_to_start() | env


def start_script(script: str, words: list[str], *, stdin: int, stdout: int, env: dict[str, str]) -> int:
    """Start a script of ours with the bare interpreter, in a session of its own; return its pid.

    It gets `env` and what an interpreter needs to be started, nothing else of our environment.

    Raises:
        OSError: It could not be started.
    """
    return os.posix_spawn(
        sys.executable,
        script_words(script, words),
        script_environment(env),
        file_actions=[
            (os.POSIX_SPAWN_DUP2, stdin, 0),
            (os.POSIX_SPAWN_DUP2, stdout, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGPIPE),
    )


def _mark(made: ContainmentMade) -> dict[str, str]:
    """Return, where the load is known by a marker, one that says otherwise.

    A polled containment takes a new child of the guard for an orphan of the load unless it bears
    another mark, and would stop and kill the keeper that took over from a dead one.
    """
    return {} if made.plan.marker is None else {made.plan.marker.partition("=")[0]: "keeper"}


def _arguments(made: ContainmentMade) -> list[str]:
    plan = made.plan
    words: list[str] = []
    for identity in reversed(made.identities):
        words += ["dir", f"{identity.inode}:{identity.path}"]
    for path in plan.procs_files:
        words += ["procs", path]
    if plan.kill_file is not None:
        words += ["kill", plan.kill_file]
    if plan.freeze_file is not None:
        words += ["freeze", plan.freeze_file]
    if plan.marker is not None:
        words += ["marker", plan.marker]
    return words
