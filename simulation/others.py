"""The laws of earlyoom, nohang and systemd-oomd as pure functions, from their documents, with their defaults.

Each takes what it would read at one of its looks and what it remembers, and answers with what it does and
when it looks next. They guard a whole machine, whoever fills it: whom they kill is their choice by the
kernel's badness or by a cgroup's reclaim, not always the load. They stand beside our law to show what a law
of their kind does with the same machine; each is right for what it is for.

Sources: rfjakob/earlyoom, README and MANPAGE (`-m`, `-s`; SIGTERM at 10 %, SIGKILL at 5 %; both must be
below); its main.c, `sleep_time_ms` (6000 MiB/s for memory, 800 MiB/s for swap, 100 to 1000 ms).
hakavlad/nohang, conf/nohang/nohang-desktop.conf.in. systemd/systemd, man/oomd.conf.xml, and
src/oom/oomd-manager.h (looks each 150 ms for swap, each second for pressure); Fedora and Ubuntu watch
user@.service at 50 % for 20 s, upstream's default is 60 % for 30 s.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Look(NamedTuple):
    """What any of them reads. Shares of 1."""

    at: float
    available: float
    """Of RAM."""
    swap_total: float
    """MiB."""
    swap_free: float
    """Of swap; 1 without any."""
    ram: float
    """MiB."""
    some_avg10: float
    full_avg10: float


class Deed(Enum):
    """What to do."""

    NOTHING = "nothing"
    TERM = "term the largest"
    KILL = "kill the largest"
    KILL_CGROUP = "kill the cgroup that reclaims or swaps most"


class Memory(NamedTuple):
    """What they remember."""

    over_since: float | None = None
    quiet_until: float = 0.0


class Answer(NamedTuple):
    """What is done now, and when it looks again."""

    deed: Deed
    memory: Memory
    next_look: float


def earlyoom(look: Look, memory: Memory) -> Answer:
    """Kill the largest process when available memory and free swap are both low."""
    deed = _when_low(look, term=(0.10, 0.10), kill=(0.05, 0.05))
    to_limit = _to_limit(look, term=(0.10, 0.10), swap_rate=800.0)
    pause = 0.2 if deed is not Deed.NOTHING else min(1.0, max(0.1, to_limit))
    return Answer(deed, memory, look.at + pause)


def nohang(look: Look, memory: Memory) -> Answer:
    """Do as nohang-desktop: memory and swap, and `some` avg10 of memory pressure held for 30 s."""
    if look.at < memory.quiet_until:
        return Answer(Deed.NOTHING, memory, look.at + 0.1)
    deed = _when_low(look, term=(0.05, 0.10), kill=(0.02, 0.04))
    since = _over_since(look, memory, over=look.some_avg10 >= 0.40)
    quiet = memory.quiet_until
    if deed is Deed.NOTHING and since is not None and look.at - since >= 30.0:
        deed = Deed.KILL if look.some_avg10 >= 0.90 else Deed.TERM
        quiet = look.at + 15.0  # psi_post_action_delay
    elif deed is not Deed.NOTHING:
        quiet = look.at + (3.0 if deed is Deed.TERM else 0.2)  # post_soft_action_delay
    to_limit = _to_limit(look, term=(0.05, 0.10), swap_rate=2000.0)
    return Answer(deed, Memory(since, quiet), look.at + min(3.0, max(0.1, to_limit)))


def oomd(look: Look, memory: Memory) -> Answer:
    """Kill a cgroup: memory and swap over 90 % used, or the session's `full` avg10 over 50 % for 20 s."""
    if look.at < memory.quiet_until:
        return Answer(Deed.NOTHING, memory, look.at + 0.15)
    if look.swap_total and look.swap_free < 0.10 and look.available < 0.10:
        return Answer(Deed.KILL_CGROUP, Memory(None, look.at + 15.0), look.at + 0.15)
    since = _over_since(look, memory, over=look.full_avg10 >= 0.50)
    if since is not None and look.at - since >= 20.0:
        return Answer(Deed.KILL_CGROUP, Memory(None, look.at + 15.0), look.at + 0.15)
    return Answer(Deed.NOTHING, Memory(since, memory.quiet_until), look.at + 0.15)


def _when_low(look: Look, *, term: tuple[float, float], kill: tuple[float, float]) -> Deed:
    """Decide by shares of available memory and free swap, both of which must be as low."""
    for deed, (available, swap_free) in ((Deed.KILL, kill), (Deed.TERM, term)):
        if look.available <= available and _swap_free(look) <= swap_free:
            return deed
    return Deed.NOTHING


def _to_limit(look: Look, *, term: tuple[float, float], swap_rate: float) -> float:
    """Return the seconds until TERM at 6000 MiB/s of memory and `swap_rate` MiB/s of swap."""
    memory = max(0.0, look.available - term[0]) * look.ram / 6000.0
    return memory + max(0.0, _swap_free(look) - term[1]) * look.swap_total / swap_rate


def _swap_free(look: Look) -> float:
    """Return the share of swap that is free: none is free where there is none."""
    return look.swap_free if look.swap_total else 0.0


def _over_since(look: Look, memory: Memory, *, over: bool) -> float | None:
    """Return since when a pressure has been over its limit; `None`: it is not."""
    return (look.at if memory.over_since is None else memory.over_since) if over else None
