"""Suspended machines: the desktop is up, SSH answers, nothing else has happened. Taken up in seconds.

A state is a disk (qcow2 over the one below) and the memory that belongs to it. Nobody writes to
either afterwards: each machine gets an overlay of its own, so many may run from one state at a time.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from typing import TYPE_CHECKING

from .acceleration import accelerator, qemu_version
from .commandline import Hardware
from .errors import PanickedError
from .image import ensure_image
from .machine import Machine, Start
from .place import building, cache_dir, made, prune

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .guest import Guest

KEPT = 12
"""States that stay in the cache, about 125 MB each: of each cgroup mode, bare and with each wheel of late."""
BOOTS = 3
"""Of a preparation: an emulated kernel 6.12 panicked once as it patched its own code (enqueue_timer, 1 s into
its boot, an instruction read from its middle), and booted well from the same image before and after."""
DESKTOP_S = 240.0
"""Until the desktop is up after a boot; 21-25 s were measured."""

DESKTOP_UP = r"""
set -e
session=$(loginctl show-seat seat0 -p ActiveSession --value)
test "$(loginctl show-session "$session" -p Name --value)" = desk
test "$(loginctl show-session "$session" -p Type --value)" = x11
pgrep -u desk -x openbox >/dev/null
test -p /run/user/1000/testbed-terminal
runuser -u desk -- env DISPLAY=:0 XAUTHORITY=/home/desk/.Xauthority xwininfo -name desk | grep -q IsViewable
case $(systemctl is-system-running) in running|degraded) ;; *) exit 1;; esac
"""
"""True in the guest, as root, when a person could begin to work."""


def ensure_desktop(say: Callable[[str], None], kernel_words: str = "", suite: str | None = None) -> Start:
    """Return what a machine with the desktop up starts from, made if the cache does not have it."""
    image = ensure_image(say, suite)
    made_of = Hardware(accelerator(image, say), kernel_words=kernel_words)
    return ensure_state(Start(image, made_of), "desktop", lambda machine: None, say)


def ensure_state(
    below: Start, name: str, prepare: Callable[[Machine], None], say: Callable[[str], None]
) -> Start:
    """Return the state that `prepare` makes out of another one, from the cache or anew.

    Args:
        below: What it starts from; without memory it is booted until the desktop is up.
        name: What tells this state from others over the same one.
        prepare: Does the rest, with the machine running.
        say: Told what takes long.
    """
    made_of = (made(below.image.folder), below.made, repr(below.hardware), qemu_version(), name)
    key = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:16]
    folder = cache_dir() / "state" / f"{name}-{key}"
    with building(folder) as scratch:
        if scratch is not None:
            began = time.monotonic()
            on = f"{below.hardware.accelerator} {below.hardware.kernel_words}".rstrip()
            say(f"preparing the state {folder.name} ({on}) ...")
            for left in reversed(range(BOOTS)):
                try:
                    _make(scratch, below, prepare, say, failed=cache_dir() / "failed" / folder.name)
                    break
                except PanickedError as error:
                    if not left:
                        raise
                    say(f"{error}; booting it once more")
            say(f"... {time.monotonic() - began:.0f} s")
    prune(folder.parent, keep=KEPT)
    return below._replace(disk=folder / "disk.qcow2", memory=folder / "memory.zst", made=made(folder))


def _make(
    scratch: Path, below: Start, prepare: Callable[[Machine], None], say: Callable[[str], None], failed: Path
) -> None:
    """Write disk and memory of a state into `scratch`; what tells of a failure into `failed`."""
    with Machine(below, throttled=False) as machine:
        try:
            _bring_up(machine, booted=below.memory is None)
            prepare(machine)
            machine.guest().run("sync; echo 3 > /proc/sys/vm/drop_caches", seconds=120)
            machine.suspend_to(scratch / "memory.zst")
        except BaseException:
            say(f"it failed; console and screenshot are in {machine.keep(failed)}")
            raise
        shutil.move(machine.disk, scratch / "disk.qcow2")


def _bring_up(machine: Machine, *, booted: bool) -> None:
    machine.wait_for_ssh(booting=booted)
    if not booted:
        machine.set_clock()
    machine.guest().until(DESKTOP_UP, seconds=DESKTOP_S, every=1.0)


def with_desktop(machine: Machine) -> Guest:
    """Wait for the desktop of a machine that was switched on; return root's way in.

    A boot that the emulator spoilt before anything of the guest ran is begun anew, and said.
    """
    for left in reversed(range(BOOTS)):
        try:
            machine.wait_for_ssh(booting=True)
            break
        except PanickedError as error:
            if not left or not error.by_emulator:
                raise
            print(f"{error}; booting it once more")
            machine.power_cut()
            machine.power_on()
    machine.guest().until(DESKTOP_UP, seconds=DESKTOP_S)
    return machine.guest()


def taken_up(machine: Machine) -> Path:
    """Wait until a machine that goes on from a state answers, and give it the time; return its folder."""
    machine.wait_for_ssh()
    machine.set_clock()
    return machine.folder
