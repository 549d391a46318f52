"""Where cgroups of ours may stand in the unified hierarchy, decided from facts. Pure.

The rules:

- Never above a limit: only at or below the lowest cgroup on our own path that limits anything, so that
  a container's limit is never escaped.
- One writer for each cgroup: where systemd runs, only below what it gave away to us, and not where
  another manager (a user manager, a container engine) goes on with it (systemd, Control Group APIs and
  Delegation, "Two Key Design Rules").
- No processes in inner cgroups: a cgroup with processes in it cannot give controllers to cgroups below
  it; the kernel's root cgroup can (cgroup-v2.rst, "No Internal Process Constraint").
- Moving a process needs write access to `cgroup.procs` of the common ancestor of where it is and where
  it goes (cgroup-v2.rst, "Delegation Containment"): ours is always at or above our own cgroup.

Of what is left the topmost is taken: a weight counts among siblings alone, and the load is to stand
beside what it competes with, as in `cgroup1_placement`.
"""

from __future__ import annotations

from steadyrun.model.containment import AS_ROOT, BackendName, Obstacle
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.model.containment import CgroupMount, ContainmentFacts, UnifiedLevel

USED = ("memory", "pids", "cpu", "io")
"""Controllers that hold or count something for us."""
_UNITS = (".service", ".scope", ".slice", ".mount", ".socket", ".swap")
"""Names of cgroups that a systemd manager makes (systemd.unit(5))."""


def unified_memory(facts: ContainmentFacts) -> CgroupMount | None:
    """Return the unified mount where the memory controller is its own, `None` elsewhere."""
    return next((m for m in facts.mounts if m.unified and "memory" in m.controllers), None)


def place(facts: ContainmentFacts) -> UnifiedLevel | Obstacle:
    """Return the cgroup to make ours in, or why there is none and what mends it."""
    allowed = _ours(facts, _at_or_below_limits(facts.levels))
    if not allowed:
        return _not_delegated(facts)
    usable = [level for level in allowed if level.writable and "memory" in given_by(level)]
    return usable[0] if usable else _obstacle(facts, allowed)


def given_by(level: UnifiedLevel) -> tuple[str, ...]:
    """Return the controllers that cgroups below a level have, or can be given."""
    can_enable = level.is_root or not level.occupied
    return tuple(c for c in USED if c in level.enabled or (can_enable and c in level.available))


def _at_or_below_limits(levels: tuple[UnifiedLevel, ...]) -> tuple[UnifiedLevel, ...]:
    lowest = max((n for n, level in enumerate(levels) if level.limits), default=0)
    return levels[lowest:]


def _ours(facts: ContainmentFacts, levels: tuple[UnifiedLevel, ...]) -> tuple[UnifiedLevel, ...]:
    """Leave out what belongs to a systemd manager; without systemd nothing does."""
    if not facts.systemd_running:
        return levels
    given = [n for n, level in enumerate(levels) if level.delegated]
    if not given or any(_is_unit(level) for level in levels[given[-1] + 1 :]):
        return ()
    return levels[given[-1] :]


def _is_unit(level: UnifiedLevel) -> bool:
    return level.directory.endswith(_UNITS)


def _not_delegated(facts: ContainmentFacts) -> Obstacle:
    if not facts.systemd_running:
        return Obstacle(
            BackendName.CGROUP2,
            "our own cgroup is not below what is mounted",
            "docker run --cgroupns=private ...   # or whatever started this container",
        )
    user = "--user " if facts.euid else ""
    mount = next((m.path for m in facts.mounts if m.unified), "/sys/fs/cgroup")
    return Obstacle(
        BackendName.CGROUP2,
        "the cgroup this runs in belongs to systemd, which did not delegate it",
        # One level below the scope, which has to be without processes to have children.
        f"systemd-run {user}--scope -p Delegate=yes sh -c 'd={mount}$(cut -d: -f3 /proc/self/cgroup); "
        "mkdir $d/rest && echo $$ > $d/rest/cgroup.procs && exec steadyrun doctor'",
    )


def _obstacle(facts: ContainmentFacts, allowed: tuple[UnifiedLevel, ...]) -> Obstacle:
    """Say what is missing at the level that comes nearest to being usable."""
    occupied = next((lv for lv in allowed if lv.writable and "memory" in lv.available and lv.occupied), None)
    if occupied is not None:
        where = occupied.directory
        return _lack(
            f"{where} has processes in it, so the kernel enables no controller below it", emptying(where)
        )
    lacking = next((level for level in allowed if level.writable), None)
    if lacking is not None:
        above = lacking.directory.rpartition("/")[0]
        return _lack(
            f"{lacking.directory} has no memory controller",
            f"echo +memory | sudo tee {above}/cgroup.subtree_control",
        )
    where = allowed[-1].directory
    mount = next((m for m in facts.mounts if m.unified), None)
    if mount is not None and not mount.writable:
        return _lack(f"{where} is mounted read-only", f"sudo mount -o remount,rw {mount.path}")
    if facts.euid:
        return _lack(f"uid {facts.euid} may make no cgroup in {where}", AS_ROOT)
    return _lack(
        f"no cgroup can be made in {where}",
        "docker run --privileged --cgroupns=private ...   # or whatever started this container",
    )


def _lack(reason: str, remedy: str) -> Obstacle:
    return Obstacle(BackendName.CGROUP2, reason, remedy)


def emptying(directory: str) -> str:
    """Return the command that moves a cgroup's processes one level down, so that it can have children.

    For whoever may write there: moving within one's own cgroups needs nothing else (cgroup-v2.rst,
    "Delegation Containment").
    """
    rest = f"{directory}/rest"
    return (
        f"sh -c 'mkdir -p {rest}; for p in $(cat {directory}/cgroup.procs); do "
        f"echo $p > {rest}/cgroup.procs; done; echo +memory +pids +cpu > {directory}/cgroup.subtree_control'"
    )
