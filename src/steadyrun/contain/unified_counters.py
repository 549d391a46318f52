"""The counters of one unified cgroup that holds a load, read at each tick through kept descriptors.

The files alone are read, also where systemd made the cgroup: its own accounting of peaks and CPU time
is missing or wrong in 253 to 256 (systemd/systemd#34754, #28542, #33348). Never raises and never
writes: what cannot be read is `None`.
"""

from __future__ import annotations

from steadyrun.contain.cgroupfs import has_children, read_at, tree
from steadyrun.contain.counters import Counters, Most, as_bytes, less
from steadyrun.kernel.cgroupfiles import parse_flat, parse_io_stat
from steadyrun.kernel.kept import parsed
from steadyrun.kernel.psi import parse_psi
from steadyrun.kernel.text import counter
from steadyrun.model.sample import CgroupSample
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Microseconds, Seconds

if TYPE_CHECKING:
    from steadyrun.contain.cgroupfs import CgroupDirectory

FILES = (
    "memory.current",
    "memory.peak",
    "memory.swap.current",
    "memory.stat",
    "memory.events",
    "memory.events.local",
    "cpu.stat",
    "pids.current",
    "pids.peak",
    "pids.events",
    "io.stat",
    "memory.pressure",
    "io.pressure",
    "cpu.pressure",
)
"""Documentation/admin-guide/cgroup-v2.rst, "Core Interface Files" and those of each controller."""


class UnifiedCounters:
    """What one containment used."""

    __slots__ = ("_directory", "_files", "_memory", "_tasks")

    def __init__(self, directory: CgroupDirectory) -> None:
        self._directory = directory
        self._files = Counters((name, directory) for name in FILES)
        self._memory, self._tasks = Most(), Most()

    def sample(self, at: Seconds, *, frozen: bool | None) -> CgroupSample:
        """Read all counters now.

        The peak is the kernel's own (memory.peak, >= 5.19; pids.peak, >= 6.11), else the most that a
        sample saw.
        """
        files = self._files
        memory, tasks = files.count("memory.current"), files.count("pids.current")
        cpu = files.parse("cpu.stat", parse_flat) or {}
        io = files.parse("io.stat", parse_io_stat)
        kills = self._oom_kills()
        return CgroupSample(
            at=at,
            identity=self._directory.identity,
            memory=as_bytes(memory),
            memory_peak=as_bytes(self._memory.of(files.count("memory.peak"), memory)),
            working_set=less(memory, files.parse("memory.stat", _inactive_file)),
            swap=as_bytes(files.count("memory.swap.current")),
            cpu_time=_microseconds(cpu.get("usage_usec")),
            cpu_throttled=_microseconds(cpu.get("throttled_usec")),
            tasks=tasks,
            tasks_peak=self._tasks.of(files.count("pids.peak"), tasks),
            oom_kills=kills,
            io_read=io[0] if io else None,
            io_write=io[1] if io else None,
            psi_memory=files.parse("memory.pressure", parse_psi),
            psi_io=files.parse("io.pressure", parse_psi),
            psi_cpu=files.parse("cpu.pressure", parse_psi),
            frozen=frozen,
            limit_kills=self._at_our_limit(kills),
            forks_refused=files.forks_refused(),
        )

    def close(self) -> None:
        """Close the kept descriptors."""
        self._files.close()

    def _oom_kills(self) -> int | None:
        """Return the processes the kernel killed here, in cgroups that the load made too.

        A group kill counts its first victim twice (oom_kill_process in mm/oom_kill.c). So does the
        machine's own counter (`oom_kill` of /proc/vmstat), from which this one is taken off to tell kills
        outside the containment: it stays as it is.

        `memory.events` counts what is below as well, unless the hierarchy is mounted with
        `memory_localevents` (cgroup-v2.rst, "Mounting"); then the local ones are added up.
        """
        own = (self._files.parse("memory.events", parse_flat) or {}).get("oom_kill")
        if own is None or not has_children(self._directory.fd):
            return own
        return max(own, sum(_local_oom_kills(fd) for fd in tree(self._directory.fd)))

    def _at_our_limit(self, kills: int | None) -> int | None:
        """Return how many of these it killed because of our own limit; `None`: that is not told.

        A kill is counted where its victim was, `oom` where the limit was that was met (memcg_memory_event
        in mm/memcontrol.c). A limit further down, or above us, leaves our local `oom` at 0. Local counts
        since 5.3. When there are both kinds, all are taken as ours.
        """
        if not kills:
            return kills
        met = (self._files.parse("memory.events.local", parse_flat) or {}).get("oom")
        return None if met is None else kills if met else 0


def _local_oom_kills(directory: int) -> int:
    found = parsed(read_at(directory, "memory.events.local"), parse_flat, "memory.events.local") or {}
    return found.get("oom_kill", 0)


def _inactive_file(text: str, *, source: str) -> int:
    return counter(text, "inactive_file", source) or 0


def _microseconds(value: int | None) -> Microseconds | None:
    return None if value is None else Microseconds(value)
