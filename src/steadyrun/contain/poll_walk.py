"""Walks /proc to find the processes of one polled containment, and reads single figures of them.

Signals nobody and judges nothing. A walk costs about 10 us for each process of the machine.
"""

from __future__ import annotations

import os

from steadyrun.contain.processes import is_alive
from steadyrun.kernel.proc import PidStat
from steadyrun.kernel.processes import stat_of
from steadyrun.kernel.reader import read_text
from steadyrun.named import NamedTuple

_STOPPED = "Tt"
_CLAIMED: dict[Process, Walk] = {}
"""Members that were admitted, and by which walk: two containments of one owner do not take each other's."""


class Process(NamedTuple):
    """One process, identified for as long as the machine runs."""

    pid: int
    start_ticks: int


class Walk:
    """Who belongs to the load.

    Args:
        marker: `NAME=value` in the environment of each that did not change it.
        owner: The subreaper that its orphans are given to; `None`: nobody we know.
    """

    def __init__(self, marker: str, owner: int | None) -> None:
        self._marker = os.fsencode(marker)
        self._variable = self._marker.partition(b"=")[0] + b"="
        self._owner = owner
        self._borne: dict[Process, bytes] = {}
        """The marker that each process was seen with, its own or another; empty for none."""
        self._admitted: set[Process] = set()
        self._known: set[Process] = set()
        """All that were ever seen as members and may live: descent is lost when a parent ends."""
        self._helpers: set[Process] = set()
        """Children of the owner that are not the load's."""
        self._released = False
        self.learn_helpers()

    def learn_helpers(self) -> None:
        """Note every child that the owner has now, the admitted left out, as none of the load's.

        Until the load is released a child of the owner is a helper (the keeper) or a waiting
        member; later an unknown child of the owner is an orphan of the load's that it was given.
        """
        if self._owner is None or self._released:
            return
        for stat in _processes().values():
            process = Process(stat.pid, stat.start_ticks)
            if stat.ppid == self._owner and process not in self._admitted and process not in self._known:
                self._helpers.add(process)

    def admit(self, pid: int) -> None:
        """Count a process as a member."""
        stat = stat_of(pid)
        if stat is None:
            return
        process = Process(pid, stat.start_ticks)
        self._admitted.add(process)
        self._known.add(process)
        _CLAIMED[process] = self
        self._helpers.discard(process)
        self.learn_helpers()

    def members(self) -> tuple[Process, ...]:
        """Find the living members now: known ones, marked ones, their descendants, orphans of theirs."""
        table = _processes()
        self._borne = {p: marker for p, marker in self._borne.items() if _is_same(table.get(p.pid), p)}
        marked = {pid for pid, stat in table.items() if self._marker_of(stat) == self._marker}
        if not self._released and marked:
            self._released = True
        self.learn_helpers()
        found = {p.pid for p in self._known if _is_same(table.get(p.pid), p)} | marked
        if self._released and self._owner is not None:
            found |= {s.pid for s in table.values() if s.ppid == self._owner and self._is_orphan(s)}
        _add_relatives(found, table)
        found.discard(os.getpid())
        self._known = {
            Process(pid, table[pid].start_ticks) for pid in found if not self._is_helper(table[pid])
        }
        return tuple(sorted(p for p in self._known if is_alive(p.pid)))

    def _is_orphan(self, stat: PidStat) -> bool:
        """Tell whether a child of the owner came to it from our load: no helper, nobody else's member."""
        claimed_by = _CLAIMED.get(Process(stat.pid, stat.start_ticks), self)
        return (
            not self._is_helper(stat) and claimed_by is self and self._marker_of(stat) in (b"", self._marker)
        )

    def _is_helper(self, stat: PidStat) -> bool:
        return Process(stat.pid, stat.start_ticks) in self._helpers

    def _marker_of(self, stat: PidStat) -> bytes:
        """Return the marker in the environment of a process; empty: none, or unreadable (another user's).

        Read once for each process. It takes that process's mmap lock and brings back what is swapped out
        (environ_read in fs/proc/base.c), so each look could wait for the disk. A process that is forked has
        its parent's from the first. One in the middle of an exec(3) has none for a moment, and one that is
        admitted has ours, and with it perhaps an outer marker, until it is released: both are asked again.
        """
        process = Process(stat.pid, stat.start_ticks)
        if (known := self._borne.get(process)) is not None:
            return known
        environment = _environment(stat.pid)
        found = next((each for each in environment if each.startswith(self._variable)), b"")
        if environment and (found == self._marker or process not in self._admitted):
            self._borne[process] = found
        return found

    def is_stopped(self, process: Process) -> bool:
        """Tell whether it is stopped by a signal, a tracer, or ended."""
        stat = stat_of(process.pid)
        return stat is None or not _is_same(stat, process) or stat.has_ended() or stat.state in _STOPPED

    def resident(self, process: Process) -> int | None:
        """Return its resident bytes, shared pages included (proc_pid_statm(5))."""
        fields = (read_text(f"/proc/{process.pid}/statm") or "").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else None

    def proportional(self, process: Process) -> int | None:
        """Return its bytes with each shared page divided among those who share it."""
        return _kilobytes(f"/proc/{process.pid}/smaps_rollup", "Pss:")

    def swapped(self, process: Process) -> int | None:
        """Return its swapped-out bytes, shared memory left out (proc_pid_status(5), `VmSwap`)."""
        return _kilobytes(f"/proc/{process.pid}/status", "VmSwap:")

    def threads(self, process: Process) -> int | None:
        """Return the number of its threads."""
        try:
            return len(os.listdir(f"/proc/{process.pid}/task"))
        except OSError:
            return None


def _environment(pid: int) -> list[bytes]:
    text = read_text(f"/proc/{pid}/environ")
    return os.fsencode(text).split(b"\0") if text else []


def _processes() -> dict[int, PidStat]:
    """Read every process once."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())
    return {stat.pid: stat for stat in map(stat_of, pids) if stat is not None}


def _is_same(stat: PidStat | None, process: Process) -> bool:
    return stat is not None and stat.start_ticks == process.start_ticks


def _add_relatives(found: set[int], table: dict[int, PidStat]) -> None:
    """Add all descendants of the found ones, until no more are found."""
    before = -1
    while before != len(found):
        before = len(found)
        found.update(stat.pid for stat in table.values() if stat.ppid in found)


def _kilobytes(path: str, label: str) -> int | None:
    for line in (read_text(path) or "").splitlines():
        if line.startswith(label):
            return int(line.split()[1]) * 1024
    return None
