"""Carries out changes and takes them back, so that a crash at any moment loses nothing of what was there.

The intent of each change, with what was there before, is in the record before the change is made. Taking
back comes before it is noted, and can be done twice: on a full disk, where nothing can be noted, everything
is put back all the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from steadyrun.errors import CannotContainError, JournalUnwritableError, SteadyrunError
from steadyrun.protect.deeds import Deeds, Left
from steadyrun.protect.disk import Disk
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
from steadyrun.protect.seen import Seen

FILE = "protect.changes"
"""In the state directory."""
UNDO = "steadyrun protect --undo"


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
        self._deeds = Deeds(disk, boot=boot, started=started)
        self._record = NOTHING
        self._torn = False

    def lives(self, process: str) -> bool:
        """Tell whether a process of the record is there, and still the same one."""
        return self._deeds.lives(process)

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
            SteadyrunError: One could not be made; those before it are taken back, and named where they
                could not be.
        """
        before = self._record
        made: list[Intent] = []
        try:
            self._note(begin)
            for change in changes:
                intent = Intent(self._record.next_number(), change)
                self._note(intent)
                made.append(intent)
                self._deeds.make(change)
            self._note(End())
        except (OSError, SteadyrunError, KeyboardInterrupt) as error:
            told = _refused(made[-1].change.path, error) if isinstance(error, OSError) else error
            raised = self._give_up(tuple(made), before, told)
            if raised is error:
                raise
            raise raised from error

    def _give_up(
        self, made: tuple[Intent, ...], before: Record, error: SteadyrunError | KeyboardInterrupt
    ) -> SteadyrunError | KeyboardInterrupt:
        """Take back what an `--apply` made that cannot go on; return what is to be raised.

        The record is cut back to what it was, which a full disk allows. Where that fails, too, it says that
        an `--apply` did not come to its end, and taking back once more finds everything as it was.
        """
        back = self._deeds.put_back(made)
        rest = (*back.left, *back.failed)
        with suppress(JournalUnwritableError):
            if rest:
                self._forget(back.done)
            else:
                self._rewind(before)
        return _half_done(error, rest) if rest else error

    def _take_back(self, intents: tuple[Intent, ...], reload: Callable[[], bool]) -> tuple[Left, ...]:
        """Undo changes, the newest first; return what had to be left.

        They are forgotten last, and only once the reload took effect: it can be done again.

        Raises:
            CannotContainError: Some could not be undone, all others are.
            JournalUnwritableError: All is undone, and the record cannot be told: that can be done again.
        """
        back = self._deeds.put_back(intents)
        try:
            if not intents or reload():
                self._forget(back.done)
        except JournalUnwritableError:
            if not back.failed:
                raise
        if back.failed:
            named = _listed(back.failed)
            raise CannotContainError(
                f"expected to put back what was there before, found: {named}",
                hint=f"all else is put back; mend that, then: {UNDO}",
            )
        return back.left

    def undo(self, reload: Callable[[], bool] = lambda: True) -> tuple[Left, ...]:
        """Undo everything that stands, and forget it; return what had to be left, which stays in the record.

        Args:
            reload: Has the managers read the files that are put back; called where anything stood. False:
                something of it is in force still, and nothing is forgotten.

        Raises:
            SteadyrunError: Something could not be undone; it can be tried again.
        """
        if self._record.standing() and not self._record.undoing():
            with suppress(JournalUnwritableError):  # a full disk: taking back makes room
                self._note(Undoing())
        return self._take_back(self._record.standing(), reload)

    def mend(self, reload: Callable[[], bool] = lambda: True) -> tuple[Left, ...] | None:
        """Take back what a crash left half done; return what had to be left, `None`: nothing was half done.

        An undo that was interrupted is finished; of an apply that was interrupted its own changes are taken
        back, and what an earlier one did stays.

        Args:
            reload: As `undo` has it.

        Raises:
            SteadyrunError: It could not be done.
        """
        if self._record.undoing():
            return self.undo(reload)
        half = self._record.unfinished()
        if not half:
            self._forget(())
            return None
        return self._take_back(half, reload)

    def forget(self, intents: tuple[Intent, ...]) -> None:
        """Leave what somebody else has made of changes to them; it is not undone.

        Raises:
            JournalUnwritableError: It could not be written down; everything is as it was.
        """
        if intents:
            self._forget(intents)

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

    def _forget(self, done: tuple[Intent, ...]) -> None:
        """Note that changes are taken back; where nothing else stands remove the record, which takes no room.

        Raises:
            JournalUnwritableError: It could not be done.
        """
        if set(self._record.standing()) <= set(done):
            self._rewind(NOTHING)
        else:
            for intent in done:
                self._note(Undone(intent.number))

    def _rewind(self, to: Record) -> None:
        """Have the record as it was at an earlier time.

        Raises:
            JournalUnwritableError: It could not be done.
        """
        try:
            if self._disk.look(self._path) is not None:
                if to.standing():
                    self._disk.cut(self._path, to.size)
                else:
                    self._disk.remove(self._path)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._record, self._torn = (to if to.standing() else NOTHING), False


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


def _refused(path: str, error: OSError) -> SteadyrunError:
    where = error.filename or path
    return CannotContainError(
        f"{where}: expected to change it, found: {os.strerror(error.errno or 0)}",
        hint="nothing was changed; everything is as it was",
    )


def _half_done(error: SteadyrunError | KeyboardInterrupt, left: tuple[Left, ...]) -> SteadyrunError:
    """Return an error that also names what could not be taken back."""
    kind = type(error) if isinstance(error, SteadyrunError) else CannotContainError
    said = error.message if isinstance(error, SteadyrunError) else "interrupted by Ctrl-C"
    return kind(
        f"{said}; all was taken back but this, which counts once systemd reads its files: {_listed(left)}",
        hint=f"mend that, then: {UNDO}",
    )


def _listed(left: tuple[Left, ...]) -> str:
    return ", ".join(f"{each.path} ({each.why})" for each in left)


def _unwritable(path: str, error: OSError) -> SteadyrunError:
    return JournalUnwritableError(
        f"{path}: expected to write down what is changed, found: {os.strerror(error.errno or 0)}",
        hint=f"mend that, then type it again: df -h {os.path.dirname(path)}; ls -ld {os.path.dirname(path)}",
    )
