"""OOM kills in the kernel's log: the records of /dev/kmsg (pure), and a reader of those that are new.

Form of a record: kernel, Documentation/ABI/testing/dev-kmsg. The words of a kill are those of
`__oom_kill_process` in mm/oom_kill.c: `Killed process PID (COMM) ...`, after `Out of memory` when the
machine had none left and after `Memory cgroup out of memory` when a cgroup was at its limit (the same
since 5.0; before that the victim's name had no end that could be told).
"""

from __future__ import annotations

import os
import re

from steadyrun.model.oom import OomKill

PATH = "/dev/kmsg"
_RECORD_MOST = 8192
"""Bytes of the longest record: CONSOLE_EXT_LOG_MAX of kernel/printk/internal.h."""
_KILL = re.compile(
    r"(?P<why>(Memory cgroup out|Out) of memory[^:]*): "
    r"Killed process (?P<pid>[0-9]{1,10}) \((?P<comm>.*)\) total-vm"
)
_AT_A_LIMIT = "Memory cgroup"


def parse_oom_kill(record: str) -> OomKill | None:
    """Return the OOM kill that a record tells of; `None`: it tells of something else.

    Args:
        record: `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT`, as one read of /dev/kmsg gives it.
    """
    head, found, text = record.partition(";")
    if not found or head.count(",") < 3:
        return None
    kill = _KILL.match(text)
    if kill is None:
        return None
    return OomKill(int(kill["pid"]), kill["comm"], at_limit=kill["why"].startswith(_AT_A_LIMIT))


class KernelLog:
    """The kernel's log from the moment this was made on. Without the right to read it nothing is known."""

    __slots__ = ("_fd",)

    def __init__(self, path: str = PATH) -> None:
        """Begin at the end of what is there now. Never raises: see `new_kills`."""
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # no such device (containers), or kernel.dmesg_restrict (sysctl/kernel.rst)
            self._fd = -1
            return
        try:
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            self.close()

    def new_kills(self) -> tuple[OomKill, ...] | None:
        """Return the OOM kills logged since this was made or asked last, in their order.

        `None`: the log cannot be read, or lost records before they were read (EPIPE): what it does
        not tell may have been all the same.
        """
        if self._fd < 0:
            return None
        found: list[OomKill] = []
        whole = True
        while True:
            try:
                record = os.read(self._fd, _RECORD_MOST)
            except BlockingIOError:
                return tuple(found) if whole else None
            except BrokenPipeError:  # overwritten before it was read; the next read is the oldest there is
                whole = False
                continue
            except OSError:
                self.close()
                return None
            if not record:
                return tuple(found) if whole else None
            kill = parse_oom_kill(record.decode("utf-8", "replace"))
            if kill is not None:
                found.append(kill)

    def close(self) -> None:
        """Close it. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
