"""`steadyrun run`: one command, contained and guarded; transparent to its terminal and exit code."""

from __future__ import annotations

import os
import signal
import sys

from steadyrun.cli.options import add_limit_options, add_options, limits_of
from steadyrun.errors import EndedBeforeStartError, SteadyrunError, UsageError
from steadyrun.model.outcome import Ending, LoadOutcome
from steadyrun.run.once import Finished, Request, run_once
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import format_duration, format_size

if TYPE_CHECKING:
    import argparse
    from types import SimpleNamespace

    from steadyrun.cli.parser import Parser
    from steadyrun.cli.quick import Options
    from steadyrun.cli.settings import Settings

EPILOG = """\
Everything after -- is the command, exactly as it is. Its terminal, Ctrl-C, Ctrl-Z, standard streams
and exit code are as if nothing stood between. Without --memory it gets what the last passed ramp
with this command proved, else what one with the built-in storm did, else three quarters of what is
free less the machine's reserve.

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
    add_options(parser, "no_canary")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors and kills")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")


def execute(args: argparse.Namespace | SimpleNamespace) -> int:
    """Run the command and return its exit code."""
    if not args.argv:
        raise UsageError(
            "expected a command after --, found none", hint="steadyrun run --memory 4G -- YOUR COMMAND"
        )
    from steadyrun.cli.identity import environment_of, expect_working_directory, run_as
    from steadyrun.cli.settings import settings_here
    from steadyrun.run.front import die_like

    place = _open_place(args.json) if args.json else -1
    settings, user = settings_here(), run_as(args.user)
    asked, set_to = limits_of(args, settings), settings.word("memory")
    request = Request(
        argv=args.argv,
        cwd=expect_working_directory(),
        env=environment_of(user),
        asked=asked,
        run_as=user,
        guard=_thresholds(settings),
        canary=not (args.no_canary or settings.flag("no_canary")),
        accept_weak=args.accept_weak,
        memory_from="--memory" if set_to is None or args.memory is not None else set_to[1],
    )
    try:
        finished = run_once(request, say=lambda line: None if args.quiet else _say(line), warn=_say)
    except EndedBeforeStartError as ended:
        die_like(ended.signal)
        raise
    if args.json:
        _write_outcome(place, args.json, finished)
    for line in _explain(finished, args.argv):
        _say(line)
    if args.verbose:
        _say(_figures(finished))
    from steadyrun.run.exitcode import exit_code

    code = exit_code(finished.outcome)
    if finished.outcome.ending is Ending.EXITED and finished.outcome.signal is not None:
        die_like(finished.outcome.signal)
    return code


def _thresholds(settings: Settings) -> dict[str, float]:
    if not settings.of_guard():
        return {}
    from steadyrun.cli.guard_settings import changes

    return changes(settings)


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


def is_plain(outcome: LoadOutcome) -> bool:
    """Tell whether there is nothing to say about the end; then the words for it are not even imported."""
    by_itself = outcome.ending is Ending.EXITED and outcome.signal != signal.SIGKILL
    told = outcome.left_behind or outcome.survivors or outcome.forks_refused
    return by_itself and not told and outcome.removed


def _explain(finished: Finished, argv: tuple[str, ...]) -> list[str]:
    if is_plain(finished.outcome):
        return []
    from steadyrun.report.ending import explain

    return explain(finished.outcome, finished.limits, argv, ceiling=finished.ceiling)


def _figures(finished: Finished) -> str:
    outcome, seen = finished.outcome, finished.frames
    said = (
        f"wall {format_duration(outcome.wall)}, CPU {format_duration(outcome.cpu)}, "
        f"peak memory {format_size(outcome.memory_peak)}, tasks at most {outcome.tasks_peak}"
    )
    if seen is None:
        return f"{said}; no canary showed a frame ({finished.no_frames})"
    return f"{said}; the canary's frames at most {seen.late_ms:.1f} ms late (p99 of a second)"


def _open_place(path: str) -> int:
    """See before the start that a file can be written there, and hold on to its folder.

    What root is to write for a user must not land where the user's load has bent the path to meanwhile.

    Raises:
        UsageError: There is no such folder, or it may not be written.
    """
    if path == "-":
        raise UsageError("--json -: expected the name of a file; standard output is the command's")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise UsageError(f"--json {path}: there is no folder {folder}", hint=f"mkdir -p {folder}")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"--json {path}: no permission to write into {folder}")
    from steadyrun.report.files import open_folder

    return open_folder(path)


def _write_outcome(directory: int, path: str, finished: Finished) -> None:
    import json

    from steadyrun.model.codec import encode
    from steadyrun.report.files import write_into
    from steadyrun.report.single_json import SCHEMA, canary_keys, outcome_object

    value = {
        "schema": SCHEMA,
        "run_id": finished.run_id,
        **outcome_object(finished.backend, finished.limits, finished.outcome),
        "limits_not_in_force": [encode(r) for r in finished.readback if not r.held],
        "actions": [encode(action) for action in finished.actions],
        **canary_keys(finished.frames, finished.no_frames),
        "guard_pid": finished.guard_pid,
        "keeper_pid": finished.keeper_pid,
    }
    try:
        write_into(directory, path, json.dumps(value, indent=2) + "\n", durable=False)
    except SteadyrunError as error:
        _say(f"--json: {error.message}")
