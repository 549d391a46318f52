"""Programs of the host that the testbed needs, and how they are run."""

from __future__ import annotations

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
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
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
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
            text=True,
            errors="replace",
            env={**os.environ, "PATH": path, **(env or {})},
        )
    except subprocess.TimeoutExpired as error:
        raise DeadlineError(f"took more than {seconds:g} s: {_shown(argv)}") from error
    if log is not None:
        with open(log, "a") as file:
            file.write(f"$ {_shown(argv)}\n{done.stdout}")
    if done.returncode != 0:
        raise TestbedError(f"exit code {done.returncode} of: {_shown(argv)}\n{done.stdout[-3000:]}")
    return done.stdout


def dies_with_parent() -> None:
    """In a new child: be killed when the parent's thread ends, however it ends (prctl(2)).

    Loads nothing and takes no lock: the library is open already.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _shown(argv: Sequence[str]) -> str:
    return shlex.join(argv)
