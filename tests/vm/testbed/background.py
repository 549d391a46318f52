"""A machine that runs on in the background for a developer, and the few things one asks of it.

`hold` is the process that owns it; it listens on a socket of its own for one word a connection and
ends with the machine. One machine for each clone of the repository.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DeadlineError, TestbedError
from .guest import Guest
from .machine import Machine, Start
from .place import ROOT, cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable

START_S = 900.0
"""With an image to be built first."""


def folder() -> Path:
    """Return the folder of this clone's machine; short, since sockets lie in it."""
    return cache_dir() / "background" / hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]


def start(options: list[str]) -> None:
    """Start the holding process and wait until the machine answers; nothing when it does already."""
    place = folder()
    if status() is not None:
        return
    place.mkdir(parents=True, exist_ok=True)
    (place / "machine.json").unlink(missing_ok=True)
    log = place / "log"
    with open(log, "wb") as output:
        holder = subprocess.Popen(
            [sys.executable, "-m", "testbed", "hold", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "vm"), "PYTHONUNBUFFERED": "1"},
        )
    end = time.monotonic() + START_S
    while status() is None:
        if holder.poll() is not None:
            raise TestbedError(f"the machine did not start:\n{log.read_text()[-3000:]}")
        if time.monotonic() > end:
            holder.terminate()
            raise DeadlineError(f"the machine did not start within {START_S:g} s, see {log}")
        time.sleep(0.2)


def status() -> dict[str, Any] | None:
    """Return pid, port and key of this clone's machine; `None`: none answers."""
    try:
        found: dict[str, Any] = json.loads((folder() / "machine.json").read_text())
        ask("there?")
    except (OSError, ValueError, TestbedError):
        return None
    return found


def ask(word: str, *, seconds: float = 300.0) -> str:
    """Ask the holding process for something; return its answer.

    Raises:
        TestbedError: No machine runs, or it could not be done.
    """
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(seconds)
        try:
            one.connect(str(folder() / "ask"))
            one.sendall(word.encode() + b"\n")
            answer = one.makefile().readline().rstrip("\n")
        except OSError as error:
            raise TestbedError(f"no machine runs in the background for {ROOT}: {error}") from error
    if not answer.startswith("ok"):
        raise TestbedError(answer or "the machine's holder ended")
    return answer[3:]


def stop() -> None:
    """End this clone's machine and wait until nothing of it is left; nothing when none runs."""
    found = status()
    if found is None:
        return
    ask("stop")
    end = time.monotonic() + 30.0
    while os.path.exists(f"/proc/{found['pid']}") and time.monotonic() < end:
        time.sleep(0.05)


def guest(user: str) -> Guest:
    """Return the way into the machine in the background."""
    found = status()
    if found is None:
        raise TestbedError("no machine runs in the background: python -m testbed start")
    return Guest(user, found["port"], Path(found["key"]), folder())


def hold(start_from: Start, come_up: Callable[[Machine], object]) -> None:
    """Own the machine until it is asked to stop, or ends, or a signal comes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        machine = stack.enter_context(Machine(start_from))
        come_up(machine)
        asked = stack.enter_context(socket.socket(socket.AF_UNIX))
        (place / "ask").unlink(missing_ok=True)
        asked.bind(str(place / "ask"))
        asked.listen()
        stack.callback((place / "machine.json").unlink, missing_ok=True)
        _note(machine, place)
        while _answer(asked, machine, place):
            pass


def _note(machine: Machine, place: Path) -> None:
    facts = {"pid": os.getpid(), "port": machine.port, "key": str(machine.start_from.image.key)}
    facts["console"] = str(machine.console)
    (place / "machine.json.new").write_text(json.dumps(facts))
    (place / "machine.json.new").rename(place / "machine.json")


def _answer(asked: socket.socket, machine: Machine, place: Path) -> bool:
    """Serve one connection; False: it was the last."""
    connection, _ = asked.accept()
    with connection:
        word, _, rest = connection.makefile().readline().strip().partition(" ")
        try:
            _do(word, rest, machine, place)
            said = "ok " + str(machine.console)
        except (TestbedError, OSError) as error:
            said = " ".join(f"{error}".split())
        with contextlib.suppress(OSError):
            connection.sendall(said.encode() + b"\n")
    return word != "stop"


def _do(word: str, rest: str, machine: Machine, place: Path) -> None:
    match word:
        case "there?" | "stop":
            pass
        case "screenshot":
            machine.screenshot(Path(rest))
        case "cut":
            machine.power_cut()
        case "boot":
            machine.power_on()
            machine.wait_for_ssh()
            _note(machine, place)
        case "reset":
            machine.reset()
            machine.wait_for_ssh()
        case _:
            raise TestbedError(f"unknown word {word!r}")
