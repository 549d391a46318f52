"""The unit that goes on with a ramp after a boot: its text and its place. Pure but for looking at folders.

The text is printed before the ramp begins, written by the conductor and removed at its end
(`recovery/lasting.py`); its words are quoted by `model/execline.py`. Source: systemd.unit(5), "Unit File
Load Path".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from steadyrun import errors
from steadyrun.errors import UsageError
from steadyrun.model.change import BootUnit
from steadyrun.model.execline import command_line, line, quoted, specifiers
from steadyrun.recovery.lasting import missing_folders

NAME = "steadyrun-resume.service"
SYSTEM_FOLDER = "/etc/systemd/system"
_SYSTEM_TARGET = "multi-user.target"
_USER_TARGET = "default.target"
SETTLED_S = 60.0
"""After the boot, before a resumed ramp takes its baseline: desktops are up by then, and still starting
things in the 20 s after the login screen."""
ANSWERS = (errors.EXIT_JOB_FAILED, errors.EXIT_HOST_FAILED, errors.EXIT_DECISION_NEEDED)
"""Exit codes with which a ramp says what it found. With every other one it could not go on: then the
unit is to be seen in `systemctl --failed`, because nobody sits at its terminal."""
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "STEADYRUN_STATE_DIR", "XDG_STATE_HOME")

_TEXT = """\
# Written by `steadyrun ramp --resume-on-boot` and removed at that ramp's end
# (`steadyrun recover` removes it, too).
[Unit]
Description=steadyrun: go on with the ramp that a crash of the machine interrupted

[Service]
Type=exec
WorkingDirectory={cwd}
{environment}ExecStart={start}
# A ramp that ended with an answer is no failed service: its report and `steadyrun history` have it.
SuccessExitStatus={answers}
ExecStopPost={after}

[Install]
WantedBy={target}
"""


class Resuming(NamedTuple):
    """What the unit is to start."""

    program: tuple[str, ...]
    """The command that is steadyrun here; the first word is an absolute path."""
    options: tuple[str, ...]
    """Of `ramp`, besides those that go on with the last one."""
    cwd: str
    env: Mapping[str, str]


def boot_unit(resuming: Resuming, *, euid: int) -> BootUnit:
    """Return the unit as it will be written: root's for the system, a user's for their own manager.

    Raises:
        UsageError: Something in it cannot be written into a unit, or there is no home directory.
    """
    folder, target = _place(resuming.env, euid)
    path = os.path.join(folder, NAME)
    link = os.path.join(folder, f"{target}.wants", NAME)
    goes_on = ("--resume", "--resume-on-boot", "--after-boot")
    resume = ("ramp", *goes_on, "--yes", "--progress", "text", *resuming.options)
    kept = [f"{key}={resuming.env[key]}" for key in KEPT_ENVIRONMENT if resuming.env.get(key)]
    text = _TEXT.format(
        cwd=specifiers(_folder(line(resuming.cwd))),
        environment="".join(f"Environment={specifiers(quoted(pair))}\n" for pair in kept),
        start=command_line((*resuming.program, *resume)),
        answers=" ".join(map(str, ANSWERS)),
        after=command_line((*resuming.program, "recover")),
        target=target,
    )
    return BootUnit(path, link, text, missing_folders(link))


def _place(env: Mapping[str, str], euid: int) -> tuple[str, str]:
    if euid == 0:
        return SYSTEM_FOLDER, _SYSTEM_TARGET
    base = env.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        home = env.get("HOME", "")
        if not os.path.isabs(home):
            raise UsageError("--resume-on-boot: expected HOME to be a directory, found none")
        base = os.path.join(home, ".config")
    return os.path.join(base, "systemd", "user"), _USER_TARGET


def _folder(path: str) -> str:
    """Close a path whose last character would not be read as one of it.

    `WorkingDirectory=` takes no quotes: a backslash at the end would continue the line, a space be taken off
    (systemd.syntax(7)).
    """
    return f"{path}/" if path.endswith(("\\", " ")) else path
