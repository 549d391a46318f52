"""Counters of a containment, read at each tick through kept descriptors: what every kind shares.

Never raises and never writes: what cannot be read is `None`.
"""

from __future__ import annotations

from functools import partial

from steadyrun.kernel.cgroupfiles import parse_count
from steadyrun.kernel.kept import KeptFile, parsed
from steadyrun.kernel.text import counter
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from steadyrun.contain.cgroupfs import CgroupDirectory

    T = TypeVar("T")


class Counters:
    """Files of a containment's cgroups, by name.

    Args:
        files: (name, the directory it is in), each of one record; those that are not there read as
            unknown.
    """

    __slots__ = ("_files",)

    def __init__(self, files: Iterable[tuple[str, CgroupDirectory]]) -> None:
        self._files = {
            name: KeptFile(where.kept(name), one_record=True) for name, where in files if where.has(name)
        }

    def text(self, name: str) -> str | None:
        """Return a file's text now; `None` when it is not there or cannot be read."""
        file = self._files.get(name)
        return None if file is None else file.read()

    def parse(self, name: str, parse: Callable[..., T]) -> T | None:
        """Return what a parser makes of a file now; `None` when it has another form."""
        return parsed(self.text(name), parse, name)

    def count(self, name: str) -> int | None:
        """Return the one number of a file."""
        return self.parse(name, parse_count)

    def forks_refused(self) -> int | None:
        """Return how often a fork or a new thread failed for the task limit (`max` of pids.events).

        Counted where the fork was tried, on unified machines since 6.11 where the limit is
        (pids_event in kernel/cgroup/pids.c): for the cgroup that has the limit and the load it is the same.
        """
        return self.parse("pids.events", partial(counter, name="max"))

    def close(self) -> None:
        """Close the kept descriptors."""
        for file in self._files.values():
            file.close()


class Most:
    """The largest value seen, for a kernel that keeps no such figure itself."""

    __slots__ = ("_most",)

    def __init__(self) -> None:
        self._most: int | None = None

    def of(self, kernels: int | None, now: int | None) -> int | None:
        """Return the kernel's own figure, else the most of all samples so far."""
        if now is not None:
            self._most = max(now, self._most or 0)
        return self._most if kernels is None else kernels


def as_bytes(value: int | None) -> Bytes | None:
    """Give a number that may be unknown its unit."""
    return None if value is None else Bytes(value)


def less(whole: int | None, part: int | None) -> Bytes | None:
    """Subtract two counters that were read one after the other: never below zero."""
    return None if whole is None or part is None else Bytes(max(0, whole - part))
