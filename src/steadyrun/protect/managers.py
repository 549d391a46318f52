"""Tells systemd's managers to read what was written, and has the texts checked before they are written."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterable

from steadyrun.bus.address import Bus
from steadyrun.bus.connection import within
from steadyrun.bus.units import Manager
from steadyrun.desktop.processes import process, processes_named
from steadyrun.errors import BusError, CannotContainError
from steadyrun.kernel.reader import read_text
from steadyrun.protect.change import FileChange
from steadyrun.protect.disk import Disk
from steadyrun.protect.places import TOP
from steadyrun.protect.plan import SYSTEM_UNITS

RELOAD_WITHIN_S = 90.0
"""The timeout of systemctl(1) for the same call."""
ANALYZE = ("/usr/bin/systemd-analyze", "/bin/systemd-analyze")
"""Not looked up: root must not run what somebody's PATH says."""
VERIFY_WITHIN_S = 30.0
_REAL = {"user-.slice": "user-1000.slice", "user@.service": "user@1000.service"}
"""What stands for all units with that beginning: a unit that can be loaded."""


def reload_all(euid: int) -> tuple[str, ...]:
    """Have every manager concerned read its files again; return what went wrong.

    Managers of users are sent SIGHUP, which is the same as a reload (systemd(1)); it is not answered, so what
    they made of it is read back from the kernel.
    """
    trouble = []
    try:
        until = within(RELOAD_WITHIN_S)
        with Manager.open(Bus.SYSTEM if euid == 0 else Bus.USER, until=until) as manager:
            manager.reload(until=until)
    except BusError as error:
        how = "systemctl daemon-reload" if euid == 0 else "systemctl --user daemon-reload"
        trouble.append(f"systemd did not read its files again ({error.message}): {how}")
    return (*trouble, *(_hang_up() if euid == 0 else ()))


def reload_until_settled(euid: int, disk: Disk) -> tuple[str, ...]:
    """Have them read again what is no longer there, until no controller is switched off by it any more.

    A controller can be switched off for a cgroup when no cgroup below has it on (kernel, cgroup-v2.rst,
    "Top-down Constraint"), and systemd goes from the top down: each reload takes back one level of what the
    one before could not (seen with 252, `io` in cgroup.subtree_control).
    """
    trouble, before = reload_all(euid), None
    for _ in range(_LEVELS):
        now = _switched_on(disk)
        if trouble or now == before:
            break
        trouble, before = reload_all(euid), now
    return trouble


_LEVELS = 5
"""From the root to a user manager's own slices."""


def _switched_on(disk: Disk) -> dict[str, str | None]:
    """Return which controllers the root and what is next below it have on for what is in them."""
    try:
        inside = sorted(each.name for each in os.scandir(disk.at(TOP)) if each.is_dir())
    except OSError:
        inside = []
    paths = [TOP, *(f"{TOP}/{name}" for name in inside)]
    return {path: disk.value(f"{path}/cgroup.subtree_control") for path in paths}


def _hang_up() -> list[str]:
    trouble = []
    for one in processes_named(frozenset({"systemd"})):
        place = (read_text(f"/proc/{one.pid}/cgroup") or "").rstrip()
        if not place.endswith(f"/user@{one.uid}.service/init.scope"):
            continue  # the system's own, or a container's
        try:
            descriptor = os.pidfd_open(one.pid)
        except ProcessLookupError:
            continue
        try:
            if process(one.pid) == one:
                signal.pidfd_send_signal(descriptor, signal.SIGHUP)
        except ProcessLookupError:
            pass
        except OSError as error:
            trouble.append(f"the user manager of uid {one.uid}: {os.strerror(error.errno or 0)}")
        finally:
            os.close(descriptor)
    return trouble


def complaints(files: Iterable[FileChange], *, programs: tuple[str, ...] = ANALYZE) -> tuple[str, ...]:
    """Have systemd-analyze read the drop-ins in a folder of their own; return what it says against them.

    Empty where there is no systemd-analyze. Complaints about other files of the machine are not ours to
    tell. Scopes and user.conf cannot be asked about: those keys stand on the table of versions alone.

    Raises:
        CannotContainError: There is no room for that folder.
    """
    program = next((name for name in programs if os.access(name, os.X_OK)), None)
    if program is None:
        return ()
    found: list[str] = []
    for_whom: dict[bool, list[FileChange]] = {True: [], False: []}
    for each in files:
        folder = os.path.dirname(os.path.dirname(each.path))
        if each.unit.endswith((".slice", ".service")):
            for_whom[folder == SYSTEM_UNITS].append(each)
    for system, theirs in for_whom.items():
        if theirs:
            found += _verify(program, theirs, system=system)
    return tuple(found)


def _verify(program: str, files: list[FileChange], *, system: bool) -> list[str]:
    try:
        with tempfile.TemporaryDirectory(prefix="steadyrun-verify-") as stage:
            return _verified(program, files, stage, system=system)
    except OSError as error:
        where = error.filename or "TMPDIR"
        raise CannotContainError(
            f"{where}: expected room to try the drop-ins before anything is changed,"
            f" found: {os.strerror(error.errno or 0)}",
            hint="TMPDIR=DIRECTORY names another place",
        ) from error


def _verified(program: str, files: list[FileChange], stage: str, *, system: bool) -> list[str]:
    for each in files:
        folder = f"{stage}/{each.unit}.d"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{os.path.basename(each.path)}", "w", encoding="utf-8") as file:
            file.write(each.text)
    names = [_loadable(each.unit) for each in files]
    words = [program, *(() if system else ("--user",)), "verify", "--man=no", *names]
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    env |= {"SYSTEMD_UNIT_PATH": f"{stage}:", "XDG_RUNTIME_DIR": stage, "HOME": stage}
    try:
        done = subprocess.run(
            words, env=env, capture_output=True, text=True, timeout=VERIFY_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.replace(f"{stage}/", "") for line in done.stderr.splitlines() if stage in line]


def _loadable(unit: str) -> str:
    if unit in _REAL:
        return _REAL[unit]
    return unit.replace("@.", "@steadyrun.")
