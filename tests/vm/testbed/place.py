"""Where the testbed keeps things, and who may build there: one builder of one thing at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE = "STEADYRUN_TESTBED_DIR"
ROOT = Path(__file__).resolve().parents[3]
"""The repository."""
_OURS = "steadyrun-vm-"


def cache_dir(env: Mapping[str, str] | None = None) -> Path:
    """Return the cache directory; it is not made here.

    `STEADYRUN_TESTBED_DIR`, else `steadyrun-testbed` below `XDG_CACHE_HOME`, else below `~/.cache`
    (XDG Base Directory Specification).
    """
    environment = os.environ if env is None else env
    if own := environment.get(VARIABLE):
        return Path(own)
    base = environment.get("XDG_CACHE_HOME") or str(
        Path(environment.get("HOME") or "~").expanduser() / ".cache"
    )
    return Path(base) / "steadyrun-testbed"


@contextlib.contextmanager
def building(target: Path) -> Iterator[Path | None]:
    """Give a scratch directory that becomes `target` when the block ends well; None: it is there.

    Several processes may ask at once: one builds, the others wait for it and find it there. What a
    killed builder left is removed by the next one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f".{target.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            os.utime(target)
            _name(target)
            yield None
            return
        scratch = target.parent / f".{target.name}.part"
        remove_tree(scratch)
        scratch.mkdir()
        try:
            yield scratch
            _name(scratch)
        except BaseException:
            remove_tree(scratch)
            raise
        scratch.rename(target)


def made(folder: Path) -> str:
    """Return the name of this very thing: a thing made anew from the same recipe has another one."""
    return (folder / "made").read_text()


def _name(folder: Path) -> None:
    if not (folder / "made").exists():
        (folder / "made").write_text(secrets.token_hex(8))


def remove_tree(folder: Path) -> None:
    """Remove a directory, but nothing that somebody mounted in it."""
    subprocess.run(["rm", "-rf", "--one-file-system", "--", str(folder)], check=False, capture_output=True)


def prune(folder: Path, *, keep: int, older_than_s: float = 3600.0) -> None:
    """Remove all but the `keep` entries of the folder that were used last, none used within the hour."""
    entries = [entry for entry in folder.glob("[!.]*") if entry.is_dir()]
    entries.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[keep:]:
        if time.time() - entry.stat().st_mtime > older_than_s:
            remove_tree(entry)


def own_name() -> str:
    """Return a name for something that ends with this process; `sweep` knows whose it was."""
    return f"{_OURS}{os.getpid()}-{secrets.token_hex(4)}"


def sweep(folder: Path) -> None:
    """Remove what a process left there under its `own_name` and is gone now."""
    for entry in folder.glob(f"{_OURS}*-*"):
        pid = entry.name.removeprefix(_OURS).partition("-")[0]
        if pid.isdecimal() and not os.path.exists(f"/proc/{pid}"):
            remove_tree(entry)
