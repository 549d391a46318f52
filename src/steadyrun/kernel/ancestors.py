"""The memory limits at and above this process's own cgroup: what bounds a machine inside a container.

Reads mountinfo, /proc/self/cgroup and the files of those cgroups below a root that tests replace.
Never writes, and never raises because of what a file holds: what cannot be read is `None`.
"""

from __future__ import annotations

from steadyrun.errors import FormatError
from steadyrun.kernel.cgroupfiles import parse_count, parse_limit, parse_proc_cgroup
from steadyrun.kernel.kept import KeptFile, parsed, read_text
from steadyrun.kernel.mountinfo import parse_cgroup_mounts
from steadyrun.kernel.text import counter
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steadyrun.model.containment import CgroupMount


class Level(NamedTuple):
    """One cgroup at or above this process, and where its memory figures stand."""

    directory: str
    unified: bool

    def limit_files(self) -> tuple[str, ...]:
        """Name the files of its limits. v2's throttle limit counts: above it everything in it sleeps."""
        names = ("memory.max", "memory.high") if self.unified else ("memory.limit_in_bytes",)
        return tuple(f"{self.directory}/{name}" for name in names)

    def usage_file(self) -> str:
        """Name the file with the usage, children and page cache included."""
        return f"{self.directory}/{'memory.current' if self.unified else 'memory.usage_in_bytes'}"

    def cache_key(self) -> str:
        """Name the line of memory.stat with the inactive file pages, children included."""
        return "inactive_file" if self.unified else "total_inactive_file"


class Bound:
    """A level that has a limit, with its files kept open."""

    __slots__ = ("_limits", "_stat", "_usage", "level")

    def __init__(self, level: Level) -> None:
        self.level = level
        self._limits = tuple(KeptFile(path, one_record=True) for path in level.limit_files())
        self._usage = KeptFile(level.usage_file(), one_record=True)
        self._stat = KeptFile(f"{level.directory}/memory.stat", one_record=True)

    def limit(self) -> Bytes | None:
        """Return the smallest limit now; `None` when there is none, or none can be read."""
        return _smallest(parsed(file.read(), parse_limit, file.path) for file in self._limits)

    def working_set(self) -> Bytes | None:
        """Return usage less the file pages that reclaim can take at once; `None` when unreadable."""
        usage = parsed(self._usage.read(), parse_count, self._usage.path)
        text = self._stat.read()
        if usage is None or text is None:
            return None
        try:
            cache = counter(text, self.level.cache_key(), self._stat.path)
        except FormatError:
            return None
        return Bytes(usage - min(usage, cache or 0))

    def close(self) -> None:
        """Close what is kept open."""
        for file in (*self._limits, self._usage, self._stat):
            file.close()


def _smallest(values: Iterator[Bytes | None]) -> Bytes | None:
    """Return the smallest that is known, `None` when none is."""
    return min((value for value in values if value is not None), default=None)


def memory_mounts(root: str) -> tuple[CgroupMount, ...]:
    """Return the mounts in which a memory limit can stand: the v1 memory hierarchy and v2."""
    path = f"{root}/proc/self/mountinfo"
    mounts = parsed(read_text(path), parse_cgroup_mounts, path) or ()
    return tuple(mount for mount in mounts if mount.unified or "memory" in mount.controllers)


def levels_above(root: str, mounts: tuple[CgroupMount, ...]) -> tuple[Level, ...]:
    """Return this process's own cgroup and all above it as far as they are mounted, topmost first."""
    path = f"{root}/proc/self/cgroup"
    own = dict(parsed(read_text(path), parse_proc_cgroup, path) or ())
    found: dict[Level, None] = {}
    for mount in mounts:
        ours = own.get("" if mount.unified else "memory")
        if ours is None:
            continue
        directory = root + mount.path
        found[Level(directory, mount.unified)] = None
        for name in _below_mount(mount.root, ours):
            directory = f"{directory}/{name}"
            found[Level(directory, mount.unified)] = None
    return tuple(found)


def _below_mount(mounted: str, path: str) -> list[str]:
    """Return the names that lead from a mount point to the cgroup `path`, both as the kernel writes them.

    In a container the mount may show `/docker/ID` where the path says the same (no cgroup
    namespace) or `/` (its own one); where the path lies outside what is mounted (`/..`), only the
    mount point itself is known to be above us.
    """
    if mounted != "/":
        path = path[len(mounted) :] if f"{path}/".startswith(f"{mounted}/") else "/"
    names = [name for name in path.split("/") if name]
    return [] if ".." in names else names


def limited_levels(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    """Return those that have a memory limit just now."""
    return tuple(
        level
        for level in levels
        if any(parsed(read_text(p), parse_limit, p) is not None for p in level.limit_files())
    )
