r"""`steadyrun run`: the guard as the front process of the load's own process group.

As if nothing stood between the terminal and the command: streams, working directory, environment
and the foreground process group are the load's as they are ours. Ctrl-C and Ctrl-\ reach the load
from the terminal itself, so they are not passed on; an INT or QUIT that a process sent, and TERM and
HUP, which a person or a supervisor sends to this process alone, are; Ctrl-Z stops both and `fg`
continues both, and where no shell could say `fg` it stops neither. A process group of the load's own
with `tcsetpgrp` was tried and stops a reader of the terminal behind a pipe, so the group is shared.
"""

from __future__ import annotations

import os
import signal
import sys

from steadyrun.errors import EndedBeforeStartError, SteadyrunError
from steadyrun.guard.hold import Hold, Streams, signal_and_wake
from steadyrun.model.outcome import Ending, LoadOutcome
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from steadyrun.guard.loop import Emit, Loop
    from steadyrun.model.given import Rules
    from steadyrun.model.means import Priority
    from steadyrun.run.canary import FrontCanary

STOP_SIGNAL = signal.SIGRTMIN + 1
"""What `steadyrun stop` sends: unlike TERM it is not passed on but ends the load, with a grace."""
FORWARDED = (signal.SIGTERM, signal.SIGHUP)
INTERRUPTS = (signal.SIGINT, signal.SIGQUIT)
"""What the terminal sends to the load as well. Blocked and collected, because a handler in Python does not
hear who sent them. A process that signals the whole group is heard twice by the load, as with TERM: one
signal to us and one to the group look the same (sudo(8) relays by the same rule)."""
PYTHON_IGNORES = {signal.SIGPIPE, signal.SIGXFSZ}
"""Ignored by the interpreter itself at start; the load gets their defaults."""
HANDLED = (*FORWARDED, signal.SIGTSTP, signal.SIGCONT, STOP_SIGNAL)


class Sent(NamedTuple):
    """A signal that came."""

    number: int
    by: int | None
    """The process that sent it, 0 for one of another pid namespace; `None`: the kernel, for a key that was
    pressed (sigaction(2), si_code: SI_KERNEL, and at most 0 where a process sent it)."""


class Signals:
    """This process's signal handling while it is in front; put back with `restore`."""

    def __init__(self) -> None:
        """Hold back what the terminal gives the load itself; collect the rest through a pipe."""
        self.fd, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before: dict[int, Any] = {}
        others = signal.valid_signals() - PYTHON_IGNORES
        self.ignored = tuple(int(s) for s in others if signal.getsignal(s) is signal.SIG_IGN)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
        for number in HANDLED:
            # What our parent ignored (nohup: HUP) stays ignored, for us and for the load.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._set(number, lambda _number, _frame: None)

    def _set(self, number: int, handler: Any) -> None:
        self._before[number] = signal.signal(number, handler)

    def interrupts(self) -> tuple[Sent, ...]:
        """Take the INT and QUIT that came since; what our parent ignored, the load ignores too."""
        sent = iter(lambda: signal.sigtimedwait(INTERRUPTS, 0), None)
        return tuple(
            Sent(each.si_signo, each.si_pid if each.si_code <= 0 else None)
            for each in sent
            if each.si_signo not in self.ignored
        )

    def arrived(self) -> bytes:
        """Return the numbers of the signals that came, in their order."""
        try:
            return os.read(self.fd, 4096)
        except BlockingIOError:
            return b""

    def asked_to_end(self) -> int | None:
        """Return the signal that asked us to end so far; `None`: there was none."""
        return next((number for number in self.arrived() if number in FORWARDED), None)

    def restore(self) -> None:
        """Put every handler back. A Ctrl-C that the load had is not ours afterwards."""
        self.interrupts()
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        os.close(self.fd)
        os.close(self._write)


class Terminal:
    """The terminal's settings before the load, put back when a kill left them changed."""

    def __init__(self, fd: int = 0) -> None:
        """Remember the settings; a standard input that is no terminal has none."""
        self._fd = fd
        self._saved: list[Any] | None = None
        if os.isatty(fd):
            import termios

            self._saved = termios.tcgetattr(fd)

    def restore(self) -> None:
        """Put the settings back, only from the foreground (else SIGTTOU would stop us)."""
        if self._saved is None:
            return
        import termios

        try:
            if os.tcgetpgrp(self._fd) == os.getpgrp():
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)
        except (OSError, termios.error):
            pass  # the terminal is gone; nothing to restore


