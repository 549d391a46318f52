"""Programs of the host that the testbed needs, and how they are run."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

from .errors import DeadlineError, TestbedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "nbdkit": "nbdkit",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "zstd": "zstd",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
"""Program -> Debian package."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def missing() -> tuple[str, ...]:
    """Return the Debian packages whose programs are not here, each once."""
    path = _path()
    lacking = [package for name, package in PACKAGES.items() if shutil.which(name, path=path) is None]
    return tuple(dict.fromkeys(lacking))


def require() -> None:
    """Raise TestbedError with the command that installs what is missing."""
    if lacking := missing():
        raise TestbedError(
            "the testbed needs programs that are not here: "
            f"apt-get install --no-install-recommends {' '.join(lacking)}"
        )


def call(
    argv: Sequence[str], *, seconds: float, log: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run a program to its end and return its output.

    Args:
        argv: The program and its arguments.
        seconds: How long it may take.
        log: Where its output is appended; `None`: it is returned only.
        env: Added to the environment.

    Raises:
        TestbedError: It failed; the message has the command, ready to paste, and the end of its output.
        DeadlineError: It took longer; it was killed.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PATH": _path(), **(env or {})},
        preexec_fn=dies_with_parent,  # noqa: PLW1509
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise DeadlineError(f"took more than {seconds:g} s: {shlex.join(argv)}") from error
    finally:
        _end_group(process)
    if log is not None:
        with open(log, "a") as file:
            file.write(f"$ {shlex.join(argv)}\n{output}")
    if process.returncode != 0:
        raise TestbedError(f"exit code {process.returncode} of: {shlex.join(argv)}\n{output[-3000:]}")
    return output


def dies_with_parent() -> None:
    """In a new child: be killed when the parent's thread ends, however it ends (prctl(2)).

    Loads nothing and takes no lock: the library is open already.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _end_group(process: subprocess.Popen[str]) -> None:
    """End the program and what it started, if it runs still: politely, then for certain."""
    if process.poll() is not None:
        return
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=patience)
            return


def _path() -> str:
    """Return where programs are looked for; a user's PATH may lack the administrator's."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
