"""Whether a ramp that goes on after each boot of a crashed machine gets anywhere. Pure.

A crash in an attempt lowers the limits until a person has to decide. One in the baseline, in the proofs or
between two attempts lowers nothing: left to itself, a ramp that goes on would meet it again at every boot.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadyrun.errors import EXIT_HOST_FAILED
from steadyrun.model.record import RunRecord, State
from steadyrun.model.run import WENT_DOWN

FRUITLESS_MOST = 2
"""Boots in a row that may end without headway: one may have been a power cut."""


def took_machine_down(record: RunRecord) -> bool:
    """Tell whether the machine went down while this run was going on, wherever it was."""
    crashed = bool(record.attempts) and record.attempts[-1].state is State.CRASHED
    ended = record.end is not None and record.end.exit_code == EXIT_HOST_FAILED
    return crashed or (ended and record.status.startswith(WENT_DOWN))


def fruitless_boots(runs: Iterable[RunRecord]) -> int:
    """Count the last boots that the machine went down in without headway.

    Args:
        runs: The newest ramp, the one that it went on from, and so on.
    """
    count = 0
    for run in runs:
        if not took_machine_down(run) or _made_headway(run):
            break
        count += 1
    return count


def _made_headway(run: RunRecord) -> bool:
    """Tell whether a try of this run itself crashed, or passed a phase that none before had passed."""
    own = [a for a in run.attempts if a.boot_id == run.header.boot_id]
    before = {a.phase.number for a in run.attempts if a not in own and a.state is State.PASSED}
    passed = {a.phase.number for a in own if a.state is State.PASSED}
    return any(a.state is State.CRASHED for a in own) or bool(passed - before)
