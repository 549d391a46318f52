"""The terminals of a cgroup: what runs on a pseudo-terminal, by the session that has it. Changes nothing."""

from __future__ import annotations

import os
from typing import NamedTuple

from steadyrun.kernel.kept import read_text
from steadyrun.kernel.processes import stat_of

_PTS_MAJORS = range(136, 144)
"""Unix98 pseudo-terminals (kernel, admin-guide/devices.txt)."""


class Terminal(NamedTuple):
    """One terminal's processes in one cgroup."""

    session: int
    """The number of the session (setsid(2)) whose terminal it is: the pid of its shell."""
    pids: tuple[int, ...]
    """The session's own before others, which is the shell's; then by number."""


def terminals_in(cgroup: str, uid: int, root: str = "/") -> tuple[Terminal, ...]:
    """Return the terminals of a user's processes in a cgroup; none where it cannot be read.

    Args:
        cgroup: Its folder.
        uid: Whose; what sudo(8) started on the terminal is another's.
        root: Where files are looked for.
    """
    before = root.rstrip("/")
    found: dict[int, list[int]] = {}
    for word in (read_text(f"{before}{cgroup}/cgroup.procs") or "").split():
        stat = stat_of(int(word), root) if word.isdecimal() else None
        if stat is None or stat.has_ended() or _major(stat.tty) not in _PTS_MAJORS:
            continue
        if _owner(f"{before}/proc/{stat.pid}") == uid:
            found.setdefault(stat.session, []).append(stat.pid)
    return tuple(
        Terminal(session, tuple(sorted(pids, key=lambda pid: (pid != session, pid))))
        for session, pids in sorted(found.items())
    )


def _major(tty: int) -> int:
    """Return the major number of a controlling terminal (proc_pid_stat(5), `tty_nr`); 0: it has none."""
    return tty >> 8 & 0xFFF


def _owner(path: str) -> int | None:
    try:
        return os.stat(path).st_uid
    except OSError:
        return None
