"""Puts steadyrun into the guest: the built wheel for its users, the repository's tests for itself."""

from __future__ import annotations

import hashlib
import io
import shlex
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import TestbedError
from .place import ROOT
from .state import ensure_desktop, ensure_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from .guest import Guest
    from .machine import Machine, Start

PYTHON = "/opt/steadyrun/bin/python"
"""The guest's Python with steadyrun, what it needs, pytest and hypothesis."""
COMMAND = "/usr/local/bin/steadyrun"
REPOSITORY = "/srv/steadyrun"
"""Where the tests and what they read lie in the guest; everybody may read, nobody but root writes."""
_TAKEN = ("pyproject.toml", "tests", "docs", "README.md", "src", "tools", "bench")


def newest_wheel() -> Path:
    """Return the wheel that `make wheel` built.

    Raises:
        TestbedError: There is none.
    """
    wheels = sorted((ROOT / "dist").glob("steadyrun-*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise TestbedError(f"no wheel in {ROOT / 'dist'}: make wheel")
    return wheels[-1]


def ensure_program(
    say: Callable[[str], None],
    kernel_words: str = "",
    wheel: Path | None = None,
    suite: str | None = None,
) -> Start:
    """Return the state with the desktop up and steadyrun installed, made if the cache does not have it."""
    wheel = wheel or newest_wheel()
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()[:12]
    below = ensure_desktop(say, kernel_words, suite)
    return ensure_state(below, f"program-{digest}", lambda machine: install(machine, wheel), say)


def install(machine: Machine, wheel: Path) -> None:
    """Install the wheel into a machine's Python."""
    install_into(machine.guest(), wheel)


def install_into(guest: Guest, wheel: Path) -> None:
    """Install the wheel into the guest's Python, without a network; what it needs is there already."""
    path = f"/root/{wheel.name}"
    guest.write(path, wheel.read_bytes())
    guest.run(
        f"{PYTHON} -m pip install --quiet --disable-pip-version-check --no-index --no-deps "
        f"--force-reinstall {path} && rm {path}",
        seconds=240,
    )
    guest.run(f"{COMMAND} --version", seconds=60)


def copy_repository(guest: Guest, to: str = REPOSITORY) -> None:
    """Copy what the repository's own tests read into the guest, as root."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for name in _TAKEN:
            if (ROOT / name).exists():
                archive.add(ROOT / name, name, filter=_without_caches)
    where = shlex.quote(to)
    guest.run(f"mkdir -p {where} && tar -xzf - -C {where}", stdin=packed.getvalue(), seconds=120)


def _without_caches(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if Path(entry.name).name in {"__pycache__", ".hypothesis", "results"}:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
