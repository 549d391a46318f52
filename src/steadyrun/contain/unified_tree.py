"""Making, finding and enabling unified cgroups: the single steps that both of its backends take."""

from __future__ import annotations

import os

from steadyrun.contain.cgroupfs import CgroupDirectory
from steadyrun.contain.unified_placement import USED
from steadyrun.errors import ContainmentFailedError
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def make(path: str) -> CgroupDirectory:
    """Make a cgroup and take hold of it.

    Raises:
        ContainmentFailedError: It could not be made, or was there already.
    """
    try:
        os.mkdir(path)
        return CgroupDirectory(path)
    except OSError as error:
        raise ContainmentFailedError(
            f"{path}: expected to make a cgroup, found {error.strerror}", hint="steadyrun doctor"
        ) from error


def reopen(path: str, inodes: Collection[int] | None) -> CgroupDirectory | None:
    """Take hold of a cgroup that is there.

    Args:
        path: Where it is.
        inodes: Those it may have; `None`: any.

    Returns:
        `None` when there is none, or another one.
    """
    try:
        directory = CgroupDirectory(path)
    except OSError:
        return None
    if inodes is None or directory.identity.inode in inodes:
        return directory
    directory.close()
    return None


def enable(path: str, controllers: Collection[str]) -> None:
    """Enable controllers for the cgroups below a directory, each for itself: one that fails fails alone.

    A controller that cannot be enabled is missing in the new cgroup, where its maker looks for it. One
    that is enabled stays so: taking it away again would race with whoever has begun to use it.

    Raises:
        ContainmentFailedError: The directory is not there.
    """
    directory = reopen(path, None)
    if directory is None:
        raise ContainmentFailedError(f"{path}: expected a cgroup, found none")
    try:
        have = (directory.read("cgroup.subtree_control") or "").split()
        for controller in USED:
            if controller in controllers and controller not in have:
                _try_enabling(directory, controller)
    finally:
        directory.close()


def _try_enabling(directory: CgroupDirectory, controller: str) -> None:
    try:
        directory.write("cgroup.subtree_control", f"+{controller}")
    except OSError:
        pass
