"""Has systemd-analyze(1) read drop-ins before they are written."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable

from steadyrun.errors import CannotContainError
from steadyrun.protect.change import FileChange
from steadyrun.protect.plan import SYSTEM_UNITS

ANALYZE = ("/usr/bin/systemd-analyze", "/bin/systemd-analyze")
"""Not looked up: root must not run what somebody's PATH says."""
VERIFY_WITHIN_S = 30.0
_REAL = {"user-.slice": "user-1000.slice", "user@.service": "user@1000.service"}
"""What stands for all units with that beginning: a unit that can be loaded."""


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
        if each.unit.endswith((".slice", ".service")):
            for_whom[each.path.startswith(f"{SYSTEM_UNITS}/")].append(each)
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
        whole = os.path.basename(each.path) == each.unit
        folder = stage if whole else f"{stage}/{each.unit}.d"
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
    except OSError:
        return []
    except subprocess.TimeoutExpired as error:
        raise CannotContainError(
            f"{program}: expected it to have read the drop-ins within {VERIFY_WITHIN_S:.0f} s, found no"
            " answer; nothing was changed",
            hint="the machine is busy: type it again later",
        ) from error
    return [line.replace(f"{stage}/", "") for line in done.stderr.splitlines() if stage in line]


def _loadable(unit: str) -> str:
    if unit in _REAL:
        return _REAL[unit]
    return unit.replace("@.", "@steadyrun.")
