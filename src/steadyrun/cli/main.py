"""The `steadyrun` command: finds the subcommand, runs it, prints errors, gives the exit code.

Each subcommand is a module with `configure(parser)` and `execute(args) -> int`; only the one that
was asked for is imported, so that `steadyrun run` starts quickly.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from steadyrun import __version__
from steadyrun.errors import EXIT_BUG, EXIT_RUN_OWN_FAILURE, EXIT_USAGE, SteadyrunError

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
}
START_FAILURES = (126, 127)


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand and return the exit code."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_overview())
        return 0 if words else EXIT_USAGE
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"steadyrun {__version__}\n")
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        return _complain(f"no such command: {name}", _nearest(name), EXIT_USAGE)
    return _execute(name, rest)


def _execute(name: str, words: list[str]) -> int:
    from steadyrun.cli.parser import Parser

    own_failure = EXIT_RUN_OWN_FAILURE if name == "run" else None
    module = import_module(f"steadyrun.cli.{name}")
    parser = Parser(name, COMMANDS[name])
    try:
        module.configure(parser)
        code = int(module.execute(parser.parse(words)))
        sys.stdout.flush()
        return code
    except SteadyrunError as error:
        keep = own_failure is None or error.exit_code in START_FAILURES
        return _complain(error.message, error.hint, error.exit_code if keep else own_failure or EXIT_BUG)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + 13
    except KeyboardInterrupt:
        return 128 + 2
    except Exception as error:
        return _bug(error, own_failure or EXIT_BUG)


def _complain(message: str, hint: str | None, code: int) -> int:
    sys.stderr.write(f"steadyrun: {message}\n")
    if hint:
        sys.stderr.write(f"  {hint}\n")
    return code


def _bug(error: Exception, code: int) -> int:
    import traceback

    traceback.print_exception(error)
    return _complain(
        f"this is a bug of steadyrun {__version__}: {type(error).__name__}: {error}",
        "`steadyrun recover` cleans up; please report the lines above",
        code,
    )


def _nearest(name: str) -> str:
    from difflib import get_close_matches

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
