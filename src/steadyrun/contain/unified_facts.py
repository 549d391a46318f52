"""Reads the cgroups at and above our own in the unified hierarchy. Judges nothing.

Makes a child at the place that `unified_placement` chooses, looks at its files, and removes it at
once; enables no controller.
"""

from __future__ import annotations

import os
import signal

from steadyrun.contain.hierarchy import UNIFIED, ancestors, visible
from steadyrun.contain.unified_placement import place, unified_memory
from steadyrun.errors import FormatError
from steadyrun.kernel.cgroupfiles import parse_cpu_max, parse_limit
from steadyrun.kernel.kept import parsed, read_text
from steadyrun.model.containment import CgroupMount, ContainmentFacts, UnifiedLevel
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

PROBE = "steadyrun-probe"
OLD = Seconds(60.0)
"""A child lives for microseconds; one this old was left behind, or its maker was stopped."""
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_LIMIT_FILES = ("memory.max", "memory.high", "memory.swap.max", "pids.max")
_DEFAULT_WEIGHT = "100"
_SETS = ("io.max", "cpuset.cpus", "cpuset.mems")
"""Files that are empty where nothing is limited."""
_XATTRS = ("user.delegate", "trusted.delegate")
"""What systemd marks a cgroup with that it gave away, "1" (Control Group APIs and Delegation,
"Delegation"; the first since 251, the second readable by root alone). A user manager marks nothing
(seen with 247, 252 and 257): it is asked."""


def read_levels(mount: CgroupMount, own: str, *, given: str = "", root: str = "") -> tuple[UnifiedLevel, ...]:
    """Read our own cgroup and all above it, topmost first; empty where the mount does not show it.

    Args:
        mount: The unified hierarchy.
        own: Our path there, as /proc/self/cgroup gives it.
        given: The directory that a manager says it delegated; empty: none.
        root: What to put before each path, for tests.
    """
    directory = visible(mount, own)
    if directory is None:
        return ()
    return tuple(_level(d, given, root) for d in reversed(list(ancestors(directory, mount.path))))


def _level(directory: str, given: str, root: str) -> UnifiedLevel:
    path = root + directory
    is_root = not os.path.exists(f"{path}/cgroup.type")  # "exists on non-root cgroups" (cgroup-v2.rst)
    return UnifiedLevel(
        directory=directory,
        available=_words(f"{path}/cgroup.controllers"),
        enabled=_words(f"{path}/cgroup.subtree_control"),
        is_root=is_root,
        occupied=read_text(f"{path}/cgroup.procs") != "",
        writable=_is_writable(path),
        limits=limits_anything(path),
        delegated=directory == given or _is_delegated(path),
    )


def _words(path: str) -> tuple[str, ...]:
    return tuple((read_text(path) or "").split())


def _is_writable(path: str) -> bool:
    """Tell whether we may make cgroups there, enable controllers and move processes (effective ids)."""
    files = (f"{path}/cgroup.procs", f"{path}/cgroup.subtree_control")
    return os.access(path, os.W_OK | os.X_OK, effective_ids=True) and all(
        os.access(file, os.W_OK, effective_ids=True) for file in files
    )


def _is_delegated(path: str) -> bool:
    for name in _XATTRS:
        try:
            if os.getxattr(path, name) == b"1":
                return True
        except OSError:
            continue
    try:
        ours = os.geteuid() != 0 and os.stat(path).st_uid == os.geteuid()
        return ours and os.stat(os.path.dirname(path)).st_uid != os.geteuid()
    except OSError:
        return False


def limits_anything(path: str) -> bool:
    """Tell whether a cgroup limits anything itself.

    A file that is there and does not read as expected counts as a limit: staying below our own cgroup
    is never wrong. Protections (memory.min, memory.low) limit nobody.
    """
    if any(not _is_open(f"{path}/{name}") for name in _LIMIT_FILES):
        return True
    quota = read_text(f"{path}/cpu.max")
    if quota is not None and (parsed(quota, parse_cpu_max, "cpu.max") or (0, 0))[0] is not None:
        return True
    weight = (read_text(f"{path}/cpu.weight") or _DEFAULT_WEIGHT).strip()
    return weight != _DEFAULT_WEIGHT or any((read_text(f"{path}/{n}") or "").strip() for n in _SETS)


def _is_open(path: str) -> bool:
    text = read_text(path)
    try:
        return text is None or parse_limit(text, source=path) is None
    except FormatError:
        return False


def with_levels(facts: ContainmentFacts, *, root: str = "") -> ContainmentFacts:
    """Add the levels, and what a child that was really made there has."""
    mount = unified_memory(facts)
    own = dict(facts.own).get(UNIFIED)
    if mount is None or own is None:
        return facts
    given = facts.manager.given if facts.manager else ""
    facts = facts._replace(levels=read_levels(mount, own, given=given, root=root))
    where = place(facts)
    if not isinstance(where, UnifiedLevel):
        return facts
    files = with_child(root + where.directory, lambda child: tuple(sorted(os.listdir(child))))
    if files is None:  # it looked writable and is not: a security module, a read-only mount
        levels = tuple(lv._replace(writable=False) if lv == where else lv for lv in facts.levels)
        return facts._replace(levels=levels)
    return facts._replace(creatable=(mount.path,), kill_supported="cgroup.kill" in files, files=files)


def with_child(directory: str, look: Callable[[str], T]) -> T | None:
    """Make a child, look at it, remove it; `None` when none can be made.

    What ends a process waits meanwhile, so that SIGKILL alone can leave the child (`remove_old_probes`).
    """
    child = f"{directory}/{PROBE}-{os.urandom(6).hex()}"
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        try:
            os.mkdir(child)
        except OSError:
            return None
        try:
            return look(child)
        finally:
            os.rmdir(child)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def remove_old_probes(directory: str, *, now: Seconds) -> int:
    """Remove the children that a killed start left in a cgroup; return how many there were.

    Nothing is ever put into one, so the kernel removes none that is in use (rmdir(2), EBUSY); one
    that is just being looked at is too young.

    Args:
        directory: Any cgroup's.
        now: Unix time, as the kernel stamps a new cgroup with.
    """
    removed = 0
    try:
        names = [name for name in os.listdir(directory) if name.startswith(f"{PROBE}-")]
    except OSError:
        return 0
    for name in names:
        try:
            if now - os.stat(f"{directory}/{name}").st_mtime >= OLD:
                os.rmdir(f"{directory}/{name}")
                removed += 1
        except OSError:
            continue  # another user's, or gone
    return removed
