"""Who owns runs, as /proc shows it: for whoever must not wait for the journal's disk.

A run belongs to the process that holds the lock on its byte of the owners' file (`owners.py`). That is
looked up the other way round here: whose descriptor is that file, and which bytes does it lock
(proc_pid_fdinfo(5), `lock`). Touches no file but the owners' own inode, which is in memory while somebody
has it open. Sees only processes of this pid namespace that the caller may look into.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from steadyrun.journal.owners import OWNERS, byte_of
from steadyrun.kernel.processes import pid_started
from steadyrun.kernel.reader import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator


class Holder(NamedTuple):
    """A process that owns runs."""

    pid: int
    started: int
    """Clock ticks since boot, as field 22 of /proc/PID/stat."""
    words: tuple[str, ...]
    """Its command line."""
    locked: frozenset[int]
    """Bytes of the owners' file."""

    def owns(self, run_id: str) -> bool:
        """Tell whether this run is one of its own; the whole id is needed."""
        return byte_of(run_id) in self.locked


def holders(directory: str, proc: str = "/proc") -> tuple[Holder, ...]:
    """Return every process that owns a run of the journal in this directory, by pid.

    A child of it that has the same descriptor for a moment, between fork(2) and execve(2), may be among them.
    """
    try:
        wanted = os.stat(os.path.join(directory, OWNERS))
    except OSError:
        return ()  # never held
    found = []
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdecimal()):
        locked = frozenset(_locked(f"{proc}/{pid}", wanted))
        started = pid_started(pid) if locked else None
        if started is not None:
            words = tuple((read_text(f"{proc}/{pid}/cmdline") or "").split("\0")[:-1])
            found.append(Holder(pid, started, words, locked))
    return tuple(found)


def _locked(process: str, wanted: os.stat_result) -> Iterator[int]:
    """Yield the bytes of the file that descriptors of this process lock for themselves."""
    try:
        numbers = os.listdir(f"{process}/fd")
    except OSError:
        return  # it ended, or it is somebody else's
    for number in numbers:
        try:
            found = os.stat(f"{process}/fd/{number}")
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            yield from _bytes_of(read_text(f"{process}/fdinfo/{number}") or "")


def _bytes_of(fdinfo: str) -> Iterator[int]:
    """Yield the first byte of each lock: `lock: 1: OFDLCK ADVISORY WRITE -1 00:2a:77 START END`."""
    for line in fdinfo.splitlines():
        words = line.split()
        if len(words) >= 9 and words[0] == "lock:" and words[2] == "OFDLCK" and words[7].isdecimal():
            yield int(words[7])
