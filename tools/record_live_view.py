"""Draws docs/img/ramp.svg: the live view of a real ramp, at the moment its load average was highest.

    python tools/record_live_view.py docs/img/ramp.svg [-- ARGUMENTS OF steadyrun ramp ...]

Runs `steadyrun ramp --progress bar` on a pseudo-terminal and keeps what a person there would have seen.
Every figure in the picture is of that run: nothing is drawn that was not shown. Never used by steadyrun
itself. Ends with the exit code of the ramp.
"""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

COLUMNS, LINES = 92, 30
_REDRAW = re.compile(r"(?:\r|\x1b\[2K|\x1b\[1A)*\x1b\[2K")
"""What rich's Live writes before each picture: erase the lines of the last one, upwards."""
_LOAD = re.compile(r"^load .*? (\d+\.\d+) on \d+ cores?\s*$", re.MULTILINE)
_SGR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_FONT_FACE = re.compile(r"@font-face \{\{.*?\}\}\n", re.DOTALL)


def record(arguments: list[str]) -> tuple[str, int]:
    """Run the command on a pseudo-terminal; return all it wrote there and its exit code."""
    command = str(Path(sys.executable).with_name("steadyrun"))
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(COLUMNS=str(COLUMNS), LINES=str(LINES), TERM="xterm-256color")
        os.environ.pop("NO_COLOR", None)
        os.execv(command, [command, "ramp", "--yes", "--progress", "bar", *arguments])
    written = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # EIO: the other side is closed, pty(7)
            break
        if not part:
            break
        written += part
    _, status = os.waitpid(pid, 0)
    return written.decode(errors="replace"), os.waitstatus_to_exitcode(status)


def pictures(written: str) -> list[str]:
    """Split what was written into the pictures of the live view, oldest first."""
    return [part.replace("\r\n", "\n").strip("\n") for part in _REDRAW.split(written)[1:]]


def highest_load(picture: str) -> float:
    """Return the load average that a picture shows; -1: none."""
    found = _LOAD.search(_SGR.sub("", picture))
    return float(found[1]) if found else -1.0


def as_svg(picture: str, title: str) -> str:
    """Draw a picture with its colours; names no font that a reader would have to fetch."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    text = Text.from_ansi(picture)
    text.no_wrap = True
    console.print(text)
    code_format = _FONT_FACE.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code", "DejaVu Sans Mono")
    return console.export_svg(title=title, theme=DIMMED_MONOKAI, code_format=code_format)


def main(words: list[str]) -> int:
    """Record, choose, draw."""
    target, arguments = words[0], words[words.index("--") + 1 :] if "--" in words else []
    written, code = record(arguments)
    shown = pictures(written)
    best = max(shown, key=highest_load, default="")
    if highest_load(best) < 0:
        sys.stderr.write(written)
        sys.stderr.write(f"record_live_view: expected a picture with a load, found {len(shown)} without\n")
        return code or 1
    Path(target).write_text(as_svg(best, "steadyrun ramp"), encoding="utf-8")
    Path(target).with_suffix(".txt").write_text(_SGR.sub("", best) + "\n", encoding="utf-8")
    sys.stdout.write(_SGR.sub("", best) + "\n" + _SGR.sub("", written)[-600:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
