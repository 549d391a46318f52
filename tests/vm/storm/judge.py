"""What a record says, in the columns of the table. Pure: a record that was kept gives the same row again."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from .loads import LOADS
from .record import Census, Record

COME_AND_GO = frozenset(
    {
        *("(udev-worker)", "systemd-udevd", "systemd-hostnam", "systemd-timedat", "systemd-localed"),
        *("sleep", "true", "cat", "sh", "bash", "(sd-pam)"),
    }
)
"""Processes that end by themselves on an idle machine: helpers of our own connection, idle services."""


PROOFS = "-proof-"
"""In the name of every unit in which steadyrun tries whether a limit holds."""
CUT_S = 5.0
"""A look without an answer that waited less was cut short by the end of the watch: it says nothing."""


@dataclass(frozen=True)
class Row:
    """One line of the table. `None` is unknown."""

    load: str
    under: str
    swap: str
    survived: bool | None
    """Session, display manager, display server, user manager and its bus are the same as before."""
    changed: tuple[str, ...]
    """Those that are not."""
    lost: tuple[str, ...]
    """Names of other processes that were there before and are not any more."""
    fps: float | None
    """Frames a second while the window lived."""
    fps_idle: float | None
    p99_ms: float | None
    """Lateness of the frames."""
    p99_idle_ms: float | None
    gap_ms: float | None
    ssh_p50_s: float | None
    ssh_max_s: float | None
    """The longest wait for a new connection, answered or not."""
    ssh_refused: int
    """Looks that were not answered in the time they waited."""
    banner_max_s: float | None
    work: int | None
    """In the load's own unit."""
    work_share: float | None
    """Of what the load was asked for; `None` also where that has no end."""
    stopped_s: float | None
    """Until nothing of the load was left, by itself or by what it ran under; `None`: it went on."""
    exit_code: int | None
    finished_s: float | None
    per_cpu_s: float | None
    """Work for each second of CPU time that it had, where it came to its end by itself."""
    oom_outside: tuple[str, ...]
    """OOM kills of what is not the load's."""


def judge(record: Record) -> Row:
    """Turn raw figures into a row."""
    told = record.told
    asked = LOADS[record.load].asked()
    changed = None if told is None else changes(told.before, told.after)
    survived = None if changed is None or "unknown" in changed.values() else not changed
    storm = None if told is None else told.storm
    during = [
        look for look in record.logins if look.at_s + look.waited_s > 0 and look.at_s < _watched(record)
    ]
    logins = [look.login_s for look in during if look.login_s is not None]
    unanswered = [look.waited_s for look in during if look.login_s is None and look.waited_s > CUT_S]
    work = None if told is None else work_of(record)
    return Row(
        load=record.load,
        under=record.under,
        swap=record.swap,
        survived=survived,
        changed=tuple(sorted(changed or ())),
        lost=() if told is None else lost(told.before, told.after),
        fps=None if storm is None or storm.lived_s <= 0 else round(storm.shown / storm.lived_s, 1),
        fps_idle=None if told is None else round(told.idle.shown / told.idle.lived_s, 1),
        p99_ms=None if storm is None else storm.p99_ms,
        p99_idle_ms=None if told is None else told.idle.p99_ms,
        gap_ms=None if storm is None else storm.longest_gap_ms,
        ssh_p50_s=round(statistics.median(logins), 2) if logins else None,
        ssh_max_s=round(max(waits), 2) if (waits := [*logins, *unanswered]) else None,
        ssh_refused=len(unanswered),
        banner_max_s=max((look.banner_s for look in during if look.banner_s is not None), default=None),
        work=work,
        work_share=None if work is None or not asked else round(work / asked, 3),
        stopped_s=None if told is None else told.stopped_s,
        exit_code=None if told is None else told.exit_code,
        finished_s=None if told is None else told.finished_s,
        per_cpu_s=per_cpu_s(record),
        oom_outside=() if told is None else oom_outside(told.oom_kills),
    )


def _watched(record: Record) -> float:
    """Return how long the storm was watched."""
    return record.told.over_wall - record.told.storm_wall if record.told else math.inf


def changes(before: Census, after: Census) -> dict[str, str]:
    """Return what of the desktop is not the same any more, and how: `other`, `gone` or `unknown`."""
    found = {}
    for name in (
        *("boot_id", "session", "display_manager", "display_server"),
        *("user_manager", "user_bus"),
    ):
        was, now = getattr(before, name), getattr(after, name)
        if was == now and was:
            continue
        asked = name in {"session", "display_manager"}
        found[name] = "unknown" if not was or (now is None and asked) else "other" if now else "gone"
    return found


def lost(before: Census, after: Census) -> tuple[str, ...]:
    """Return the names of the processes that are not there any more, sorted."""
    there = {(one.pid, one.start) for one in after.processes}
    gone = [one for one in before.processes if (one.pid, one.start) not in there]
    return tuple(sorted(one.comm for one in gone if one.comm not in COME_AND_GO))


def work_of(record: Record) -> int | None:
    """Return the work that the load counted, in its unit."""
    if record.told is None:
        return None
    return {"rounds": record.told.rounds, "bytes": record.told.bytes, "forks": record.told.forks}[
        LOADS[record.load].counts
    ]


def per_cpu_s(record: Record) -> float | None:
    """Return the work for each CPU second; `None`: it did not come to its end, or is unknown."""
    work = work_of(record)
    if work is None or record.told is None or not record.told.cpu_s:
        return None
    return round(work / record.told.cpu_s, 2)


def oom_outside(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of victims that are neither the load's nor a proof's of steadyrun.

    Form: `/cgroup/of/victim: ... Killed process 1 (name) ...` (mm/oom_kill.c).
    """
    others = [line for line in lines if PROOFS not in line.partition(": ")[0]]
    names = [line.partition("Killed process ")[2].partition("(")[2].partition(")")[0] for line in others]
    return tuple(name for name in names if name != "storm-load")
