"""A disk that forgets: what the guest has written and not flushed is lost with its power.

QEMU's own caches cannot be lost like that: a write that the guest's disk has taken lies in the host's
page cache, which outlives a killed QEMU, whether the guest flushed it or not. So QEMU gets at the
file through nbdkit with its cache filter: in `writeback` mode writes stay in a temporary file until
a flush comes (nbdkit-cache-filter(1)). Killed, nbdkit leaves what was flushed and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import TYPE_CHECKING

from . import hosttools
from .errors import TestbedError

if TYPE_CHECKING:
    from pathlib import Path

ROOM_BYTES = 16 << 30
"""An NBD export has one size, and an overlay grows: as much as the guest's disk may ever take. Sparse."""
READY_S = 20.0


class VolatileDisk:
    """One file served over a socket of its own, as a disk with a write cache."""

    def __init__(self, file: Path, socket: Path) -> None:
        self._file, self.socket = file, socket
        self._server: subprocess.Popen[bytes] | None = None

    def power_on(self) -> None:
        """Serve what the disk holds.

        Raises:
            TestbedError: nbdkit does not start.
        """
        os.truncate(self._file, ROOM_BYTES)
        self.socket.unlink(missing_ok=True)
        words = ["nbdkit", "--foreground", "--unix", str(self.socket), "--filter=cache"]
        words += ["file", str(self._file), "cache=writeback"]
        with open(self._file.with_name("nbdkit.log"), "ab") as log:
            self._server = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self._file.parent)},
                preexec_fn=hosttools.dies_with_parent,  # noqa: PLW1509
                start_new_session=True,
            )
        end = time.monotonic() + READY_S
        while not self.socket.exists():
            if self._server.poll() is not None or time.monotonic() > end:
                self.power_cut()
                raise TestbedError(f"nbdkit did not start: {self._file.with_name('nbdkit.log')}")
            time.sleep(0.01)

    def power_cut(self) -> None:
        """Forget what was not flushed. Idempotent."""
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                self._server.kill()
            self._server.wait()
            self._server = None
