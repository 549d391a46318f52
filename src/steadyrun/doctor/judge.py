"""The doctor's judgement of what contains: cgroups, their controllers, the backend, what it can limit. Pure.

`judge_all` is the whole ladder, top rung first; the rungs of the machine around it are in
`host.py`. Nothing here reads anything: the facts come from `facts.py`.
"""

from __future__ import annotations

from steadyrun.contain.choose import delegate_command
from steadyrun.contain.unified_placement import given_by, place, unified_memory
from steadyrun.doctor.facts import DoctorFacts
from steadyrun.doctor.host import judge_host
from steadyrun.doctor.rung import Level, Rung, boot_option
from steadyrun.model.containment import (
    AS_ROOT,
    BackendName,
    Capability,
    CgroupMount,
    ContainmentFacts,
    ManagerFacts,
    Obstacle,
    UnifiedLevel,
)
from steadyrun.model.machine import CgroupMode
from steadyrun.report.remedy import typed_here

PRIVILEGED = "docker run --privileged ...   # or whatever started this container"
WRITABLE = (
    "grep cgroup /proc/self/mountinfo   # ro there: a sandbox, or a unit's ProtectControlGroups=, took it"
)
CAN_PANIC = 2
"""vm.panic_on_oom that panics at an OOM inside a cgroup too (Documentation/admin-guide/sysctl/vm.rst)."""

_COSTS = {
    "memory": "memory cannot be limited",
    "cpu": "CPU time cannot be limited",
    "pids": "the number of processes cannot be limited",
    "io": "the disk's bandwidth cannot be limited",
}
_LEGACY_NAME = {"io": "blkio"}
"""The io controller is called blkio on a legacy hierarchy (Documentation/admin-guide/cgroup-v1)."""
_LIMITS = (
    (Capability.MEMORY_MAX, "memory"),
    (Capability.SWAP_MAX, "swap"),
    (Capability.CPU_MAX, "CPU"),
    (Capability.CPU_WEIGHT, "CPU weight"),
    (Capability.TASKS_MAX, "tasks"),
    (Capability.IO_MAX, "disk"),
)
_REFINEMENTS = (
    (Capability.MEMORY_HIGH, "throttle limit (memory.high)"),
    (Capability.OOM_GROUP, "group kill (memory.oom.group)"),
    (Capability.IO_WEIGHT, "disk weight (io.weight)"),
)
"""Only the unified hierarchy has these files (Documentation/admin-guide/cgroup-v2.rst)."""
_WORDS = {
    BackendName.SYSTEMD: "systemd units",
    BackendName.CGROUP2: "cgroup v2",
    BackendName.CGROUP1: "cgroup v1",
    BackendName.POLL: "polling",
}


def judge_all(facts: DoctorFacts) -> tuple[Rung, ...]:
    """Return every rung: first what contains, then what surrounds it. Remedies are for a user with sudo."""
    return (
        cgroup_mode(facts),
        *(controller(facts, name) for name in _COSTS),
        delegation(facts),
        containment(facts),
        limits(facts),
        finer_limits(facts),
        stopping(facts),
        *judge_host(facts),
    )


def as_typed(facts: DoctorFacts, remedy: str) -> str:
    """Return a remedy as this user can type it on this machine."""
    is_root = facts.containment.euid == 0
    return typed_here(remedy, is_root=is_root, has_sudo=facts.has_sudo, user=facts.user)


def can_contain(facts: DoctorFacts) -> bool:
    """Tell whether the kernel itself would hold a load here; a polled containment does not count."""
    return Capability.GUARANTEED in facts.capabilities


def unsafe_to_prove(facts: DoctorFacts) -> str | None:
    """Return why the proofs must not run: the memory proof's OOM kill would take the machine down."""
    if facts.vm.panic_on_oom == CAN_PANIC:
        return "vm.panic_on_oom is 2: the OOM kill of the proof would panic the machine"
    return None


def what_is_held(facts: DoctorFacts) -> str:
    """Return what a load can be limited in, as a list for people; empty when nothing."""
    return ", ".join(name for capability, name in _LIMITS if capability in facts.capabilities)


def mode_of(mounts: tuple[CgroupMount, ...]) -> CgroupMode:
    """Name the way cgroups are mounted.

    Source: systemd, Control Group APIs and Delegation, "Three Different Tree Setups".
    """
    unified = any(m.unified for m in mounts)
    legacy = any(not m.unified for m in mounts)
    if unified:
        return CgroupMode.HYBRID if legacy else CgroupMode.UNIFIED
    return CgroupMode.LEGACY if legacy else CgroupMode.NONE


