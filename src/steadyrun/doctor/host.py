"""The doctor's judgement of what surrounds a load: swap, pressure, rights, the desktop, neighbours. Pure.

One small function a rung. Reads nothing and mends nothing: the remedies are for a person to type.
"""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Iterator
from typing import assert_never

from steadyrun.doctor.facts import Disk, DoctorFacts, Rights
from steadyrun.doctor.rung import Level, Rung, boot_option, not_known
from steadyrun.model.containment import AS_ROOT, Capability
from steadyrun.model.desktop import ProbeName, Seen
from steadyrun.model.machine import beside, reserve_of
from steadyrun.model.others import OtherGuard, first_to_act
from steadyrun.report.others import kept_words, threshold_words
from steadyrun.units import GIB, Bytes, format_size

LEAST_DISK = Bytes(GIB)
"""Logs of a run are capped far below; a full disk is the desktop's trouble first."""
LEAST_PYTHON = (3, 11)
CAP_IPC_LOCK, CAP_SYS_NICE, CAP_SYS_RESOURCE = 14, 23, 24
"""Bits of CapEff (include/uapi/linux/capability.h)."""
_GUARD_NOTES = {
    "systemd-oomd": "may kill the whole desktop session when a load presses (systemd/systemd#23606)",
    "earlyoom": "kills by its own rule when memory is short, perhaps before the load's limit is reached",
    "nohang": "kills by its own rule when memory or pressure is high, perhaps before the load's limit",
    "uresourced": "gives the active session memory protection and weights: figures include its help",
}
_STOP_UNITS = {"systemd-oomd": "systemd-oomd.socket systemd-oomd.service"}


def judge_host(facts: DoctorFacts) -> Iterator[Rung]:
    """Yield the rungs of the machine around a load."""
    yield swap(facts)
    yield psi(facts)
    yield sys_resource(facts)
    yield realtime(facts)
    yield memory_lock(facts.rights)
    for name in ProbeName:
        yield desktop(facts, name)
    for disk in facts.disks:
        yield disk_space(disk)
    yield other_guards(facts)
    yield panic_on_oom(facts.vm.panic_on_oom)
    yield overcommit(facts.vm.overcommit_memory)
    yield allocating_task(facts.vm.oom_kill_allocating_task)
    yield mglru(facts)
    yield python_version(facts.python)
    yield battery(facts.on_battery)


def swap(facts: DoctorFacts) -> Rung:
    """Judge the swap: none is fine; some that no limit counts is not.

    Source: Documentation/admin-guide/cgroup-v1/memory.rst, "Memory & Swap controller".
    """
    total, areas = facts.swap
    if total is None:
        return not_known("swap", "/proc/meminfo")
    if not total:
        return Rung("swap", Level.OK, "none: a load at its limit is killed, not slowed", "")
    zram = any(posixpath.basename(area).startswith("zram") for area in areas)
    said = f"{format_size(total)}{' in zram' if zram else ''}"
    if Capability.SWAP_MAX not in facts.capabilities:
        said += ", not counted by the load's limits: a load can fill it"
        return Rung("swap", Level.DEGRADED, said, boot_option(facts.family, "swapaccount=1"))
    return Rung("swap", Level.OK, f"{said}, limited for the load (default: none of it)", "")


def psi(facts: DoctorFacts) -> Rung:
    """Judge pressure stall information (Documentation/accounting/psi.rst)."""
    if facts.psi.present:
        own = "seen of the machine and of the load"
        here = own if Capability.PSI in facts.capabilities else "seen of the machine, not of the load alone"
        return Rung("pressure (PSI)", Level.OK, here, "")
    cost = "stalls of memory, disk and CPU cannot be seen"
    if facts.psi.asked is not None and facts.psi.asked.lower() in ("0", "n", "no", "off", "false"):
        why = f"psi={facts.psi.asked} is on the kernel command line"
    else:
        why = "off by default in this kernel (CONFIG_PSI_DEFAULT_DISABLED), or Linux older than 4.20"
    return Rung("pressure (PSI)", Level.DEGRADED, f"{cost}: {why}", boot_option(facts.family, "psi=1"))


def sys_resource(facts: DoctorFacts) -> Rung:
    """Judge CAP_SYS_RESOURCE (Documentation/accounting/psi.rst, "Monitoring for pressure thresholds")."""
    name, rights = "CAP_SYS_RESOURCE", facts.rights
    if rights.effective is None:
        return not_known(name, "CapEff in /proc/self/status")
    if _has(rights.effective, CAP_SYS_RESOURCE):
        return Rung(name, Level.OK, "held", "")
    said = (
        "not held: the kernel takes PSI triggers in multiples of 2 s alone (Linux 6.4 or newer); "
        "steadyrun reads the totals itself, many times a second"
    )
    return Rung(name, Level.DEGRADED, said, _gain(facts, CAP_SYS_RESOURCE, "SYS_RESOURCE"))


