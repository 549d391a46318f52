"""Reads what the doctor judges: kernel files, rights, disks, neighbours. Judges nothing, mends nothing.

`None` everywhere means that it could not be read. The only things it changes for a moment: a child
cgroup is made and removed (`contain.facts`), and a forked child asks for real time and exits.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from steadyrun.contain.choose import choose
from steadyrun.contain.facts import read_facts
from steadyrun.contain.open import open_backend
from steadyrun.desktop.others import find_others, read_swap
from steadyrun.desktop.power import on_battery
from steadyrun.desktop.probes import take_view
from steadyrun.desktop.virtualization import in_container
from steadyrun.doctor.rung import Family
from steadyrun.kernel.reader import effective_ram, read_meminfo, read_text
from steadyrun.model.containment import Capability, Choice, ContainmentFacts
from steadyrun.model.desktop import DesktopView
from steadyrun.model.others import OtherGuard, Swap
from steadyrun.units import Bytes, Seconds


class SwapFacts(NamedTuple):
    """Swap of the machine."""

    total: Bytes | None
    areas: tuple[str, ...]
    """Paths of /proc/swaps."""


class PsiFacts(NamedTuple):
    """Pressure stall information."""

    present: bool
    """/proc/pressure/memory can be read: with PSI off, reading it fails with EOPNOTSUPP."""
    asked: str | None
    """The value of `psi=` on the kernel command line; `None` without one."""


class Rights(NamedTuple):
    """What this process may do."""

    euid: int
    effective: int | None
    """CapEff of /proc/self/status as a bit set (capabilities(7))."""
    bounding: int | None
    """CapBnd: what no program started here can ever have more than."""
    realtime_errno: int | None
    """0: SCHED_FIFO 1 was granted to a child; else why not."""
    realtime_budget_us: int | None
    """cpu.rt_runtime_us of our own v1 cpu cgroup; `None` where there is no such file."""
    memlock: int | None
    """Soft RLIMIT_MEMLOCK in bytes; `None`: no limit."""
    nice_errno: int | None = None
    """As `realtime_errno`, of nice -20 (setpriority(2)), which the guard takes where real time is refused."""


class Disk(NamedTuple):
    """One place that is written to."""

    name: str
    path: str
    free: Bytes | None
    """What this user may still write."""
    writable: bool


class VmSettings(NamedTuple):
    """Settings of /proc/sys/vm (Documentation/admin-guide/sysctl/vm.rst) and of MGLRU."""

    panic_on_oom: int | None
    overcommit_memory: int | None
    oom_kill_allocating_task: int | None
    has_mglru: bool
    min_ttl_ms: int | None


class DoctorFacts(NamedTuple):
    """Everything that is judged, at one moment."""

    containment: ContainmentFacts
    choice: Choice
    capabilities: frozenset[Capability]
    cmdline: tuple[str, ...]
    """Words of the kernel command line."""
    family: Family
    swap: SwapFacts
    psi: PsiFacts
    rights: Rights
    desktop: DesktopView
    disks: tuple[Disk, ...]
    guards: tuple[OtherGuard, ...] | None
    """Who else ends or ranks processes when memory is short."""
    vm: VmSettings
    python: tuple[int, int, int]
    on_battery: bool | None
    is_container: bool = True
    """In one, what is lacking was taken by whoever started it."""
    has_sudo: bool = True
    user: str = "$USER"
    """Name of this user; its number where it has none."""
    swap_now: Swap = Swap(None, None)
    effective_ram: Bytes | None = None


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def read_doctor_facts(state_directory: str | None, cwd: str | None, *, root: str = "/") -> DoctorFacts:
    """Read everything the doctor judges. Takes as long as the desktop's probes, at most about 2 s.

    Args:
        state_directory: Where the journal is or would be; `None`: there is no such place.
        cwd: Where reports would be written; `None`: the working directory is gone.
        root: Where `/proc`, `/sys`, `/run` and `/etc` are looked for; tests give a tree of their own.
    """
    before = root.rstrip("/")
    containment = read_facts(root)
    choice = choose(containment)
    cmdline = tuple((read_text(f"{before}/proc/cmdline") or "").split())
    return DoctorFacts(
        containment=containment,
        choice=choice,
        capabilities=open_backend(choice.backend, containment).capabilities,
        cmdline=cmdline,
        family=_family(read_text(f"{before}/etc/os-release") or ""),
        swap=_swap(before),
        psi=_psi(before, cmdline),
        rights=_rights(before, containment),
        desktop=take_view(wall=Seconds(time.time()), root=root),
        disks=(_disk("disk: journal", state_directory), _disk("disk: reports", cwd)),
        guards=find_others(root),
        is_container=in_container(root),
        has_sudo=shutil.which("sudo") is not None,
        user=_user_name(containment.euid),
        swap_now=read_swap(root),
        vm=_vm(before),
        python=sys.version_info[:3],
        on_battery=on_battery(root),
        effective_ram=effective_ram(root),
    )


def _family(os_release: str) -> Family:
    """Tell the family by ID and ID_LIKE (os-release(5))."""
    pairs = (line.partition("=") for line in os_release.splitlines())
    words = " ".join(value.strip("\"'") for key, _, value in pairs if key in ("ID", "ID_LIKE")).split()
    if {"debian", "ubuntu"} & set(words):
        return Family.DEBIAN
    return Family.FEDORA if {"fedora", "rhel"} & set(words) else Family.OTHER


def _swap(before: str) -> SwapFacts:
    lines = (read_text(f"{before}/proc/swaps") or "").splitlines()[1:]
    return SwapFacts(read_meminfo(before).swap_total, tuple(s.split()[0] for s in lines if s.strip()))


def _psi(before: str, cmdline: tuple[str, ...]) -> PsiFacts:
    asked = [word.partition("=")[2] for word in cmdline if word.startswith("psi=")]
    present = read_text(f"{before}/proc/pressure/memory") is not None
    return PsiFacts(present, asked[-1] if asked else None)


def _rights(before: str, containment: ContainmentFacts) -> Rights:
    status = read_text(f"{before}/proc/self/status") or ""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return Rights(
        euid=containment.euid,
        effective=capability_set(status, "CapEff"),
        bounding=capability_set(status, "CapBnd"),
        realtime_errno=try_in_child(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
        realtime_budget_us=_realtime_budget(before, containment),
        memlock=None if soft == resource.RLIM_INFINITY else soft,
        nice_errno=try_in_child(lambda: os.setpriority(os.PRIO_PROCESS, 0, -20)),
    )


def capability_set(status: str, field: str) -> int | None:
    """Return a capability set of /proc/PID/status text; `None` when it is not there as documented."""
    for line in status.splitlines():
        key, _, value = line.partition(":")
        if key == field:
            digits = value.strip()
            return int(digits, 16) if digits and set(digits) <= set("0123456789abcdef") else None
    return None


def try_in_child(deed: Callable[[], None]) -> int | None:
    """Try something in a child that exits at once; return 0, or the error it met (errno(3)).

    `None`: the child could not be made or did not answer.
    """
    try:
        child = os.fork()
    except OSError:
        return None
    if child == 0:
        code = 255
        try:
            deed()
            code = 0
        except OSError as error:
            code = error.errno or 255
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if 0 <= code < 255 else None


def _realtime_budget(before: str, containment: ContainmentFacts) -> int | None:
    path = dict(containment.own).get("cpu")
    mount = next((m for m in containment.mounts if "cpu" in m.controllers and not m.unified), None)
    if path is None or mount is None:
        return None
    below = path.removeprefix(mount.root.rstrip("/"))
    return _number(f"{before}{mount.path}{below.rstrip('/')}/cpu.rt_runtime_us")


def _disk(name: str, path: str | None) -> Disk:
    """Look at the nearest directory that is there: the one asked for may not be made yet."""
    if path is None:
        return Disk(name, "?", None, False)
    there = path
    while not os.path.isdir(there) and there != os.path.dirname(there):
        there = os.path.dirname(there)
    try:
        found = os.statvfs(there)
    except OSError:
        return Disk(name, path, None, False)
    return Disk(name, path, Bytes(found.f_bavail * found.f_frsize), os.access(there, os.W_OK | os.X_OK))


def _vm(before: str) -> VmSettings:
    vm, mglru = f"{before}/proc/sys/vm", f"{before}/sys/kernel/mm/lru_gen"
    return VmSettings(
        panic_on_oom=_number(f"{vm}/panic_on_oom"),
        overcommit_memory=_number(f"{vm}/overcommit_memory"),
        oom_kill_allocating_task=_number(f"{vm}/oom_kill_allocating_task"),
        has_mglru=os.path.isdir(mglru),
        min_ttl_ms=_number(f"{mglru}/min_ttl_ms"),
    )


def _number(path: str) -> int | None:
    text = (read_text(path) or "").strip()
    try:
        return int(text) if len(text) <= 20 else None
    except ValueError:
        return None
