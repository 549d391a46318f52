"""Where a load is held, as data: what the journal writes before the deed and recovery undoes."""

from __future__ import annotations

from enum import Enum

from steadyrun.model.sample import CgroupId
from steadyrun.named import NamedTuple


class BackendName(Enum):
    """The four containments."""

    SYSTEMD = "systemd"
    CGROUP2 = "cgroup2"
    CGROUP1 = "cgroup1"
    POLL = "poll"

    @property
    def is_weak(self) -> bool:
        """Its limits are polled: it never declares `Capability.GUARANTEED`."""
        return self is BackendName.POLL


class Capability(Enum):
    """What a backend can promise on this machine, declared before it is used."""

    GUARANTEED = "guaranteed"
    """The kernel holds the limits; a polled containment never declares this."""
    MEMORY_MAX = "memory-max"
    MEMORY_HIGH = "memory-high"
    SWAP_MAX = "swap-max"
    CPU_MAX = "cpu-max"
    CPU_WEIGHT = "cpu-weight"
    TASKS_MAX = "tasks-max"
    IO_MAX = "io-max"
    IO_WEIGHT = "io-weight"
    FREEZE = "freeze"
    KILL = "kill"
    """Kill is fork-safe: nobody gets away by forking."""
    OOM_GROUP = "oom-group"
    """The kernel kills the whole load or nobody."""
    MEMORY_PEAK = "memory-peak"
    PSI = "psi"
    IO_COUNTERS = "io-counters"
    STOPPED_BY_OTHERS = "stopped-by-others"
    """Somebody else (systemd) may end the containment; `Containment.gone()` can become true."""


class ContainmentPlan(NamedTuple):
    """Where a containment will be, before it is made. Written to the journal as the intent."""

    backend: BackendName
    name: str
    """`<run id>-<serial>`: holds the run's random id, so it is nobody else's."""
    parent: str
    """What we made it in, for people (`/sys/fs/cgroup/memory/steadyrun`, `steadyrun.slice`)."""
    directories: tuple[str, ...]
    """Every cgroup directory that will be made, ours alone, children after parents. Empty: poll."""
    kill_file: str | None
    """A `cgroup.kill` that ends everything in it."""
    freeze_file: str | None
    """A `cgroup.freeze` (write 0/1) or v1 `freezer.state` (write THAWED/FROZEN)."""
    procs_files: tuple[str, ...]
    """`cgroup.procs` files that together name every process in it."""
    unit: str | None = None
    """The systemd unit, where there is one."""
    marker: str | None = None
    """`NAME=value` in the environment of every process of it (poll alone)."""


class ContainmentMade(NamedTuple):
    """A containment that is there: the plan, and the inode of each directory, same order."""

    plan: ContainmentPlan
    identities: tuple[CgroupId, ...]


class Obstacle(NamedTuple):
    """Why one backend cannot be used here, and the command that mends it."""

    backend: BackendName
    reason: str
    remedy: str


AS_ROOT = 'sudo steadyrun ramp --user "$USER" -- YOUR COMMAND'
"""The remedy where root alone may do it: root's part is the containment, the load runs as the user."""


class CgroupMount(NamedTuple):
    """One mounted cgroup hierarchy."""

    path: str
    """Mount point."""
    root: str
    """The cgroup that is mounted there (field 4 of mountinfo)."""
    controllers: tuple[str, ...]
    """v1: those of the hierarchy. v2: those in `cgroup.controllers` of the root."""
    unified: bool
    writable: bool


class UnifiedLevel(NamedTuple):
    """One cgroup of the unified hierarchy at or above this process's own, as a place to make ours in."""

    directory: str
    available: tuple[str, ...]
    """`cgroup.controllers`: what may be enabled for cgroups below it."""
    enabled: tuple[str, ...]
    """`cgroup.subtree_control`: what is."""
    is_root: bool
    """The kernel's root cgroup, which alone may have processes beside cgroups below it."""
    occupied: bool
    """Processes are in it itself (or that cannot be told)."""
    writable: bool
    """We may make cgroups in it, enable controllers for them, and move our processes into them."""
    limits: bool
    """It limits something, for everything below it."""
    delegated: bool
    """Its manager gave it away (`Delegate=yes`, or it belongs to us and what is above does not)."""


class ManagerFacts(NamedTuple):
    """The systemd manager that would make a unit for us: the user's, or as root the system's."""

    is_user: bool
    version: int | None
    cgroup: str
    """Directory of its cgroup; empty when it could not be asked."""
    controllers: tuple[str, ...]
    """`cgroup.controllers` there: what its units can have."""
    files: tuple[str, ...]
    """Names of the files that a cgroup of it has: which limits the kernel knows."""
    trouble: str = ""
    """Why it cannot be used; empty when it can."""
    remedy: str = ""
    silent: bool = False
    """It did not answer in time, and may later."""
    given: str = ""
    """Directory of the unit of it that we run in, where that was delegated; empty: it was not, or in none."""


class ContainmentFacts(NamedTuple):
    """What `contain.choose` decides from. Read by `contain.facts`, never by `choose`."""

    mounts: tuple[CgroupMount, ...]
    own: tuple[tuple[str, str], ...]
    """(controller, path) of this process from /proc/self/cgroup; controller `""` is unified."""
    euid: int
    systemd_running: bool
    """/run/systemd/system exists (sd_booted(3))."""
    creatable: tuple[str, ...]
    """Mount points below which a child cgroup could be made just now (tried, and removed)."""
    kill_supported: bool
    """`cgroup.kill` is there (kernel >= 5.14)."""
    psi_supported: bool
    kernel: tuple[int, int] = (0, 0)
    """Major and minor number of the release."""
    levels: tuple[UnifiedLevel, ...] = ()
    """Where the memory controller is unified: our own cgroup and all above it, topmost first."""
    files: tuple[str, ...] = ()
    """Names of the files of the unified child that was made, and removed, just now."""
    manager: ManagerFacts | None = None
    """`None` where no systemd runs, or the memory controller is not its to give."""


class Choice(NamedTuple):
    """The backend to use, and why not the better ones."""

    backend: BackendName
    obstacles: tuple[Obstacle, ...]
