"""Becoming a command as execvp(3) and a shell do: PATH lookup, errors, scripts without `#!`.

Runs in a forked child alone: it either replaces the process or raises OSError, and prints nothing.
"""

from __future__ import annotations

import os

from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

_FIRST_LINE = 128
"""Bytes looked at to tell a script from a binary file; what bash's execute_cmd.c looks at is 80."""
_INTERPRETER_LINE = 256
"""Bytes of the `#!` line that the kernel looks at (BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h)."""
_TRY_NEXT = ("ENOENT", "ESTALE", "ENOTDIR", "ENODEV", "ETIMEDOUT")
"""Errors after which execvp goes on with the next directory of PATH (glibc, posix/execvpe.c)."""


def execute(argv: tuple[str, ...], environment: dict[str, str]) -> NoReturn:
    """Run the command as execvp(3) does with the environment's own PATH. Raises OSError."""
    import errno

    name = argv[0] if argv else ""
    try_next = {getattr(errno, e) for e in _TRY_NEXT}
    denied: OSError | None = None
    for candidate in _candidates(name, environment):
        try:
            _execute_file(candidate, argv, environment)
        except OSError as error:
            if error.errno == errno.EACCES:
                denied = error
            elif error.errno not in try_next:
                raise
    raise denied or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def _candidates(name: str, environment: dict[str, str]) -> list[str]:
    if not name:
        return []
    if "/" in name:
        return [name]
    directories = environment.get("PATH", os.defpath).split(":")
    return [f"{directory}/{name}" if directory else f"./{name}" for directory in directories]


def _execute_file(path: str, argv: tuple[str, ...], environment: dict[str, str]) -> NoReturn:
    """Run one file; a script without `#!` by sh, as POSIX asks of shells ("Command Search and Execution")."""
    import errno

    try:
        os.execve(path, argv, environment)
    except OSError as error:
        if error.errno != errno.ENOEXEC or _is_binary(path):
            raise
    os.execve("/bin/sh", ("sh", path, *argv[1:]), environment)


def why_denied(path: str) -> str:
    """Say what this user has no permission for, of a file whose exec was refused with EACCES (execve(2)).

    Empty where it is the file's own mode, or cannot be told.
    """
    blocked = _first_denied(path)
    if blocked is not None:
        return "" if blocked == os.path.realpath(path) else f"no permission for {blocked}"
    interpreter = _interpreter(path)
    blocked = _first_denied(interpreter) if interpreter else None
    return f"no permission for {blocked}, its interpreter is {interpreter}" if blocked else ""


def _first_denied(path: str) -> str | None:
    """Return the first folder on the way that may not be passed, or the file where it may not be run."""
    way, real = "/", os.path.realpath(path)
    for part in real.split("/")[1:]:
        if not os.access(way, os.X_OK):
            return way
        way = os.path.join(way, part)
    return None if os.access(real, os.X_OK) else real


def _interpreter(path: str) -> str | None:
    """Return what a `#!` line names; `None` where there is none or it may not be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            first = file.read(_INTERPRETER_LINE).partition(b"\n")[0]
    except OSError:  # a folder, too
        return None
    words = first[2:].split() if first.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words else None


def _is_binary(path: str) -> bool:
    """Tell whether the first line holds a NUL byte: then it is no script for any shell."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        return b"\0" in os.read(fd, _FIRST_LINE).partition(b"\n")[0]
    finally:
        os.close(fd)
