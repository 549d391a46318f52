"""The table, from judged rows: for the terminal and for a page. Pure.

Unknown is `?`, and a machine that never came to say is unknown in every column but SSH.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table
from storm.loads import LOADS

from bench.vm.unders import UNDERS

if TYPE_CHECKING:
    from storm.judge import Row

HEADS = (
    "under",
    "session",
    "others lost",
    "fps (idle)",
    "p99, ms",
    "longest gap, ms",
    "SSH p50 / max, s",
    "work done",
    "stopped after, s",
    "exit",
)
NAMES = {
    "session": "session",
    "display_manager": "display manager",
    "display_server": "X server",
    "user_manager": "user manager",
    "user_bus": "user's D-Bus",
    "boot_id": "rebooted",
}
_MANY = 4


def title(load: str, swap: str) -> str:
    """Name one block of the table."""
    about = LOADS[load].about
    return f"{load}: {about}" if swap == "none" else f"{load}, swap: {swap}: {about}"


def cells(row: Row) -> tuple[str, ...]:
    """Return the words of one line, in the order of `HEADS`."""
    return (
        row.under,
        _session(row),
        _lost(row.lost) if row.survived is not None or row.lost else "?",
        f"{_figure(row.fps)} ({_figure(row.fps_idle)})",
        _figure(row.p99_ms),
        _figure(row.gap_ms),
        _ssh(row),
        _work(row),
        _stopped(row),
        _figure(row.exit_code),
    )


def blocks(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    """Return the rows by load and swap, in the order in which loads and what they run under are listed."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=_place):
        found.setdefault((row.load, row.swap), []).append(row)
    return found


def _place(row: Row) -> tuple[int, bool, int]:
    return list(LOADS).index(row.load), row.swap != "none", list(UNDERS).index(row.under)


def for_terminal(rows: list[Row]) -> list[Table]:
    """Return one table for each load."""
    tables = []
    for (load, swap), those in blocks(rows).items():
        table = Table(title=title(load, swap), title_justify="left")
        for head in HEADS:
            table.add_column(head, justify="left" if head in HEADS[:3] else "right")
        for row in those:
            table.add_row(*cells(row))
        tables.append(table)
    return tables


def for_page(rows: list[Row]) -> str:
    """Return the same as Markdown."""
    lines: list[str] = []
    for (load, swap), those in blocks(rows).items():
        lines += [f"### {title(load, swap)}", "", f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
        lines += [f"| {' | '.join(cells(row))} |" for row in those]
        lines.append("")
    return "\n".join(lines)


def _session(row: Row) -> str:
    if row.survived:
        return "kept"
    changed = ", ".join(NAMES[name] for name in row.changed)
    return f"? {changed}".rstrip() if row.survived is None else f"LOST: {changed}"


def _lost(names: tuple[str, ...]) -> str:
    """Name those that are gone, the first few of many."""
    counted = [name if n == 1 else f"{n} {name}" for name, n in Counter(names).items()]
    more = len(counted) - _MANY
    return ", ".join(counted[:_MANY]) + (f" and {more} more" if more > 0 else "") or "none"


def _ssh(row: Row) -> str:
    told = f"{_figure(row.ssh_p50_s)} / {_figure(row.ssh_max_s)}"
    return told + (f", {row.ssh_refused} unanswered" if row.ssh_refused else "")


def _work(row: Row) -> str:
    if row.work is None:
        return "?"
    if row.work_share is None:
        return f"{row.work} {LOADS[row.load].counts}"
    done = f", in {row.finished_s:.1f} s" if row.finished_s is not None else ""
    done += f" ({row.per_cpu_s:.0f} a CPU second)" if row.per_cpu_s is not None else ""
    return f"{row.work_share:.0%}{done}"


def _stopped(row: Row) -> str:
    if row.survived is None and row.work is None:
        return "?"
    return "not" if row.stopped_s is None else f"{row.stopped_s:.1f}"


def _figure(value: float | None) -> str:
    if value is None:
        return "?"
    if isinstance(value, int):
        return str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
