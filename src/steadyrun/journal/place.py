"""Where the journal lives: one directory a user, made for that user alone.

Never opens the journal, and for root never takes a directory that somebody else owns or can
write to: whoever can swap the journal can make root kill and remove what the rows say.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from steadyrun.errors import JournalUnwritableError

ROOT_DIRECTORY = "/var/lib/steadyrun"
"""As file-hierarchy(7) has it for the state of system services."""

_OVERRIDE = "STEADYRUN_STATE_DIR"


def state_dir(env: Mapping[str, str], euid: int) -> str:
    """Return the directory of the journal, made (0700) where it is missing.

    `STEADYRUN_STATE_DIR`, else for root `/var/lib/steadyrun` (under sudo too: a user's
    `XDG_STATE_HOME` is not looked at), else `$XDG_STATE_HOME/steadyrun`, else
    `~/.local/state/steadyrun` (XDG Base Directory Specification 0.8; a relative path there is
    ignored, as it says).

    Raises:
        JournalUnwritableError: It cannot be made, or is not this user's alone.
    """
    directory = choose_dir(env, euid)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        found = os.stat(directory)
    except OSError as error:
        raise JournalUnwritableError(
            f"{directory}: expected a directory for the journal, found {error.strerror or error}",
            hint=f"{_OVERRIDE}=DIRECTORY names another one",
        ) from error
    expect_own(directory, found, euid)
    return directory


def choose_dir(env: Mapping[str, str], euid: int) -> str:
    """Return the absolute path of the directory without making or looking at it.

    Raises:
        JournalUnwritableError: The user has no home directory.
    """
    override = env.get(_OVERRIDE)
    if override:
        return os.path.abspath(override)
    if euid == 0:
        return ROOT_DIRECTORY
    base = env.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(_home(env, euid), ".local", "state")
    return os.path.join(base, "steadyrun")


def _home(env: Mapping[str, str], euid: int) -> str:
    """Return HOME, or the home directory of the user database where that is unset."""
    home = env.get("HOME", "")
    if os.path.isabs(home):
        return home
    import pwd

    try:
        return pwd.getpwuid(euid).pw_dir
    except KeyError:
        raise JournalUnwritableError(
            f"HOME: expected a home directory for uid {euid}, found none",
            hint=f"{_OVERRIDE}=DIRECTORY names a place for the journal",
        ) from None


def expect_own(directory: str, found: os.stat_result, euid: int) -> None:
    """Refuse a directory of another user, or one that others can write to.

    Raises:
        JournalUnwritableError: It is one.
    """
    if found.st_uid != euid:
        raise JournalUnwritableError(
            f"{directory}: expected a directory of uid {euid}, found one of uid {found.st_uid}",
            hint=f"{_OVERRIDE}=DIRECTORY names another one",
        )
    if stat.S_IMODE(found.st_mode) & 0o022:
        raise JournalUnwritableError(
            f"{directory}: expected a directory that only its owner can write to, "
            f"found mode {stat.S_IMODE(found.st_mode):04o}",
            hint=f"chmod go-w {directory}",
        )
