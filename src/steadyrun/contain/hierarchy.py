"""Names and paths that every kind of cgroup shares: our names, what a mount shows, what is above.

Pure: text in, text out. Knows no controller and no limit.
"""

from __future__ import annotations

from steadyrun.errors import ContainmentFailedError
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steadyrun.model.containment import CgroupMount

PARENT = "steadyrun"
"""Name of the parent that all our containments of one hierarchy share."""
SLICE = "steadyrun.slice"
"""The slice of a systemd manager that all units of our loads are in."""
UNIFIED = ""
"""The controller name that /proc/PID/cgroup gives the unified hierarchy."""
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def expect_plain(name: str) -> None:
    """Refuse a name of a containment that could leave its place.

    Raises:
        ContainmentFailedError: It holds anything but letters, digits, `-`, `_` and `.`, or begins with a dot.
    """
    if not name or set(name) - NAME_CHARACTERS or name.startswith("."):
        raise ContainmentFailedError(f"containment name: expected letters, digits, - and _, found {name!r}")


def is_ours(directory: str, name: str) -> bool:
    """Tell whether a directory is where a containment of that name stands, by its path alone."""
    parent, _, last = directory.rpartition("/")
    return (last == name and parent.rpartition("/")[2] == PARENT) or last == f"{PARENT}-{name}"


def visible(mount: CgroupMount, path: str) -> str | None:
    """Return the directory of a cgroup path below a mount; `None` when it lies outside.

    Without a cgroup namespace a container's mount shows `/docker/ID` of the host's tree as its root
    and /proc/self/cgroup gives the host's path (cgroup_namespaces(7)).
    """
    root = mount.root.rstrip("/")
    if not f"{path.rstrip('/')}/".startswith(f"{root}/") or "/.." in f"{path}/":
        return None
    return f"{mount.path}{path[len(root) :]}".rstrip("/")


def ancestors(directory: str, top: str) -> Iterator[str]:
    """Give a directory and each above it, up to and with `top`."""
    while len(directory) > len(top):
        yield directory
        directory = directory.rpartition("/")[0]
    yield top
