"""Reads the files of units as systemd finds them: who sets what already. Writes nothing.

Source: systemd.unit(5), "Unit File Load Path" and the paragraphs on drop-ins: files of all folders are
taken in the order of their names, and of two with the same name the one of the earlier folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from steadyrun.kernel.reader import read_text
from steadyrun.protect.facts import Assignment, UnitFacts, Whose
from steadyrun.protect.unitfile import MARK, read

SYSTEM_PATH = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
USER_PATH = (
    "/etc/systemd/user",
    "/run/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
    "/lib/systemd/user",
)
"""Of every user; their own folders come before."""
_CONF_PATH = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd")
_CONF = "user.conf"
_MADE_BY_SYSTEMD = (".slice", ".scope")


def own_path(home: str, runtime: str) -> tuple[str, ...]:
    """Return the folders that a user's own manager looks into before the ones of all."""
    config = os.path.dirname(home)
    return (f"{config}/user.control", f"{runtime}/systemd/user.control", f"{runtime}/systemd/transient", home)


def read_unit(name: str, whose: Whose, *, root: str = "/", own: Iterable[str] = ()) -> UnitFacts:
    """Read one unit.

    Args:
        name: `ssh.service`; `user-.slice` for all with that beginning; `scope` for all scopes; `user.conf`.
        whose: Which manager's.
        root: Where files are looked for.
        own: Folders of the user's own, where it is for one user alone.
    """
    before = root.rstrip("/")
    path = _path_of(name, whose, tuple(own))
    file = next((each for folder in path if _is_there(before + (each := f"{folder}/{name}"))), None)
    alias = file is not None and _is_alias(before + file, name)
    masked = file is not None and _is_masked(before + file)
    made = name.endswith(_MADE_BY_SYSTEMD) or name in ("scope", _CONF)
    settings = [] if file is None or masked or alias else _assignments(before, file)
    for each in _drop_ins(before, path, name):
        settings += _assignments(before, each)
    return UnitFacts(name, whose, (file is not None or made) and not alias, masked, tuple(settings))


def _path_of(name: str, whose: Whose, own: tuple[str, ...]) -> tuple[str, ...]:
    if name == _CONF:
        return _CONF_PATH
    return SYSTEM_PATH if whose is Whose.SYSTEM else (*own, *USER_PATH)


def _is_there(path: str) -> bool:
    return os.path.lexists(path)


def _is_alias(path: str, name: str) -> bool:
    """Tell whether a unit is another one's second name: `sshd.service` for `ssh.service`."""
    try:
        target = os.path.basename(os.readlink(path))
    except OSError:
        return False
    return target not in (name, "null")


def _is_masked(path: str) -> bool:
    """Tell whether a unit is masked: a link to /dev/null, or an empty file (systemd.unit(5))."""
    try:
        return os.readlink(path) == "/dev/null"
    except OSError:
        return os.path.isfile(path) and os.path.getsize(path) == 0


def _drop_ins(before: str, path: tuple[str, ...], name: str) -> list[str]:
    """Return the drop-ins of a unit in the order in which they count."""
    found: dict[str, str] = {}
    for folder in reversed(path):
        try:
            names = os.listdir(f"{before}{folder}/{name}.d")
        except OSError:
            continue
        found |= {each: f"{folder}/{name}.d/{each}" for each in names if each.endswith(".conf")}
    return [found[each] for each in sorted(found)]


def _assignments(before: str, path: str) -> list[Assignment]:
    """Return what a file sets; ours sets nothing here."""
    text = read_text(before + path) or ""
    if text.startswith(MARK):
        return []
    return [Assignment(path, key, value) for key, value in read(text)]
