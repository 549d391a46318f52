"""Whose the OOM kills of a phase were. Pure: counters and log records in, an account out.

/proc/vmstat counts every kill of the machine, also those at the limit of somebody else's container,
which say nothing about the machine. The kernel's log tells the two apart where it can be read; what it
cannot explain counts as outside.
"""

from __future__ import annotations

from steadyrun.model.oom import OomAccount, OomKill


def account(
    before: int | None,
    after: int | None,
    inside: int | None,
    logged: tuple[OomKill, ...] | None,
    seen: int = 0,
) -> OomAccount:
    """Sort the kills between two looks.

    Args:
        before: `oom_kill` of /proc/vmstat before the load; `None`: not read.
        after: The same afterwards.
        inside: Kills the load's own cgroup counted; `None`: the guard never told.
        logged: Those the kernel's log tells of; `None`: it cannot be read, or has holes.
        seen: Kills inside at the guard's last look that could count them: there may have been more since.
    """
    if before is None or after is None:
        return OomAccount(None, 0, ())
    total = after - before
    if total <= 0:
        return OomAccount(0, 0, ())
    complete = logged is not None and len(logged) >= total
    at_limits = sum(kill.at_limit for kill in logged or ())
    victims = _victims(logged or (), total - (inside or 0))
    if inside is None:
        all_at_limits = complete and logged is not None and at_limits == len(logged)
        nobody_outside = all_at_limits or seen >= total
        return OomAccount(0 if nobody_outside else None, 0, victims)
    elsewhere = max(0, at_limits - inside) if complete else 0
    outside = max(0, total - inside - elsewhere)
    return OomAccount(outside, elsewhere, victims if outside or elsewhere else ())


def _victims(logged: tuple[OomKill, ...], most: int) -> tuple[str, ...]:
    """Name the kills, those of a machine without memory first; as many as may be somebody else's."""
    ordered = sorted(logged, key=lambda kill: kill.at_limit)
    return tuple(f"{kill.comm} (pid {kill.pid})" for kill in ordered[: max(0, most)])
