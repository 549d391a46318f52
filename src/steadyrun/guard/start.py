"""How steadyrun starts processes of its own: isolated from the caller's Python settings."""

from __future__ import annotations

import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); module = sys.argv.pop(1); "
    "from importlib import import_module; sys.exit(import_module(module).main(sys.argv[1:]))"
)


def python_command(module: str, *arguments: str, bare: bool) -> list[str]:
    """Return the command that runs `module.main(arguments)` of this very steadyrun.

    Args:
        module: Full name; its `main(argv) -> int` is called.
        arguments: What `main` gets.
        bare: Without site packages (`-S`): for what needs the standard library alone.
    """
    flags = ["-I", "-S"] if bare else ["-I"]
    return [sys.executable, *flags, "-c", _PROGRAM, _ROOT, module, *arguments]
