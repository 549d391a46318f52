"""Facts of the machine in, the backend to use out, with every reason why not a better one. Pure.

The order of preference is the order of `_JUDGES`. A backend that is added gets a function there: it
returns `None` when the backend can be used, an `Obstacle` when it cannot and the reader should know
why, `NOT_HERE` when the machine has nothing of what it would need and saying so would help nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from steadyrun.errors import CannotContainError
from steadyrun.model.containment import BackendName, CgroupMount, Choice, ContainmentFacts, Obstacle

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_HERE: Final = "not here"
_NOT_BUILT = "not built yet in this version"
_UPGRADE = "python3 -m pip install --upgrade steadyrun"


def choose(facts: ContainmentFacts, *, wanted: BackendName | None = None) -> Choice:
    """Choose the best backend that can be used, or the wanted one.

    Args:
        facts: What `contain.facts.read_facts` found.
        wanted: What the user asked for; `None`: the best.

    Returns:
        The backend, and an obstacle for each better one that the machine has and cannot use.

    Raises:
        CannotContainError: The wanted one cannot be used; its hint is the command that mends it.
    """
    obstacles: list[Obstacle] = []
    for name, judge in _JUDGES:
        obstacle = judge(facts)
        if wanted is name and obstacle is not None:
            raise _unusable(name, obstacle)
        if wanted in (None, name) and obstacle is None:
            return Choice(name, tuple(obstacles))
        if isinstance(obstacle, Obstacle):
            obstacles.append(obstacle)
    raise AssertionError("poll can always be used")


def _unusable(name: BackendName, obstacle: Obstacle | str) -> CannotContainError:
    if isinstance(obstacle, Obstacle):
        return CannotContainError(
            f"containment {name.value}: expected a usable one, found: {obstacle.reason}", hint=obstacle.remedy
        )
    return CannotContainError(
        f"containment {name.value}: expected a usable one, found nothing of it on this machine",
        hint="steadyrun doctor",
    )


def _systemd(facts: ContainmentFacts) -> Obstacle | str | None:
    if not (facts.systemd_running and _memory_is_unified(facts)):
        return NOT_HERE
    return Obstacle(BackendName.SYSTEMD, _NOT_BUILT, _UPGRADE)


def _cgroup2(facts: ContainmentFacts) -> Obstacle | str | None:
    if not _memory_is_unified(facts):
        return NOT_HERE
    return Obstacle(BackendName.CGROUP2, _NOT_BUILT, _UPGRADE)


def _cgroup1(facts: ContainmentFacts) -> Obstacle | str | None:
    """A hard memory limit and a kill that nobody escapes by forking are the least."""
    if _memory_is_unified(facts):
        return NOT_HERE
    memory = _hierarchy(facts, "memory")
    if memory is None:
        return _legacy_obstacle(
            "no memory hierarchy is mounted",
            "sudo mount -t cgroup -o memory,X-mount.mkdir cgroup /sys/fs/cgroup/memory",
        )
    if memory.path not in facts.creatable:
        return _legacy_obstacle(f"no cgroup can be made below {memory.path}", _how_to_write(facts, memory))
    if not can_kill(facts):
        return _legacy_obstacle(
            "no hierarchy to kill by: neither cgroup.kill nor a usable freezer or pids hierarchy",
            "sudo mount -t cgroup -o freezer,X-mount.mkdir cgroup /sys/fs/cgroup/freezer",
        )
    return None


def _poll(facts: ContainmentFacts) -> Obstacle | str | None:
    """It needs /proc alone."""
    return None


_JUDGES: tuple[tuple[BackendName, Callable[[ContainmentFacts], Obstacle | str | None]], ...] = (
    (BackendName.SYSTEMD, _systemd),
    (BackendName.CGROUP2, _cgroup2),
    (BackendName.CGROUP1, _cgroup1),
    (BackendName.POLL, _poll),
)


def can_kill(facts: ContainmentFacts) -> bool:
    """Tell whether a legacy machine kills fork-safely.

    By `cgroup.kill` of the unified mount (kernel >= 5.14), or with everything frozen by the legacy
    freezer, or with every fork refused by `pids.max` 0 (Documentation/admin-guide/cgroup-v1/pids.rst).
    """
    unified = any(m.unified and m.path in facts.creatable for m in facts.mounts)
    if facts.kill_supported and unified:
        return True
    made = (_hierarchy(facts, controller) for controller in ("freezer", "pids"))
    return any(mount is not None and mount.path in facts.creatable for mount in made)


def _memory_is_unified(facts: ContainmentFacts) -> bool:
    return any(m.unified and "memory" in m.controllers for m in facts.mounts)


def _hierarchy(facts: ContainmentFacts, controller: str) -> CgroupMount | None:
    return next((m for m in facts.mounts if not m.unified and controller in m.controllers), None)


def _legacy_obstacle(reason: str, remedy: str) -> Obstacle:
    return Obstacle(BackendName.CGROUP1, reason, remedy)


def _how_to_write(facts: ContainmentFacts, memory: CgroupMount) -> str:
    if facts.euid != 0:
        return "sudo steadyrun doctor"
    if not memory.writable:
        return f"mount -o remount,rw {memory.path}"
    return (
        "docker run --privileged ...   # or whatever started this container, with write access to its cgroups"
    )
