"""What is to be seen in a command's words. Pure."""

from __future__ import annotations

import shlex

_SIGNS = " |&;<>$"


def shell_hint(argv: tuple[str, ...]) -> str:
    """Return how a line of shell that was given as one word is run; empty: it is a name.

    A path may have a space in it: what has a slash before its first one is taken for one.
    """
    name = argv[0]
    line = len(argv) == 1 and any(sign in name for sign in _SIGNS) and "/" not in name.split(" ")[0]
    return f"a line of shell goes as: sh -c {shlex.quote(name)}" if line else ""
