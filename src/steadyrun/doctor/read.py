"""Reads what the doctor judges: kernel files, rights, disks, neighbours. Judges nothing, mends nothing.

The only things it changes for a moment: where there is a unified hierarchy a child cgroup is made and removed
(`contain.facts`), and a forked child asks for real time and exits.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import time
from collections.abc import Callable

from steadyrun.contain.choose import choose
from steadyrun.contain.facts import read_facts
from steadyrun.contain.open import open_backend
from steadyrun.desktop.others import find_others, read_swap
from steadyrun.desktop.power import on_battery
from steadyrun.desktop.probes import take_view
from steadyrun.desktop.virtualization import in_container
from steadyrun.doctor.facts import Disk, DoctorFacts, PsiFacts, Rights, SwapFacts, VmSettings
from steadyrun.doctor.rung import Family
from steadyrun.kernel.reader import effective_ram, read_meminfo, read_text
from steadyrun.model.containment import ContainmentFacts
from steadyrun.units import Bytes, Seconds


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
