"""The text of drop-ins: written with the reason above each line, and read as systemd reads it. Pure.

Form: systemd.syntax(7): sections, `KEY=value`, comments, lines continued by a backslash.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from steadyrun.protect.change import Line

MARK = "# Written by `steadyrun protect`"
NAME = "10-steadyrun.conf"
"""Behind what distributions ship (`10-defaults.conf`, `10-oomd-...`), before what an administrator writes
(`50-MemoryMax.conf` of `systemctl set-property`, `override.conf` of `systemctl edit`): theirs win."""
LAST = "zz-steadyrun.conf"
"""Where theirs is there already and looser: the stricter one is to win."""
_HEAD = f"""\
{MARK}; `steadyrun protect --undo` removes it.
# Do not edit: a changed file is left alone by --undo. Put your own into another file of this folder.
"""
_WIDTH = 96


def write(section: str, lines: tuple[Line, ...]) -> str:
    """Return the text of a drop-in with one section."""
    return write_sections(((section, lines),))


def write_sections(sections: tuple[tuple[str, tuple[Line, ...]], ...]) -> str:
    """Return the text of a unit or drop-in, section by section; a line without a reason has no comment."""
    return _HEAD + "\n".join(f"[{name}]\n{''.join(map(_with_reason, lines))}" for name, lines in sections)


def _with_reason(line: Line) -> str:
    reason = _comment(line.why, line.source) if line.why else ""
    return f"{reason}{line.text()}\n"


def write_tmpfiles(path: str, value: str, why: str, source: str) -> str:
    """Return a line of tmpfiles.d(5) that writes a value at each boot, if the file is there then."""
    return f"{_HEAD}{_comment(why, source)}w {path} - - - - {value}\n"


def _comment(why: str, source: str) -> str:
    words = f"{why} [{source}]"
    wrapped = textwrap.wrap(words, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in wrapped)


def read(text: str) -> tuple[tuple[str, str], ...]:
    """Return the assignments of a unit file or drop-in in their order; the rest is passed over."""
    found = []
    for line in _whole_lines(text):
        key, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("["):
            found.append((key.strip(), value.strip()))
    return tuple(found)


def _whole_lines(text: str) -> Iterator[str]:
    """Yield lines, those that a backslash continues as one; a comment between two of them ends nothing."""
    before = ""
    for raw in re.split(r"[\n\r\0]", text):
        if raw.lstrip().startswith(("#", ";")):
            continue
        if (len(raw) - len(raw.rstrip("\\"))) % 2:  # two of them are one, escaped
            before += raw[:-1] + " "
            continue
        yield before + raw
        before = ""
    yield before
