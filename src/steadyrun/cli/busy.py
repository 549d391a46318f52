"""What `ramp` says when another ramp holds the machine: whose it is, and how that person sees and ends it."""

from __future__ import annotations

import os
import pwd
import shlex

from steadyrun.errors import BusyError, SteadyrunError
from steadyrun.journal.place import choose_dir
from steadyrun.ramp.feed import Holder
from steadyrun.report.escape import one_line


def busy(holder: Holder | None, *, state: str, proc: str = "/proc") -> BusyError:
    """Return the refusal.

    Args:
        holder: Who took the lock; `None`: it cannot be told.
        state: The directory of our own journal.
        proc: Where processes are looked up; tests give a tree of their own.
    """
    if holder is None:
        return BusyError("another ramp runs on this machine", hint=_commands(""))
    user, theirs = _name(holder.uid), _state_of(holder, proc)
    where = "" if theirs is None else f", its record in {theirs}"
    as_them = f"sudo -u {shlex.quote(user)} " if holder.uid != os.geteuid() else ""
    other = theirs is not None and theirs != state
    env = f"env STEADYRUN_STATE_DIR={shlex.quote(theirs)} " if other and theirs is not None else ""
    return BusyError(
        f"another ramp runs on this machine, of {user} (process {holder.pid}{where})",
        hint=_commands(as_them + env),
    )


def _commands(before: str) -> str:
    return f"`{before}steadyrun watch` shows it, `{before}steadyrun stop` ends it"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"  # as sudo takes a number


def _state_of(holder: Holder, proc: str) -> str | None:
    """Return where the holder's journal is.

    `None`: it has ended, and its conductor goes on, or it is not ours to look into, or it is a name
    that a terminal would not show as it is: whoever holds the lock has chosen it.
    """
    try:
        with open(f"{proc}/{holder.pid}/cmdline", "rb") as file:
            if b"steadyrun" not in file.read():
                return None  # the number is another process's by now
        with open(f"{proc}/{holder.pid}/environ", "rb") as file:
            words = os.fsdecode(file.read()).split("\0")
        env = dict(word.split("=", 1) for word in words if "=" in word)
        if not os.path.isabs(env.get("STEADYRUN_STATE_DIR", "/")):
            return None
        found = choose_dir(env, holder.uid)
    except (OSError, SteadyrunError):
        return None
    return found if one_line(found) == found else None
