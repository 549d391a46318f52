"""`steadyrun stop` while the journal does not answer: its disk is stalled or full, or somebody holds it.

Whose runs go on is then asked of /proc (`journal/holders.py`). Only the whole id of a run can be told there,
not the beginning of one. Never opens the journal, and waits for no disk: the process that is asked does that.
"""

from __future__ import annotations

import os
import select
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from steadyrun.cli.records import journal_here
from steadyrun.contain.processes import is_alive
from steadyrun.errors import SteadyrunError, UsageError
from steadyrun.journal.holders import Holder, holders
from steadyrun.journal.place import choose_dir
from steadyrun.kernel.processes import pid_alive, stat_of
from steadyrun.kernel.reader import read_text
from steadyrun.model.run import RunKind

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWERS_WITHIN_S = 2.0
"""For the journal to be opened, which takes 20 ms on a disk that has nothing else to do."""
LOOK_EVERY_S = 0.05
_CONDUCTOR = "steadyrun.ramp.process"
_NO_LOAD = ("guard/keeper.py", "guard/canary.py")
"""Children of an owner that are no load and no guard of one."""


class Owner(NamedTuple):
    """A process that can be asked to stop."""

    process: Holder
    kind: RunKind


def journal_answers(within_s: float = ANSWERS_WITHIN_S) -> bool:
    """Tell whether the journal can be opened in time, by a process that may be left behind waiting."""
    pid = os.fork()
    if pid == 0:
        _open_and_exit()
    fd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    ended = poll.poll(within_s * 1000)
    os.close(fd)
    return bool(ended) and os.waitpid(pid, 0)[1] == 0


def _open_and_exit() -> None:
    """Be the process that tries; it holds nothing that somebody else waits for the end of."""
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        journal_here().close()
        code = 0
    except SteadyrunError:
        pass
    finally:
        os._exit(code)


def owners_here() -> tuple[Owner, ...]:
    """Return the runs and ramps of the caller's journal that go on."""
    found = holders(choose_dir(os.environ, os.geteuid()))
    there = {each.pid for each in found}
    owners = []
    for each in found:
        kind, stat = _kind_of(each.words), stat_of(each.pid)
        if kind is not None and stat is not None and stat.ppid not in there:
            owners.append(Owner(each, kind))
    return tuple(owners)


def _kind_of(words: tuple[str, ...]) -> RunKind | None:
    """Tell a conductor and a `run` from others that hold locks for a moment (`ramp`, `recover`)."""
    if _CONDUCTOR in words:
        return RunKind.RAMP
    named = [os.path.basename(word) for word in words]
    after = named[named.index("steadyrun") + 1 :] if "steadyrun" in named else []
    return RunKind.RUN if after[:1] == ["run"] else None


def stop_stalled(
    owners: tuple[Owner, ...],
    asked: str | None,
    *,
    every: bool,
    ask: Callable[[Owner], None],
    patience: float,
) -> bool:
    """Ask the runs that are meant, and say what came of it; tell whether a load still runs.

    Args:
        owners: `owners_here`.
        asked: The whole id of one; `None`: the only one.
        every: All of them.
        ask: Sends the request.
        patience: Seconds to wait for the ends of their loads.

    Raises:
        UsageError: It cannot be told which one is meant; none was asked.
    """
    sys.stderr.write("steadyrun: the journal does not answer; doing without it\n")
    chosen = owners if every else (_only(owners, asked),)
    for owner in chosen:
        ask(owner)
    until = time.monotonic() + patience
    left = [owner for owner in chosen if not _is_over(owner.process, until)]
    for owner in chosen:
        sys.stdout.write(f"{_name(owner)}: {_what_came(owner, still=owner in left)}\n")
    return bool(left)


def _only(owners: tuple[Owner, ...], asked: str | None) -> Owner:
    found = [owner for owner in owners if asked is None or owner.process.owns(asked)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(map(_name, owners)) or "none"
    what = "one run" if asked is None else f"a run with the whole id {asked}"
    raise UsageError(f"expected {what} to stop, found: {names}", hint="give the whole id, or --all")


def _name(owner: Owner) -> str:
    return f"{owner.kind.value} of process {owner.process.pid}"


def _is_over(process: Holder, until: float) -> bool:
    while pid_alive(process.pid, process.started) and has_load(process.pid):
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


def _what_came(owner: Owner, *, still: bool) -> str:
    if still:
        return "still there"
    if pid_alive(owner.process.pid, owner.process.started):
        return "nothing of its load runs; its end is written once the disk answers"
    return "ended"


def has_load(pid: int) -> bool:
    """Tell whether a child of this process is a load or the guard of one."""
    for name in filter(str.isdecimal, os.listdir("/proc")):
        stat = stat_of(int(name))
        if stat is not None and stat.ppid == pid and is_alive(int(name)):
            words = read_text(f"/proc/{name}/cmdline") or ""
            if not any(helper in words for helper in _NO_LOAD):
                return True
    return False
