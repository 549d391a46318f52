"""One virtual machine: its process, its disk, its power. Every part ends when this process does."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from . import hosttools
from .commandline import Attachments, Hardware, command_line
from .errors import DeadlineError, PanickedError, TestbedError
from .guest import Guest
from .place import cache_dir, own_name, sweep
from .qmp import Monitor
from .volatile import VolatileDisk

if TYPE_CHECKING:
    from .image import Image

BOOT_S = 240.0
"""Until SSH answers after a boot. 19-25 s were measured under emulation on an idle host."""
RESUME_S = 90.0
"""Until SSH answers after a suspended state is taken up. 4 s were measured."""
NICE = -5
"""Three times the CPU share of an ordinary process (sched(7)); what started us may have more."""
AUTOGROUP = Path("/proc/self/autogroup")


PANIC = "Kernel panic - not syncing"
"""On the console, of a kernel that goes no further (panic() in kernel/panic.c)."""
EMULATORS_FAULT = "Oops: int3"
"""The kernel changes its own code at boot, and a second emulated processor runs into the breakpoint that is
there meanwhile: seen 1.5 s after the start, before any disk is mounted (6.12, once in some hundred boots)."""


class Start(NamedTuple):
    """What a machine starts from."""

    image: Image
    hardware: Hardware
    disk: Path | None = None
    """The disk below its overlay, qcow2; `None`: the image's own."""
    made: str = ""
    """The name of that disk; the image's own when empty."""
    memory: Path | None = None
    """The suspended memory that belongs to that disk; `None`: boot."""


