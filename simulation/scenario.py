"""One machine and what happens on it, drawn from a seed. Pure data; MiB, seconds.

The ranges are of workstations and small servers: 2 to 128 GiB, no swap, zram, SSD or a spinning disk, a
desktop whose hot pages are 0.4 to 2 GiB. Half of the loads have the hard limit that `run` would give them
(what is available less the reserve); the others a limit set too high, or none.
"""

from __future__ import annotations

from enum import Enum
from random import Random
from typing import NamedTuple

HORIZON = 60.0


class Store(NamedTuple):
    """What pages can be read back from.

    At random, with the readahead of 128 KiB that file pages have: a spinning disk 120 times a second.
    """

    name: str
    refault: float
    stream: float


STORES = (Store("disk", 15.0, 150.0), Store("ssd", 150.0, 500.0), Store("nvme", 600.0, 2500.0))


class Machine(NamedTuple):
    """The hardware, and the desktop that is to stay steady."""

    ram: float
    cores: int
    fill: float
    """MiB a second that allocating processes fill, all together."""
    store: Store
    swap: float
    swap_rate: float
    """MiB a second in or out: compressed memory, or the store."""
    kernel: float
    hot_anon: float
    hot_file: float
    """Touched all the time: code and libraries of what is on the screen."""
    cold: float
    """Anonymous memory of the desktop that is rarely touched."""
    cache: float
    """Clean page cache nobody misses."""
    services_first: bool
    """systemd gives the session's services an oom_score_adj of 200, a command has 0."""


class Kind(Enum):
    """What a load does."""

    BALLOON = "fast balloon"
    LEAK = "slow balloon"
    SUITE = "test suite"
    MODEL = "model"
    STEADY = "steady"
    TINY = "tiny"
    CACHE = "page cache"
    STORM = "I/O storm"
    SWAPPER = "swapper"


class Load(NamedTuple):
    """A load. It wants `target` MiB by `rate`; a suite gives it back every `period` seconds."""

    kind: Kind
    target: float
    rate: float
    hot: float
    """Share of its memory that it touches all the time."""
    period: float
    io: float
    """Share of what the store streams."""
    cache: float
    """MiB of page cache a second."""
    lasts: float
    """Seconds of running until it ends by itself."""
    may_swap: bool
    limit: float | None


class Late(NamedTuple):
    """Frames that are late because of somebody else, whatever the load does."""

    begins: float = 0.0
    """Seconds."""
    ends: float = 0.0
    ms: float = 0.0
    """Half of the frames are later."""
    sigma: float = 0.0
    """How much they differ: drawn for each step of the model, lognormal."""


class Other(NamedTuple):
    """Another program of the desktop's: (time, MiB it holds by then); it is somebody's browser."""

    points: tuple[tuple[float, float], ...]
    adj: int
    """oom_score_adj: 300 for a Chromium renderer."""
    late: Late = Late()


class Watching(NamedTuple):
    """What a guard can see here, and what goes wrong with its seeing."""

    canary: bool
    protected: bool
    unknown: float
    """Share of the readings in which available memory cannot be read."""
    pause: tuple[float, float]
    """The guard does not run from, to."""
    jitter: float
    load: bool = True
    """What the load waits for; unknown without a unified hierarchy, and for polled loads."""


class Scenario(NamedTuple):
    """All of it."""

    seed: int
    machine: Machine
    load: Load
    other: Other
    watching: Watching


def reserve_mib(ram: float) -> float:
    """Return what a load never gets (`model.machine.reserve_of`)."""
    return min(max(ram / 10, 1024.0), ram / 3)


def draw(seed: int) -> Scenario:
    """Draw one scenario; the same seed gives the same one."""
    random = Random(seed)
    machine = _machine(random)
    load = _load(random, machine)
    other = _other(random, machine)._replace(late=_late(Random(f"{seed}, late")))
    return Scenario(seed, machine, load, other, _watching(random))


def _machine(random: Random) -> Machine:
    ram = random.choice((2, 4, 8, 8, 16, 16, 32, 64, 128)) * 1024.0
    store = random.choice(STORES)
    swap, swap_rate = 0.0, 0.0
    match random.choice(("none", "none", "zram", "file")):
        case "none":
            pass
        case "zram":
            swap, swap_rate = ram * random.choice((0.25, 0.5, 1.0)), 1200.0
        case "file":
            swap, swap_rate = random.choice((1024.0, 2048.0, ram * 0.5)), store.refault * 2
    return Machine(
        ram=ram,
        cores=random.choice((2, 4, 8, 16)),
        fill=random.uniform(800, 4000),
        store=store,
        swap=swap,
        swap_rate=swap_rate,
        kernel=150 + ram * 0.01,
        hot_anon=random.uniform(0.05, 0.12) * min(ram, 8192),
        hot_file=random.uniform(0.05, 0.10) * min(ram, 8192),
        cold=random.uniform(0.05, 0.25) * ram,
        cache=random.uniform(0.05, 0.4) * ram,
        services_first=random.random() < 0.5,
    )


