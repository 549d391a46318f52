"""What the evidence of a crash comes to: the last readings summed up, and what the reader should know.

Pure: rows and values in, values out. `recovery/crashes.py` reads them.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadyrun.errors import FormatError
from steadyrun.journal.rows import SampleRow
from steadyrun.model.codec import decode
from steadyrun.model.crash import Crash, LastSeen, PastLog
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.rates import PsiShares, host_rates
from steadyrun.model.sample import Reading
from steadyrun.units import Seconds

WINDOW = Seconds(5.0)
"""The last readings that are summed up. By choice: long enough to tell a fall from a dip."""
KEEP_IT = "to have it the next time, keep the system's log over a boot: mkdir -p /var/log/journal"
"""journald.conf(5), `Storage=auto`."""
ROWS_MOST = 500
"""Rows of that window at the guard's fastest, 100 a second."""


def last_seen(rows: Iterable[SampleRow]) -> LastSeen | None:
    """Sum up the last readings that were kept; `None`: there is none that can be read.

    Args:
        rows: Of one attempt, in their order; more than the window do no harm.
    """
    readings = [reading for row in rows if (reading := _reading(row)) is not None]
    if not readings:
        return None
    last = readings[-1]
    window = [r for r in readings if last.host.at - WINDOW <= r.host.at <= last.host.at]
    rates = host_rates(window[0].host, last.host)
    memory, io = (PsiShares(None, None),) * 2 if rates is None else (rates.psi_memory, rates.psi_io)
    available = [r.host.mem_available for r in window if r.host.mem_available is not None]
    return LastSeen(
        wall=last.host.wall,
        window=Seconds(last.host.at - window[0].host.at),
        readings=len(window),
        mem_available=last.host.mem_available,
        mem_available_lowest=min(available, default=None),
        swap_free=last.host.swap_free,
        load1=last.host.load1,
        runnable=last.host.runnable,
        load_memory=last.load.memory,
        psi_memory_some=memory.some,
        psi_memory_full=memory.full,
        psi_io_full=io.full,
    )


def _reading(row: SampleRow) -> Reading | None:
    try:
        return decode(Reading, row.payload)
    except FormatError:
        return None  # of a newer version: the others are worth more


def crash_findings(crash: Crash, *, as_root: bool) -> tuple[Finding, ...]:
    """Return what the reader should know beside the crash itself.

    Args:
        crash: With every log that was asked for.
        as_root: It was root who asked: nobody else would be told more.
    """
    telling = [log for log in crash.logs if log.lines]
    if telling:
        return tuple(_told(log, crash.boot_id) for log in telling)
    unknown = [log for log in crash.logs if not log.known]
    return (_unknown(unknown, crash.boot_id, as_root=as_root),) if len(unknown) == len(crash.logs) else ()


def _told(log: PastLog, boot_id: str) -> Finding:
    return Finding(
        code="crash-log",
        severity=Severity.PROBLEM,
        title=f"The kernel named trouble before the machine went down ({log.source})",
        evidence="; ".join(line.text for line in log.lines),
        remedy=_command(boot_id),
    )


def _unknown(logs: list[PastLog], boot_id: str, *, as_root: bool) -> Finding:
    return Finding(
        code="crash-log-unknown",
        severity=Severity.NOTE,
        title="What the kernel said before the machine went down is not known",
        evidence="; ".join(f"{log.source}: {log.why}" for log in logs),
        remedy=_remedy(logs, boot_id, as_root=as_root),
    )


def _remedy(logs: list[PastLog], boot_id: str, *, as_root: bool) -> str:
    if not as_root:
        return f"as root: {_command(boot_id)}"
    return KEEP_IT if all(log.until is None for log in logs) else ""


def _command(boot_id: str) -> str:
    return f"journalctl -k -b {boot_id.replace('-', '')}"
