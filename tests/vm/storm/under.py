"""What a load runs under: nothing, or what is typed before its command at the desktop."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .ssh import EVERY_S

MEMORY = "900M"
"""The hard limit for all that take one: what a machine of 2 GB has free less steadyrun's reserve is
about 1 GiB, and one that has been in use for a while less."""


@dataclass(frozen=True)
class Under:
    """One way to run a hostile command."""

    name: str
    about: str
    before: str = ""
    """Shell words before the command."""
    prepare: str = ""
    """Shell commands for root before anything begins, such as starting a daemon."""
    boots: bool = False
    """The machine is switched off and on between what is prepared and the load."""
    version: str = ""
    """A shell command that says which version it is."""
    start_s: float = 60.0
    """From the line typed to the load's first process at most: what stands before it may be slow on a busy
    machine."""
    menu: bool = False
    """The window that is watched was started from the desktop's menu. A terminal is kept apart by `protect`,
    and a window of its own says nothing of the desktop; else it is the terminal's, as in kept figures."""
    ssh_every_s: float = EVERY_S
    """Between two looks at SSH: each takes a second of emulated CPU, also from the canary of a ramp."""


BARE = Under("nothing", "the command as it is", version="uname -r")
STEADYRUN = Under(
    "steadyrun",
    "steadyrun run, its defaults and a memory limit",
    before=f"steadyrun run --memory {MEMORY} --json /run/storm/outcome.json --",
    version="steadyrun --version",
)
LOW = Under(
    "weight 1",
    "a plain scope that steps back: systemd-run --user --scope -p CPUWeight=1",
    before="systemd-run --user --scope --quiet -p CPUWeight=1 --",
    version="systemctl --version | head -n 1",
)
"""What it costs a load that the desktop has its frames, and nothing else."""
RAMP_REPORT = "/home/desk/rep/latest"
RAMP = Under(
    "ramp",
    "the last phase of steadyrun ramp, which finds the limits by itself",
    before="steadyrun ramp --yes --force --tries 1 --progress text --report /home/desk/rep --",
    start_s=400.0,
    ssh_every_s=10.0,
)
PROTECTED = Under(
    "protected",
    "the command as it is, after steadyrun protect",
    prepare="steadyrun protect --apply --yes",
    version=STEADYRUN.version,
    menu=True,
)
BOOTED = replace(PROTECTED, name="protected, booted", about="the same after a boot", boots=True)
