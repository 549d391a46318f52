"""Showing, applying, undoing and looking at lasting protection: the one way in for the command line.

One process at a time: the lock is on the state directory itself, so that nothing of it is left behind.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import NamedTuple

from steadyrun import __version__
from steadyrun.errors import BusyError, CannotContainError, JournalUnwritableError
from steadyrun.journal.place import expect_own
from steadyrun.kernel.processes import pid_started
from steadyrun.kernel.reader import boot_id
from steadyrun.locking import try_lock
from steadyrun.protect.carry import FILE, Carrier
from steadyrun.protect.change import FileChange, Plan
from steadyrun.protect.deeds import Left
from steadyrun.protect.disk import Disk
from steadyrun.protect.facts import Facts
from steadyrun.protect.managers import Managers
from steadyrun.protect.prepare import changes_for, missing_folders, not_ours_any_more
from steadyrun.protect.read import effective_ram
from steadyrun.protect.record import Begin, Change, Record
from steadyrun.protect.status import (
    SETTLE_S,
    Status,
    cgroups_about,
    status_of,
    status_of_undone,
    status_when_settled,
)
from steadyrun.protect.terminals import SERVICE, is_service
from steadyrun.protect.verify import complaints


class Applied(NamedTuple):
    """How an `--apply` went."""

    changes: tuple[Change, ...]
    trouble: tuple[str, ...]
    """A manager that did not read its files again."""
    status: Status


class Undone(NamedTuple):
    """How an `--undo` went."""

    paths: tuple[str, ...]
    left: tuple[Left, ...]
    trouble: tuple[str, ...]


class Protection:
    """Lasting protection of one machine, by one user.

    Args:
        state: The state directory, absolute; it need not be there for looking.
        disk: The machine's files.
        root: Where the kernel's files are looked for.
        managers: Who reads our files; `None`: systemd's where it runs, and nobody in a tree of a test's own.
        settle_s: How long an `--apply` waits for what it changed to be in force, seconds.
        verify: Returns what systemd says against files before they are written; `None`: systemd-analyze on
            the machine itself, and nobody in a tree of a test's own.
    """

    def __init__(
        self,
        state: str,
        disk: Disk | None = None,
        *,
        root: str = "/",
        managers: Managers | None = None,
        settle_s: float = SETTLE_S,
        verify: Callable[[Iterable[FileChange]], tuple[str, ...]] | None = None,
    ) -> None:
        self._disk = Disk() if disk is None else disk
        self._state = state
        self._boot = boot_id(root)
        self._root, self._real = root, root == "/"
        self._owner = (os.geteuid(), os.getegid())
        if managers is None and self._real and os.path.isdir("/run/systemd/system"):
            managers = Managers(self._owner[0])
        self._managers, self._settle_s = managers, settle_s
        self._verify = complaints if verify is None and self._real else verify
        started = partial(pid_started, root=root)
        self._carrier = Carrier(self._disk, f"{state}/{FILE}", boot=self._boot, started=started)

    def record(self) -> Record:
        """Return what stands.

        Raises:
            FormatError: The record is not what was written.
            JournalUnwritableError: It cannot be read, or it or its directory is not this user's alone.
        """
        with suppress(OSError):  # reading it says that
            self._expect_own(os.stat(self._disk.at(self._state)))
        return self._carrier.read()

    def pending(self, plan: Plan) -> tuple[Change, ...]:
        """Return what an `--apply` would do now.

        Raises:
            CannotContainError: A file is in the way.
        """
        return self._pending(plan, self.record())

    def _pending(self, plan: Plan, record: Record) -> tuple[Change, ...]:
        return changes_for(plan, self._disk, record, owner=self._owner, boot=self._boot)

    def status(self, facts: Facts) -> Status:
        """Look at what is in force.

        Raises:
            FormatError: The record is not what was written.
            JournalUnwritableError: It cannot be read, or it or its directory is not this user's alone.
        """
        return self._status(self.record(), facts)

    def _status(self, record: Record, facts: Facts) -> Status:
        return status_of(record, self._disk, facts, lives=self._carrier.lives)

    def mend(self) -> tuple[Left, ...] | None:
        """Take back what a crash left half done, so that a plan sees the machine as it is without it.

        Returns:
            What somebody else had changed meanwhile and was left; `None`: nothing was half done.

        Raises:
            BusyError: Another one is at it.
            CannotContainError: It could not be taken back.
            JournalUnwritableError: The record or its directory is not this user's alone.
        """
        record = self.record()
        if not record.undoing() and not record.unfinished():
            return None
        with self._alone() as made:
            record = self._carrier.read()
            made += record.made()
            return self._carrier.mend(partial(self._reload_mended, record))

    def apply(self, plan: Plan) -> Applied:
        """Carry out a plan, all of it or nothing. Plans after `mend`, where a crash came in between.

        Raises:
            BusyError: Another one is at it.
            CannotContainError: It cannot be done; nothing was changed.
            JournalUnwritableError: It could not be written down; nothing was changed.
        """
        with self._alone() as made:
            self._carrier.mend(partial(self._reload_mended, self._carrier.read()))
            before = self.record()
            changes = self._pending(plan, before)
            if changes:
                self._expect_understood(plan)
            self._carrier.forget(not_ours_any_more(plan, self._disk, before))
            if changes:
                begin = Begin(__version__, plan.profile.value, time.time(), tuple(made))
                self._carrier.apply(changes, begin)
            record = self.record()
            # Also where nothing is left to change: one before may have been interrupted in its reload.
            look = partial(self._status, record, plan.facts)
            if self._managers is None or not record.standing():
                return Applied(changes, (), look())
            trouble = (*self._managers.reload(), *_serve(self._managers, changes))
            dropped = [each.path for each in changes if each.after is None]
            self._managers.realize(cgroups_about(dropped, self._disk, plan.facts.euid))
            status = status_when_settled(look, self._managers.realize, seconds=self._settle_s)
        return Applied(changes, trouble, status)

    def undo(self) -> Undone:
        """Take everything back.

        Raises:
            BusyError: Another one is at it.
            CannotContainError: Something could not be taken back; it can be tried again.
            JournalUnwritableError: The record or its directory is not this user's alone.
        """
        if not os.path.isdir(self._disk.at(self._state)):
            return Undone((), (), ())
        with self._alone() as made:
            record = self._carrier.read()
            made += record.made()
            standing = record.standing()
            trouble: list[str] = []
            left = self._carrier.undo(lambda: self._reload_undone(record, trouble))
        return Undone(tuple(each.change.path for each in standing), left, tuple(trouble))

    def _expect_understood(self, plan: Plan) -> None:
        said = () if self._verify is None else self._verify(plan.files)
        if said:
            raise CannotContainError(
                f"systemd-analyze verify: expected no complaint, found: {said[0]}; nothing was changed",
                hint="this is a fault of steadyrun with this version of systemd: please report it",
            )

    def _reload_mended(self, record: Record) -> bool:
        """Have the managers read their files after an undo whose end an `--apply` does not wait for."""
        self._reload_undone(record, [])
        return True

    def _reload_undone(self, record: Record, trouble: list[str]) -> bool:
        """Have the managers read their files after an undo of what stood.

        Args:
            record: What stood.
            trouble: Gets what went wrong.

        Returns:
            Whether nothing of it is in force any more, as far as the kernel's files say it.
        """
        if self._managers is None:
            return True
        ours, euid = record.ours(), self._owner[0]
        if any(map(is_service, ours)):
            trouble += self._managers.stop(SERVICE)
        cgroups = cgroups_about(ours, self._disk, euid)
        trouble += self._managers.reload_until_settled(self._disk, cgroups)
        look = partial(status_of_undone, record, self._disk, euid, effective_ram(self._root))
        status = status_when_settled(look, self._managers.realize, seconds=self._settle_s)
        later = "in force still; to end it type this again, or boot"
        trouble += [f"{each.unit}: {each.setting} is {later}" for each in status.settings]
        return status.holds()

    def _expect_own(self, found: os.stat_result) -> None:
        """Refuse a state directory whose record others could exchange, also for merely looking.

        Raises:
            JournalUnwritableError: It is another user's, or others can write to it.
        """
        expect_own(self._disk.at(self._state), found, self._owner[0])

    @contextmanager
    def _alone(self) -> Iterator[list[str]]:
        """Be the only one; yields the folders made for its directory, which go with it."""
        path = self._disk.at(self._state)
        made = missing_folders(self._disk, os.path.dirname(self._state))
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise JournalUnwritableError(
                f"{path}: expected a directory to write down what is changed, found:"
                f" {os.strerror(error.errno or 0)}",
                hint="STEADYRUN_STATE_DIR=DIRECTORY names another place",
            ) from error
        try:
            self._expect_own(os.fstat(descriptor))
            if not try_lock(descriptor):
                raise BusyError(
                    "another `steadyrun protect` changes things just now", hint="type it again in a moment"
                )
            try:
                yield made
            finally:
                with suppress(OSError):  # where others keep their own things in it, it stays
                    os.rmdir(path)
                    for each in reversed(made):
                        os.rmdir(self._disk.at(each))
        finally:
            os.close(descriptor)


def _serve(managers: Managers, changes: tuple[Change, ...]) -> tuple[str, ...]:
    """Start the unit of terminals where it is new or changed, end it where it is gone; return trouble."""
    for change in changes:
        if is_service(change.path):
            return managers.stop(SERVICE) if change.after is None else managers.restart(SERVICE)
    return ()
