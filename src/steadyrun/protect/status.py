"""What of the changes is in force now: our files as they are, the kernel's as systemd made it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from steadyrun.protect.disk import Disk
from steadyrun.protect.facts import Facts
from steadyrun.protect.inforce import FILES, Standing, State, judge
from steadyrun.protect.places import TOP, cgroups_of
from steadyrun.protect.plan import SYSTEM_UNITS
from steadyrun.protect.record import Record
from steadyrun.protect.seen import Seen
from steadyrun.protect.unitfile import read

SETTLE_S = 20.0
"""What user managers may take to read their files again; below 1 s on an idle machine."""
_LOOK_EVERY_S = 0.1


class FileStanding(NamedTuple):
    """One file or value of ours."""

    path: str
    state: State
    found: str


class Status(NamedTuple):
    """All of it."""

    files: tuple[FileStanding, ...]
    settings: tuple[Standing, ...]

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
            settings += _settings(path, left.content.decode(), disk, facts)
    files = tuple(
        _gone(path) if path in gone else _file(path, left, disk)
        for path, left in sorted(ours.items())
        if _is_worth(left)
    )
    return Status(files, tuple(settings))


def status_when_settled(look: Callable[[], Status], *, seconds: float = SETTLE_S) -> Status:
    """Look until all that can be in force at once is, or the time is over."""
    end = time.monotonic() + seconds
    while not (found := look()).holds() and time.monotonic() < end:
        time.sleep(_LOOK_EVERY_S)
    return found


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


def _settings(path: str, text: str, disk: Disk, facts: Facts) -> Iterator[Standing]:
    unit = os.path.basename(os.path.dirname(path)).removesuffix(".d")
    system = path.startswith(f"{SYSTEM_UNITS}/")
    for key, value in read(text):
        if key not in FILES or facts.ram is None:
            continue
        places = list(cgroups_of(unit, disk, system=system, euid=facts.euid))
        if not places:
            yield Standing(unit, f"{key}={value}", State.ABSENT, "")
        for place in places:
            state, found = judge(key, value, disk.value(f"{place}/{FILES[key]}"), facts.ram)
            yield Standing(place.removeprefix(f"{TOP}/"), f"{key}={value}", state, found)
