"""Small files of /proc, and /etc/os-release: load, paging counters, boot time, one process.

Form: proc(5) and kernel, Documentation/filesystems/proc.rst. Pure: takes text, gives values or
raises `FormatError`; `reader.py` opens the files.
"""

from __future__ import annotations

from collections.abc import Collection

from steadyrun.kernel.text import counter, decimal, is_whole, unexpected, whole
from steadyrun.model.sample import CpuTimes
from steadyrun.named import NamedTuple
from steadyrun.units import Seconds

_LOADAVG = "a line such as '0.20 0.18 0.12 1/80 11206'"
_PID_STAT = "a line such as '42 (name) S 1 42 42 0 -1 ...' with 22 fields or more"
_CPU_LINE = "a line such as 'cpu0 1 2 3 4 5 6 7 8 0 0'"
_IDLE_FIELD = 3
"""Index of `idle` among the fields after the name; `iowait` follows it."""
_CPU_FIELDS = 8
"""To `steal`; guest time, which comes after it, is counted in `user` already (proc_stat(5))."""
_START_FIELD = 19
"""Index of `starttime` (field 22) among the fields that follow the name (the first is field 3)."""


class LoadAvg(NamedTuple):
    """/proc/loadavg."""

    load1: float
    load5: float
    load15: float
    runnable: int
    """Tasks that run or could run just now."""
    tasks: int
    """Processes and threads there are."""


class VmStat(NamedTuple):
    """Counters of /proc/vmstat since boot; `None` where the kernel has no such line."""

    pswpin: int | None
    """Pages read from swap."""
    pswpout: int | None
    oom_kill: int | None
    """Processes killed by the OOM killer, every cgroup counted (kernel >= 4.13)."""
    scanned: int | None = None
    """`pgscan_kswapd` and `pgscan_direct`: pages that reclaim looked at."""
    stolen: int | None = None
    """`pgsteal_kswapd` and `pgsteal_direct`: pages that it got."""


class PidStat(NamedTuple):
    """What /proc/PID/stat says that steadyrun needs. Times are clock ticks (`SC_CLK_TCK`)."""

    pid: int
    comm: str
    """Name of the executable, at most 15 bytes; may hold blanks and parentheses."""
    state: str
    """One letter; `Z` is a zombie, `X` is dead."""
    ppid: int
    pgrp: int
    session: int
    utime: int
    stime: int
    start_ticks: int
    """Since boot: with the pid the identity of a process."""
    tty: int = 0
    """Device number of its controlling terminal; 0: it has none."""

    def has_ended(self) -> bool:
        """Tell whether it is a zombie or dead (proc_pid_stat(5), field 3), if only its main thread."""
        return self.state in "ZXx"


def parse_loadavg(text: str, *, source: str = "/proc/loadavg") -> LoadAvg:
    """Read the load averages and the counts of tasks.

    Raises:
        FormatError: Not three numbers, `runnable/tasks`, and a last pid.
    """
    fields = text.split()
    if len(fields) != 5:
        raise unexpected(source, _LOADAVG, text)
    runnable, _, tasks = fields[3].partition("/")
    return LoadAvg(
        load1=decimal(fields[0], source, _LOADAVG),
        load5=decimal(fields[1], source, _LOADAVG),
        load15=decimal(fields[2], source, _LOADAVG),
        runnable=whole(runnable, source, _LOADAVG),
        tasks=whole(tasks, source, _LOADAVG),
    )


def parse_vmstat(text: str, *, source: str = "/proc/vmstat") -> VmStat:
    """Read the paging and OOM counters; other lines are not looked at.

    Raises:
        FormatError: One of these lines does not end in a number, or there is no counter at all.
    """
    found = VmStat(
        pswpin=counter(text, "pswpin", source),
        pswpout=counter(text, "pswpout", source),
        oom_kill=counter(text, "oom_kill", source),
        scanned=_both(text, "pgscan", source),
        stolen=_both(text, "pgsteal", source),
    )
    if found == (None,) * len(found) and not is_whole(text.partition("\n")[0].rpartition(" ")[2]):
        raise unexpected(source, "lines such as 'pswpin 0'", text)
    return found


