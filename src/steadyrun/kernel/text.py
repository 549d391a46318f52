"""What every parser of kernel text needs: a strict whole number, a strict decimal, one error form.

Pure: takes text, gives values or raises `FormatError`; never reads a file. `int()` alone is too
lenient for kernel text: it takes `1_000`, `+5`, other scripts' digits, and fails with its own error
on very long input.
"""

from __future__ import annotations

from steadyrun.errors import FormatError

_MOST_DIGITS = 20
"""Of the largest unsigned 64-bit number, 18446744073709551615: nothing in /proc is longer."""
_EXCERPT = 60
"""Characters of unexpected text that a message repeats."""


def unexpected(source: str, expected: str, found: str) -> FormatError:
    """Return the error for text that is not what its documentation says."""
    shown = found if len(found) <= _EXCERPT else found[:_EXCERPT] + "..."
    return FormatError(f"{source}: expected {expected}, found {shown!r}")


def is_whole(text: str) -> bool:
    """Tell whether text is nothing but 1 to 20 ASCII digits."""
    return len(text) <= _MOST_DIGITS and text.isdecimal() and text.isascii()


def whole(text: str, source: str, expected: str = "a whole number") -> int:
    """Read an unsigned whole number, no blanks around it.

    Raises:
        FormatError: Anything but 1 to 20 ASCII digits.
    """
    if len(text) <= _MOST_DIGITS and text.isdecimal() and text.isascii():
        return int(text)
    raise unexpected(source, expected, text)


def decimal(text: str, source: str, expected: str = "a decimal number") -> float:
    """Read an unsigned decimal such as `0.09` or `123`, no sign, no exponent, no blanks.

    Raises:
        FormatError: Any other text.
    """
    integer, dot, fraction = text.partition(".")
    if is_whole(integer) and (not dot or is_whole(fraction)):
        return float(text)
    raise unexpected(source, expected, text)


def counter(text: str, name: str, source: str) -> int | None:
    """Return the number of the line `name number`, `None` where there is no such line.

    Searches instead of splitting all lines: /proc/vmstat has 180 of them, memory.stat 60, and this
    runs at every tick of the guard.

    Raises:
        FormatError: The line of that name does not end in a number.
    """
    prefix = name + " "
    start = 0 if text.startswith(prefix) else text.find("\n" + prefix) + 1
    if start == 0 and not text.startswith(prefix):
        return None
    end = text.find("\n", start)
    return whole(text[start + len(prefix) : end if end >= 0 else len(text)], source, f"a number after {name}")
