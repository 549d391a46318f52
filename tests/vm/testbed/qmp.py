"""QEMU's monitor (QEMU Machine Protocol, docs/interop/qmp-spec): one command, one answer."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from .errors import DeadlineError, TestbedError


class Monitor:
    """A connection to the monitor of one running QEMU."""

    def __init__(self, path: str, *, seconds: float = 10.0) -> None:
        """Connect, as soon as QEMU listens; at most `seconds`."""
        end = time.monotonic() + seconds
        self._socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._socket.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > end:
                    self._socket.close()
                    raise DeadlineError(
                        f"{path}: QEMU's monitor did not listen within {seconds:g} s"
                    ) from None
                time.sleep(0.02)
        self._lines = b""
        self._next(end)
        self.execute("qmp_capabilities")

    def execute(self, command: str, *, seconds: float = 30.0, **arguments: Any) -> Any:
        """Carry out one command and return its answer; events on the way are passed over.

        Raises:
            TestbedError: QEMU refused it, or is gone.
            DeadlineError: No answer in `seconds`.
        """
        end = time.monotonic() + seconds
        try:
            self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            while True:
                answer = self._next(end)
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise TestbedError(f"QEMU: {command}: {answer['error'].get('desc')}")
        except TimeoutError as error:
            raise DeadlineError(f"QEMU: {command}: no answer in {seconds:g} s") from error
        except OSError as error:
            raise TestbedError(f"QEMU: {command}: {error}") from error

    def close(self) -> None:
        """Close the connection; QEMU runs on."""
        self._socket.close()

    def _next(self, end: float) -> dict[str, Any]:
        while b"\n" not in self._lines:
            self._socket.settimeout(max(0.01, end - time.monotonic()))
            part = self._socket.recv(65536)
            if not part:
                raise ConnectionResetError("QEMU closed its monitor")
            self._lines += part
        line, _, self._lines = self._lines.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found