def guard_in_front(
    make_hold: Callable[[Streams], Hold],
    rules_for: Callable[[Hold], Rules],
    emit: Emit,
    *,
    others: tuple[int, ...] = (),
    priority: Priority | None = None,
    canary: FrontCanary | None = None,
) -> LoadOutcome:
    """Hold one command in front of the terminal until it is over.

    Args:
        make_hold: Makes the containment and puts the waiting command into it.
        rules_for: Gives the rules once the limits are read back.
        emit: Hears every event.
        others: Descriptors above 2 that the caller meant for the command.
        priority: What was granted to this process, for the record.
        canary: Looked after while the load runs; `None`: there is none.

    Raises:
        EndedBeforeStartError: TERM or HUP came and the command could not be got ready: nothing ran.
    """
    terminal = Terminal()
    signals = Signals()
    try:
        try:
            hold = make_hold(Streams(others=others, ignored=signals.ignored))
        except SteadyrunError:
            # What goes to the whole process group ends the keeper or the waiting command as well.
            if (number := signals.asked_to_end()) is not None:
                raise EndedBeforeStartError(number) from None
            raise
        from steadyrun.guard.loop import Loop  # `make_hold` has had the time for it

        with hold:
            loop = Loop(hold, rules_for(hold), emit, priority=priority)
            loop.watch(signals.fd, lambda: _hear(signals, loop, canary))
            for sent in signals.interrupts():  # what came before there was a load to hear it
                _forward(loop, sent.number)
            loop.release()
            outcome = loop.run(lambda: _each_turn(signals, loop, canary))
    finally:
        try:
            if canary is not None:
                canary.close()
        finally:
            signals.restore()
    if outcome.ending is not Ending.EXITED or outcome.signal is not None:
        terminal.restore()
    return outcome


def _each_turn(signals: Signals, loop: Loop, canary: FrontCanary | None) -> None:
    _hear_interrupts(signals, loop)
    if canary is not None:
        canary.look(loop)


def _hear(signals: Signals, loop: Loop, canary: FrontCanary | None) -> None:
    for number in signals.arrived():
        if number in FORWARDED:
            _forward(loop, number)
        elif number == STOP_SIGNAL:
            loop.stop(Ending.STOPPED, "asked to stop")
        elif number == signal.SIGTSTP:
            _stop_with_the_load(loop, canary)


def _hear_interrupts(signals: Signals, loop: Loop) -> None:
    """Pass on an INT or QUIT that was sent, unless the load itself sent it: to its own process group."""
    for sent in signals.interrupts():
        if sent.by is not None and sent.by not in loop.hold.containment.pids():
            _forward(loop, sent.number)


def _forward(loop: Loop, number: int) -> None:
    """Pass a signal on to the command itself."""
    for pid in list(loop.hold.members):
        signal_and_wake(pid, number)


def _stop_with_the_load(loop: Loop, canary: FrontCanary | None) -> None:
    """Freeze the load, stop ourselves as the shell expects, and go on when it continues us.

    A load that is being ended is not stopped, nor is its guard: its grace is under way. Nor is one that
    nobody could continue: of the load the kernel stops nothing there either.
    """
    from steadyrun.guard.held import Stage
    from steadyrun.model.given import Continued, Paused
    from steadyrun.run.jobs import in_orphaned_group

    if loop.held.stage not in (Stage.RUNNING, Stage.FROZEN) or in_orphaned_group():
        return
    loop.give(Paused(loop.now()))
    if canary is not None:
        canary.rest()
    loop.hold.keeper.pause()
    _take_by_default(signal.SIGTSTP)
    loop.hold.keeper.beat(loop.now())
    loop.give(Continued(loop.now()))
    loop.resumed()
    # The shell's CONT reached the whole process group; a load that left the group gets its own.
    _forward(loop, signal.SIGCONT)


def _take_by_default(number: int) -> None:
    """Have a signal's default action once. For TSTP the kernel has the last word: SIGSTOP asks nobody."""
    handler = signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    signal.signal(number, handler)


def die_like(number: int) -> None:
    """End this process by the signal that ended the load, so that our caller sees the same."""
    import resource

    sys.stdout.flush()
    sys.stderr.flush()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        signal.signal(number, signal.SIG_DFL)
    except (OSError, ValueError):
        pass  # KILL and STOP have no handler to reset
    os.kill(os.getpid(), number)
