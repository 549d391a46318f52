"""Job control: is there anybody who could continue this process group once it is stopped?

The kernel discards TSTP, TTIN and TTOU with their default action in an orphaned process group (signal(7);
get_signal in kernel/signal.c): a command that `ssh -t`, `xterm -e` or a window of tmux starts has no
shell above it. A process with a handler for TSTP gets it there all the same, and has to look for itself.
"""

from __future__ import annotations

import os

from steadyrun.kernel.processes import stat_of
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steadyrun.kernel.proc import PidStat


def in_orphaned_group() -> bool:
    """Tell whether our own process group is orphaned. Reads all of /proc: for a key that somebody pressed."""
    seen = (stat_of(int(name)) for name in os.listdir("/proc") if name.isdecimal())
    return is_orphaned(os.getpgrp(), {stat.pid: stat for stat in seen if stat is not None})


def is_orphaned(group: int, processes: Mapping[int, PidStat]) -> bool:
    """Tell whether no member has a parent in another group of its session.

    The kernel's own rule (will_become_orphaned_pgrp in kernel/exit.c).

    Args:
        group: Its id.
        processes: Those that can be seen, by pid.

    Returns:
        False also where a parent cannot be seen (proc(5), hidepid): it may be the one that continues it.
    """
    return not any(
        _is_continued_by(member, processes.get(member.ppid))
        for member in processes.values()
        if member.pgrp == group and not member.has_ended() and member.ppid > 0
    )


def _is_continued_by(member: PidStat, parent: PidStat | None) -> bool:
    return parent is None or (parent.session == member.session and parent.pgrp != member.pgrp)
