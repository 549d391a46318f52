"""Reads what `choose` decides from: mounts, our own cgroups, and whether a child can be made.

Where the memory controller is unified, the cgroups above us are read and a child is made where the
`cgroup2` backend would (`unified_facts`). Elsewhere one is made in the unified hierarchy, and each legacy
one is asked by a mkdir that it refuses for the name alone. A writable mount says little: containers mount
hierarchies writable that refuse every mkdir, and the other way round.
"""

from __future__ import annotations

import errno
import os

from steadyrun.contain.hierarchy import UNIFIED, ancestors, visible
from steadyrun.contain.unified_facts import PROBE, remove_old_probes, with_child, with_levels
from steadyrun.contain.unified_placement import unified_memory
from steadyrun.kernel.cgroupfiles import parse_proc_cgroup
from steadyrun.kernel.kept import parsed, read_text
from steadyrun.kernel.mountinfo import parse_cgroup_mounts
from steadyrun.model.containment import CgroupMount, ContainmentFacts
from steadyrun.units import Seconds


def read_facts(root: str = "/") -> ContainmentFacts:
    """Read the facts of this machine.

    Args:
        root: Where `/proc`, `/sys` and `/run` are looked for; tests give a tree of their own.

    What cannot be read is left empty: `choose` then has fewer backends, never a wrong one.
    """
    before = root.rstrip("/")
    mounts = _read_mounts(before)
    facts = ContainmentFacts(
        mounts=mounts,
        own=_read_own(before),
        euid=os.geteuid(),
        systemd_running=os.path.isdir(f"{before}/run/systemd/system"),
        creatable=(),
        kill_supported=False,
        psi_supported=any(m.unified for m in mounts)
        and read_text(f"{before}/proc/pressure/memory") is not None,
        kernel=_read_kernel(before),
    )
    mount = unified_memory(facts)
    if mount is None:
        return _try_children(facts, before)
    if facts.systemd_running and not before:  # there is no bus in a tree of a test's own
        facts = _with_manager(facts, mount)
    return with_levels(facts, root=before)


def ask_again(facts: ContainmentFacts, patience: Seconds) -> ContainmentFacts:
    """Ask the manager once more, for so long; the rest stays as it was read."""
    mount = unified_memory(facts)
    return facts if mount is None else _with_manager(facts, mount, patience)


def _with_manager(
    facts: ContainmentFacts, mount: CgroupMount, patience: Seconds | None = None
) -> ContainmentFacts:
    from steadyrun.contain.systemd_facts import PATIENCE_S, read_manager

    within = PATIENCE_S if patience is None else patience
    return facts._replace(manager=read_manager(mount, within, dict(facts.own).get(UNIFIED)))


def _read_kernel(before: str) -> tuple[int, int]:
    """Return major and minor of the release, (0, 0) when they cannot be told."""
    release = (read_text(f"{before}/proc/sys/kernel/osrelease") or "").split("-")[0].split(".")
    if len(release) < 2 or not (release[0].isdecimal() and release[1].isdecimal()):
        return (0, 0)
    return (int(release[0]), int(release[1]))


def _read_mounts(before: str) -> tuple[CgroupMount, ...]:
    source = f"{before}/proc/self/mountinfo"
    mounts = parsed(read_text(source), parse_cgroup_mounts, source) or ()
    return tuple(
        m._replace(controllers=tuple((read_text(f"{before}{m.path}/cgroup.controllers") or "").split()))
        if m.unified
        else m
        for m in mounts
    )


def _read_own(before: str) -> tuple[tuple[str, str], ...]:
    source = f"{before}/proc/self/cgroup"
    return parsed(read_text(source), parse_proc_cgroup, source) or ()


def _try_children(facts: ContainmentFacts, before: str) -> ContainmentFacts:
    """See at each place we would use whether a child can be made; in the unified one, what it has."""
    from steadyrun.contain.cgroup1_placement import places

    creatable: list[str] = []
    kill = False
    for place in places(facts, root=before):
        directory = f"{before}{place.base}"
        if place.mount.unified:
            kills = with_child(directory, lambda child: os.path.exists(f"{child}/cgroup.kill"))
            can, kill = kills is not None, bool(kills)
        else:
            can = takes_children(directory)
        if can:
            creatable.append(place.mount.path)
    return facts._replace(creatable=tuple(creatable), kill_supported=kill)


def takes_children(directory: str) -> bool:
    """Tell whether we may make a cgroup there, without making one where this is the kernel's own.

    Whoever may is refused a name with a line feed with EINVAL, and whoever may not with something else:
    permissions, security modules and the mount are asked before the name is (cgroup_mkdir in
    kernel/cgroup/cgroup.c, may_create in fs/namei.c). Making and removing a memory cgroup takes
    fifteen times as long (75 and 5 us on 6.18), and the kernel goes on cleaning up behind it.
    """
    refused = f"{directory}/{PROBE}\n"
    try:
        os.mkdir(refused)
    except OSError as error:
        return error.errno == errno.EINVAL
    os.rmdir(refused)  # something else that is mounted there takes any name
    return True


def clean_up(root: str = "/", *, now: Seconds) -> int:
    """Remove what killed starts left where children are tried; return how many cgroups that was.

    Args:
        root: As for `read_facts`.
        now: Unix time.
    """
    before = root.rstrip("/")
    own = dict(_read_own(before))
    removed = 0
    for mount in _read_mounts(before):
        controllers = (UNIFIED,) if mount.unified else mount.controllers
        path = next((own[c] for c in controllers if c in own), None)
        directory = None if path is None else visible(mount, path)
        if directory is not None:
            tried = ancestors(directory, mount.path)
            removed += sum(remove_old_probes(before + each, now=now) for each in tried)
    return removed
