"""What `ramp` says and prepares for the end of the session and for a crash of the machine."""

from __future__ import annotations

import argparse
import os
import sys
import time

from steadyrun.bus.login import lingers_by_file
from steadyrun.cli.settings import Settings
from steadyrun.errors import BusError, CannotContainError
from steadyrun.model.change import BootUnit
from steadyrun.model.plan import RunAs
from steadyrun.ramp.bootunit import KEPT_ENVIRONMENT, SETTLED_S, Resuming, boot_unit
from steadyrun.ramp.observe import uptime
from steadyrun.ramp.outlive import surroundings
from steadyrun.ramp.place import foresee
from steadyrun.units import format_duration

DEFAULT_REPORT = "steadyrun-report"


def report_base(args: argparse.Namespace, settings: Settings) -> str:
    """Return the folder that the folders of the runs go to."""
    return args.report or settings.text("report") or DEFAULT_REPORT


def session_words() -> tuple[str, ...]:
    """Return lines that say what becomes of the ramp when this session ends. Reads files alone."""
    around = surroundings()
    try:
        lingers = lingers_by_file(around.euid) if around.systemd else None
    except BusError:
        lingers = None
    words = foresee(around, lingers=lingers)
    return tuple(words.split("\n")) if words else ()


def boot_unit_for(args: argparse.Namespace, settings: Settings, user: RunAs | None) -> BootUnit | None:
    """Return the unit that goes on with this ramp after a boot; `None`: nobody asked for one.

    Raises:
        CannotContainError: No systemd runs here.
        UsageError: It cannot be written.
    """
    if not args.resume_on_boot:
        return None
    if not surroundings().systemd:
        raise CannotContainError(
            "--resume-on-boot: expected systemd as the first process, found none to start the unit",
            hint="leave it out; after a crash and a boot: steadyrun ramp --resume",
        )
    options = ["--report", os.path.abspath(report_base(args, settings))]
    options += ["--user", user.name] if user is not None else []
    options += [flag for flag in ("--force", "--accept-weak") if getattr(args, flag[2:].replace("-", "_"))]
    resuming = Resuming(_program(), tuple(options), os.getcwd(), os.environ)
    return boot_unit(resuming, euid=os.geteuid())


def _program() -> tuple[str, ...]:
    """Return the command that is this very steadyrun, by absolute paths.

    `-P`: a boot unit of root's starts it in a folder of the user's, which `-m` alone would import from
    first (python(1), sys.flags.safe_path).
    """
    command = os.path.abspath(sys.argv[0])
    if os.path.basename(command) == "steadyrun" and os.access(command, os.X_OK):
        return (command,)
    return (sys.executable, "-P", "-m", "steadyrun")


def boot_words(unit: BootUnit | None) -> tuple[str, ...]:
    """Return lines that show exactly what is written for going on after a boot."""
    if unit is None:
        return ()
    return (
        f"If the machine crashes, it goes on after the boot: {unit.path} is written and enabled by",
        f"{unit.link}; both are removed at the end of the ramp.",
        f"Of your environment the command then has {', '.join(KEPT_ENVIRONMENT[:4])} alone. It says:",
        *(f"    {line}".rstrip() for line in unit.text.splitlines()),
    )


def wait_until_settled() -> None:
    """Wait until the machine has started what it starts, where it was booted a moment ago."""
    left = SETTLED_S - uptime()
    if left > 0:
        sys.stdout.write(f"The machine was booted just now: beginning in {format_duration(left)}.\n")
        sys.stdout.flush()
        time.sleep(left)
