"""What other contained loads of this machine may still take: read from the kernel, whoever runs them.

Looking and making a new one is one step (`Turn`): of several that start at once each sees those before it.
"""

from __future__ import annotations

import fcntl
import os

from steadyrun.contain.hierarchy import PARENT, SLICE
from steadyrun.kernel.cgroupfiles import parse_limit
from steadyrun.kernel.kept import parsed, read_text
from steadyrun.kernel.text import counter
from steadyrun.locking import lock_within
from steadyrun.model.machine import Promise
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Bytes, Seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steadyrun.contain.base import Backend

_LIMIT = ("memory.max", "memory.limit_in_bytes")
_USAGE = ("memory.current", "memory.usage_in_bytes")
_CACHE = ("inactive_file", "total_inactive_file")
_MANAGED = ("/user.slice/", "/system.slice/")
"""What systemd puts sessions, user managers and services in (systemd.special(7))."""

TURN_WITHIN = Seconds(1.0)
"""A start is waited for this long; it takes some 10 ms."""


def promised_here(backend: Backend) -> tuple[Promise, ...]:
    """Return what each containment that is there now was promised, of any user.

    The working set, not the usage: inactive page cache is available memory as well, and would count twice.
    One without a limit is left out: it was promised nothing that could be counted. Empty where the
    backend has no cgroups.
    """
    plan = backend.plan("promises")
    if not plan.directories:
        return ()
    return tuple(found for parent in _parents(plan.parent) for found in _each(parent))


def left_by_others(available: Bytes | None, backend: Backend) -> Bytes | None:
    """Return what is available, bytes, less what all of them may still take; `None`: not known."""
    if available is None:
        return None
    return Bytes(max(0, available - sum(promise.left() for promise in promised_here(backend))))


def _parents(own: str) -> tuple[str, ...]:
    """Return where containments of ours can be: our own place, root's, each user manager's."""
    top = _top(own)
    found = [own, f"{top}/{PARENT}", f"{top}/{SLICE}"]
    for user in _listed(f"{top}/user.slice"):
        found += [
            f"{top}/user.slice/{user}/{name}/{SLICE}"
            for name in _listed(f"{top}/user.slice/{user}")
            if name.startswith("user@")
        ]
    return tuple(dict.fromkeys(found))


def _top(own: str) -> str:
    for part in _MANAGED:
        if part in own:
            return own.partition(part)[0]
    return os.path.dirname(own)


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _each(parent: str) -> Iterator[Promise]:
    """Look at each cgroup of ours in the parent: all in one that bears our name, else those that do."""
    all_ours = os.path.basename(parent) in (PARENT, SLICE)
    for name in _listed(parent):
        if not all_ours and not name.startswith(f"{PARENT}-"):
            continue
        limit = _first(f"{parent}/{name}", _LIMIT)
        usage = _first(f"{parent}/{name}", _USAGE)
        if limit is not None and usage is not None:
            cache = parsed(read_text(f"{parent}/{name}/memory.stat"), _cache, "memory.stat") or 0
            yield Promise(Bytes(limit), Bytes(max(0, usage - cache)))


def _cache(text: str, *, source: str) -> int:
    return max(counter(text, name, source) or 0 for name in _CACHE)


def _first(directory: str, names: tuple[str, ...]) -> int | None:
    for name in names:
        text = read_text(f"{directory}/{name}")
        if text is not None:
            return parsed(text, parse_limit, name)
    return None


class Turn:
    """The turn to look at the promises and make one: one start of the machine at a time.

    A lock on the directory that all of them are below (flock(2)): it ends with its holder and leaves no
    file. Where it cannot be had in time the start goes on without.
    """

    def __init__(self, backend: Backend) -> None:
        """Wait for it."""
        plan = backend.plan("promises")
        self._fd = _taken(_top(plan.parent)) if plan.directories else -1

    def over(self) -> None:
        """Let the next one look. Children may hold the descriptor, too: it is unlocked for all."""
        if self._fd >= 0:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)
            self._fd = -1


def _taken(directory: str) -> int:
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        if lock_within(fd, TURN_WITHIN):
            return fd
    except OSError:
        pass
    os.close(fd)
    return -1
