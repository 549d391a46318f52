"""Gives each terminal of a desktop a scope of its own: what `steadyrun-terminals.service` runs, as the user.

A desktop that is one scope starts terminals in that scope. As soon as one is opened (inotify(7) on
/dev/pts) its shell is moved into a scope in app.slice, with what it runs already; all that is typed there
later is born there. Memory that was charged before stays where it was (kernel, cgroup-v2.rst, Memory
Ownership): of a fresh shell a few MiB. The user manager does the moving; where it may not move a process of
a login session itself it asks the system's (unit_attach_pids_to_cgroup(), systemd/systemd src/core/cgroup.c).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from steadyrun.bus.address import Bus
from steadyrun.bus.properties import Property, prop
from steadyrun.bus.units import UNIT_EXISTS, Manager
from steadyrun.desktop.session import SESSIONS, read_sessions
from steadyrun.desktop.terminals import Terminal, terminals_in
from steadyrun.errors import EXIT_CANNOT_CONTAIN, BusError
from steadyrun.kernel.inotify import Arrivals
from steadyrun.kernel.processes import pid_started
from steadyrun.protect.places import session_cgroup

PTS = "/dev/pts"
SETTLE_S = 0.1
"""From a new terminal to its shell: the terminal's program forks and executes it meanwhile. Also the least
time between two looks, however many terminals are opened."""
AGAIN_S = (0.2, 0.5, 1.0, 4.0)
"""Later looks, for a machine on which that takes longer, and for what a shell was starting just then."""
_TRIES = 20
"""Scopes of one terminal: what was missed by the first is put into another."""


class Apart:
    """The terminals of one user's desktops.

    Args:
        uid: Whose.
        connect: Opens a connection to the user's manager.
        root: Where files are looked for.
        say: Told what went wrong, once; `None`: the service's log.
    """

    def __init__(
        self,
        uid: int,
        *,
        connect: Callable[[], Manager] = lambda: Manager.open(Bus.USER),
        root: str = "/",
        say: Callable[[str], object] | None = None,
    ) -> None:
        self._uid = uid
        self._connect = connect
        self._root = root
        self._say = say or _say
        self._said: set[str] = set()

    def sweep(self) -> None:
        """Move every terminal that is in a desktop's scope now; what cannot be moved is told."""
        sessions = read_sessions(self._root).found
        scopes = [
            f"session-{each.id}.scope" for each in sessions if each.uid == self._uid and each.on_screen()
        ]
        cgroups = [session_cgroup(self._uid, scope) for scope in scopes]
        found = [each for cgroup in cgroups for each in terminals_in(cgroup, self._uid, self._root)]
        if not found:
            return
        try:
            with self._connect() as manager:
                for terminal in found:
                    self._move(manager, terminal)
        except BusError as error:
            self._tell(error)

    def _move(self, manager: Manager, terminal: Terminal) -> None:
        """Move a terminal; where one of its processes has ended meanwhile its shell alone, the rest later."""
        for pids in dict.fromkeys((terminal.pids, terminal.pids[:1])):
            try:
                self._start(manager, terminal.session, pids)
            except BusError as error:
                if error.silent:
                    raise
                last = error
            else:
                return
        self._tell(last)

    def _start(self, manager: Manager, session: int, pids: tuple[int, ...]) -> None:
        """Start a scope with these processes, the next one where there is one of that terminal already.

        Raises:
            BusError: It could not be done.
        """
        stem = f"app-terminal-{session}-{pid_started(session, self._root) or 0}"
        for number in range(_TRIES):
            try:
                manager.start(f"{stem}-{number}.scope", _properties(session, pids))
            except BusError as error:
                if error.name != UNIT_EXISTS or number == _TRIES - 1:
                    raise
            else:
                return

    def _tell(self, error: BusError) -> None:
        if error.message not in self._said:
            self._said.add(error.message)
            self._say(error.message)


def _properties(session: int, pids: tuple[int, ...]) -> list[Property]:
    return [
        prop("PIDs", list(pids)),
        prop("Slice", "app.slice"),
        prop("Description", f"the terminal of process {session}, kept apart from the desktop by steadyrun"),
        prop("CollectMode", "inactive-or-failed"),
    ]


def keep_apart(
    sweep: Callable[[], object], arrivals: Arrivals, *, pause: Callable[[float], object] = time.sleep
) -> NoReturn:
    """Look at each new terminal and session, for ever.

    Args:
        sweep: Looks.
        arrivals: Of `PTS` and logind's sessions.
        pause: Waits for seconds.
    """
    left = list(AGAIN_S)
    sweep()
    while True:
        if arrivals.wait(left[0] if left else None):
            pause(SETTLE_S)
            left = list(AGAIN_S)
        else:
            left.pop(0)
        sweep()


def main() -> int:
    """Keep this user's terminals apart until somebody ends it; return the exit code where that fails."""
    try:
        arrivals = Arrivals((PTS, SESSIONS))
    except OSError as error:
        _say(f"{error.filename}: expected to be told of what comes there, found: {error.strerror}")
        return EXIT_CANNOT_CONTAIN
    with arrivals:
        keep_apart(Apart(os.geteuid()).sweep, arrivals)


def _say(text: str) -> None:
    print(f"steadyrun: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
