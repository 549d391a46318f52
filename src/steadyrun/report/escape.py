r"""Makes any text safe inside Markdown: what a user or a command wrote cannot break the page. Pure.

Escapes only what would mean something to a CommonMark or GitHub reader at that place, so that
the raw file stays pleasant to read in a terminal. Never drops text silently: what cannot be
shown is shown as its code (`\x1b`).
"""

from __future__ import annotations

import re
import unicodedata

TAIL_LINES = 20
"""Lines of a load's output that a report shows: one screen, by choice."""

TAIL_LINE_MAX = 400
"""Characters of one such line: a minified file or a progress bar is one endless line."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""Control sequences of a terminal (ECMA-48, 5.4 and 5.6): CSI, OSC, and two-byte ones."""

_INLINE = re.compile(
    r"""[\\`*\[\]|~]          # escapes, code, emphasis, links, table cells, strike-through
      | (?<![^\W_])_|_(?![^\W_])  # an underscore inside a word means nothing
      | <(?=[A-Za-z/!?])      # the start of HTML or of an autolink
      | &(?=\#?\w+;)          # an entity
    """,
    re.VERBOSE,
)
_BLOCK_START = re.compile(r"^(?:(\d+)(?=[.)](?:\s|$))|(?=[-+>#=].))")
"""What would begin a list, a quotation, a heading or a rule when it stands first in a list item."""
_ENTITY = {"<": "&lt;", "&": "&amp;"}
_RUN = re.compile(r"`+")
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
"""What stands between two single backticks."""
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class Md(str):
    """Text that is Markdown already, and goes into the page as it is."""

    __slots__ = ()


def visible(text: str, *, keep: str = "") -> str:
    """Return text whose control, direction-changing and unpaired characters are shown as codes.

    Args:
        text: Anything; lone surrogates (from `os.fsdecode`) are allowed.
        keep: Characters that stay although they are control characters.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or unicodedata.category(c) not in _INVISIBLE else _code_of(c) for c in text)


def _code_of(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def one_line(text: str) -> str:
    """Return text on one line: every run of white space is one space, the rest is visible."""
    return visible(" ".join(text.split()))


def as_utf8(text: str) -> str:
    """Return text that UTF-8 and strict JSON can hold: a lone surrogate is shown as its code."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def inline(text: str) -> Md:
    """Return text to stand inside a line or a table's cell, meaning nothing but itself."""
    if isinstance(text, Md):
        return text
    return _first_in_line(_safe(one_line(text)))


def prose(text: str) -> Md:
    """Return a sentence on one line whose `commands` are code spans, as whoever wrote it meant them.

    Not for a table: a bar in a code span ends its cell (GitHub Flavored Markdown, 4.10).
    """
    if isinstance(text, Md):
        return text
    parts = _SPAN.split(one_line(text))
    return _first_in_line("".join(code(part) if n % 2 else _safe(part) for n, part in enumerate(parts)))


def _safe(text: str) -> str:
    return _INLINE.sub(lambda m: _ENTITY.get(m[0], "\\" + m[0]), text)


def _first_in_line(safe: str) -> Md:
    return Md(_BLOCK_START.sub(lambda m: f"{m[1] or ''}\\", safe))


def code(text: str) -> Md:
    """Return text as a code span on one line (CommonMark 0.31, 6.1): for commands and paths."""
    shown = visible(text.replace("\n", "\\n").replace("\t", "\\t"))
    if not shown.strip():
        return Md("(empty)")
    ticks = "`" * (max((len(run) for run in _RUN.findall(shown)), default=0) + 1)
    pad = " " if shown[0] == "`" or shown[-1] == "`" or shown[0] == shown[-1] == " " else ""
    return Md(f"{ticks}{pad}{shown}{pad}{ticks}")


def fenced(text: str, *, language: str = "text") -> Md:
    """Return text as a fenced block whose fence is longer than any inside it (CommonMark 0.31, 4.5)."""
    body = visible(text, keep="\n\t")
    fence = "`" * max(3, max((len(run) for run in _RUN.findall(body)), default=0) + 1)
    return Md(f"{fence}{language}\n{body}\n{fence}")


def tail(text: str) -> str:
    """Return the last `TAIL_LINES` lines a load wrote, as a terminal would show them, without colours.

    A line that was rewritten with carriage returns (a progress bar) shows its last state.
    """
    lines = _ANSI.sub("", text).replace("\r\n", "\n").rstrip().split("\n")[-TAIL_LINES:]
    return "\n".join(_cut(line.rstrip("\r").rpartition("\r")[2]) for line in lines)


def _cut(line: str) -> str:
    return line if len(line) <= TAIL_LINE_MAX else line[:TAIL_LINE_MAX] + " ..."


def fill(template: str, *values: str) -> Md:
    """Return `template` with each `{}` filled by a value made safe; the template is Markdown."""
    return Md(template.format(*(inline(value) for value in values)))
