"""One rung of the doctor's ladder: a name, how it stands, what was seen, what mends it. Pure."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, assert_never


class Level(Enum):
    """How one rung stands. Absent and not needed is not the same as unknown."""

    OK = "ok"
    DEGRADED = "degraded"
    """It works with less; `Rung.evidence` says what is lost."""
    MISSING = "missing"
    """Nothing can be contained, or written down, without it."""
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"
    """This machine has nothing it would be about: a server without a screen, a kernel without MGLRU."""


class Rung(NamedTuple):
    """One thing that was looked at."""

    name: str
    level: Level
    evidence: str
    """What was seen, and for a lack what it costs: one line."""
    remedy: str
    """The exact command (or deed) that mends it; empty where nothing is to be mended or nothing can."""


class Family(Enum):
    """Which commands a remedy is made of."""

    DEBIAN = "debian"
    FEDORA = "fedora"
    OTHER = "other"


def not_known(name: str, where: str) -> Rung:
    """Return the rung of something that could not be read at `where`."""
    return Rung(name, Level.UNKNOWN, f"{where} could not be read", "")


def boot_option(family: Family, option: str) -> str:
    """Return the command that puts an option on the kernel command line, for the next boot.

    Source: grubby(8) on Fedora; on Debian and Ubuntu, /etc/default/grub.d/*.cfg is read after
    /etc/default/grub (Debian's grub-mkconfig).
    """
    match family:
        case Family.FEDORA:
            return f"sudo grubby --update-kernel=ALL --args={option} && sudo reboot"
        case Family.DEBIAN:
            line = f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {option}"'
            return (
                f"echo '{line}' | sudo tee -a /etc/default/grub.d/steadyrun.cfg && sudo update-grub"
                " && sudo reboot"
            )
        case Family.OTHER:
            return f"boot with {option} on the kernel command line"
        case _:
            assert_never(family)
