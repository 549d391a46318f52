"""What of the changes is in force now: our files as they are, the kernel's as systemd made it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from steadyrun.desktop.terminals import terminals_in
from steadyrun.protect.disk import Disk
from steadyrun.protect.facts import Facts, Layout
from steadyrun.protect.inforce import FILES, Standing, State, judge
from steadyrun.protect.places import TOP, cgroups_of, session_cgroup
from steadyrun.protect.plan import SYSTEM_UNITS
from steadyrun.protect.record import Record
from steadyrun.protect.seen import Seen
from steadyrun.protect.terminals import is_service
from steadyrun.protect.unitfile import read
from steadyrun.units import Bytes

SETTLE_S = 20.0
"""What user managers may take to read their files again; below 1 s on an idle machine."""
_LOOK_EVERY_S = 0.1
_REALIZE_EVERY_S = 1.0


class FileStanding(NamedTuple):
    """One file or value of ours."""

    path: str
    state: State
    found: str


class Status(NamedTuple):
    """All of it."""

    files: tuple[FileStanding, ...]
    settings: tuple[Standing, ...]

    def missing(self) -> tuple[str, ...]:
        """Return the cgroups in which something of ours is not in force, from the outside in."""
        return tuple(dict.fromkeys(each.unit for each in self.settings if each.state is State.NO))

    def holds(self) -> bool:
        """Tell whether everything that could be looked at is as it was made."""
        states = [each.state for each in self.files] + [each.state for each in self.settings]
        return not {State.NO, State.UNKNOWN} & set(states)


def status_of(record: Record, disk: Disk, facts: Facts, *, lives: Callable[[str], bool]) -> Status:
    """Look at everything that stands; `lives` tells whether a process of the record is still there."""
    ours = record.ours()
    gone = {path for path, process in record.processes().items() if not lives(process)}
    settings: list[Standing] = []
    for path, left in sorted(ours.items()):
        if isinstance(left, Seen) and left.content is not None:
            settings += _settings(path, left.content.decode(), disk, facts.euid, facts.ram)
    if any(map(is_service, ours)):
        settings += _terminals(disk, facts)
    files = tuple(
        _gone(path) if path in gone else _file(path, left, disk)
        for path, left in sorted(ours.items())
        if _is_worth(left)
    )
    return Status(files, tuple(settings))


def status_when_settled(
    look: Callable[[], Status], realize: Callable[[tuple[str, ...]], object], *, seconds: float
) -> Status:
    """Look until all that can be in force at once is, or the time is over.

    Args:
        look: Looks.
        realize: Has some cgroups be as their units say; done again while they are not, as a user manager
            may still be reading its files.
        seconds: The time.
    """
    again = time.monotonic()
    end = again + seconds
    while not (found := look()).holds() and (now := time.monotonic()) < end:
        if now >= again:
            realize(found.missing())
            again = now + _REALIZE_EVERY_S
        time.sleep(_LOOK_EVERY_S)
    return found


def cgroups_about(paths: Iterable[str], disk: Disk, euid: int) -> tuple[str, ...]:
    """Return the cgroups, below the hierarchy's top, that drop-ins are about, from the outside in."""
    found: dict[str, None] = {}
    for path in paths:
        if os.path.dirname(path).endswith(".d"):
            found |= {place.removeprefix(f"{TOP}/"): None for place in _places(path, disk, euid)}
    return tuple(sorted(found, key=lambda cgroup: cgroup.count("/")))


def _places(path: str, disk: Disk, euid: int) -> tuple[str, ...]:
    unit = os.path.basename(os.path.dirname(path)).removesuffix(".d")
    return tuple(cgroups_of(unit, disk, system=path.startswith(f"{SYSTEM_UNITS}/"), euid=euid))


def _gone(path: str) -> FileStanding:
    """Return the standing of a value whose process is gone; its number may be another one's by now."""
    return FileStanding(path, State.ABSENT, "it is gone, with its process")


def _is_worth(left: Seen | str) -> bool:
    return isinstance(left, str) or left.content is not None


def _file(path: str, left: Seen | str, disk: Disk) -> FileStanding:
    if isinstance(left, str):
        found = disk.value(path)
        if found is None:
            return _gone(path)
        return FileStanding(path, State.YES if found == left else State.NO, found)
    try:
        there = disk.look(path)
    except OSError as error:
        return FileStanding(path, State.UNKNOWN, os.strerror(error.errno or 0))
    if there is None:
        return FileStanding(path, State.NO, "somebody has removed it")
    same = there.content == left.content
    return FileStanding(
        path, State.YES if same else State.NO, "as written" if same else "somebody has changed it"
    )


def _terminals(disk: Disk, facts: Facts) -> Iterator[Standing]:
    """Say for each desktop that is one scope whether terminals are apart from it: by who is in the scope."""
    for desktop in facts.desktops or ():
        if desktop.layout is Layout.SCOPE and facts.euid in (0, desktop.uid):
            cgroup = session_cgroup(desktop.uid, desktop.session)
            number = len(terminals_in(cgroup, desktop.uid, disk.at("")))
            state = State.NO if number else State.YES
            yield Standing(cgroup.removeprefix(f"{TOP}/"), "terminals apart", state, f"{number} in it")


def _settings(path: str, text: str, disk: Disk, euid: int, ram: Bytes | None) -> Iterator[Standing]:
    unit = os.path.basename(os.path.dirname(path)).removesuffix(".d")
    places = _places(path, disk, euid)
    for key, value in read(text):
        if key not in FILES or ram is None:
            continue
        if not places:
            yield Standing(unit, f"{key}={value}", State.ABSENT, "")
        for place in places:
            there = disk.value(f"{place}/{FILES[key]}")
            controller = FILES[key].partition(".")[0]
            given = disk.value(f"{place}/cgroup.controllers")
            if there is None and given is not None and controller not in given.split():
                state, found = State.ABSENT, f"no {controller} controller was given to it"
            else:
                state, found = judge(key, value, there, ram)
            yield Standing(place.removeprefix(f"{TOP}/"), f"{key}={value}", state, found)


def status_of_undone(record: Record, disk: Disk, euid: int, ram: Bytes | None) -> Status:
    """Look for what the kernel still has of drop-ins that are gone: the very values that were in them.

    Each is one that does not stand as it should; what is out of force is not named. Which controllers a
    cgroup has is left out: others may have wanted them, too.
    """
    still = (
        each._replace(state=State.NO)
        for path, left in sorted(record.ours().items())
        if isinstance(left, Seen) and left.content is not None and not os.path.lexists(disk.at(path))
        for each in _settings(path, left.content.decode(), disk, euid, ram)
        if each.state is State.YES and not each.setting.startswith("Delegate=")
    )
    return Status((), tuple(still))
