"""Containment without any cgroup: the processes are found by walking /proc, and nothing is enforced.

Weak by declaration: it never declares `GUARANTEED`. Limits come back `held=False`; whoever owns the
load compares the samples with them. Who belongs to it is told by a marker in the environment, by
descent, by session and process group, and by being adopted: the owner is made the subreaper, so that
a daemon that detached becomes its child (prctl(2), PR_SET_CHILD_SUBREAPER).

RLIMIT_AS is not used: it bounds the addresses of each process apart, not the memory of all together;
allocators, JVMs and sanitizers reserve far more than they touch. RLIMIT_NPROC is not used: it counts
all of a user's processes, the desktop's among them.
"""

from __future__ import annotations

import os

from steadyrun.contain.base import CREATE_DEADLINE, NOTHING
from steadyrun.contain.counters import as_bytes
from steadyrun.contain.poll_walk import Process, Walk
from steadyrun.contain.processes import signal_verified
from steadyrun.errors import ContainmentFailedError
from steadyrun.kernel.processes import stat_of
from steadyrun.model.containment import BackendName, Capability, ContainmentMade, ContainmentPlan
from steadyrun.model.limits import CPU_WEIGHT_DEFAULT, Limits, ReadBack
from steadyrun.model.sample import CgroupSample
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Microseconds, Seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steadyrun.contain.base import Containment

MARKER = "STEADYRUN_CONTAINMENT"
_PR_SET_CHILD_SUBREAPER = 36
"""include/uapi/linux/prctl.h."""
_SIGKILL, _SIGCONT, _SIGSTOP = 9, 18, 19
_ROUNDS = 50
"""How often a walk is repeated for processes that were forked meanwhile, in one call."""
_NICE_LOWEST = 19
_NOT_ENFORCED = "polled, not enforced"


class PollBackend:
    """Any Linux machine."""

    @property
    def name(self) -> BackendName:
        """Which one."""
        return BackendName.POLL

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Stopping everything works; that nobody gets away is likely and not promised."""
        return frozenset({Capability.FREEZE})

    def plan(self, name: str) -> ContainmentPlan:
        """Say what its processes are marked with. No effect."""
        return ContainmentPlan(
            backend=self.name,
            name=name,
            parent="/proc",
            directories=(),
            kill_file=None,
            freeze_file=None,
            procs_files=(),
            marker=f"{MARKER}={name}",
        )

    def create(
        self, plan: ContainmentPlan, *, limits: Limits = NOTHING, deadline: Seconds = CREATE_DEADLINE
    ) -> Containment:
        """Become the one that orphans of this process's descendants are given to."""
        become_subreaper()
        return PollContainment(plan, owner=os.getpid())

    def reopen(self, made: ContainmentMade) -> Containment | None:
        """Take hold of what is still alive; `None` when nothing is: there is nothing else to it."""
        return self.reopen_planned(made.plan)

    def reopen_planned(self, plan: ContainmentPlan) -> Containment | None:
        """Take hold of every process that bears the plan's marker."""
        found = PollContainment(plan, owner=None)
        return found if found.pids() else None