def room(machine: Machine) -> float:
    """Return what `run` would promise a load on this machine."""
    used = machine.kernel + machine.hot_anon + machine.hot_file + machine.cold
    return max(64.0, machine.ram - used - reserve_mib(machine.ram))


def _load(random: Random, machine: Machine) -> Load:
    kind = random.choice(tuple(Kind))
    free = room(machine)
    target, rate, hot, period, io, cache = free * 0.5, machine.fill, 0.7, 0.0, 0.02, 0.0
    may_swap = machine.swap > 0 and random.random() < 0.3
    match kind:
        case Kind.BALLOON:
            target, hot = machine.ram * random.uniform(0.8, 3.0), 1.0
        case Kind.LEAK:
            target, rate = machine.ram * random.uniform(0.8, 2.0), machine.ram * random.uniform(0.02, 0.2)
        case Kind.SUITE:
            target, period = free * random.uniform(0.3, 1.4), random.uniform(3, 12)
            rate = min(machine.fill, 2.5 * target / period)
        case Kind.MODEL:
            target, rate, io = free * random.uniform(0.4, 1.3), machine.store.stream, 0.9
        case Kind.STEADY:
            target = free * random.uniform(0.02, 0.9)
        case Kind.TINY:
            target = random.uniform(5, 40)
        case Kind.CACHE:
            target, cache, io = random.uniform(50, 500), machine.store.stream * random.uniform(0.3, 1), 0.8
        case Kind.STORM:
            target, io, cache = random.uniform(50, 500), random.uniform(0.8, 3.0), 20.0
        case Kind.SWAPPER:
            may_swap = machine.swap > 0
            target, hot = free * random.uniform(0.9, 2.0), random.uniform(0.5, 1.0)
    return Load(
        kind, target, rate, hot, period, io, cache,
        lasts=random.uniform(8, 40), may_swap=may_swap, limit=_limit(random, free),
    )  # fmt: skip


def _limit(random: Random, free: float) -> float | None:
    choice = random.random()
    if choice < 0.5:
        return free
    return free * random.uniform(1.0, 1.8) if choice < 0.8 else None


def _other(random: Random, machine: Machine) -> Other:
    base = random.uniform(0.0, 0.08) * machine.ram
    points = [(0.0, base), (HORIZON, base)]
    at = random.uniform(2, 25)
    match random.choice(("still", "still", "opens", "opens", "grows", "leaks")):
        case "still":
            pass
        case "opens":
            opened = base + random.uniform(0.02, 0.15) * machine.ram
            points = [(0.0, base), (at, base), (at + random.uniform(1, 8), opened), (HORIZON, opened)]
        case "grows":
            points = [(0.0, base), (HORIZON, base + random.uniform(0.05, 0.2) * machine.ram)]
        case "leaks":
            points = [(0.0, base), (at, base), (HORIZON, base + random.uniform(0.3, 1.5) * machine.ram)]
    return Other(tuple(points), random.choice((0, 0, 200, 300)))


def _late(random: Random) -> Late:
    """Draw, apart from the rest, so that all else is drawn as before.

    Chosen: below the threshold and far above it, as long as a hitch, a build, and for ever.
    """
    if random.random() < 0.7:
        return Late()
    begins, ms, sigma = random.uniform(0, 20), random.uniform(10, 150), random.choice((0.05, 0.2, 0.4, 0.8))
    return Late(begins, begins + random.choice((3.0, 15.0, HORIZON * 2)), ms, sigma)


BLIND_BEFORE = 20.0
"""Where no group is known, about half of the scenarios do not know what the load waits for either (legacy
hierarchies alone, polled loads). Told by the begin of the pause, so that all else is drawn as before."""


def _watching(random: Random) -> Watching:
    began = random.uniform(1, 40)
    canary, protected = random.random() < 0.6, random.random() < 0.7
    return Watching(
        canary=canary,
        protected=protected,
        load=protected or began < BLIND_BEFORE,
        unknown=random.choice((0.0, 0.0, 0.0, 0.01, 0.2)),
        pause=(began, began + random.choice((0.0, 0.0, 0.0, 0.3, 1.5))),
        jitter=random.choice((0.0, 0.005, 0.02)),
    )
