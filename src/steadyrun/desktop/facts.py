"""The facts of the machine that a report names, read once at a run's beginning. Never judges.

`quick_facts` reads what is cheap, for `run`: kernel, memory, cgroups, zone. `machine_facts` adds
what a person asks about: processor, virtual or not, desktop, display manager.
"""

from __future__ import annotations

import os
import time

from steadyrun.kernel.kept import parsed
from steadyrun.kernel.mountinfo import parse_cgroup_mounts
from steadyrun.kernel.proc import parse_os_release, parse_stat_btime
from steadyrun.kernel.reader import boot_id, effective_ram, read_meminfo, read_text
from steadyrun.model.machine import CgroupMode, MachineFacts
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

_ZONES = "/zoneinfo/"
_LIMITING = frozenset({"memory", "cpu", "pids", "blkio"})
"""v1 controllers that limit a load; a named hierarchy such as `name=systemd` limits nothing."""


def quick_facts(root: str = "/", env: Mapping[str, str] | None = None) -> MachineFacts:
    """Read what takes no more than a few small files; the rest is `None` or `unknown`.

    Args:
        root: Where `/proc`, `/sys` and `/etc` are looked for; tests give a tree of their own.
        env: The environment to look into; `None`: this process's.

    Raises:
        FormatError: There is no boot id to be read.
    """
    before = root.rstrip("/")
    memory = read_meminfo(root)
    system = os.uname()
    return MachineFacts(
        boot_id=boot_id(root),
        booted_wall=booted_wall(before),
        hostname=system.nodename,
        distribution=_distribution(before),
        kernel=system.release,
        virtualization="unknown",
        cpu_model=None,
        cores=len(os.sched_getaffinity(0)),
        mem_total=memory.total,
        effective_ram=effective_ram(root),
        swap_total=memory.swap_total,
        cgroup_mode=cgroup_mode(root),
        psi=read_text(f"{before}/proc/pressure/memory") is not None,
        desktop=None,
        display_manager=None,
        timezone=timezone(root, env),
    )


def machine_facts(root: str = "/", env: Mapping[str, str] | None = None) -> MachineFacts:
    """Read all facts of the machine.

    Raises:
        FormatError: There is no boot id to be read.
    """
    from steadyrun.desktop.managers import display_manager_name
    from steadyrun.desktop.others import find_others, read_swap
    from steadyrun.desktop.virtualization import virtualization
    from steadyrun.model.others import first_to_act

    others = find_others(root)
    return quick_facts(root, env)._replace(
        virtualization=virtualization(root),
        cpu_model=_cpu_model(root),
        desktop=_desktop(root, os.environ if env is None else env),
        display_manager=display_manager_name(root),
        others=others,
        others_from=first_to_act(others or (), read_swap(root)),
    )


def cgroup_mode(root: str = "/") -> CgroupMode:
    """Tell how cgroups are mounted (systemd, CGROUP_DELEGATION document, "Three Different Tree Setups").

    A unified hierarchy that has the memory controller is what counts, also where somebody mounted a
    stray v1 controller beside it (cgroup.controllers: kernel, cgroup-v2.rst, "Core Interface Files").
    """
    before = root.rstrip("/")
    source = f"{before}/proc/self/mountinfo"
    mounts = parsed(read_text(source), parse_cgroup_mounts, source) or ()
    unified = [mount.path for mount in mounts if mount.unified]
    offered = [(read_text(f"{before}{path}/cgroup.controllers") or "").split() for path in unified]
    if any("memory" in controllers for controllers in offered):
        return CgroupMode.UNIFIED
    legacy = any(_LIMITING & set(mount.controllers) for mount in mounts if not mount.unified)
    if unified:
        return CgroupMode.HYBRID if legacy else CgroupMode.UNIFIED
    return CgroupMode.LEGACY if legacy else CgroupMode.NONE


def timezone(root: str = "/", env: Mapping[str, str] | None = None) -> str:
    """Return the zone's name: of TZ, of what libc uses, of Debian's /etc/timezone; else the abbreviation.

    Sources: tzset(3); localtime(5), which asks for a symbolic link below /usr/share/zoneinfo.
    """
    before = root.rstrip("/")
    told = (os.environ if env is None else env).get("TZ", "").lstrip(":")
    if told:
        return told.partition(_ZONES)[2] or told
    try:
        linked = os.readlink(f"{before}/etc/localtime").partition(_ZONES)[2]
    except OSError:
        linked = ""
    written = (read_text(f"{before}/etc/timezone") or "").strip()
    return linked or written or time.tzname[time.localtime().tm_isdst > 0]


def booted_wall(before: str = "") -> Seconds | None:
    """Return the Unix time of the boot from the clocks, which /proc/stat's `btime` is made of too.

    /proc/stat lists every interrupt and is slow on large machines; a tree of tests has its own.
    """
    if not before:
        return Seconds(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME))
    return parsed(read_text(f"{before}/proc/stat"), parse_stat_btime, f"{before}/proc/stat")


def _distribution(before: str) -> str:
    """Return the name for people; both places as os-release(5) has them. Empty: unknown."""
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        fields = parsed(read_text(before + path), parse_os_release, before + path)
        if fields is not None:
            return fields.get("PRETTY_NAME") or fields.get("NAME") or fields.get("ID") or ""
    return ""


def _cpu_model(root: str) -> str | None:
    """Return the processor's name; `None` where the kernel gives none (most of ARM)."""
    from steadyrun.desktop.virtualization import first_processor

    for line in first_processor(root).split("\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip() in ("model name", "Model", "cpu model"):
            return " ".join(value.split()) or None
    return None


def _desktop(root: str, env: Mapping[str, str]) -> str | None:
    """Return `XFCE (x11)`: of our own session (XDG_CURRENT_DESKTOP), else of the watched one."""
    from steadyrun.desktop.session import read_sessions, watched
    from steadyrun.model.session import GRAPHICAL

    own, kind = env.get("XDG_CURRENT_DESKTOP", ""), env.get("XDG_SESSION_TYPE", "")
    if not own:
        session = watched(read_sessions(root), os.geteuid(), root)
        if session is None:
            return None
        own, kind = session.desktop or "desktop", session.type
    name = own.rpartition(":")[2]
    return f"{name} ({kind})" if kind in GRAPHICAL else name
