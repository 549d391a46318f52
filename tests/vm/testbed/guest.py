"""The way into the guest: one SSH connection for each user that every command shares.

A new connection costs about a second of emulated CPU, so the first command opens a master that the
others go through (ssh_config(5), ControlMaster).
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

from .errors import DeadlineError, TestbedError
from .hosttools import dies_with_parent

if TYPE_CHECKING:
    from pathlib import Path

CONNECT_S = 30.0
_FAILED = 255
"""ssh's own exit code for an error of its own (ssh(1))."""


class Done(NamedTuple):
    """How a command in the guest ended."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- out\n{self.out[-4000:]}\n--- err\n{self.err[-4000:]}"


class Guest:
    """The guest as one of its users."""

    def __init__(self, user: str, port: int, key: Path, sockets: Path) -> None:
        self.user = user
        self._control = sockets / f"ssh-{user}-{port}"
        self._port, self._key = port, key
        self._master: subprocess.Popen[bytes] | None = None

    def ssh(self, *options: str) -> list[str]:
        """Return the words of ssh for this user, up to the destination; for a connection of its own."""
        return [
            *("ssh", "-F", "none", "-q", "-p", str(self._port), "-i", str(self._key)),
            *("-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no"),
            *("-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"),
            *("-o", f"ConnectTimeout={CONNECT_S:g}", "-o", "ServerAliveInterval=0"),
            *options,
            f"{self.user}@127.0.0.1",
        ]

    def run(
        self,
        command: str,
        *,
        seconds: float = 60.0,
        check: bool = True,
        stdin: bytes | None = None,
        own_connection: bool = False,
    ) -> Done:
        """Run a shell command to its end.

        Args:
            command: For the user's login shell.
            seconds: How long it may take; the command in the guest is not ended by this.
            check: Raise when its exit code is not 0.
            stdin: What it reads.
            own_connection: Log in anew (a login of its own for logind) instead of sharing.

        Raises:
            TestbedError: No connection, or exit code not 0.
            DeadlineError: It took longer.
        """
        shared = [] if own_connection else self._shared(seconds)
        try:
            done = subprocess.run(
                [*self.ssh(*shared), command],
                input=b"" if stdin is None else stdin,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            out = (error.stdout or b"").decode(errors="replace")
            raise DeadlineError(
                f"{self.user}: took more than {seconds:g} s: {command}\n{out[-2000:]}"
            ) from error
        found = Done(
            done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        if found.code == _FAILED and not found.out:
            raise TestbedError(f"{self.user}: ssh failed: {command}: {found.err}")
        if check and found.code != 0:
            raise TestbedError(f"{self.user}: {command}\n{found}")
        return found

    def out(self, command: str, *, seconds: float = 60.0) -> str:
        """Run a command that must succeed; return its output without the newline at its end."""
        return self.run(command, seconds=seconds).out.rstrip("\n")

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start a command in a connection of its own; it is the caller's to end."""
        return subprocess.Popen(
            [*self.ssh(), command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=dies_with_parent,  # noqa: PLW1509
        )

    def write(self, path: str, data: bytes | str, *, mode: str = "644") -> None:
        """Write a file in the guest."""
        content = data.encode() if isinstance(data, str) else data
        self.run(f"cat > '{path}' && chmod {mode} '{path}'", stdin=content, seconds=120)

    def read(self, path: str) -> str:
        """Read a file of the guest."""
        return self.run(f"cat '{path}'").out

    def until(self, command: str, *, seconds: float, every: float = 0.3) -> Done:
        """Repeat a command until it succeeds; a lost connection counts as not yet.

        Raises:
            DeadlineError: It did not within `seconds`; the message has its last answer.
        """
        end = time.monotonic() + seconds
        last: object = "never answered"
        while time.monotonic() < end:
            try:
                last = self.run(command, check=False, seconds=max(5.0, end - time.monotonic()))
                if last.code == 0:
                    return last
            except TestbedError as error:
                last = error
            time.sleep(every)
        raise DeadlineError(f"{self.user}: not true within {seconds:g} s: {command}\n{last}")

    def close(self) -> None:
        """End the shared connection."""
        if self._master is not None:
            self._master.kill()
            self._master.wait()
            self._master = None
        self._control.unlink(missing_ok=True)

    def _shared(self, seconds: float) -> list[str]:
        """Open the master where it is not open; return the options that use it."""
        if self._master is not None and self._master.poll() is not None:
            self.close()
        if self._master is None:
            self._control.unlink(missing_ok=True)
            self._master = subprocess.Popen(
                self.ssh("-M", "-N", "-S", str(self._control)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=dies_with_parent,  # noqa: PLW1509
                start_new_session=True,
            )
            end = time.monotonic() + seconds
            while not self._control.exists():
                if self._master.poll() is not None or time.monotonic() > end:
                    self.close()
                    raise TestbedError(f"{self.user}: no SSH connection to port {self._port}")
                time.sleep(0.05)
        return ["-S", str(self._control), "-o", "ControlMaster=no"]
