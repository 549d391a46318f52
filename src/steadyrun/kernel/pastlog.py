"""The kernel's log of a boot that is over, as systemd's journal and pstore have it: which lines name trouble.

Pure: text in, lines out. Sources: journalctl(1), "--output=json"; systemd's JOURNAL_EXPORT_FORMATS
document, "Journal JSON Format" (a field is a string, an array of bytes where it is no UTF-8, null
where it is too long); kernel, Documentation/ABI/testing/pstore and fs/pstore/platform.c for the
first line of a record (`Panic#1 Part1`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from steadyrun.kernel.text import unexpected
from steadyrun.model.crash import LogLine
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from typing import Any

LINES_MOST = 6
"""Of one log; the last ones. By choice: what a person reads before asking for the whole log."""
TEXT_MOST = 160
"""Characters of one line; the words that name the trouble stand first."""

_TROUBLE = re.compile(
    # An OOM kill at a cgroup's limit ("Memory cgroup out of memory") is a load held as it was to be held.
    # kernel/panic.c, kernel/hung_task.c, kernel/watchdog.c, kernel/rcu/tree_stall.h, mm/oom_kill.c,
    # arch/x86/kernel/cpu/mce, drivers/thermal, drivers/tty/sysrq.c, fs/pstore/platform.c, fs/ext4/super.c
    r"Kernel panic - not syncing|^(Panic|Oops)#[0-9]+ Part|\bOops\b|\bBUG:|general protection fault"
    r"|Out of memory|blocked for more than|(soft|hard) lockup|hard LOCKUP"
    r"|detected( expedited)? stalls|self-detected stall|Machine check|Hardware Error"
    r"|critical temperature|sysrq: |I/O error|EXT4-fs error|[Rr]emounting filesystem read-only"
)
_STAMP = re.compile(r"^(<[0-9]{1,3}>)?\[ *[0-9]+\.[0-9]+\](\[ *[TC][0-9]+\])? ?")
"""`<6>[   12.345678]` before a line of a record; with CONFIG_PRINTK_CALLER the caller behind it."""


def parse_journal(text: str, *, source: str = "journalctl") -> tuple[LogLine, ...]:
    """Return the lines that `journalctl --output=json` gave, in their order.

    Raises:
        FormatError: A line is no JSON object.
    """
    return tuple(_entry(line, source) for line in text.splitlines() if line.strip())


def _entry(line: str, source: str) -> LogLine:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict):
        raise unexpected(source, "a JSON object on each line", line)
    return LogLine(_wall(entry.get("__REALTIME_TIMESTAMP")), _message(entry.get("MESSAGE")))


def _wall(stamp: Any) -> Seconds | None:
    """Return Unix seconds of a text of microseconds."""
    known = isinstance(stamp, str) and stamp.isascii() and stamp.isdecimal() and len(stamp) <= 20
    return Seconds(int(stamp) / 1_000_000) if known else None


def _message(field: Any) -> str:
    if isinstance(field, list) and all(isinstance(n, int) and 0 <= n < 256 for n in field):
        return bytes(field).decode("utf-8", "replace")
    return field if isinstance(field, str) else ""


def parse_record(text: str) -> tuple[LogLine, ...]:
    """Return the lines of one pstore record, without the stamps before them."""
    return tuple(LogLine(None, _STAMP.sub("", line)) for line in text.splitlines() if line.strip())


def telling(lines: Iterable[LogLine], *, since: Seconds | None = None) -> tuple[LogLine, ...]:
    """Return the last lines that name trouble, cut to a length.

    Args:
        lines: In their order.
        since: Unix time; lines known to be older are of something else. `None`: all.
    """
    found = [line for line in lines if not _is_older(line, since) and _TROUBLE.search(line.text)]
    return tuple(line._replace(text=_cut(line.text)) for line in found[-LINES_MOST:])


def _is_older(line: LogLine, since: Seconds | None) -> bool:
    return since is not None and line.wall is not None and line.wall < since


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= TEXT_MOST else f"{text[: TEXT_MOST - 3]}..."


def last_wall(lines: Sequence[LogLine]) -> Seconds | None:
    """Return the time of the last line that has one."""
    return next((line.wall for line in reversed(lines) if line.wall is not None), None)


def one_line(text: str) -> str:
    """Return the first line with words in it, cut to a length: what a program said on standard error."""
    return next((_cut(line) for line in text.splitlines() if line.strip()), "")
