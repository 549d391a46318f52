"""Hardware acceleration where it works: /dev/kvm can be there and be useless (a guest without nested paging).

The answer is measured once: the image's own kernel has to get as far as its initial RAM disk within
a short deadline. It is kept in the cache for this host, QEMU and kernel.
"""

from __future__ import annotations

import json
import os
import platform
import time
from typing import TYPE_CHECKING

from . import hosttools
from .commandline import Hardware
from .errors import TestbedError
from .place import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from .image import Image

VARIABLE = "STEADYRUN_TESTBED_ACCEL"
"""`kvm` or `tcg`: believed without a look."""
TRIAL_S = 20.0
"""A stock kernel with acceleration is through its initial RAM disk in 2 s."""
_FLAGS = frozenset({"vmx", "svm"})


def accelerator(image: Image, say: Callable[[str], None]) -> str:
    """Return `kvm` where it works, else `tcg`."""
    if (wanted := os.environ.get(VARIABLE)) in {"kvm", "tcg"}:
        return wanted
    with open("/proc/cpuinfo") as file:
        if not worth_a_trial(file.read(), writable=os.access("/dev/kvm", os.R_OK | os.W_OK)):
            return "tcg"
    store = cache_dir() / "acceleration.json"
    key = "|".join((platform.node(), platform.release(), qemu_version(), image.digest))
    known = _read(store)
    if key not in known:
        say(f"trying hardware acceleration (at most {TRIAL_S:g} s) ...")
        known[key] = "kvm" if _boots(image) else "tcg"
        store.write_text(json.dumps(known))
    return known[key]


def worth_a_trial(cpuinfo: str, *, writable: bool) -> bool:
    """Tell whether a processor that virtualizes is said to be there, and the device is ours to use."""
    flags = {word for line in cpuinfo.splitlines() if line.startswith("flags") for word in line.split()}
    return writable and bool(flags & _FLAGS)


def qemu_version() -> str:
    """Return the first line of QEMU's own description; states belong to one version."""
    return hosttools.call(["qemu-system-x86_64", "--version"], seconds=10).partition("\n")[0]


def _boots(image: Image) -> bool:
    from .machine import Machine, Start

    try:
        with Machine(Start(image, Hardware("kvm"))) as machine:
            end = time.monotonic() + TRIAL_S
            while time.monotonic() < end:
                machine.check_alive()
                if machine.console.exists() and machine.console.stat().st_size > 0:
                    return True
                time.sleep(0.1)
    except TestbedError:
        pass
    return False


def _read(store: os.PathLike[str]) -> dict[str, str]:
    try:
        with open(store) as file:
            found: dict[str, str] = json.load(file)
            return found
    except (OSError, ValueError):
        return {}
