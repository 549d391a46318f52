"""Files of cgroup v1 and v2 directories, and /proc/PID/cgroup.

Forms: kernel, Documentation/admin-guide/cgroup-v2.rst "Interface Files" and
Documentation/admin-guide/cgroup-v1/. Pure: takes text, gives values or raises `FormatError`.
"""

from __future__ import annotations

from steadyrun.kernel.text import is_whole, unexpected, whole
from steadyrun.units import Bytes

_NO_LIMIT = 2**60
"""From here on a v1 limit is none: the kernel's "unlimited" is the largest signed long rounded down to
a page (PAGE_COUNTER_MAX, include/linux/page_counter.h): 9223372036854771712 with pages of 4 KiB,
9223372036854710272 with 64 KiB. No machine has 2**60 bytes."""
_HIDDEN_DEVICE = "(unknown)"
"""What stands for the number of a device without a name of its own: a path of an NVMe multipath
device, whose bytes its head counts too, or a pool of ZFS (containerd/cgroups#393, canonical/lxd#18609)."""


def parse_flat(text: str, *, source: str) -> dict[str, int]:
    """Read a flat keyed file: memory.stat, cpu.stat, memory.events, memory.oom_control, pids.events.

    Raises:
        FormatError: A line is not a key, a blank and a number.
    """
    found: dict[str, int] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if not key or not is_whole(value):
            raise unexpected(source, "a line such as 'oom_kill 0'", line)
        found[key] = int(value)
    return found


def parse_limit(text: str, *, source: str) -> Bytes | None:
    """Read a limit in bytes; `None` is no limit: `max` on v2, the page-rounded largest number on v1.

    Raises:
        FormatError: Neither a number nor `max`.
    """
    word = text.strip()
    if word == "max":
        return None
    limit = whole(word, source, "bytes or 'max'")
    return None if limit >= _NO_LIMIT else Bytes(limit)


def parse_cpu_max(text: str, *, source: str) -> tuple[int | None, int]:
    """Read v2 `cpu.max`: quota and period in microseconds; a quota of `None` is no limit.

    Raises:
        FormatError: Not `max 100000` or two numbers, the second not 0.
    """
    quota, blank, period = text.strip().partition(" ")
    length = whole(period, source, "a quota and a period in microseconds") if blank else 0
    if not length:
        raise unexpected(source, "a quota and a period in microseconds", text)
    return (None if quota == "max" else whole(quota, source, "microseconds or 'max'")), length


def parse_io_max(text: str, *, source: str) -> dict[str, dict[str, int | None]]:
    """Read v2 `io.max`: for each device (`8:0`) its limits, `None` for one that is open.

    A device without any limit has no line.

    Raises:
        FormatError: A line is not `8:0 rbps=1048576 wbps=max riops=max wiops=max`.
    """
    found: dict[str, dict[str, int | None]] = {}
    for line in text.splitlines():
        device, _, rest = line.partition(" ")
        fields = rest.split()
        if not _is_device(device) or not fields:
            raise unexpected(source, "a line such as '8:0 rbps=max wbps=1048576'", line)
        found[device] = {}
        for field in fields:
            key, _, value = field.partition("=")
            found[device][key] = None if value == "max" else whole(value, source, f"a number after {key}=")
    return found


def parse_io_weight(text: str, *, source: str) -> int:
    """Read v2 `io.weight` or `io.bfq.weight`: the weight for every device that has none of its own.

    Raises:
        FormatError: There is no line `default 100`.
    """
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "default":
            return whole(value, source, "a weight after default")
    raise unexpected(source, "a line such as 'default 100'", text)


def parse_count(text: str, *, source: str) -> int:
    """Read a file that holds one number: pids.current, memory.usage_in_bytes, cpuacct.usage.

    Raises:
        FormatError: Not one number.
    """
    return whole(text.strip(), source)


def parse_blkio_bytes(text: str, *, source: str) -> tuple[Bytes, Bytes]:
    """Sum v1 `blkio.throttle.io_service_bytes` over the devices: bytes read, bytes written.

    Lines are `MAJ:MIN Read 4096`; Sync, Async, Discard and Total lines count the same bytes again.

    Raises:
        FormatError: A line is neither such a one nor `Total number`.
    """
    totals = {"Read": 0, "Write": 0}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[0] == "Total":
            whole(fields[1], source, "bytes after Total")
            continue
        if len(fields) != 3 or not _is_device(fields[0]):
            raise unexpected(source, "a line such as '8:0 Read 4096'", line)
        size = whole(fields[2], source, "bytes at the end of the line")
        if fields[1] in totals and fields[0] != _HIDDEN_DEVICE:
            totals[fields[1]] += size
    return Bytes(totals["Read"]), Bytes(totals["Write"])


def parse_io_stat(text: str, *, source: str) -> tuple[Bytes, Bytes]:
    """Sum v2 `io.stat` over the devices: bytes read, bytes written. An empty file is no I/O yet.

    A device without counters stands there with its number alone, on some kernels on the same line
    as the next device (canonical/lxd#10052); it is passed over.

    Raises:
        FormatError: A field is neither `MAJ:MIN` nor `key=value`, or `rbytes`/`wbytes` is no number.
    """
    totals = {"rbytes": 0, "wbytes": 0}
    hidden = False
    for field in text.split():
        key, equals, value = field.partition("=")
        if not equals:
            if not _is_device(field):
                raise unexpected(source, "fields such as '8:0 rbytes=0 wbytes=0'", field)
            hidden = field == _HIDDEN_DEVICE
        elif key in totals:
            size = whole(value, source, f"bytes after {key}=")
            totals[key] += 0 if hidden else size
    return Bytes(totals["rbytes"]), Bytes(totals["wbytes"])


def _is_device(text: str) -> bool:
    """Tell whether text names a block device as the block controller does."""
    major, _, minor = text.partition(":")
    return (is_whole(major) and is_whole(minor)) or text == _HIDDEN_DEVICE


def parse_proc_cgroup(text: str, *, source: str = "/proc/self/cgroup") -> tuple[tuple[str, str], ...]:
    """Return (controller, path) for each controller of each hierarchy, in the order of the file.

    The controller is `""` for the unified hierarchy and `name=systemd` for a named one; a v1
    hierarchy with several controllers gives one pair each (cgroups(7), "/proc files"). A path may
    hold `:`; that of a removed v2 cgroup ends in ` (deleted)`, as the kernel writes it.

    Raises:
        FormatError: A line is not `number:controllers:/path`.
    """
    found: list[tuple[str, str]] = []
    for line in text.split("\n"):
        if not line:
            continue
        number, first, rest = line.partition(":")
        controllers, second, path = rest.partition(":")
        if not (first and second and path.startswith("/")):
            raise unexpected(source, "a line such as '4:memory:/user.slice'", line)
        whole(number, source, "the hierarchy's number")
        found.extend((controller, path) for controller in controllers.split(","))
    return tuple(found)
