"""Facts of the machine in, the backend to use out, with every reason why not a better one. Pure.

The order of preference is the order of `_JUDGES`. A backend that is added gets a function there: it
returns `None` when the backend can be used, an `Obstacle` when it cannot and the reader should know
why, `NOT_HERE` when the machine has nothing of what it would need and saying so would help nobody.
"""

from __future__ import annotations

from steadyrun.contain.unified_placement import place, unified_memory
from steadyrun.contain.unified_promises import FREEZER_SINCE
from steadyrun.errors import CannotContainError
from steadyrun.model.containment import (
    AS_ROOT,
    BackendName,
    CgroupMount,
    Choice,
    ContainmentFacts,
    ManagerFacts,
    Obstacle,
)
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

NOT_HERE: Final = "not here"
_NO_KILL = "nothing to kill by: neither cgroup.kill nor cgroup.freeze"
_NEWER_KERNEL = "uname -r   # cgroup.freeze needs Linux 5.2, cgroup.kill 5.14"


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
    """A manager that can be asked, and gives its units the memory controller, is the least."""
    manager = facts.manager
    if manager is None:
        return NOT_HERE
    if manager.trouble:
        return Obstacle(BackendName.SYSTEMD, manager.trouble, manager.remedy)
    if "memory" not in manager.controllers:
        whose = "the user manager" if manager.is_user else "systemd"
        return Obstacle(
            BackendName.SYSTEMD, f"{whose} was given no memory controller", delegate_command(manager)
        )
    if not _can_kill_unified(facts, manager.files):
        return Obstacle(BackendName.SYSTEMD, _NO_KILL, _NEWER_KERNEL)
    return None


def _cgroup2(facts: ContainmentFacts) -> Obstacle | str | None:
    if not unified_memory(facts):
        return NOT_HERE
    where = place(facts)
    if isinstance(where, Obstacle):
        return where
    return (
        None
        if _can_kill_unified(facts, facts.files)
        else Obstacle(BackendName.CGROUP2, _NO_KILL, _NEWER_KERNEL)
    )


def _can_kill_unified(facts: ContainmentFacts, files: tuple[str, ...]) -> bool:
    return "cgroup.kill" in files or facts.kernel >= FREEZER_SINCE


def delegate_command(manager: ManagerFacts) -> str:
    """Return the drop-in that gives a user manager every controller.

    Source: systemd.resource-control(5), `Delegate=`. What the system's own manager lacks, the kernel does.
    """
    if not manager.is_user:
        return "cat /proc/cmdline   # a cgroup_disable=memory there wants to be taken out"
    folder = "/etc/systemd/system/user@.service.d"
    return (
        f"sudo mkdir -p {folder} && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | "
        f"sudo tee {folder}/delegate.conf && sudo systemctl daemon-reload   # then log out and in again"
    )


def _cgroup1(facts: ContainmentFacts) -> Obstacle | str | None:
    """A hard memory limit and a kill that nobody escapes by forking are the least."""
    if unified_memory(facts):
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


def _poll(_facts: ContainmentFacts) -> Obstacle | str | None:
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


def _hierarchy(facts: ContainmentFacts, controller: str) -> CgroupMount | None:
    return next((m for m in facts.mounts if not m.unified and controller in m.controllers), None)


def _legacy_obstacle(reason: str, remedy: str) -> Obstacle:
    return Obstacle(BackendName.CGROUP1, reason, remedy)


def _how_to_write(facts: ContainmentFacts, memory: CgroupMount) -> str:
    if facts.euid != 0:
        return AS_ROOT
    if not memory.writable:
        return f"mount -o remount,rw {memory.path}"
    return (
        "docker run --privileged ...   # or whatever started this container, with write access to its cgroups"
    )
