"""What lets a ramp outlive the session it was started from, and takes every change back afterwards.

The order is the point. Sleep is inhibited while we are still in the session: polkit allows that to an
active session without a password and to nobody outside of one (`org.freedesktop.login1.inhibit-block-sleep`).
Then lingering, its intent written before; then the move into a scope, while there are no children
yet. At the end lingering is the last thing to be taken back, after everything is written: without a
session our own manager, and we in it, end `UserStopDelaySec=` (10 s, logind.conf(5)) later.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from steadyrun.bus import login
from steadyrun.bus.address import Bus
from steadyrun.bus.connection import open_bus, within
from steadyrun.bus.units import Manager
from steadyrun.errors import BusError, JournalUnwritableError, SteadyrunError
from steadyrun.journal.owners import Owners
from steadyrun.journal.rows import Intent, IntentKind
from steadyrun.journal.write import Journal
from steadyrun.kernel.cgroupfiles import parse_proc_cgroup
from steadyrun.kernel.reader import read_text
from steadyrun.model.change import BootUnit, Lingering
from steadyrun.model.codec import decode
from steadyrun.model.finding import Finding, Severity
from steadyrun.ramp.place import (
    Place,
    Surroundings,
    place_for,
    scope_name,
    scope_properties,
    unit_path,
)
from steadyrun.recovery.lasting import (
    lingering_now,
    remove_boot_unit,
    restore_lingering,
    switch_lingering,
    write_boot_unit,
)

INHIBIT_S = 5.0
MOVE_S = 15.0
"""A start of a unit on a machine that is still starting its desktop; nothing is loaded by then."""
SLEEP_STATES = "/sys/power/state"
INHIBITED = ("sleep", "idle")
TAKEN_OVER = frozenset({IntentKind.LINGERING, IntentKind.BOOT_UNIT})
"""What a ramp that goes on after a boot takes over from the one that the crash ended."""


def surroundings() -> Surroundings:
    """Read where this process is."""
    text = read_text("/proc/self/cgroup") or ""
    try:
        own = parse_proc_cgroup(text)
    except SteadyrunError:
        own = ()
    return Surroundings(os.geteuid(), os.path.isdir("/run/systemd/system"), unit_path(own))


def hold_lasting(journal: Journal) -> Owners:
    """Own the dead runs whose lasting changes a resumed ramp takes over, until it has.

    Otherwise any other start of this user would undo them while the machine is still settling.

    Raises:
        JournalUnwritableError: The journal or the owners' file cannot be read.
    """
    owners = Owners(journal.directory)
    runs, intents = journal.unfinished()
    wanted = {intent.run_id for intent in intents if intent.kind in TAKEN_OVER}
    for run in runs:
        if run.run_id in wanted and not owners.lives(run):
            try:
                owners.own(run.run_id)
            except JournalUnwritableError:
                pass  # somebody else has taken it a moment ago
    return owners


class _Open(NamedTuple):
    """An intent of ours that is open, and what undoes it."""

    intent: int
    kind: IntentKind
    undo: Callable[[], str]
    """Returns what was done; empty: nothing had to be."""


class Outliving:
    """The changes of one ramp: begun by its conductor before anything else, ended by it after all else."""

    def __init__(
        self,
        run_id: str,
        journal: Journal,
        owners: Owners,
        tell: Callable[[Finding], None],
        *,
        boot_unit: BootUnit | None = None,
        around: Callable[[], Surroundings] = surroundings,
    ) -> None:
        """Take what is needed; nothing is changed yet.

        Args:
            run_id: Already begun in the journal.
            journal: Where intents go.
            owners: Holds this run; tells whose the other ones are.
            tell: Takes findings of the run.
            boot_unit: What `--resume-on-boot` is to write.
            around: Reads where we are.
        """
        self._run_id, self._journal, self._tell, self._around = run_id, journal, tell, around
        self._owners = owners
        self._boot_unit = boot_unit
        self._lock: int | None = None
        self._open: list[_Open] = []
        """In the order they were made."""

    def begin(self) -> None:
        """Make the changes. What cannot be made is told, and the ramp goes on without it.

        Raises:
            JournalUnwritableError: An intent could not be written; its change was not made.
        """
        self._keep_awake()
        self._take_over()
        self._leave_session()
        if self._boot_unit is not None:
            self._resume_on_boot(self._boot_unit)

    def end(self) -> tuple[str, ...]:
        """Take the changes back, lingering last; return what could not be, for the log.

        What fails stays an open intent: the next start undoes it.
        """
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        failures = []
        self._open.sort(key=lambda each: each.kind is not IntentKind.LINGERING)
        for each in reversed(self._open):
            try:
                how = each.undo()
                self._journal.fulfil(each.intent, how or "was as before already")
            except SteadyrunError as error:
                failures.append(error.message)
        self._open = []
        return tuple(failures)

    # -- sleep -------------------------------------------------------------------------------------

    def _keep_awake(self) -> None:
        if not (read_text(SLEEP_STATES) or "").split():
            return  # this machine cannot sleep (kernel, Documentation/admin-guide/pm/sleep-states.rst)
        number = self._journal.intend(self._run_id, IntentKind.INHIBIT, {"what": ":".join(INHIBITED)})
        try:
            until = within(INHIBIT_S)
            with open_bus(Bus.SYSTEM, until=until, descriptors=True) as bus:
                why = f"a ramp is running ({self._run_id})"
                self._lock = login.inhibit(bus, what=INHIBITED, who="steadyrun", why=why, until=until)
        except BusError as error:
            self._journal.fulfil(number, "never taken")
            self._tell(_may_sleep(error))
            return
        self._open.append(_Open(number, IntentKind.INHIBIT, lambda: "the lock was let go"))

    # -- the session -------------------------------------------------------------------------------

    def _leave_session(self) -> None:
        around = self._around()
        place = place_for(around)
        if place is Place.AS_IT_IS:
            if around.in_any_session():
                reason = f"uid {around.euid} has no login of its own here ({around.unit_path})"
                self._tell(_ends_with_session(reason, None))
            return
        try:
            if place is Place.USER_SCOPE:
                self._linger(around.euid)
            self._move(place)
        except SteadyrunError as error:
            self._tell(_ends_with_session(error.message, error.hint))

    def _linger(self, uid: int) -> None:
        """Have the user's manager outlive the last session.

        Raises:
            SteadyrunError: It cannot be had.
        """
        if lingering_now(uid):
            return
        change = Lingering(uid, before=False)
        number = self._journal.intend(self._run_id, IntentKind.LINGERING, change)
        # Opened before it is tried: one that was not answered in time may still come about.
        self._open.append(_Open(number, IntentKind.LINGERING, lambda: restore_lingering(change)))
        switch_lingering(uid, True)
        self._tell(_lingering(uid))

    def _move(self, place: Place) -> None:
        """Move this process into a scope of its own, and look whether it is there.

        Raises:
            SteadyrunError: It is where it was.
        """
        name = scope_name(self._run_id)
        until = within(MOVE_S)
        with Manager.open(Bus.SYSTEM if place is Place.SYSTEM_SCOPE else Bus.USER, until=until) as manager:
            version = manager.version(until=until)
            properties = scope_properties(place, self._run_id, os.getpid(), version)
            manager.start_transient(name, properties, until=until)
        # The manager's word is not the kernel's: a user manager may have found nobody to do it for it.
        now = self._around().unit_path
        if not now.endswith(f"/{name}"):
            raise SteadyrunError(f"{name}: expected to be in it, found to be in {now or 'an unknown cgroup'}")

    # -- after a boot ------------------------------------------------------------------------------

    def _take_over(self) -> None:
        """Make the lasting changes of ended runs ours, so that nobody undoes them under our feet."""
        runs, intents = self._journal.unfinished()
        alive = {run.run_id for run in runs if self._owners.lives(run)}
        ours = alive | {self._run_id}
        lasting = [i for i in intents if i.kind in TAKEN_OVER and i.run_id not in ours]
        for intent in lasting:
            self._make_ours(intent)
        for run_id in {intent.run_id for intent in lasting}:
            self._owners.let_go(run_id)  # held by `hold_lasting`; what else it left is anybody's to undo

    def _make_ours(self, intent: Intent) -> None:
        undo = _undo_of(intent)
        if undo is None or intent.kind is None or intent.payload is None:
            return  # recovery tells that it cannot be read
        with self._journal.batch():
            number = self._journal.intend(self._run_id, intent.kind, intent.payload)
            self._journal.fulfil(intent.id, f"taken over by run {self._run_id}")
        self._open.append(_Open(number, intent.kind, undo))

    def _resume_on_boot(self, unit: BootUnit) -> None:
        number = self._journal.intend(self._run_id, IntentKind.BOOT_UNIT, unit)
        self._open.append(_Open(number, IntentKind.BOOT_UNIT, lambda: remove_boot_unit(unit)))
        try:
            write_boot_unit(unit)
        except SteadyrunError as error:
            self._tell(_no_boot_unit(error))
        else:
            self._tell(_boot_unit(unit))


def _undo_of(intent: Intent) -> Callable[[], str] | None:
    """Return what undoes a lasting change; `None`: it cannot be read."""
    try:
        if intent.kind is IntentKind.LINGERING:
            return partial(restore_lingering, decode(Lingering, intent.payload))
        return partial(remove_boot_unit, decode(BootUnit, intent.payload))
    except SteadyrunError:
        return None


def _may_sleep(error: BusError) -> Finding:
    return Finding(
        "sleep-not-inhibited",
        Severity.WARNING,
        "The machine may go to sleep during the ramp",
        error.message,
        "keep it awake: systemd-inhibit --what=sleep:idle steadyrun ramp",
        "went on; a phase during which it sleeps is not counted",
    )


def _ends_with_session(reason: str, hint: str | None) -> Finding:
    return Finding(
        "ends-with-session",
        Severity.WARNING,
        "The ramp ends with your session",
        reason,
        hint or "loginctl enable-linger, or start it as root",
        "went on in the session",
    )


def _lingering(uid: int) -> Finding:
    return Finding(
        "lingering-switched-on",
        Severity.NOTE,
        "Lingering was off, and is on while the ramp runs",
        f"uid {uid}; without it the ramp would end with the last session",
        "",
        "switched lingering on, and switches it off again at the end",
    )


def _boot_unit(unit: BootUnit) -> Finding:
    return Finding(
        "boot-unit-written",
        Severity.NOTE,
        "A unit goes on with this ramp if the machine crashes",
        unit.path,
        "",
        "wrote and enabled the unit, and removes it at the end",
    )


def _no_boot_unit(error: SteadyrunError) -> Finding:
    return Finding(
        "boot-unit-missing",
        Severity.WARNING,
        "Nothing goes on with this ramp after a crash",
        error.message,
        error.hint or "steadyrun ramp --resume",
    )