def realtime(facts: DoctorFacts) -> Rung:
    """Judge whether the guard may run in real time (sched(7); Documentation/scheduler/sched-rt-group.rst)."""
    name, rights = "real-time guard", facts.rights
    tried = rights.realtime_errno
    if tried is None:
        return Rung(name, Level.UNKNOWN, "the child that was to try it did not answer", "")
    if tried == 0:
        return Rung(name, Level.OK, "SCHED_FIFO 1 was granted when tried", "")
    nice = {None: "at a nice value that is not known", 0: "at nice -20"}
    without = nice.get(rights.nice_errno, "at the nice value it was started with")
    said = (
        f"SCHED_FIFO refused ({errno.errorcode.get(tried, tried)}): the guard works without, {without}, "
        "and can be 10 to 40 ms late"
    )
    if rights.realtime_budget_us == 0:
        said += "; our v1 cpu cgroup has no real-time budget (RT_GROUP_SCHED)"
        return Rung(name, Level.DEGRADED, said, "steadyrun doctor   # from a shell outside that cgroup")
    if rights.euid == 0:
        return Rung(name, Level.DEGRADED, said, _gain(facts, CAP_SYS_NICE, "SYS_NICE"))
    remedy = (
        'echo "$USER - rtprio 1" | sudo tee /etc/security/limits.d/steadyrun.conf'
        "   # then log in again; in a systemd unit: LimitRTPRIO=1"
    )
    return Rung(name, Level.DEGRADED, said, remedy)


def memory_lock(rights: Rights) -> Rung:
    """Judge whether the guard may keep itself in memory (mlockall(2), CAP_IPC_LOCK)."""
    name = "memory lock"
    if rights.memlock is None:
        return Rung(name, Level.OK, "no limit (RLIMIT_MEMLOCK)", "")
    if rights.effective is None:
        return not_known(name, "CapEff in /proc/self/status")
    if _has(rights.effective, CAP_IPC_LOCK):
        return Rung(name, Level.OK, "CAP_IPC_LOCK is held", "")
    said = (
        f"at most {format_size(rights.memlock)}: the guard works without, and can be paged out under pressure"
    )
    if rights.euid == 0:
        return Rung(name, Level.DEGRADED, said, "ulimit -l unlimited   # in this shell, then again")
    remedy = (
        'echo "$USER - memlock unlimited" | sudo tee /etc/security/limits.d/steadyrun-memlock.conf'
        "   # then log in again; in a systemd unit: LimitMEMLOCK=infinity"
    )
    return Rung(name, Level.DEGRADED, said, remedy)


def _has(capabilities: int, bit: int) -> bool:
    return bool(capabilities >> bit & 1)


def _gain(facts: DoctorFacts, bit: int, name: str) -> str:
    """Return how to get a capability: as root, unless it was taken from all programs below us."""
    rights = facts.rights
    if rights.euid != 0 and (rights.bounding is None or _has(rights.bounding, bit)):
        return AS_ROOT
    if facts.is_container:
        return f"docker run --cap-add={name} ...   # or whatever started this shell without it"
    return (
        "grep Cap /proc/self/status   # what started this shell took it: "
        f"a unit's CapabilityBoundingSet= (CAP_{name}), a sandbox"
    )


def desktop(facts: DoctorFacts, name: ProbeName) -> Rung:
    """Judge one thing of the person's session; absent is an answer."""
    probe = facts.desktop.probe(name)
    if probe is None:
        return Rung(name.value, Level.UNKNOWN, "not looked at", "")
    match probe.seen:
        case Seen.PRESENT:
            told = f"{probe.label} ({probe.evidence})" if probe.label and probe.evidence else probe.evidence
            return Rung(name.value, Level.OK, told or probe.label or "present", "")
        case Seen.ABSENT:
            return Rung(name.value, Level.NOT_APPLICABLE, f"none here: {probe.evidence}".rstrip(": "), "")
        case Seen.UNKNOWN:
            return Rung(name.value, Level.UNKNOWN, probe.evidence or "could not be told", "")
        case _:
            assert_never(probe.seen)


def disk_space(disk: Disk) -> Rung:
    """Judge whether a place has room for what is written there."""
    if disk.free is None:
        return not_known(disk.name, disk.path)
    if not disk.writable:
        said = f"{disk.path} cannot be written to"
        remedy = "cd ~" if disk.name == "disk: reports" else "export STEADYRUN_STATE_DIR=~/steadyrun-state"
        return Rung(disk.name, Level.DEGRADED, said, remedy)
    said = f"{format_size(disk.free)} free at {disk.path}"
    if disk.free >= LEAST_DISK:
        return Rung(disk.name, Level.OK, said, "")
    remedy = f"du -xh --max-depth=1 '{_mount_point(disk.path)}' | sort -h   # what takes the room"
    return Rung(disk.name, Level.DEGRADED, f"{said}, less than {format_size(LEAST_DISK)}", remedy)


def _mount_point(path: str) -> str:
    return posixpath.dirname(path) or "/"