class Machine:
    """A virtual machine with a disk of its own; a context manager that leaves nothing behind.

    Its folder keeps `console.log`, `qemu.log` and `disk.qcow2` while it lives.
    """

    def __init__(self, start: Start, *, throttled: bool = True, volatile: bool = False) -> None:
        """Take what it is made of; entering it starts it.

        Args:
            start: What it starts from.
            throttled: Its disk is as slow as a disk.
            volatile: Its disk has a write cache, which a power cut empties.
        """
        self.start_from = start
        mine = own_name()
        self.folder = cache_dir() / "run" / mine
        self.port = 0
        self._throttled = throttled
        self._sockets = Path(tempfile.gettempdir()) / mine
        self._volatile = VolatileDisk(self.disk, self._sockets / "disk") if volatile else None
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: Monitor | None = None
        self._guests: dict[str, Guest] = {}
        self._booted_at = 0

    def __enter__(self) -> Self:
        for folder in (self.folder, self._sockets):
            folder.parent.mkdir(parents=True, exist_ok=True)
            sweep(folder.parent)
            folder.mkdir(mode=0o700)
        try:
            self._make_disk()
            self.power_on(memory=self.start_from.memory)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def disk(self) -> Path:
        """Its own overlay: everything that this machine ever wrote."""
        return self.folder / "disk.qcow2"

    @property
    def console(self) -> Path:
        """What the guest wrote to its serial console, over all its boots."""
        return self.folder / "console.log"

    @property
    def pid(self) -> int | None:
        """QEMU's process."""
        return self._process.pid if self._process else None

    def guest(self, user: str = "root") -> Guest:
        """Return the way in for a user: `root`, `desk` or `other`."""
        if user not in self._guests:
            self._guests[user] = Guest(user, self.port, self.start_from.image.key, self._sockets)
        return self._guests[user]

    def power_on(self, *, memory: Path | None = None) -> None:
        """Start QEMU: boot, or go on from the suspended memory. Does not wait for the guest."""
        if self._volatile is not None:
            self._volatile.power_on()
        self._booted_at = self._console_size()
        for _ in range(3):
            self.port = _free_port()
            self._spawn(memory)
            try:
                self._monitor = Monitor(str(self._sockets / "qmp"))
            except (TestbedError, OSError) as error:
                said = (self.folder / "qemu.log").read_text(errors="replace")
                self._end_process()
                if "Could not set up host forwarding" in said:
                    continue  # somebody took the port in between
                raise TestbedError(f"QEMU did not start: {error}\n{said[-2000:]}") from error
            break
        else:
            raise TestbedError("no free port for SSH on 127.0.0.1")
        if memory is not None:
            self._take_up()

    def wait_for_ssh(self, seconds: float = BOOT_S, *, booting: bool = False) -> None:
        """Wait until root's SSH answers.

        Args:
            seconds: For how long.
            booting: The machine was switched on or reset: a panic from then on is one of this boot.

        Raises:
            DeadlineError: It did not in time.
            PanickedError: The kernel panicked while it booted.
        """
        end = time.monotonic() + seconds
        while True:
            self.check_alive()
            said = self._said_since_boot() if booting else ""
            if PANIC in said:
                raise PanickedError(
                    f"the guest's kernel panicked: {self.console}", by_emulator=EMULATORS_FAULT in said
                )
            with contextlib.suppress(TestbedError):
                self.guest().run("true", seconds=min(30.0, max(2.0, end - time.monotonic())))
                return
            if time.monotonic() > end:
                raise DeadlineError(f"SSH of the machine did not answer within {seconds:g} s")
            time.sleep(0.3)

    def wait_for_console(self, words: str, seconds: float) -> None:
        """Wait until the guest has written these words to its serial console."""
        end = time.monotonic() + seconds
        while words not in self.console.read_text(errors="replace"):
            if time.monotonic() > end:
                raise DeadlineError(f"{words!r} was not on the console within {seconds:g} s")
            time.sleep(0.2)

    def set_clock(self) -> None:
        """Give the guest the time of the host: a state that is taken up has the time it was suspended at."""
        self.guest().run(f"date -s @{time.time():.3f} >/dev/null; hwclock --systohc 2>/dev/null || true")

    def power_cut(self) -> None:
        """End the machine as a pulled plug does.

        What the guest has not given to its disk is lost; with a volatile disk, what it has not flushed.
        """
        if self._volatile is not None:
            self._volatile.power_cut()
        self._end_process()

    def reset(self) -> None:
        """Press the reset button: boot again on the same disk."""
        self._forget_connections()
        self._booted_at = self._console_size()
        self.monitor().execute("system_reset")

    def _console_size(self) -> int:
        return self.console.stat().st_size if self.console.exists() else 0

    def _said_since_boot(self) -> str:
        """Return what is on the console since the machine was switched on or reset last."""
        return self.console.read_bytes()[self._booted_at :].decode(errors="replace")

    def monitor(self) -> Monitor:
        """Return the monitor of the running QEMU."""
        if self._monitor is None:
            raise TestbedError("the machine is off")
        return self._monitor

    def screenshot(self, path: Path) -> Path:
        """Write what the screen shows, as PNG."""
        self.monitor().execute("screendump", filename=str(path), format="png")
        return path

    def suspend_to(self, path: Path) -> None:
        """Stop the machine for good and write its memory to `path`, zstd; its disk belongs to it."""
        monitor = self.monitor()
        self._forget_connections()
        monitor.execute("stop")
        monitor.execute("migrate-set-parameters", **{"max-bandwidth": 8 << 30})
        monitor.execute("migrate", uri=f"exec:exec zstd -q -3 -T2 > '{path}'")
        _until_migrated(monitor, 120.0)
        monitor.execute("quit")
        self._wait_process(30.0)

    def check_alive(self) -> None:
        """Raise TestbedError when QEMU has ended."""
        if self._process is None or self._process.poll() is not None:
            said = (self.folder / "qemu.log").read_text(errors="replace")[-2000:]
            raise TestbedError(f"QEMU has ended: {said}")

    def wait_ended(self) -> None:
        """Wait until QEMU ends, whoever ends it."""
        if self._process is not None:
            self._process.wait()

    def keep(self, folder: Path) -> Path:
        """Copy what tells how it went (console, screenshot, QEMU's words) into a folder; return that."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("console.log", "qemu.log"):
            with contextlib.suppress(OSError):
                shutil.copy(self.folder / name, folder / name)
        with contextlib.suppress(TestbedError, OSError):
            self.screenshot(folder / "screen.png")
        return folder

    def close(self) -> None:
        """End QEMU and remove the disk and the sockets."""
        self._end_process()
        if self._volatile is not None:
            self._volatile.power_cut()
        shutil.rmtree(self._sockets, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_disk(self) -> None:
        below, form = self.start_from.disk, "qcow2"
        if below is None:
            below, form = self.start_from.image.disk, "raw"
        words = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(below), "-F", form, str(self.disk)]
        hosttools.call(words, seconds=30)

    def _spawn(self, memory: Path | None) -> None:
        (self._sockets / "qmp").unlink(missing_ok=True)
        image = self.start_from.image
        attached = Attachments(
            kernel=str(image.kernel),
            initrd=str(image.initrd),
            disk=str(self.disk),
            console=str(self.console),
            qmp=str(self._sockets / "qmp"),
            ssh_port=self.port,
            incoming=None if memory is None else str(memory),
            throttled=self._throttled,
            disk_socket=None if self._volatile is None else str(self._volatile.socket),
        )
        with open(self.folder / "qemu.log", "wb") as log:
            self._process = subprocess.Popen(
                command_line(self.start_from.hardware, attached),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_in_qemu,  # noqa: PLW1509
                start_new_session=True,
            )

    def _take_up(self) -> None:
        monitor = self.monitor()
        end = time.monotonic() + RESUME_S
        while (status := monitor.execute("query-status"))["status"] == "inmigrate":
            if time.monotonic() > end:
                raise DeadlineError(f"the suspended state was not taken up within {RESUME_S:g} s")
            time.sleep(0.02)
        if not status["running"]:
            monitor.execute("cont")

    def _forget_connections(self) -> None:
        for guest in self._guests.values():
            guest.close()
        self._guests.clear()

    def _end_process(self) -> None:
        self._forget_connections()
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._wait_process(30.0)

    def _wait_process(self, seconds: float) -> None:
        if self._process is not None:
            self._process.wait(seconds)
            self._process = None


def _in_qemu() -> None:
    """In the new child: end with us, and go before other work of the host where that may be had.

    What a machine does when its host has no time for it is not what the tests are about.
    """
    hosttools.dies_with_parent()
    nice = min(NICE, os.getpriority(os.PRIO_PROCESS, 0))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    # In a session of its own it has an autogroup of its own: only among those is anything shared out, by
    # their own nice value, and the processes' values count within one (sched(7), "The autogroup feature").
    with contextlib.suppress(OSError):
        AUTOGROUP.write_text(f"{nice}")


def _until_migrated(monitor: Monitor, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (found := monitor.execute("query-migrate").get("status")) != "completed":
        if found in {"failed", "cancelled"} or time.monotonic() > end:
            raise TestbedError(f"the machine could not be suspended: {found}")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
