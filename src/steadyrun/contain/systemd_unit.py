"""The unit of a load as properties: what it is started with, and limits as systemd takes them. Pure.

The load's own limits are those of the leaf below the unit. The unit repeats the ones that bound, with
room for its holder, so that the leaf's is always the one that is met first and an OOM kill is the
leaf's; and it bears the weights, which count among siblings alone.
"""

from __future__ import annotations

from steadyrun.bus.properties import INFINITY, Property, command, prop
from steadyrun.contain.hierarchy import PARENT, SLICE
from steadyrun.model.limits import CPU_WEIGHT_DEFAULT, CPU_WEIGHT_LOWEST, Limits
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import MIB, Seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

HOLDER, LEAF = "holder", "load"
"""The two cgroups below the unit's own, which stays empty (cgroup-v2.rst, "No Internal Process
Constraint")."""
ROOM_BYTES = 16 * MIB
"""What the unit may have on top of the leaf: the holder (`cat`, below 1 MiB) and its kernel memory."""
ROOM_TASKS = 8
TINY = 128 * MIB
"""A hard limit below this is not given to the manager: on a user's unit a tiny one sent the manager into
an endless loop of OOM kills (systemd/systemd#40208). The leaf holds it."""
STOP_WITHIN_S = 5.0
"""What the load has between SIGTERM and SIGKILL when somebody else stops the unit."""
GRACE = Seconds(600.0)
GRACE_SHARE = 1.0
"""Time frozen is not wall time, and the manager's clock does not know that. By choice: the net is for a
guard and a keeper that both hang, and a load that was frozen often is not to fall into it."""
IDLE_SINCE = 252
"""`CPUWeight=idle` (systemd.resource-control(5)); on the bus it is 0 (CGROUP_WEIGHT_IDLE)."""
_IDLE = 0
_USEC = 1_000_000


class Weights(NamedTuple):
    """What stands against siblings."""

    cpu: int
    io: int


def unit_name(name: str) -> str:
    """Return the unit of a containment."""
    return f"{PARENT}-{name}.service"


def start_properties(
    name: str, holder: tuple[str, ...], lifeline: int, *, lasts: Seconds | None
) -> list[Property]:
    """Return what the unit is started with.

    Args:
        name: Of the containment.
        holder: The process that keeps the unit alive: an absolute path and its arguments.
        lifeline: A descriptor that becomes its standard input.
        lasts: Wall time of the load; the unit ends ten minutes, or once more as long, after that at the
            latest. `None`: it ends with its lifeline alone.

    `Type=exec` so that the start is not done before the holder runs. `OOMPolicy=continue`, which
    services have since 243 and scopes since 253 only (systemd/systemd PR#25385), so that an OOM kill in
    the leaf stays the leaf's. `CollectMode` so that a killed unit is forgotten without a call.
    """
    found = [
        prop("Description", f"steadyrun: holds the load {name}"),
        prop("Slice", SLICE),
        prop("Type", "exec"),
        prop("ExecStart", command(*holder)),
        prop("Delegate", True),
        prop("CollectMode", "inactive-or-failed"),
        prop("OOMPolicy", "continue"),
        prop("TimeoutStopUSec", int(STOP_WITHIN_S * _USEC)),
        prop("StandardInputFileDescriptor", lifeline),
        prop("StandardOutput", "null"),
        prop("StandardError", "null"),
    ]
    if lasts is not None:
        found.append(prop("RuntimeMaxUSec", int(_ends_after(lasts) * _USEC)))
    return found


def _ends_after(lasts: Seconds) -> float:
    return lasts + max(GRACE, lasts * GRACE_SHARE)


def limit_properties(limits: Limits, controllers: Iterable[str], version: int | None) -> list[Property]:
    """Return the limits of the unit that holds the leaf; what is not asked for is opened.

    Args:
        limits: The load's.
        controllers: What the manager has to give; nothing is asked of one that it has not.
        version: systemd's.
    """
    have = frozenset(controllers)
    found: list[Property] = []
    if "memory" in have:
        tiny = limits.memory_max is not None and limits.memory_max < TINY
        found += [
            prop("MemoryMax", INFINITY if tiny else _more(limits.memory_max, ROOM_BYTES)),
            prop("MemoryHigh", INFINITY if tiny else _more(limits.memory_high, ROOM_BYTES)),
            prop("MemorySwapMax", _more(limits.swap_max, 0)),
        ]
    if "pids" in have:
        found.append(prop("TasksMax", _more(limits.tasks_max, ROOM_TASKS)))
    if "cpu" in have:
        quota = INFINITY if limits.cpu_max is None else max(1, int(limits.cpu_max * _USEC))
        found.append(prop("CPUQuotaPerSecUSec", quota))
    return found + weight_properties(weights_of(limits), have, version)


def weights_of(limits: Limits) -> Weights:
    """Return the weights of a load; the default where none was asked for."""
    return Weights(limits.cpu_weight or CPU_WEIGHT_DEFAULT, limits.io_weight or CPU_WEIGHT_DEFAULT)


def weight_properties(weights: Weights, controllers: Iterable[str], version: int | None) -> list[Property]:
    """Return weights as properties; the lowest CPU weight as `idle` where systemd knows that."""
    have = frozenset(controllers)
    idle = weights.cpu == CPU_WEIGHT_LOWEST and (version or 0) >= IDLE_SINCE
    found = [prop("CPUWeight", _IDLE if idle else weights.cpu)] if "cpu" in have else []
    return found + ([prop("IOWeight", weights.io)] if "io" in have else [])


def highest(weights: Iterable[Weights]) -> Weights:
    """Return what the slice gets: no load in it has less than it was given because of another."""
    found = list(weights)
    return Weights(max(w.cpu for w in found), max(w.io for w in found))


def _more(limit: int | None, room: int) -> int:
    return INFINITY if limit is None else limit + room