def become_subreaper() -> None:
    """Let orphaned descendants become our children instead of init's.

    Raises:
        ContainmentFailedError: The kernel refuses (older than 3.4).
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise ContainmentFailedError(
            f"prctl PR_SET_CHILD_SUBREAPER: expected 0, found {os.strerror(ctypes.get_errno())}"
        )


class PollContainment:
    """Processes that belong together, found again at each look.

    Args:
        plan: Its marker is what they bear.
        owner: The process that orphans are given to, `None` when that is not us (recovery).
    """

    def __init__(self, plan: ContainmentPlan, *, owner: int | None) -> None:
        self._made = ContainmentMade(plan, ())
        self._walk = Walk(plan.marker or "", owner)
        self._stopped: set[Process] = set()
        self._nice: int | None = None
        self._memory_max: int | None = None
        self._cpu: dict[Process, int] = {}
        self._memory_peak: int | None = None
        self._tasks_peak: int | None = None

    @property
    def made(self) -> ContainmentMade:
        """What it is; it has no directories."""
        return self._made

    def admit(self, pid: int) -> None:
        """Count a waiting process and all that comes of it as the load.

        Raises:
            ContainmentFailedError: There is no such process.
        """
        if stat_of(pid) is None:
            raise ContainmentFailedError(f"/proc/{pid}/stat: expected a waiting process, found none")
        self._walk.admit(pid)
        self._renice(pid)

    def apply(self, limits: Limits) -> tuple[ReadBack, ...]:
        """Remember the limits; a CPU weight below the default becomes the lowest priority (nice 19)."""
        self._walk.learn_helpers()
        self._memory_max = limits.memory_max
        low = limits.cpu_weight is not None and limits.cpu_weight < CPU_WEIGHT_DEFAULT
        self._nice = _NICE_LOWEST if low else None
        for process in self._walk.members():
            self._renice(process.pid)
        asked = limits._replace(wall_time=None, output_max=None)._asdict()
        return tuple(
            ReadBack(
                name,
                f"{value:g}" if isinstance(value, float) else str(value),
                self._found(name),
                "poll",
                False,
            )
            for name, value in asked.items()
            if value is not None
        )

    def _found(self, name: str) -> str:
        if name == "cpu_weight" and self._nice is not None:
            return (
                f"nice {self._nice} for each process, which counts inside one session where autogroup is on"
            )
        return _NOT_ENFORCED

    def _renice(self, pid: int) -> None:
        if self._nice is None:
            return
        try:
            os.setpriority(os.PRIO_PROCESS, pid, self._nice)
        except OSError:
            pass  # ended, or another user's: the read-back promised nothing

    def adjust(self, limits: Limits, names: frozenset[str]) -> tuple[ReadBack, ...]:
        """There is nothing to tighten it by."""
        return ()

    def sample(self, at: Seconds) -> CgroupSample:
        """Walk /proc once. Memory counts shared pages once for each process that has them mapped.

        The sum of resident sizes is an over-count, never an under-count, of what the processes have
        mapped; only when it reaches the hard limit is the proportional share read instead, which is
        exact and costs a walk of the page tables (proc_pid_smaps(5), `Pss`). Page cache and tmpfs
        files that no process maps are not seen. CPU time of processes that lived between two looks
        is not seen.
        """
        members = self._walk.members()
        memory = _total(self._walk.resident(p) for p in members)
        if memory is not None and self._memory_max is not None and memory >= self._memory_max:
            shares = _total(self._walk.proportional(p) for p in members)
            memory = memory if shares is None else shares
        tasks = _total(self._walk.threads(p) for p in members)
        self._memory_peak = _larger(self._memory_peak, memory)
        self._tasks_peak = _larger(self._tasks_peak, tasks)
        return CgroupSample(
            at=at, identity=None,
            memory=as_bytes(memory), memory_peak=as_bytes(self._memory_peak), working_set=as_bytes(memory),
            swap=as_bytes(_total(self._walk.swapped(p) for p in members)),
            cpu_time=self._cpu_time(members), cpu_throttled=None,
            tasks=tasks, tasks_peak=self._tasks_peak,
            oom_kills=None, io_read=None, io_write=None, psi_memory=None, psi_io=None, psi_cpu=None,
            frozen=_all_stopped(self._walk, members),
        )  # fmt: skip

    def _cpu_time(self, members: tuple[Process, ...]) -> Microseconds:
        for process in members:
            stat = stat_of(process.pid)
            if stat is not None and stat.start_ticks == process.start_ticks:
                self._cpu[process] = stat.utime + stat.stime
        return Microseconds(sum(self._cpu.values()) * 1_000_000 // os.sysconf("SC_CLK_TCK"))

    def freeze(self) -> None:
        """Stop every process, and look again until no new one was forked meanwhile."""
        self._stop_all()

    def _stop_all(self) -> None:
        for _ in range(_ROUNDS):
            running = [p for p in self._walk.members() if not self._walk.is_stopped(p)]
            if not running:
                return
            for process in running:
                if self._signal(process, _SIGSTOP):
                    self._stopped.add(process)

    def thaw(self) -> None:
        """Continue what `freeze` stopped; what the load had stopped itself stays stopped."""
        for process in self._stopped:
            self._signal(process, _SIGCONT)
        self._stopped.clear()

    def is_frozen(self) -> bool | None:
        """Tell whether every process is stopped."""
        return _all_stopped(self._walk, self._walk.members())

    def pids(self) -> tuple[int, ...]:
        """Name the living processes."""
        return tuple(p.pid for p in self._walk.members())

    def kill(self) -> set[int]:
        """Stop all until nobody forks, then SIGKILL all; a stopped process dies of that too."""
        self._stop_all()
        members = self._walk.members()
        for process in members:
            self._signal(process, _SIGKILL)
        self._stopped.clear()
        return {process.pid for process in members}

    def _signal(self, process: Process, number: int) -> bool:
        def is_it(pid: int) -> bool:
            stat = stat_of(pid)
            return stat is not None and stat.start_ticks == process.start_ticks

        return signal_verified(process.pid, number, is_it)

    def gone(self) -> bool:
        """There is nothing that somebody else could remove."""
        return False

    def remove(self) -> bool:
        """Tell whether nobody is left: that is all there is to remove."""
        return not self._walk.members()

    def close(self) -> None:
        """There are no descriptors."""


def _all_stopped(walk: Walk, members: tuple[Process, ...]) -> bool:
    return bool(members) and all(walk.is_stopped(p) for p in members)


def _total(values: Iterable[int | None]) -> int | None:
    """Add up what is known; `None` when nothing is."""
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def _larger(a: int | None, b: int | None) -> int | None:
    return max((v for v in (a, b) if v is not None), default=None)
