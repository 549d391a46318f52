"""OOM kills: one of them, and those of a phase sorted by whose they were."""

from __future__ import annotations

from steadyrun.named import NamedTuple


class OomKill(NamedTuple):
    """One process that the kernel killed for want of memory, as its log tells it."""

    pid: int
    comm: str
    at_limit: bool
    """A cgroup was at its limit; False: the whole machine had no memory left."""


class OomAccount(NamedTuple):
    """The OOM kills of the whole machine while a load ran."""

    outside: int | None
    """Neither the load's nor at the limit of some other cgroup; `None`: cannot be told."""
    elsewhere: int
    """At the limits of cgroups that are not the load's: no sign of a machine without memory."""
    victims: tuple[str, ...]
    """`COMM (pid N)` of each kill that the log tells of and that may not have been the load's."""
