"""Where a containment stands in each legacy hierarchy, and what limits it from above.

The rule: children below our own cgroup wherever it or an ancestor limits anything, so that a
container's limit is never escaped; where nothing does, a `steadyrun` cgroup at the top of what is
mounted, so that nobody else's cgroup gets a child. Reads limit files; makes and writes nothing.

The cpu hierarchy has no shared `steadyrun` parent: a weight counts among siblings alone
(Documentation/scheduler/sched-design-CFS.rst, "Group scheduler extensions to CFS"), and below a
parent of the default weight the lowest weight would do nothing for the desktop beside it.
"""

from __future__ import annotations

from steadyrun.contain.hierarchy import PARENT, UNIFIED, ancestors, visible
from steadyrun.errors import FormatError
from steadyrun.kernel.cgroupfiles import parse_limit
from steadyrun.kernel.reader import read_text
from steadyrun.model.containment import CgroupMount, ContainmentFacts
from steadyrun.named import NamedTuple

USED = ("memory", "pids", "cpu", "cpuacct", "blkio", "freezer")
"""Legacy controllers that hold or count something for us."""

_DEFAULT_SHARES = "1024"
_MEMORY_FILES = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
_THROTTLE_FILES = ("blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device")


class Place(NamedTuple):
    """One hierarchy and the cgroup there under which ours are made."""

    mount: CgroupMount
    base: str
    """Directory: our own cgroup, or the mount point."""
    controllers: tuple[str, ...]
    """Those of `USED` that this hierarchy has; `("",)` is the unified one."""

    def parent(self) -> str:
        """Return the directory that holds our containments."""
        return self.base if "cpu" in self.controllers else f"{self.base}/{PARENT}"

    def directory(self, name: str) -> str:
        """Return the directory of the containment of that name."""
        return f"{self.base}/{PARENT}-{name}" if "cpu" in self.controllers else f"{self.parent()}/{name}"

    def cgroup_path(self, directory: str) -> str:
        """Return what /proc/PID/cgroup says of a process in `directory` (mountinfo's field 4 and below)."""
        return f"{self.mount.root.rstrip('/')}{directory[len(self.mount.path) :]}"


def places(facts: ContainmentFacts, *, root: str = "") -> tuple[Place, ...]:
    """Return a place for each hierarchy that is of use, the unified one first.

    The freezer is left out where the unified hierarchy has `cgroup.kill`, and so `cgroup.freeze`
    (kernels 5.14 and 5.2): two freezers would have to agree. A hierarchy mounted twice is used at its
    first mount; one whose mount does not show our own cgroup is left out, for below its top our own
    limits would not hold.
    """
    own = dict(facts.own)
    found: list[Place] = []
    taken: set[str] = set()
    for mount in sorted(facts.mounts, key=lambda m: not m.unified):
        controllers = (UNIFIED,) if mount.unified else tuple(c for c in mount.controllers if c in USED)
        wanted = tuple(c for c in controllers if c not in taken and c in own)
        if not wanted or (wanted == ("freezer",) and UNIFIED in taken and facts.kill_supported):
            continue
        base = base_of(mount, own[wanted[0]], wanted, root=root)
        if base is not None:
            taken.update(wanted)
            found.append(Place(mount, base, wanted))
    return tuple(found)


def base_of(mount: CgroupMount, own: str, controllers: tuple[str, ...], *, root: str = "") -> str | None:
    """Return our own cgroup where it or an ancestor limits anything, else the mount point.

    Args:
        mount: The hierarchy.
        own: Our path there, as /proc/self/cgroup gives it.
        controllers: Whose limits to look for.
        root: What to put before each path, for tests.

    Returns:
        `None` when the mount does not show our own cgroup.
    """
    own_directory = visible(mount, own)
    if own_directory is None:
        return None
    above = ancestors(own_directory, mount.path)
    return own_directory if any(limits_anything(root + d, controllers) for d in above) else mount.path


def limits_anything(directory: str, controllers: tuple[str, ...]) -> bool:
    """Tell whether a cgroup limits one of these controllers itself.

    The cgroup at the top of a hierarchy has no or only open limits. A file that is there and does
    not read as expected counts as a limit: staying below our own cgroup is never wrong.
    """
    checks = {
        "memory": lambda: any(not _is_open(f"{directory}/{name}") for name in _MEMORY_FILES),
        "pids": lambda: not _is_open(f"{directory}/pids.max"),
        "cpu": lambda: (
            _text(f"{directory}/cpu.cfs_quota_us", "-1") != "-1"
            or _text(f"{directory}/cpu.shares", _DEFAULT_SHARES) != _DEFAULT_SHARES
        ),
        "blkio": lambda: any(_text(f"{directory}/{name}", "") for name in _THROTTLE_FILES),
    }
    return any(checks[c]() for c in controllers if c in checks)


def _is_open(path: str) -> bool:
    text = _text(path, "max")
    try:
        return parse_limit(text, source=path) is None
    except FormatError:
        return False


def _text(path: str, missing: str) -> str:
    text = read_text(path)
    return missing if text is None else text.strip()
