"""Whether a ramp that goes on runs its command under another environment than the tries before. Pure.

Only names are kept and compared: what a variable holds may be a secret.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadyrun.model.finding import Finding, Severity

NAMED_MOST = 20
_OF_THE_SHELL = frozenset(
    {
        *("_", "SHLVL", "PWD", "OLDPWD"),
        *("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKE_TERMOUT", "MAKE_TERMERR"),
    }
)
"""What a shell or make sets for itself (bash(1), "Shell Variables"; GNU make manual, "Communicating Options
to a Sub-make"): no command is run differently because it was typed in the one and not the other."""


def environment_changed(before: Iterable[str], now: Iterable[str]) -> Finding | None:
    """Return what the reader should know about variables that are gone; `None`: none is, or it is not known.

    Args:
        before: Names in the environment of the runs that this one goes on from; none: not known.
        now: Names in the environment that the loads get now.
    """
    gone = sorted(set(before) - set(now) - _OF_THE_SHELL)
    if not gone:
        return None
    more = f" and {len(gone) - NAMED_MOST} more" if len(gone) > NAMED_MOST else ""
    return Finding(
        "environment-changed",
        Severity.WARNING,
        "The command runs under another environment than in the tries before",
        f"not set any more: {', '.join(gone[:NAMED_MOST])}{more}",
        "If the command needs them: `steadyrun ramp --resume` in a shell that has them, "
        "or `-- env NAME=VALUE COMMAND` from the start",
        "went on; a job that fails now may fail for this alone",
    )
