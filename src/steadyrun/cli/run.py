"""`steadyrun run`: one command, contained and guarded; transparent to its terminal and exit code."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from steadyrun.cli.limits import add_limit_options, limits_of
from steadyrun.errors import EndedBeforeStartError, SteadyrunError, UsageError
from steadyrun.guard.once import Finished, Request, run_once
from steadyrun.model.limits import Limits
from steadyrun.model.outcome import Ending, LoadOutcome
from steadyrun.units import GIB, MIB, Bytes, format_duration, format_oom_kills, format_size, size_argument

if TYPE_CHECKING:
    import argparse
    from types import SimpleNamespace

    from steadyrun.cli.parser import Parser
    from steadyrun.cli.quick import Options

EPILOG = """\
Everything after -- is the command, exactly as it is. Its terminal, Ctrl-C, Ctrl-Z, standard streams
and exit code are as if nothing stood between. Without --memory it gets what the last passed ramp
proved, else three quarters of what is free less the machine's reserve.

exit code: the command's own; 124 wall time, 125 steadyrun itself failed, 126 not executable,
127 no such command, 137 killed at a limit (one line on standard error says which and what to try).

examples:
  steadyrun run --memory 4G -- pytest -n auto
  steadyrun run --memory 8G --cpus 1.5 --timeout 10m -- make -j
  steadyrun run -- bash                       a contained shell
"""


def configure(parser: Parser | Options) -> None:
    """Say which options there are."""
    parser.takes_command = True
    parser.usage = "steadyrun run [LIMITS] [options] -- COMMAND [ARG ...]"
    parser.epilog = EPILOG
    add_limit_options(parser)
    parser.add_argument("--json", metavar="FILE", help="write how it ended to FILE")
    parser.add_argument("--user", metavar="NAME", help="as root: run the command as this user")
    parser.add_argument(
        "--accept-weak", action="store_true", help="take polled limits where systemd is silent"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors and kills")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")


def execute(args: argparse.Namespace | SimpleNamespace) -> int:
    """Run the command and return its exit code."""
    if not args.argv:
        raise UsageError(
            "expected a command after --, found none", hint="steadyrun run --memory 4G -- YOUR COMMAND"
        )
    from steadyrun.cli.identity import environment_of, run_as
    from steadyrun.cli.settings import settings_here
    from steadyrun.guard.front import die_like

    asked, user = limits_of(args, settings_here()), run_as(args.user)
    request = Request(
        argv=args.argv,
        cwd=_cwd(),
        env=environment_of(user),
        asked=asked,
        run_as=user,
        accept_weak=args.accept_weak,
    )
    try:
        finished = run_once(request, say=lambda line: None if args.quiet else _say(line), warn=_say)
    except EndedBeforeStartError as ended:
        die_like(ended.signal)
        raise
    if args.json:
        _write_outcome(args.json, finished)
    for line in explain(finished.outcome, finished.limits, args.argv):
        _say(line)
    if args.verbose:
        _say(_figures(finished.outcome))
    from steadyrun.guard.exitcode import exit_code

    code = exit_code(finished.outcome)
    if finished.outcome.ending is Ending.EXITED and finished.outcome.signal is not None:
        die_like(finished.outcome.signal)
    return code


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise UsageError(
            "the working directory does not exist any more", hint="cd to one that does"
        ) from None


def _say(line: str) -> None:
    """Write one line past Python's buffer, whose lock a writer in another thread may hold for long."""
    if sys.stderr is None:  # closed before we began; its number may be somebody else's by now
        return
    left = f"steadyrun: {line}\n".encode(errors="backslashreplace")
    try:
        while left:
            left = left[os.write(2, left) :]
    except OSError:
        pass  # a closed or full standard error does not change how the command ends


def explain(outcome: LoadOutcome, limits: Limits, argv: tuple[str, ...]) -> list[str]:
    """Return what the person should read about the end: nothing for a plain exit."""
    lines: list[str] = []
    match outcome.ending:
        case Ending.MEMORY_LIMIT:
            lines.append(_memory_kill(outcome, limits))
        case Ending.WALL_TIME:
            longer = format_duration((limits.wall_time or 1) * 2).replace(" ", "")
            lines.append(f"ended: {outcome.cause}; try --timeout {longer}")
        case Ending.HOST_MEMORY | Ending.HOST_PRESSURE:
            lines.append(
                f"killed to keep the machine steady: {outcome.cause}; its peak was "
                f"{format_size(outcome.memory_peak)}; try a lower --memory, or close something else"
            )
        case Ending.STOPPED:
            lines.append(f"stopped: {outcome.cause}")
        case Ending.NOT_STARTED:
            lines.append(f"{argv[0]}: {outcome.start_error}")
        case Ending.CONTAINMENT_GONE | Ending.CONDUCTOR_GONE | Ending.GUARD_GONE | Ending.UNKNOWN:
            lines.append(f"ended without being asked: {outcome.cause or 'reason unknown'}")
        case Ending.EXITED:
            if outcome.left_behind:
                left = outcome.left_behind
                were = "1 process behind; it was" if left == 1 else f"{left} processes behind; they were"
                lines.append(f"the command left {were} ended")
            if outcome.signal == signal.SIGKILL and outcome.oom_kills and not outcome.kills_at_limit:
                lines.append(f"{format_oom_kills(outcome.oom_kills)} in it, none at its own memory limit")
    if outcome.survivors:
        were = "1 process" if outcome.survivors == 1 else f"{outcome.survivors} processes"
        lines.append(f"{were} could not be killed: not before what they wait for in the kernel is over")
    if not outcome.removed:
        lines.append("its containment could not be removed; `steadyrun recover` tries again")
    return lines


def _memory_kill(outcome: LoadOutcome, limits: Limits) -> str:
    """Name the limit, the peak, and a value worth trying: half as much again, in whole 100 MiB."""
    had = limits.memory_max or 0
    step = GIB if had >= 4 * GIB else 100 * MIB
    more = Bytes(-(-int(had * 1.5) // step) * step)
    return (
        f"killed at its memory limit, {format_size(had)}: peak {format_size(outcome.memory_peak)}, "
        f"{format_oom_kills(outcome.oom_kills)}; try --memory {size_argument(more)}, or fewer workers"
    )


def _figures(outcome: LoadOutcome) -> str:
    return (
        f"wall {format_duration(outcome.wall)}, CPU {format_duration(outcome.cpu)}, "
        f"peak memory {format_size(outcome.memory_peak)}, tasks at most {outcome.tasks_peak}"
    )


def _write_outcome(path: str, finished: Finished) -> None:
    from steadyrun.cli.outcome_json import outcome_json
    from steadyrun.report.files import write_atomic

    try:
        write_atomic(os.path.abspath(path), outcome_json(finished), durable=False)
    except SteadyrunError as error:
        _say(f"--json: {error.message}")
