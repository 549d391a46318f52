"""Where the testbed keeps things, and who may build there: one builder of one thing at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE = "STEADYRUN_TESTBED_DIR"
ROOT = Path(__file__).resolve().parents[3]
"""The repository."""


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
            yield None
            return
        scratch = target.parent / f".{target.name}.part"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            yield scratch
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        scratch.rename(target)


def prune(folder: Path, *, keep: int) -> None:
    """Remove all but the `keep` entries of the folder that were used last, unless somebody builds there."""
    entries = [entry for entry in folder.glob("[!.]*") if entry.is_dir()]
    entries.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[keep:]:
        shutil.rmtree(entry, ignore_errors=True)
