"""Playing scenarios, and what came of each. A scenario is judged by what happens without any law.

dangerous: lost with the load and no law, and not lost without the load: what a law is for.
hopeless:  lost without the load as well: no law over the load can help; it must not kill a small one for it.
harmless:  no law needed: in no second did the desktop wait for memory so long that the law would tighten,
           memory was never below the floor, and the load did not run into its own limit.
between:   neither; everything is counted and nothing expected, but that nothing is left frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple

from simulation.guards import ADJ, GUARDS, Guard, Ours
from simulation.scenario import HORIZON, Kind, Scenario, draw, reserve_mib
from simulation.world import DT, Fate, World
from steadyrun.model.action import Action

FROZEN_MAX = 30.0
"""As `Thresholds.frozen_max`."""
GRACE = 5.0
"""A load that was frozen at the horizon may stay so until it is decided: it is played on that long."""


WAITED = 0.05
"""Seconds that it waited of one second, as `Thresholds.protected_some`: above it the law acts."""
AFTER = 2.0
"""Seconds after the load's end, from which on what happens is not its doing."""


TIGHT_MOST = 15.0
"""Seconds in all: in a scenario of a minute, twice what it takes to see that a grip changes nothing."""
IO_LITTLE = 0.5
"""Chosen: of what the store streams; below it the disk of the model has no queue (`World._io`)."""


class Sort(Enum):
    """Of a scenario."""

    DANGEROUS = "dangerous"
    HOPELESS = "hopeless"
    HARMLESS = "harmless"
    BETWEEN = "between"


class Played(NamedTuple):
    """What came of one scenario under one law."""

    seed: int
    lost: str
    """How the desktop was lost; empty when it was not."""
    fate: Fate
    other_killed: bool
    frozen: float
    """Seconds that the load has been frozen at the end; 0 when it is not."""
    worst_away: float
    worst_second: float
    least_available: float
    """Share of RAM."""
    under_floor: float
    load_size: float
    """MiB the load held when it was killed, the most it held else."""
    tight: float
    """Seconds that the load ran under a quota of the guard's."""
    acts: tuple[Action, ...] = ()


def play(
    scenario: Scenario, guard_for: Callable[[World], Guard], *, adj: int = 0, with_load: bool = True
) -> Played:
    """Play one scenario to its horizon, or until the desktop is lost."""
    world = World(scenario, adj=adj, with_load=with_load)
    world.floor = reserve_mib(world.machine.ram) / 2
    guard = guard_for(world)
    size = ended = 0.0
    most = (HORIZON + FROZEN_MAX + GRACE) / DT
    steps = 0
    while not world.lost and steps < most:
        steps += 1
        world.step()
        if world.fate is Fate.RUNS:
            size, ended = world.mem + world.swapped["load"], world.now
        guard.look(world)
        if world.now >= HORIZON and not world.frozen:
            break
        if with_load and world.fate is not Fate.RUNS and world.away == 0.0 and world.now - ended > AFTER:
            break
    return Played(
        scenario.seed,
        world.lost,
        world.fate,
        world.other_killed,
        world.frozen_for if world.frozen else 0.0,
        world.worst_away,
        world.worst_second,
        world.least_available / world.machine.ram,
        world.longest_under_floor,
        size,
        world.tight,
        tuple(action for _, action, _ in guard.deeds) if isinstance(guard, Ours) else (),
    )


class Sorted(NamedTuple):
    """A scenario, its sort, and what came of it without any law."""

    scenario: Scenario
    sort: Sort
    bare: Played


def sort(seed: int) -> Sorted:
    """Draw a scenario and say of what sort it is."""
    scenario = draw(seed)
    bare = play(scenario, GUARDS["no law"])
    if not bare.lost:
        well = bare.worst_second < WAITED and bare.under_floor == 0.0 and not bare.other_killed
        well = well and bare.fate is not Fate.AT_LIMIT
        return Sorted(scenario, Sort.HARMLESS if well else Sort.BETWEEN, bare)
    without = play(scenario, GUARDS["no law"], with_load=False)
    return Sorted(scenario, Sort.HOPELESS if without.lost else Sort.DANGEROUS, bare)


class Faults(NamedTuple):
    """What a law is not to do, by seeds."""

    lost: tuple[int, ...] = ()
    """Dangerous scenarios in which the desktop was lost all the same."""
    left_frozen: tuple[int, ...] = ()
    harmless_killed: tuple[int, ...] = ()
    """A load that needed no law, or one too small to matter on a machine that others took down."""
    others_killed: tuple[int, ...] = ()
    """A program that is not the load."""
    held_in_vain: tuple[int, ...] = ()
    """A load that needed no law and hardly uses the disk, held for long for frames that others make late."""


def faults(sorted_scenarios: Iterable[tuple[Sorted, Played]]) -> Faults:
    """Find them."""
    lost, frozen, harmless, others, vain = [], [], [], [], []
    for (scenario, kind, _), played in sorted_scenarios:
        if kind is Sort.HARMLESS and _for_others(scenario, played) and played.tight > TIGHT_MOST:
            vain.append(scenario.seed)
        if kind is Sort.DANGEROUS and played.lost:
            lost.append(scenario.seed)
        if played.frozen and not played.lost:
            frozen.append(scenario.seed)
        if played.fate is Fate.KILLED and _needless(scenario, kind):
            harmless.append(scenario.seed)
        if played.other_killed and kind is not Sort.HOPELESS:
            others.append(scenario.seed)
    return Faults(tuple(lost), tuple(frozen), tuple(harmless), tuple(others), tuple(vain))


def _for_others(scenario: Scenario, played: Played) -> bool:
    """Tell whether late frames that others make are all that the load was held for.

    It was never frozen, and neither disk nor memory is short because of it: while they are nothing is said.
    """
    load, to_the_end = scenario.load, scenario.other.late.ends > HORIZON
    own = load.io >= IO_LITTLE or load.may_swap or Action.FREEZE in played.acts
    return to_the_end and not own


def _needless(scenario: Scenario, kind: Sort) -> bool:
    return kind is Sort.HARMLESS or (kind is Sort.HOPELESS and scenario.load.kind is Kind.TINY)


def play_law(name: str, each: Sorted) -> Played:
    """Play one scenario under a law of GUARDS."""
    return play(each.scenario, GUARDS[name], adj=ADJ.get(name, 0))
