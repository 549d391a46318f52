"""Looks where the units of other guards of memory would be: some 30 us, for `run`. Never writes.

Finds none that was started by hand, nor without systemd; what is found is read by `others.py`.
"""

from __future__ import annotations

import os

_UNITS = (
    ("system.slice/systemd-oomd.service", "systemd-oomd"),
    ("system.slice/earlyoom.service", "earlyoom"),
    ("hostcritical.slice/nohang.service", "nohang"),
    ("hostcritical.slice/nohang-desktop.service", "nohang"),
)
"""As Debian and Fedora install them."""
_MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd")


def running_units(root: str = "/") -> list[tuple[int, str]]:
    """Return (pid, name) of those that run as the units they are installed with."""
    before = root.rstrip("/")
    found = []
    for mount in _MOUNTS:
        for unit, name in _UNITS:
            pid = _first_number(f"{before}{mount}/{unit}/cgroup.procs")
            if pid is not None:
                found.append((pid, name))
    return found


def _first_number(path: str) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        first = os.read(fd, 64).partition(b"\n")[0]
    except OSError:
        return None
    finally:
        os.close(fd)
    return int(first) if first.isdigit() else None
