"""Changes to the machine that outlive the process that made them, as the journal keeps them.

Each is written down with what was there before, before it is made, and undone afterwards: by who made
it, else by the next start.
"""

from __future__ import annotations

from steadyrun.named import NamedTuple


class Lingering(NamedTuple):
    """Lingering of a user is switched on (loginctl(1), `enable-linger`)."""

    uid: int
    before: bool
    """As it was; what undoing restores."""


class BootUnit(NamedTuple):
    """A unit that goes on with a ramp after a boot is written and enabled."""

    path: str
    """Of the unit's file, absolute."""
    link: str
    """Of the symbolic link that enables it."""
    text: str
    """The whole file; undoing removes it only while it holds this."""
    folders: tuple[str, ...]
    """Those that had to be made for it, the innermost first; undoing removes them where they are empty."""
