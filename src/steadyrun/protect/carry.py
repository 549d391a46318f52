"""Carries out changes and takes them back, so that a crash at any moment loses nothing of what was there.

The intent of each change, with what was there before, is in the record before the change is made. Taking
back looks at what is there now: what was there before is left, what we made is replaced by what was there
before, and what somebody else made of it meanwhile is left alone and told.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from steadyrun.errors import CannotContainError, JournalUnwritableError, SteadyrunError
from steadyrun.protect.disk import Disk, Seen
from steadyrun.protect.record import (
    NOTHING,
    Begin,
    Change,
    End,
    Intent,
    Record,
    Step,
    Undoing,
    Undone,
    line_of,
    read_record,
)

FILE = "protect.changes"
"""In the state directory."""
UNDO = "steadyrun protect --undo"


class Left(NamedTuple):
    """Something that is not as it was before and was left so."""

    path: str
    why: str


class Carrier:
    """The machine's files and the record of what was done to them. One process at a time.

    Args:
        disk: The files.
        record: Path of the record's file.
        boot: The id of this boot: a process of another one is gone.
        started: Gives the start of a process in clock ticks; `None`: there is none.
    """

    def __init__(self, disk: Disk, record: str, *, boot: str, started: Callable[[int], int | None]) -> None:
        self._disk = disk
        self._path = record
        self._boot = boot
        self._started = started
        self._record = NOTHING
        self._torn = False

    def read(self) -> Record:
        """Read the record; writes nothing.

        Raises:
            FormatError: It is not what was written.
            JournalUnwritableError: It cannot be read, or somebody else may have written it.
        """
        try:
            seen = self._disk.look(self._path)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        _expect_own(self._path, seen)
        data = b"" if seen is None or seen.content is None else seen.content
        self._record = read_record(data, source=self._path)
        self._torn = len(data) > self._record.size
        return self._record

    def apply(self, changes: tuple[Change, ...], begin: Begin) -> None:
        """Carry out changes, all of them or none.

        Raises:
            SteadyrunError: One could not be made; those before it are taken back.
        """
        self._note(begin)
        made: list[Intent] = []
        try:
            for change in changes:
                intent = Intent(self._record.next_number(), change)
                self._note(intent)
                made.append(intent)
                self._make(change)
            self._note(End())
        except (OSError, SteadyrunError, KeyboardInterrupt) as error:
            self.take_back(tuple(made))
            self._close()
            if isinstance(error, OSError):
                raise _refused(made[-1].change.path if made else self._path, error) from error
            raise

    def take_back(self, intents: tuple[Intent, ...]) -> tuple[Left, ...]:
        """Undo changes, the newest first; return what had to be left.

        Raises:
            SteadyrunError: One could not be undone; what was is noted.
        """
        left = []
        for intent in reversed(intents):
            try:
                why = self._restore(intent.change)
            except OSError as error:
                raise _refused(intent.change.path, error, hint=f"mend that, then: {UNDO}") from error
            if why:
                left.append(Left(intent.change.path, why))
            else:
                self._note(Undone(intent.number))
        return tuple(left)

    def undo(self) -> tuple[Left, ...]:
        """Undo everything that stands, and forget it; return what had to be left, which stays in the record.

        Raises:
            SteadyrunError: Something could not be undone; it can be tried again.
        """
        if self._record.standing() and not self._record.undoing():
            self._note(Undoing())
        left = self.take_back(self._record.standing())
        self._close()
        return left

    def mend(self) -> tuple[Left, ...] | None:
        """Take back what a crash left half done; return what had to be left, `None`: nothing was half done.

        An undo that was interrupted is finished; of an apply that was interrupted its own changes are taken
        back, and what an earlier one did stays.

        Raises:
            SteadyrunError: It could not be done.
        """
        if self._record.undoing():
            return self.undo()
        half = self._record.unfinished()
        if not half:
            self._close()
            return None
        left = self.take_back(half)
        self._close()
        return left

    def _note(self, step: Step) -> None:
        """Write a step down; what a crash cut short at the end goes before it."""
        try:
            if self._torn:
                self._disk.cut(self._path, self._record.size)
                self._torn = False
            self._disk.append(self._path, line_of(step))
        except OSError as error:
            self._torn = True
            raise _unwritable(self._path, error) from error
        self._record = Record((*self._record.steps, step), self._record.size + len(line_of(step)))

    def _close(self) -> None:
        """Remove the record where nothing stands any more."""
        if self._record.standing():
            return
        try:
            if self._disk.look(self._path) is not None:
                self._disk.remove(self._path)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._record = NOTHING

    def _make(self, change: Change) -> None:
        match change.after:
            case str(text):
                self._set(change, text)
            case None:
                self._disk.remove(change.path)
            case Seen(content=None):
                self._disk.make_folder(change.path)
            case seen:
                self._disk.put(change.path, seen)

    def _restore(self, change: Change) -> str:
        """Put back what was there; return why it was left, empty when it is as it was."""
        before, after = change.before, change.after
        if isinstance(before, str) or isinstance(after, str):
            return self._restore_value(change)
        if after is not None and after.content is None:
            self._disk.remove_folder(change.path)
            return ""
        self._disk.drop_part(change.path)
        now = self._disk.look(change.path)
        if now == before:
            self._disk.settle(change.path)
            return ""
        if now is not None and (after is None or now.content != after.content or now.special):
            return "somebody has changed it since"
        if now is None and after is not None and before is not None:
            return "somebody has removed it since"
        if before is None:
            self._disk.remove(change.path)
        else:
            self._disk.put(change.path, before)
        return ""

    def _restore_value(self, change: Change) -> str:
        if change.process and not self._lives(change.process):
            return ""
        now = self._disk.value(change.path)
        if now is None or now == change.before:
            return ""
        if now != change.after:
            return f"it is {now} now, which is not from us"
        self._set(change, str(change.before))
        return ""

    def _set(self, change: Change, text: str) -> None:
        """Write a value; a process that has ended meanwhile needs none."""
        try:
            self._disk.set_value(change.path, text)
        except (FileNotFoundError, ProcessLookupError):
            if not change.process:
                raise

    def _lives(self, process: str) -> bool:
        pid, started, boot = process.split(" ")
        return boot == self._boot and self._started(int(pid)) == int(started)


def _expect_own(path: str, seen: Seen | None) -> None:
    """Refuse a record that another user wrote or could have: it says what is put where, with our rights.

    Raises:
        JournalUnwritableError: It is one.
    """
    if seen is None or (seen.uid == os.geteuid() and not seen.mode & 0o022 and not seen.special):
        return
    kind = "no file" if seen.special else f"one of uid {seen.uid}, mode {seen.mode:04o}"
    raise JournalUnwritableError(
        f"{path}: expected a file that uid {os.geteuid()} alone can write to, found {kind};"
        " nothing of it is carried out",
        hint=f"look at who made it: ls -ln {path}",
    )


def _refused(path: str, error: OSError, *, hint: str = "") -> SteadyrunError:
    where = error.filename or path
    return CannotContainError(
        f"{where}: expected to change it, found: {os.strerror(error.errno or 0)}",
        hint=hint or "nothing was changed; everything is as it was",
    )


def _unwritable(path: str, error: OSError) -> SteadyrunError:
    return JournalUnwritableError(
        f"{path}: expected to write down what is changed, found: {os.strerror(error.errno or 0)}",
        hint="STEADYRUN_STATE_DIR=DIRECTORY names another place",
    )
