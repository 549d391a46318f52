"""Puts the report on disk: whole files only, in a folder of the run, with the rights of its owner.

A reader sees the old page or the new one, never half of one. Never renders anything itself;
`writer.py` decides when.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from steadyrun.durable import write_all
from steadyrun.errors import SteadyrunError
from steadyrun.report.rights import rights_of

LATEST = "latest"
NAMES_TRIED = 100
"""Folders of one name (two runs in one second) before giving up. By choice."""


class ReportUnwritableError(SteadyrunError):
    """The report's folder does not take a file: a full disk, a missing right, a dying disk.

    Whoever runs a load goes on and says so; the load does not depend on its report.
    """

    exit_code = 74  # EX_IOERR of sysexits(3)


def open_folder(path: str) -> int:
    """Take hold of the folder that a file will be written into later; return its descriptor.

    What somebody puts in the folder's place meanwhile is then not what is written into.

    Raises:
        ReportUnwritableError: There is no such folder.
    """
    try:
        return os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(path, error) from error


def write_into(directory: int, path: str, text: str, *, durable: bool) -> None:
    """Replace a file in a folder that was opened before (`open_folder`), as `write_atomic` does.

    Raises:
        ReportUnwritableError: It could not be written; no part is left.
    """
    try:
        _replace(directory, os.path.basename(path), text.encode("utf-8", "backslashreplace"))
        if durable:
            os.fsync(directory)
    except OSError as error:
        raise _unwritable(path, error) from error


def write_atomic(path: str, text: str, *, durable: bool) -> None:
    """Replace a file by one with this text, or leave it as it was.

    The data is on disk before the name points to it, always: a rename whose data is not yet
    written can leave an empty file after a power cut (rename(2) promises only the name; see
    "auto_da_alloc" in Documentation/admin-guide/ext4.rst). Lone surrogates are written as codes.

    Args:
        path: The file; a symbolic link there is replaced, not followed.
        text: Its new content.
        durable: Also wait until the new name itself is on disk (fsync(2) of the directory).

    Raises:
        ReportUnwritableError: It could not be written (ENOSPC, EIO, EACCES, ...); no part is left.
    """
    directory = open_folder(path)
    try:
        write_into(directory, path, text, durable=durable)
    finally:
        os.close(directory)


def open_growing(path: str, *, owner: tuple[int, int] | None) -> int:
    """Open a file that grows while a run goes on, made where it is missing; return its descriptor.

    Args:
        path: The file; a symbolic link there is refused.
        owner: (uid, gid) whose rights and whose property it is; `None`: the caller's.

    Raises:
        ReportUnwritableError: It could not be opened with these rights.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    with rights_of(owner):
        try:
            return os.open(path, flags, 0o644)
        except OSError as error:
            raise _unwritable(path, error) from error


def _unwritable(path: str, error: OSError) -> ReportUnwritableError:
    reason = error.strerror or type(error).__name__
    hint = f"df -h {os.path.dirname(path) or '.'}" if error.errno == 28 else None  # ENOSPC
    return ReportUnwritableError(f"{path}: expected to write the report, found {reason}", hint=hint)


def _temporary(name: str) -> str:
    return f".{name}.{os.getpid()}-{threading.get_native_id()}.tmp"


def _replace(directory: int, name: str, data: bytes) -> None:
    temporary = _temporary(name)
    with suppress(FileNotFoundError):  # of an earlier process with the same numbers that was killed
        os.unlink(temporary, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o644, dir_fd=directory)
    try:
        try:
            write_all(descriptor, data)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise


def expect_room(base: str, *, owner: tuple[int, int] | None = None) -> None:
    """See that the folder of the reports is there and can be written, or that it can be made. Makes nothing.

    Args:
        base: `steadyrun-report` or what `--report` says.
        owner: (uid, gid) whose rights are asked for; `None`: the caller's.

    Raises:
        ReportUnwritableError: It is not so, as far as it can be told without making anything.
    """
    with rights_of(owner):
        there = top = os.path.abspath(base)
        while not os.path.lexists(there):
            there = os.path.dirname(there)
        if not os.path.isdir(there):
            raise _no_folder(top, "something else" if there == top else f"{there}, which is none")
        if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
            raise _no_folder(top, f"no permission to write into {there}")


def _no_folder(path: str, found: str) -> ReportUnwritableError:
    return ReportUnwritableError(
        f"{path}: expected a folder that can be written, found {found}",
        hint="name another folder with --report DIR",
    )


def prepare_folder(base: str, name: str, *, owner: tuple[int, int] | None = None) -> str:
    """Make the folder of one run below `base`, and point `latest` at it.

    Args:
        base: `steadyrun-report` or what `--report` says; made when missing.
        name: Run id or timestamp; with `-2`, `-3`, ... behind it when it is taken.
        owner: (uid, gid) whose rights and whose property everything is; `None`: the caller's.

    Returns:
        The absolute path of the folder.

    Raises:
        ReportUnwritableError: A folder or the link could not be made with these rights.
    """
    if os.sep in name or name in ("", ".", "..", LATEST):
        raise ReportUnwritableError(f"report folder: expected a plain name, found {name!r}")
    with rights_of(owner):
        top = os.path.abspath(base)
        try:
            os.makedirs(top, exist_ok=True)
            made = _make_new(top, name)
            _point_latest(top, made)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise _no_folder(error.filename or top, reason) from error
    return os.path.join(top, made)


def _make_new(top: str, name: str) -> str:
    for number in range(1, NAMES_TRIED + 1):
        candidate = name if number == 1 else f"{name}-{number}"
        try:
            os.mkdir(os.path.join(top, candidate), 0o755)
        except FileExistsError:
            continue
        return candidate
    raise FileExistsError(17, f"{NAMES_TRIED} folders of that name", os.path.join(top, name))


def _point_latest(top: str, made: str) -> None:
    """Replace the link `latest` in one step; it is relative, so that the folder can be moved."""
    temporary = os.path.join(top, _temporary(LATEST))
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(made, temporary)
    try:
        os.rename(temporary, os.path.join(top, LATEST))
    except OSError:
        os.unlink(temporary)
        raise