def _both(text: str, name: str, source: str) -> int | None:
    kswapd, direct = counter(text, f"{name}_kswapd", source), counter(text, f"{name}_direct", source)
    return None if kswapd is None or direct is None else kswapd + direct


def parse_stat_btime(text: str, *, source: str = "/proc/stat") -> Seconds:
    """Return the Unix time of the boot, in whole seconds.

    Raises:
        FormatError: There is no `btime` line.
    """
    found = counter(text, "btime", source)
    if found is None:
        raise unexpected(source, "a line such as 'btime 1700000000'", text)
    return Seconds(float(found))


def parse_stat_cpus(text: str, *, cpus: Collection[int], source: str = "/proc/stat") -> CpuTimes:
    """Sum up what some CPUs did since boot; those that are offline have no line.

    Args:
        text: Of the file.
        cpus: Their numbers.
        source: The file's name, for messages.

    Raises:
        FormatError: There is no line of any of them, or one has less than `user nice system idle` or
            anything but numbers.
    """
    wanted = {f"cpu{number}" for number in cpus}
    found = idle = total = 0
    for line in text.splitlines():
        name, *fields = line.split() or [""]
        if name in wanted:
            times = [whole(field, source, _CPU_LINE) for field in fields[:_CPU_FIELDS]]
            if len(times) <= _IDLE_FIELD:
                raise unexpected(source, _CPU_LINE, line)
            found, idle, total = (
                found + 1,
                idle + sum(times[_IDLE_FIELD : _IDLE_FIELD + 2]),
                total + sum(times),
            )
    if not found:
        raise unexpected(source, _CPU_LINE, text)
    return CpuTimes(found, idle, total)


def parse_pid_stat(text: str, *, source: str = "/proc/PID/stat") -> PidStat:
    """Read one process. The name ends at the *last* `)`: it may hold any other character.

    Raises:
        FormatError: Fewer than 22 fields, or one that is not a number where one belongs.
    """
    pid, opened, rest = text.partition(" (")
    comm, closed, tail = rest.rpartition(") ")
    fields = tail.split()
    if not (opened and closed) or len(fields) <= _START_FIELD or len(fields[0]) != 1:
        raise unexpected(source, _PID_STAT, text)
    return PidStat(
        pid=whole(pid, source, _PID_STAT),
        comm=comm,
        state=fields[0],
        ppid=whole(fields[1], source, _PID_STAT),
        pgrp=whole(fields[2], source, _PID_STAT),
        session=whole(fields[3], source, _PID_STAT),
        utime=whole(fields[11], source, _PID_STAT),
        stime=whole(fields[12], source, _PID_STAT),
        start_ticks=whole(fields[_START_FIELD], source, _PID_STAT),
        tty=whole(fields[4], source, _PID_STAT),
    )


def parse_os_release(text: str, *, source: str = "/etc/os-release") -> dict[str, str]:
    """Read the assignments of an os-release file, quotes removed.

    Comments and lines that assign nothing are passed over, as os-release(5) asks of readers.

    Raises:
        FormatError: The text assigns nothing at all.
    """
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, equals, value = line.strip().partition("=")
        if equals and name.isidentifier():
            found[name] = _unquote(value)
    if not found:
        raise unexpected(source, "lines such as 'ID=debian'", text)
    return found


def _unquote(value: str) -> str:
    """Take off one pair of quotes, and the backslashes before what a shell would escape in it."""
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        quote, value = value[0], value[1:-1]
        if quote == '"':
            for escaped in ('\\"', "\\$", "\\`", "\\\\"):
                value = value.replace(escaped, escaped[1])
    return value
