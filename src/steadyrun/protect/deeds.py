"""Makes one change of a machine, and puts back what was there before. Knows nothing of the record.

Putting back looks at what is there now: what was there before is left, what we made is replaced by what was
there before, and what somebody else made of it meanwhile is left alone and told. It can be done twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from steadyrun.protect.disk import Disk
from steadyrun.protect.record import Chain, Change, Intent, chains_of
from steadyrun.protect.seen import Seen


class Left(NamedTuple):
    """Something that is not as it was before and was left so."""

    path: str
    why: str


class Back(NamedTuple):
    """How putting back went; each thing is in one of the three."""

    done: tuple[Intent, ...]
    """Newest first."""
    left: tuple[Left, ...]
    """Somebody else has changed it meanwhile."""
    failed: tuple[Left, ...]
    """The disk did not take it."""


class Deeds:
    """The machine's files and the kernel's values.

    Args:
        disk: The files.
        boot: The id of this boot: a process and a value of another one are gone.
        started: Gives the start of a process in clock ticks; `None`: there is none.
    """

    def __init__(self, disk: Disk, *, boot: str, started: Callable[[int], int | None]) -> None:
        self._disk = disk
        self._boot = boot
        self._started = started

    def make(self, change: Change) -> None:
        """Make a change; a process that is not there any more needs none, and its number may be another's.

        Raises:
            OSError: The disk or the kernel did not take it.
        """
        match change.after:
            case str(text):
                if not change.process or self.lives(change.process):
                    self._set(change, text)
            case None:
                self._disk.remove(change.path)
            case Seen(content=None):
                self._disk.make_folder(change.path)
            case seen:
                self._disk.put(change.path, seen)

    def put_back(self, intents: tuple[Intent, ...]) -> Back:
        """Put back what was there before, all that can be, and write nothing down."""
        done: list[Intent] = []
        left: list[Left] = []
        failed: list[Left] = []
        for chain in chains_of(intents):
            path = chain.change().path
            if any(each.path.startswith(f"{path}/") for each in failed):
                failed.append(Left(path, "what is in it could not be put back"))
                continue
            try:
                why = self._restore(chain)
            except OSError as error:
                failed.append(Left(path, os.strerror(error.errno or 0)))
                continue
            if why:
                left.append(Left(path, why))
            else:
                done += reversed(chain.intents)
        return Back(tuple(done), tuple(left), tuple(failed))

    def _restore(self, chain: Chain) -> str:
        """Put back what was there; return why it was left, empty when it is as it was.

        Raises:
            OSError: The disk did not take it.
        """
        change = chain.change()
        before, after = change.before, change.after
        if isinstance(before, str) or isinstance(after, str):
            return self._restore_value(chain)
        if after is not None and after.content is None:
            self._disk.remove_folder(change.path)
            return ""
        self._disk.drop_part(change.path)
        now = self._disk.look(change.path)
        if now == before:
            self._disk.settle(change.path)
            return ""
        if not chain.made(now):
            return f"somebody has {'removed' if now is None else 'changed'} it since"
        if before is None:
            self._disk.remove(change.path)
        else:
            self._disk.put(change.path, before)
        return ""

    def _restore_value(self, chain: Chain) -> str:
        change = chain.change()
        if change.process and not self.lives(change.process):
            return ""
        now = self._disk.value(change.path)
        if now is None or now == change.before:
            return ""
        if not chain.made(now):
            # A boot ended the value that we gave; what another one has since, somebody else wanted.
            ended = change.boot not in ("", self._boot)
            return "" if ended else f"it is {now} now, which is not from us"
        self._set(change, str(change.before))
        return ""

    def _set(self, change: Change, text: str) -> None:
        """Write a value; a process that has ended meanwhile needs none."""
        try:
            self._disk.set_value(change.path, text)
        except (FileNotFoundError, ProcessLookupError):
            if not change.process:
                raise

    def lives(self, process: str) -> bool:
        """Tell whether a process of the record is there, and still the same one."""
        pid, started, boot = process.split(" ")
        return boot == self._boot and self._started(int(pid)) == int(started)
