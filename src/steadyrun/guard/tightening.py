"""Carrying out a grip: which limits change, the hand that sets them, and what came of it."""

from __future__ import annotations

from steadyrun.guard.grip import GRIPPED, gripped
from steadyrun.guard.hold import REMOVE_WITHIN
from steadyrun.model.finding import Finding, Severity
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds, format_duration

if TYPE_CHECKING:
    from steadyrun.contain.base import Containment
    from steadyrun.guard.hand import Done, Hand
    from steadyrun.guard.held import Decision
    from steadyrun.model.given import Rules

PATIENCE = REMOVE_WITHIN
"""For a write that still waits when the load is over: as long as its removal is tried.
To remove a cgroup the kernel waits for all who write to its files, and meanwhile nobody on the machine can
make or remove one (kernfs_drain in fs/kernfs/dir.c, called under cgroup_mutex)."""
_MAY_LACK = ("io_weight", "cpu_weight")
"""A weight that no disk goes by, or that counts elsewhere, is no failure of the grip."""


class Record(NamedTuple):
    """What is written down of one change."""

    decision: Decision
    at: Seconds
    cause: str
    confirmed: bool


class Tightening:
    """The limits in force, and the hand that changes them. Never waits before `close`."""

    __slots__ = ("_containment", "_hand", "_in_force", "_rules")

    def __init__(self, containment: Containment, rules: Rules) -> None:
        """The load's own limits are in force."""
        self._containment, self._rules = containment, rules
        self._in_force = rules.limits
        self._hand: Hand | None = None

    @property
    def fd(self) -> int:
        """Readable when something was done; -1 before the first wish."""
        return -1 if self._hand is None else self._hand.fd

    def is_idle(self) -> bool:
        """Tell whether no hand is at work: then this process has one thread."""
        return self._hand is None or self._hand.is_idle()

    def wish(self, decision: Decision, at: Seconds) -> int:
        """Have the grip of a decision put in force soon; return `fd`."""
        from steadyrun.guard.hand import Hand, Wish

        if self._hand is None:
            self._hand = Hand(self._containment.adjust)
        limits = gripped(self._rules.limits, decision.grip, self._rules.cores)
        names = frozenset(n for n in GRIPPED if getattr(limits, n) != getattr(self._in_force, n))
        self._in_force = limits
        self._hand.wish(Wish(decision, at, limits, names))
        return self._hand.fd

    def done(self) -> list[Record]:
        """Return what was done since the last call, as it is to be written down."""
        return [] if self._hand is None else [_record(each) for each in self._hand.done()]

    def late(self, now: Seconds) -> Finding | None:
        """Return a word about a change that takes too long, once."""
        wish = None if self._hand is None else self._hand.late(now)
        if wish is None:
            return None
        return Finding(
            "tighten-late",
            Severity.WARNING,
            "Limits that were to be tightened are not set yet",
            f"{', '.join(sorted(wish.names))}: no answer of the kernel for {format_duration(now - wish.at)}; "
            f"{wish.decision.cause}",
            "such a write may reclaim memory or empty a disk's queue; the guard freezes the load if it must",
            "",
        )

    def close(self) -> None:
        """Wait a moment for what is under way, when nothing is guarded any more."""
        if self._hand is not None:
            self._hand.close(PATIENCE)


def _record(done: Done) -> Record:
    """Say what a change came to: confirmed when every limit that can be in force here is."""
    missed = [each for each in done.readback if not each.held and each.name not in _MAY_LACK]
    trouble = done.trouble or "; ".join(f"{each.name}: {each.found}" for each in missed)
    cause = f"{done.wish.decision.cause} (not in force: {trouble})" if trouble else done.wish.decision.cause
    return Record(done.wish.decision, done.wish.at, cause, not trouble)