def cgroup_mode(facts: DoctorFacts) -> Rung:
    """Judge whether cgroups are mounted at all, and how."""
    mounts = facts.containment.mounts
    mode = mode_of(mounts)
    if mode is CgroupMode.NONE:
        remedy = "sudo mount -t cgroup2 none /sys/fs/cgroup"
        return Rung("cgroups", Level.MISSING, "no cgroup hierarchy is mounted", remedy)
    unified = sum(m.unified for m in mounts)
    return Rung(
        "cgroups", Level.OK, f"{mode.value}: {unified} unified mount, {len(mounts) - unified} legacy (v1)", ""
    )


def controller(facts: DoctorFacts, name: str) -> Rung:
    """Judge where one controller is: `memory`, `cpu`, `pids` or `io`."""
    legacy = _LEGACY_NAME.get(name, name)
    for mount in facts.containment.mounts:
        if (name if mount.unified else legacy) in mount.controllers:
            where = "cgroup v2" if mount.unified else "cgroup v1"
            return Rung(f"controller {name}", Level.OK, f"{where}, {mount.path}", "")
    level = Level.MISSING if name == "memory" else Level.DEGRADED
    if f"cgroup_disable={name}" in facts.cmdline:
        said = f"cgroup_disable={name} is on the kernel command line: {_COSTS[name]}"
        return Rung(f"controller {name}", level, said, boot_option(facts.family, f"cgroup_enable={name}"))
    said = f"in no mounted hierarchy: {_COSTS[name]}"
    return Rung(f"controller {name}", level, said, _mount_command(facts.containment, legacy))


def _mount_command(facts: ContainmentFacts, legacy: str) -> str:
    if mode_of(facts.mounts) is CgroupMode.UNIFIED:
        path = next(m.path for m in facts.mounts if m.unified)
        name = "io" if legacy == "blkio" else legacy
        return f"echo +{name} | sudo tee {path}/cgroup.subtree_control"
    return f"sudo mount -t cgroup -o {legacy},X-mount.mkdir cgroup /sys/fs/cgroup/{legacy}"


def delegation(facts: DoctorFacts) -> Rung:
    """Judge whether we may make cgroups: it was tried (`contain.facts`)."""
    found = facts.containment
    if not found.mounts:
        return Rung("delegation", Level.MISSING, "there is no hierarchy to make a cgroup in", "")
    if facts.choice.backend is BackendName.SYSTEMD and found.manager is not None:
        return _given_to_units(found.manager)
    if unified_memory(found):
        return _given_below(facts)
    remedy = _may_write(facts)
    if not found.creatable:
        return Rung("delegation", Level.MISSING, f"uid {found.euid} can make a cgroup nowhere", remedy)
    wanted = {m.path for m in found.mounts if _is_of_use(m)}
    refused = sorted(wanted - set(found.creatable))
    made = f"a cgroup can be made in {len(found.creatable)} hierarchies"
    if refused:
        return Rung("delegation", Level.DEGRADED, f"{made}, not in {', '.join(refused)}", remedy)
    return Rung("delegation", Level.OK, made, "")


def _given_to_units(manager: ManagerFacts) -> Rung:
    """Judge what a systemd manager gives to its units; a user manager often has no io."""
    whose = "the user manager" if manager.is_user else "the system's manager"
    version = "of unknown version" if manager.version is None else str(manager.version)
    given = [name for name in _COSTS if name in manager.controllers]
    said = f"{whose} (systemd {version}) gives its units {', '.join(given)}"
    lacking = [name for name in _COSTS if name not in manager.controllers]
    if not lacking:
        return Rung("delegation", Level.OK, said, "")
    costs = "; ".join(f"not {name}: {_COSTS[name]}" for name in lacking)
    return Rung("delegation", Level.DEGRADED, f"{said}, {costs}", delegate_command(manager))


def _given_below(facts: DoctorFacts) -> Rung:
    """Judge what our own place in the unified hierarchy gives to cgroups below it."""
    where = place(facts.containment)
    if isinstance(where, Obstacle):
        return Rung("delegation", Level.MISSING, where.reason, where.remedy)
    given = given_by(where)
    said = f"a cgroup can be made in {where.directory}, with {', '.join(given)}"
    lacking = [name for name in _COSTS if name not in given]
    if not lacking:
        return Rung("delegation", Level.OK, said, "")
    costs = "; ".join(f"not {name}: {_COSTS[name]}" for name in lacking)
    return Rung("delegation", Level.DEGRADED, f"{said}, {costs}", _give_below(facts, where, lacking))


