"""One look at everything a person would miss: session, display manager, display server, SSH.

Each probe runs in a thread of its own, so that one that waits (a server that accepts and stays
silent) takes nothing from the others. Never raises, never waits beyond the deadline, never judges.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from steadyrun.desktop.display import probe_display_server
from steadyrun.desktop.looks import Asked, unknown
from steadyrun.desktop.managers import probe_display_manager, probe_user_manager
from steadyrun.desktop.session import probe_session
from steadyrun.desktop.ssh import probe_ssh
from steadyrun.model.desktop import DesktopView, Probe, ProbeName
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEADLINE_S = 2.0
"""A desktop that takes longer for a round trip is called hung by its user; GNOME asks after 5 s."""
_IN_TIME = 0.95
"""Share of the deadline after which a socket gives up, so that its own words are heard."""

PROBES: tuple[tuple[ProbeName, Callable[[Asked], Probe]], ...] = (
    (ProbeName.SESSION, probe_session),
    (ProbeName.DISPLAY_MANAGER, probe_display_manager),
    (ProbeName.DISPLAY_SERVER, probe_display_server),
    (ProbeName.USER_MANAGER, probe_user_manager),
    (ProbeName.SSH, probe_ssh),
)


def take_view(
    *,
    wall: Seconds,
    deadline_s: float = DEADLINE_S,
    root: str = "/",
    env: Mapping[str, str] | None = None,
) -> DesktopView:
    """Take every probe once.

    Args:
        wall: Unix time now, seconds; becomes the view's.
        deadline_s: How long to wait for all of them together, seconds.
        root: Where `/proc`, `/run`, `/tmp` and `/etc` are looked for; tests give a tree of their own.
        env: The environment to look into; `None`: this process's.
    """
    until = time.monotonic() + deadline_s
    asked = _asked(deadline_s, root, env)
    looks = [Look(name, probe, asked) for name, probe in PROBES]
    return DesktopView(wall, tuple(each.result(until) for each in looks))


def begin_look(
    name: ProbeName, *, deadline_s: float, root: str = "/", env: Mapping[str, str] | None = None
) -> Look:
    """Begin to take one probe, in a thread; arguments as those of `take_view`."""
    return Look(name, dict(PROBES)[name], _asked(deadline_s, root, env))


def _asked(deadline_s: float, root: str, env: Mapping[str, str] | None) -> Asked:
    environment = dict(os.environ if env is None else env)
    until = time.monotonic() + _IN_TIME * deadline_s
    return Asked(root, environment, _whose(environment), until, deadline_s)


class Look:
    """One probe in its thread."""

    def __init__(self, name: ProbeName, probe: Callable[[Asked], Probe], asked: Asked) -> None:
        self._name, self._probe, self._asked = name, probe, asked
        self._found: Probe | None = None
        self._thread = threading.Thread(target=self._look, name=f"probe {name.value}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # no thread to be had, on a machine that is out of tasks
            self._found = unknown(name, f"could not be asked: {error}")

    def _look(self) -> None:
        try:
            self._found = self._probe(self._asked)
        except Exception as error:
            self._found = unknown(self._name, f"could not be asked: {type(error).__name__}: {error}")

    def result(self, until: float) -> Probe:
        """Return what was found by then, CLOCK_MONOTONIC."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, until - time.monotonic()))
        return self._found or unknown(self._name, f"no answer in {self._asked.patience_s:g} s")


def _whose(env: Mapping[str, str]) -> int:
    """Return whose session is meant: under sudo the one's who called it (sudo(8), SUDO_UID)."""
    uid = env.get("SUDO_UID", "")
    return int(uid) if os.geteuid() == 0 and uid.isdecimal() else os.geteuid()
