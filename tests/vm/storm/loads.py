"""The hostile loads, as plain data. What each does is in `inside/load.py`; none asks for a privilege.

Sizes are for a machine of 2 CPUs and 2 GB. Work is finite wherever something could be finished, so that
"work done" has a whole: with memory enough each of these would end by itself with exit code 0.
"""

from __future__ import annotations

from dataclasses import dataclass

ROUND = 20_000
"""Iterations of an empty loop in one round: about 10 ms of emulated CPU."""


@dataclass(frozen=True)
class Load:
    """One hostile command line: which parts start together."""

    name: str
    about: str
    counts: str
    """What its work is counted in: `rounds`, `bytes` or `forks`."""
    busy: int = 0
    """Processes that count `rounds` each and end."""
    rounds: int = 300
    """16 loops of them take 14 s on two emulated CPUs that nobody else wants."""
    hogs: int = 0
    """Processes that fill memory, and touch all of it again and again until the work is done."""
    hog_mib: int = 0
    replaced: bool = False
    """A hog that was killed is started anew, as a test runner replaces its workers."""
    writers: int = 0
    """Processes that write files and call fsync(2) after each 4 MiB."""
    written_mib: int = 0
    """By each writer."""
    shm_mib: int = 0
    """Files in /dev/shm until that is full, then memory files without a name; none is ever removed."""
    leak_mib: int = 0
    """One process that grows by `LEAK_MIB_S` and never looks at what it has."""
    bombs: int = 0
    """Processes that fork, whose children fork."""
    watched_s: float = 40.0
    """How long it is watched at most: without swap nothing changed later, with swap take 100."""

    def asked(self) -> int | None:
        """Return the work of the whole load in its unit; `None`: it has no end."""
        match self.counts:
            case "rounds":
                return self.busy * self.rounds
            case "bytes":
                return (self.writers * self.written_mib + self.shm_mib + self.leak_mib) << 20
            case _:
                return None


LEAK_MIB_S = 60

LOADS = {
    load.name: load
    for load in (
        Load("few-large", "8 processes of 1 GiB and 16 busy loops", "rounds", busy=16, hogs=8, hog_mib=1024),
        Load(
            "many-small",
            "160 processes of 40 MiB, replaced when killed, and 16 busy loops",
            "rounds",
            busy=16,
            hogs=160,
            hog_mib=40,
            replaced=True,
        ),
        Load(
            "fits",
            "256 MiB that are in use, and 64 busy loops",
            "rounds",
            busy=64,
            rounds=150,
            hogs=1,
            hog_mib=256,
            watched_s=90.0,
        ),
        Load(
            "lap",
            "the same for some seconds",
            "rounds",
            busy=64,
            rounds=40,
            hogs=1,
            hog_mib=256,
        ),
        Load("writer", "4 writers of 1 GiB, fsync after each 4 MiB", "bytes", writers=4, written_mib=1024),
        Load("fork-bomb", "2 processes whose children fork", "forks", bombs=2),
        Load("shm", "3 GiB into /dev/shm and memory files", "bytes", shm_mib=3072),
        Load("leak", "1 process that grows by 60 MiB a second, to 6 GiB", "bytes", leak_mib=6144),
        Load(
            "all",
            "all of it at once: 80 x 40 MiB replaced, 16 loops, 2 writers, /dev/shm, a leak, 2 bombs",
            "rounds",
            busy=16,
            hogs=80,
            hog_mib=40,
            replaced=True,
            writers=2,
            written_mib=1024,
            shm_mib=3072,
            leak_mib=6144,
            bombs=2,
        ),
    )
}