def other_guards(facts: DoctorFacts) -> Rung:
    """Judge who else acts when memory is short."""
    name, found = "other guards", facts.guards
    if found is None:
        return not_known(name, "/proc")
    if not found:
        return Rung(name, Level.OK, f"none of {', '.join(_GUARD_NOTES)}", "")
    said = "; ".join(
        f"{g.name} (pid {g.pid}) {_GUARD_NOTES.get(g.name, 'acts too')}: {threshold_words(g)}" for g in found
    )
    said += "".join(f". {line}" for line in _because_of(facts, found))
    if facts.containment.systemd_running:
        units = " ".join(dict.fromkeys(_STOP_UNITS.get(g.name, g.name) for g in found))
        return Rung(name, Level.DEGRADED, said, f"sudo systemctl stop {units}   # until the next boot")
    return Rung(name, Level.DEGRADED, said, "sudo kill " + " ".join(str(g.pid) for g in found))


def _because_of(facts: DoctorFacts, found: tuple[OtherGuard, ...]) -> tuple[str, ...]:
    """Say what a run does because of them."""
    ram = facts.effective_ram
    if ram is None:
        return ()
    own = reserve_of(ram)
    return kept_words(found, own, beside(own, first_to_act(found, facts.swap_now), ram))


def panic_on_oom(value: int | None) -> Rung:
    """Judge vm.panic_on_oom: 1 panics when the machine is out of memory, 2 also when a cgroup is.

    Source: Documentation/admin-guide/sysctl/vm.rst, "panic_on_oom".
    """
    name, remedy = "panic on OOM", "sudo sysctl vm.panic_on_oom=0"
    match value:
        case None:
            return not_known(name, "/proc/sys/vm/panic_on_oom")
        case 0:
            return Rung(name, Level.OK, "no (vm.panic_on_oom is 0)", "")
        case 1:
            return Rung(
                name,
                Level.DEGRADED,
                "vm.panic_on_oom is 1: the machine panics when its memory is used up",
                remedy,
            )
        case _:
            said = f"vm.panic_on_oom is {value}: any OOM kill panics the machine, one at a load's limit too"
            return Rung(name, Level.MISSING, said, remedy)


def overcommit(value: int | None) -> Rung:
    """Judge vm.overcommit_memory (Documentation/mm/overcommit-accounting.rst)."""
    name = "overcommit"
    match value:
        case None:
            return not_known(name, "/proc/sys/vm/overcommit_memory")
        case 0 | 1:
            return Rung(
                name,
                Level.OK,
                f"{'heuristic' if value == 0 else 'always'} (vm.overcommit_memory is {value})",
                "",
            )
        case _:
            said = f"vm.overcommit_memory is {value}: a load can make the desktop's allocations fail"
            return Rung(name, Level.DEGRADED, said, "sudo sysctl vm.overcommit_memory=0")


def allocating_task(value: int | None) -> Rung:
    """Judge vm.oom_kill_allocating_task (Documentation/admin-guide/sysctl/vm.rst)."""
    name = "OOM victim"
    match value:
        case None:
            return not_known(name, "/proc/sys/vm/oom_kill_allocating_task")
        case 0:
            return Rung(name, Level.OK, "the largest (vm.oom_kill_allocating_task is 0)", "")
        case _:
            said = f"whoever asks next, perhaps the desktop: vm.oom_kill_allocating_task is {value}"
            return Rung(name, Level.DEGRADED, said, "sudo sysctl vm.oom_kill_allocating_task=0")


def mglru(facts: DoctorFacts) -> Rung:
    """Say what MGLRU's thrashing protection is set to (Documentation/admin-guide/mm/multigen_lru.rst)."""
    name, value = "MGLRU min_ttl_ms", facts.vm.min_ttl_ms
    if not facts.vm.has_mglru:
        return Rung(name, Level.NOT_APPLICABLE, "this kernel has no MGLRU", "")
    if value is None:
        return not_known(name, "/sys/kernel/mm/lru_gen/min_ttl_ms")
    if value == 0:
        return Rung(name, Level.OK, "0, the default; 1000 can reduce stutter", "")
    return Rung(name, Level.OK, f"{value}: memory used in the last {value} ms is kept", "")


def python_version(found: tuple[int, int, int]) -> Rung:
    """Judge the interpreter."""
    said = ".".join(map(str, found))
    if found[:2] >= LEAST_PYTHON:
        return Rung("Python", Level.OK, said, "")
    return Rung(
        "Python", Level.MISSING, f"{said}, older than 3.11", "uv tool install --python 3.11 steadyrun"
    )


def battery(discharging: bool | None) -> Rung:
    """Judge the power supply: on battery a machine clocks down, and figures do not repeat."""
    if discharging is None:
        return not_known("power", "/sys/class/power_supply")
    if discharging:
        return Rung("power", Level.DEGRADED, "on battery: slower, and figures do not repeat", "plug it in")
    return Rung("power", Level.OK, "not on battery", "")
