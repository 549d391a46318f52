"""The unit that keeps a desktop's terminals apart: whether it is wanted, and its text. Pure.

Where a desktop is one scope, what is typed in its terminals shares that cgroup with the window manager, and
no limit or weight can tell them apart. Units of desktop environments have solved that: GNOME and Plasma
start every terminal in a scope of its own in app.slice (systemd, Desktop Environment Integration). The unit
does the same for desktops that do not (`apart.py`).
"""

from __future__ import annotations

from steadyrun.model.execline import command_line
from steadyrun.protect.change import FileChange, Line, Skipped, When
from steadyrun.protect.facts import Facts, Layout
from steadyrun.protect.shares import Profile
from steadyrun.protect.unitfile import NAME, write_sections

SERVICE = "steadyrun-terminals.service"
MODULE = "steadyrun.protect.apart"
"""What the unit starts."""
_TARGET = "default.target"
_UNIT = "systemd.unit(5)"
_SERVICE = "systemd.service(5)"
_DESKTOPS = "systemd/systemd, docs/DESKTOP_ENVIRONMENTS.md"
_WHY = (
    "as soon as a terminal is opened its shell, and with it all that is typed there, gets a scope of its own"
    " in app.slice: it shares neither CPU nor wall with the window manager any more. What it costs: as on"
    " GNOME and Plasma what runs in a terminal ends with the last logout (`loginctl enable-linger` keeps it),"
    " and a process waits in each user manager"
)


def terminal_files(
    facts: Facts, profile: Profile, folder: str
) -> tuple[tuple[FileChange, ...], tuple[Skipped, ...]]:
    """Return the files of the unit, and why it is not wanted where a person might expect it.

    Args:
        facts: The machine.
        profile: On a workstation what runs in a terminal is not to end with a logout.
        folder: Where units of users go.
    """
    layouts = {desktop.layout for desktop in facts.desktops or ()}
    if profile is Profile.SERVER or layouts == {Layout.MANAGED}:
        return (), ()
    if profile is Profile.WORKSTATION:
        why = "with this profile what runs in a terminal outlives the logout; profile desktop has it"
        return (), (Skipped(SERVICE, why),)
    if not facts.program:
        why = "users cannot run this steadyrun: it is in a folder that root alone can look into"
        return (), (Skipped(SERVICE, why),)
    return (_service(facts, folder), _wants(folder)), ()


def _service(facts: Facts, folder: str) -> FileChange:
    about = (
        Line("Description", "steadyrun: a desktop's terminals in scopes of their own", "", ""),
        Line("ConditionUser", "!@system", "people alone, not a login screen's user", _UNIT),
        Line("StartLimitIntervalSec", "0", "it is started again however often it ends", _UNIT),
    )
    does = (
        Line("ExecStart", command_line((*facts.program, "-m", MODULE)), _WHY, _DESKTOPS),
        Line("Slice", "session.slice", "with the desktop, outside of the wall", _UNIT),
        Line("Restart", "on-failure", "as long as the user manager lives", _SERVICE),
        Line("RestartSec", "10", "and not in a loop", _SERVICE),
    )
    text = write_sections((("Unit", about), ("Service", does)))
    return FileChange(f"{folder}/{SERVICE}", text, SERVICE, does[:1])


def _wants(folder: str) -> FileChange:
    line = Line("Wants", SERVICE, "started with each user manager", _UNIT, when=When.LOGIN)
    return FileChange(f"{folder}/{_TARGET}.d/{NAME}", write_sections((("Unit", (line,)),)), _TARGET, (line,))


def is_service(path: str) -> bool:
    """Tell whether a file of ours is the unit."""
    return path.endswith(f"/{SERVICE}")