def _give_below(facts: DoctorFacts, where: UnifiedLevel, lacking: list[str]) -> str:
    """Return what gives a cgroup the controllers that it lacks; whoever is above it has to."""
    if where.is_root:
        return ""  # nobody is: the rung of the controller itself says what brings it
    if where.directory in (mount.path for mount in facts.containment.mounts):
        return _may_write(facts) if facts.is_container else ""  # above what a namespace shows
    above = where.directory.rpartition("/")[0]
    return f"echo {' '.join(f'+{name}' for name in lacking)} | sudo tee {above}/cgroup.subtree_control"


def _may_write(facts: DoctorFacts) -> str:
    if facts.containment.euid:
        return AS_ROOT
    return PRIVILEGED if facts.is_container else WRITABLE


def _is_of_use(mount: CgroupMount) -> bool:
    return mount.unified or bool({"memory", "cpu", "pids", "blkio"} & set(mount.controllers))


def containment(facts: DoctorFacts) -> Rung:
    """Judge which backend holds a load, and say why not a better one."""
    choice = facts.choice
    reasons = "; ".join(f"not {_WORDS[o.backend]}: {o.reason}" for o in choice.obstacles)
    remedy = next((o.remedy for o in choice.obstacles if o.remedy), "")
    said = f"by {_WORDS[choice.backend]}"
    if not can_contain(facts):
        said += ", which can be outrun: the kernel enforces nothing"
        return Rung("containment", Level.MISSING, f"{said}; {reasons}" if reasons else said, remedy)
    said += ", enforced by the kernel"
    if reasons:
        return Rung("containment", Level.DEGRADED, f"{said}; {reasons}", remedy)
    return Rung("containment", Level.OK, said, "")


def limits(facts: DoctorFacts) -> Rung:
    """Judge what can be limited, by any kind of cgroup."""
    lacking = ", ".join(name for capability, name in _LIMITS if capability not in facts.capabilities)
    if Capability.MEMORY_MAX not in facts.capabilities:
        return Rung("limits", Level.MISSING, "the kernel holds no memory limit here", "")
    if lacking:
        return Rung("limits", Level.DEGRADED, f"{what_is_held(facts)}; not here: {lacking}", "")
    return Rung("limits", Level.OK, what_is_held(facts), "")


def finer_limits(facts: DoctorFacts) -> Rung:
    """Judge what cgroup v2 alone has; on v1 no command brings it."""
    lacking = ", ".join(name for capability, name in _REFINEMENTS if capability not in facts.capabilities)
    if not lacking:
        return Rung("finer limits", Level.OK, ", ".join(name for _, name in _REFINEMENTS), "")
    said = f"no {lacking}"
    if facts.choice.backend is BackendName.CGROUP1:
        said += ": cgroup v1 has none. The guard freezes a load instead of throttling it"
    return Rung("finer limits", Level.DEGRADED, said, "")


def stopping(facts: DoctorFacts) -> Rung:
    """Judge whether everything of a load can be frozen and killed, forks included."""
    name, unified = "freeze and kill", mode_of(facts.containment.mounts) is CgroupMode.UNIFIED
    if Capability.KILL not in facts.capabilities:
        said = "a forking load outruns every kill: no usable cgroup.kill, freezer or pids hierarchy"
        if not facts.containment.creatable and not unified:
            return Rung(name, Level.MISSING, said, _may_write(facts))
        upgrade = "uname -r   # cgroup.kill needs Linux 5.14 or newer"
        return Rung(
            name,
            Level.MISSING,
            said,
            upgrade if unified else _mount_command(facts.containment, "freezer"),
        )
    how = _killed_by(facts.containment)
    if Capability.FREEZE not in facts.capabilities:
        return Rung(name, Level.DEGRADED, f"kill by {how}; nothing to freeze with", "")
    return Rung(name, Level.OK, f"by {how}", "")


def _killed_by(facts: ContainmentFacts) -> str:
    if facts.kill_supported or "cgroup.kill" in (facts.manager.files if facts.manager else ()):
        return "cgroup.kill"
    if unified_memory(facts):
        return "freezing, and killing one by one"
    return "the legacy freezer or pids hierarchy"
