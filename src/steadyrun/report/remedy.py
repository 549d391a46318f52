"""Commands that mend something, as they can be typed here. Pure."""

from __future__ import annotations

import re

_SUDO = re.compile(r"\bsudo (?!-)")
"""`sudo -u NAME` is somebody else's rights, not root's: it stays."""


def typed_here(remedy: str, *, is_root: bool, has_sudo: bool, user: str) -> str:
    """Return a command as it can be typed here: without a sudo that is not needed, or not there.

    What root types in a shell of root's names the user: there `$USER` is another one.
    """
    without = _SUDO.sub("", remedy)
    if without == remedy or (has_sudo and not is_root):
        return remedy
    command, _, note = without.partition("#")
    if is_root:
        return f"{command}#{note}" if note else command
    command = command.replace('"$USER"', user).replace("$USER", user)
    return f"{command.rstrip()}   # as root: there is no sudo here" + (f";{note}" if note else "")
