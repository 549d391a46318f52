"""From a plan and what is on the disk to the changes that are left to be made. Reads; writes nothing."""

from __future__ import annotations

import os

from steadyrun.errors import CannotContainError
from steadyrun.protect.change import Plan
from steadyrun.protect.disk import Disk
from steadyrun.protect.record import Change, Intent, Record
from steadyrun.protect.seen import Seen

_MODE = 0o644


def changes_for(
    plan: Plan, disk: Disk, record: Record, *, owner: tuple[int, int], boot: str
) -> tuple[Change, ...]:
    """Return what has to be changed, in the order in which it is done; empty: all is as planned.

    Args:
        plan: What is wanted.
        disk: The files.
        record: What was done before.
        owner: Who new files belong to: uid and gid.
        boot: The id of this boot.

    Raises:
        CannotContainError: A file is in the way that is not ours, or that somebody changed.
    """
    ours = record.ours()
    found: list[Change] = []
    folders: set[str] = set()
    for each in plan.files:
        wanted = Seen(each.text.encode(), _MODE, *owner)
        there = _look(disk, each.path)
        _expect_ours(each.path, there, ours.get(each.path))
        if there == wanted:
            continue
        for folder in missing_folders(disk, os.path.dirname(each.path)):
            if folder not in folders:
                folders.add(folder)
                found.append(Change(folder, None, Seen(None, 0o755, *owner)))
        found.append(Change(each.path, there, wanted))
    found += _obsolete(plan, disk, ours)
    return (*found, *_values(plan, disk, boot))


def not_ours_any_more(plan: Plan, disk: Disk, record: Record) -> tuple[Intent, ...]:
    """Return the changes that somebody has taken back or made another of, and that are not wanted again.

    An administrator who gives a value of their own has decided, as has one whose own settings make a file of
    ours needless and who removed it: that is nothing that is missing, nor anything to undo.
    """
    ours = record.ours()
    wanted = {each.path for each in plan.files} | {each.path for each in plan.values}
    return tuple(
        intent
        for intent in record.standing()
        if (path := intent.change.path) not in wanted and path in ours and _is_theirs(path, ours[path], disk)
    )


def _is_theirs(path: str, left: Seen | str, disk: Disk) -> bool:
    if isinstance(left, str):
        return disk.value(path) not in (None, left)
    return left.content is not None and _look(disk, path) is None


def _expect_ours(path: str, there: Seen | None, ours: Seen | str | None) -> None:
    """Refuse a file that is not as we left it.

    Raises:
        CannotContainError: It is not.
    """
    if there is None:
        return
    if not isinstance(ours, Seen):
        raise CannotContainError(
            f"{path}: expected no file, found one that steadyrun did not write; nothing was changed",
            hint=f"look at it, then: mv {path} {path}.theirs",
        )
    if there.content != ours.content or there.special:
        raise CannotContainError(
            f"{path}: expected it as steadyrun wrote it, found another text; nothing was changed",
            hint=f"put your own settings into another file of that folder, then: rm {path}",
        )


def _obsolete(plan: Plan, disk: Disk, ours: dict[str, Seen | str]) -> list[Change]:
    """Return the removal of files that an earlier plan had and this one has not."""
    wanted = {each.path for each in plan.files}
    found = []
    for path, left in sorted(ours.items()):
        there = _look(disk, path) if isinstance(left, Seen) and left.content is not None else None
        if path not in wanted and there is not None and there.content is not None:
            _expect_ours(path, there, left)
            found.append(Change(path, there, None))
    return found


def _values(plan: Plan, disk: Disk, boot: str) -> list[Change]:
    found = []
    for each in plan.values:
        now = disk.value(each.path)
        if now is not None and now != each.value:
            process = f"{each.process} {boot}" if each.process else ""
            found.append(Change(each.path, now, each.value, process, boot))
    return found


def _look(disk: Disk, path: str) -> Seen | None:
    try:
        return disk.look(path)
    except OSError as error:
        raise CannotContainError(
            f"{path}: expected to read it, found: {os.strerror(error.errno or 0)}", hint=f"ls -l {path}"
        ) from error


def missing_folders(disk: Disk, folder: str) -> list[str]:
    """Return the folders that are not there, the outermost first."""
    found: list[str] = []
    while not os.path.isdir(disk.at(folder)) and folder not in ("", "/"):
        found.insert(0, folder)
        folder = os.path.dirname(folder)
    return found
