"""The four lines of /proc/meminfo that steadyrun needs.

Form: kernel, Documentation/filesystems/proc.rst, "meminfo". Pure.
"""

from __future__ import annotations

from steadyrun.kernel.text import unexpected, whole
from steadyrun.named import NamedTuple
from steadyrun.units import KIB, Bytes

_LINE = "a line such as 'MemTotal:       24684092 kB'"


class MemInfo(NamedTuple):
    """Host memory in bytes; `None` where the kernel has no such line (a kernel without swap)."""

    total: Bytes | None
    available: Bytes | None
    """MemAvailable: the kernel's own estimate of what can be had without swapping."""
    swap_total: Bytes | None
    swap_free: Bytes | None


def parse_meminfo(text: str, *, source: str = "/proc/meminfo") -> MemInfo:
    """Read the host's memory. Lines of other names are not looked at.

    Raises:
        FormatError: None of the four lines is there, or one is not a number of kB.
    """
    found = MemInfo(
        total=_line(text, "MemTotal:", source),
        available=_line(text, "MemAvailable:", source),
        swap_total=_line(text, "SwapTotal:", source),
        swap_free=_line(text, "SwapFree:", source),
    )
    if found == (None, None, None, None):
        raise unexpected(source, _LINE, text)
    return found


def _line(text: str, name: str, source: str) -> Bytes | None:
    """Return the bytes of the line that begins with `name`, `None` where there is none.

    Searches instead of splitting all 55 lines: this runs at every tick of the guard.
    """
    start = 0 if text.startswith(name) else text.find("\n" + name) + 1
    if start == 0 and not text.startswith(name):
        return None
    end = text.find("\n", start)
    line = text[start : end if end >= 0 else len(text)]
    fields = line.split()
    if len(fields) != 3 or fields[2] != "kB":
        raise unexpected(source, _LINE, line)
    return Bytes(whole(fields[1], source, _LINE) * KIB)
