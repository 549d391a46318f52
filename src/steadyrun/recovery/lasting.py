"""Making and undoing the changes that outlive a process: lingering, and the unit that resumes after a boot.

Whoever makes one has written its intent before (`model/change.py`); undoing may be done twice. What
somebody else changed in the meantime is left as it is.
"""

from __future__ import annotations

import os
from contextlib import suppress

from steadyrun.bus import login
from steadyrun.bus.address import Bus
from steadyrun.bus.connection import open_bus, within
from steadyrun.durable import sync, write_all
from steadyrun.errors import SteadyrunError
from steadyrun.model.change import BootUnit, Lingering

PATIENCE_S = 5.0
"""For one change over D-Bus. polkit, asked by logind, answers in some 10 ms on an idle machine; on the
testbed under load in below 2 s."""


def lingering_now(uid: int) -> bool:
    """Tell whether lingering is on for a user.

    Raises:
        BusError: It could not be told.
    """
    until = within(PATIENCE_S)
    with open_bus(Bus.SYSTEM, until=until) as bus:
        return login.lingers(bus, uid, until=until)


def switch_lingering(uid: int, on: bool) -> None:
    """Switch lingering of a user on or off, and look whether it is.

    Raises:
        BusError: It was refused, was not answered (and may still happen), or is not as it was asked for.
    """
    until = within(PATIENCE_S)
    with open_bus(Bus.SYSTEM, until=until) as bus:
        login.set_lingering(bus, uid, on, until=until)
        if login.lingers(bus, uid, until=until) is not on:
            raise SteadyrunError(f"lingering of uid {uid}: asked to be {_word(on)}, found {_word(not on)}")


def restore_lingering(change: Lingering) -> str:
    """Put lingering back as it was; return what was done, empty when nothing had to be.

    Raises:
        SteadyrunError: It could not be done.
    """
    if change.before or not lingering_now(change.uid):
        return ""
    switch_lingering(change.uid, False)
    return f"switched lingering of uid {change.uid} off again"


def _word(on: bool) -> str:
    return "on" if on else "off"


def missing_folders(path: str) -> tuple[str, ...]:
    """Return the folders above a path that are not there, the innermost first."""
    found = []
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        found.append(folder)
        folder = os.path.dirname(folder)
    return tuple(found)


def write_boot_unit(unit: BootUnit) -> None:
    """Write the unit and enable it, on the disk when this returns.

    Raises:
        SteadyrunError: There is something else under that name, or it cannot be written.
    """
    try:
        for folder in reversed(unit.folders):
            os.makedirs(folder, mode=0o755, exist_ok=True)
        _write_file(unit)
        _enable(unit)
        for folder in {
            os.path.dirname(unit.path),
            os.path.dirname(unit.link),
            *map(os.path.dirname, unit.folders),
        }:
            sync(folder)
    except OSError as error:
        where = error.filename or unit.path
        raise SteadyrunError(
            f"{where}: expected to write a unit, found: {os.strerror(error.errno or 0)}",
            hint="leave --resume-on-boot away; after a crash: steadyrun ramp --resume",
        ) from error


def _write_file(unit: BootUnit) -> None:
    """Put the file in its place as a whole.

    Raises:
        SteadyrunError: There is another one.
    """
    there = _content(unit.path)
    if there == unit.text:
        return
    if there is not None:
        raise SteadyrunError(
            f"{unit.path}: expected no file, found one that steadyrun did not write", hint=f"rm {unit.path}"
        )
    part = _part(unit)
    with suppress(FileNotFoundError):  # of a write that a crash interrupted
        os.unlink(part)
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        write_all(file, unit.text.encode("utf-8", "surrogateescape"))
        os.fsync(file)
        os.rename(part, unit.path)
    except BaseException:
        os.unlink(part)
        raise
    finally:
        os.close(file)


def _part(unit: BootUnit) -> str:
    """Return the name it has while it is written. One for all times, so that what a crash left is found."""
    return f"{unit.path}.part"


def _enable(unit: BootUnit) -> None:
    try:
        os.symlink(unit.path, unit.link)
    except FileExistsError:
        if not _is_ours(unit):
            raise


def _is_ours(unit: BootUnit) -> bool:
    try:
        return os.readlink(unit.link) == unit.path
    except OSError:
        return False


def remove_boot_unit(unit: BootUnit) -> str:
    """Disable and remove the unit where it is still as it was written; return what was done.

    Raises:
        SteadyrunError: It could not be removed, or has another text now: then it is disabled and stays. That
            is said once; a file that is not enabled by our link is nobody's business here.
    """
    done = False
    try:
        if _is_ours(unit):
            os.unlink(unit.link)
            sync(os.path.dirname(unit.link))
            done = True
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(_part(unit))
        there = _content(unit.path)
        if there == unit.text:
            os.unlink(unit.path)
            sync(os.path.dirname(unit.path))
            done = True
    except OSError as error:
        raise SteadyrunError(f"{unit.path}: could not be removed: {os.strerror(error.errno or 0)}") from error
    if done and there not in (None, unit.text):
        raise SteadyrunError(
            f"{unit.path}: expected the unit that steadyrun wrote, found another text: disabled, and left",
            hint=f"rm {unit.path}",
        )
    for folder in unit.folders:
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue  # a crash came before it was made
        except OSError:
            break  # somebody else has put something there
    return f"removed {unit.path}" if done else ""


def _content(path: str) -> str | None:
    """Return a file's text; `None`: there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None
