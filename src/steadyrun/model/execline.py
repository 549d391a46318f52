"""Words of a command as a unit file holds them. Pure.

Sources: systemd.service(5), "Command lines" for quoting and escaping, systemd.unit(5), "Specifiers",
systemd.syntax(7) for where a line ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from steadyrun.errors import UsageError


def command_line(argv: Sequence[str]) -> str:
    """Write a command for `ExecStart=`: every word quoted, `%` and `$` doubled.

    Raises:
        UsageError: As `line`.
    """
    return " ".join(specifiers(quoted(word)).replace("$", "$$") for word in argv)


def quoted(word: str) -> str:
    """Put a word in quotes; backslash and quote are escaped as in C.

    Raises:
        UsageError: As `line`.
    """
    return '"' + line(word).replace("\\", "\\\\").replace('"', '\\"') + '"'


def line(text: str) -> str:
    """Return it as it is.

    Raises:
        UsageError: It has a line break or another control character, which a unit file cannot hold.
    """
    if any(ord(each) < 32 or ord(each) == 127 for each in text):
        raise UsageError(f"a unit file: expected text without control characters, found {text!r}")
    return text


def specifiers(text: str) -> str:
    """Double what systemd would take for a specifier."""
    return text.replace("%", "%%")
