"""The `steadyrun` command: finds the subcommand, runs it, prints errors, gives the exit code.

Each subcommand is a module with `configure(parser)` and `execute(args) -> int`; only the one that
was asked for is imported, so that `steadyrun run` starts quickly. Next to nothing is imported before
`entry` is reached: from there on a Ctrl-C is an exit code, not a traceback.
"""

from __future__ import annotations

import os
import sys

from steadyrun import __version__
from steadyrun.cli.unheard import hear_what_is_lost
from steadyrun.errors import EXIT_BUG, EXIT_RUN_OWN_FAILURE, EXIT_USAGE, SteadyrunError
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

COMMANDS = {
    "doctor": "what this machine can contain and watch, proved; and what mends each lack",
    "ramp": "the main job: from very little to the command that used to crash the machine",
    "run": "one command, contained and guarded",
    "stop": "end a run from any terminal",
    "watch": "look at a running ramp from another terminal",
    "report": "the record of a run again",
    "history": "the runs so far",
    "recover": "undo whatever a crash left behind",
    "canary": "the desktop's frames alone, live",
    "protect": "show, apply, undo lasting protection: bare commands meet a wall, too",
}
START_FAILURES = (126, 127)
INTERRUPTED = 128 + 2
"""Ended by SIGINT, as a shell counts it."""
QUICK = "run"
"""The command whose start people wait for: read without argparse where its words are plain, without the
collector of cycles (it makes none), and over without the interpreter's own farewell."""


def entry() -> int:
    """Be the console script: `main`, but a `run` leaves at once when all is written."""
    try:
        hear_what_is_lost()
        if sys.argv[1:2] != [QUICK]:
            return main()
        import gc

        gc.disable()
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (OSError, ValueError, AttributeError):
        return code  # a stream that is closed: the interpreter knows what to do about it
    os._exit(code)


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand and return the exit code."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_overview())
        return 0 if words else EXIT_USAGE
    if words[0] in ("-V", "--version", "version"):
        sys.stdout.write(f"steadyrun {__version__}\n")
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        return _complain(f"no such command: {name}", _nearest(name, rest), EXIT_USAGE)
    return _execute(name, rest)


def _execute(name: str, words: list[str]) -> int:
    own_failure = EXIT_RUN_OWN_FAILURE if name == "run" else None
    full_name = f"steadyrun.cli.{name}"
    try:
        __import__(full_name)  # importlib would import `warnings`
        module = sys.modules[full_name]
        code = int(module.execute(_parse(name, module.configure, words)))
        sys.stdout.flush()
        return code
    except SteadyrunError as error:
        keep = own_failure is None or error.exit_code in START_FAILURES
        return _complain(error.message, error.hint, error.exit_code if keep else own_failure or EXIT_BUG)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + 13
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return _bug(error, own_failure or EXIT_BUG)


def _parse(name: str, configure: Callable[[Any], None], words: list[str]) -> Any:
    """Return the words as the attributes that the command's `execute` wants."""
    if name == QUICK:
        from steadyrun.cli.quick import read_plain

        args = read_plain(configure, words)
        if args is not None:
            return args
    from steadyrun.cli.parser import Parser

    parser = Parser(name, COMMANDS[name])
    configure(parser)
    return parser.parse(words)


def _complain(message: str, hint: str | None, code: int) -> int:
    from steadyrun.cli.complaint import complaint

    sys.stderr.write(complaint(message, hint and _typed_here(hint)))
    return code


def _typed_here(hint: str) -> str:
    if "sudo " not in hint:
        return hint
    from shutil import which

    from steadyrun.report.remedy import typed_here

    user = os.environ.get("USER", str(os.getuid()))
    return typed_here(hint, is_root=os.geteuid() == 0, has_sudo=which("sudo") is not None, user=user)


def _bug(error: Exception, code: int) -> int:
    import traceback

    traceback.print_exception(error)
    return _complain(
        f"this is a bug of steadyrun {__version__}: {type(error).__name__}: {error}",
        "`steadyrun recover` cleans up; please report the lines above",
        code,
    )


def _nearest(name: str, rest: list[str]) -> str:
    from difflib import get_close_matches
    from shlex import join
    from shutil import which

    is_slip = bool(get_close_matches(name, COMMANDS, 1, 0.8))
    if not is_slip and not name.startswith("-") and which(name):
        return f"a command goes after --: steadyrun run -- {join([name, *rest])}"
    close = get_close_matches(name, COMMANDS, 1)
    return f"did you mean `steadyrun {close[0]}`?" if close else "`steadyrun --help` lists the commands"


def _overview() -> str:
    lines = "\n".join(f"  {name:<10}{about}" for name, about in COMMANDS.items())
    return (
        "steadyrun: run the command that brings the machine down, and keep the machine steady\n\n"
        "usage: steadyrun COMMAND [...]\n\n"
        f"{lines}\n\n"
        "Begin with `steadyrun doctor`, then `steadyrun ramp -- YOUR COMMAND`.\n"
        "`steadyrun COMMAND --help` says more; `steadyrun --version` the version.\n"
    )
