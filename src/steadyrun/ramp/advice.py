"""What would make a load fit that was killed at its memory limit while the machine held.

Pure words from figures; it decides nothing.
"""

from __future__ import annotations

from steadyrun.model.outcome import LoadOutcome
from steadyrun.report.ending import what_would_fit
from steadyrun.units import Bytes, format_size


def end_of_tries(outcome: LoadOutcome | None, *, memory: Bytes, ceiling: Bytes, tries: int) -> str:
    """Say why there is no further try and what would make the load fit.

    Args:
        outcome: Of the last try.
        memory: Its memory limit, bytes.
        ceiling: The most a load may be given, bytes.
        tries: How many tries were killed at their limit.
    """
    said = f"killed at its memory limit of {format_size(memory)}"
    if memory >= ceiling:
        why = "and that is the most a load may have here"
    else:
        why = f"after {tries} {'try' if tries == 1 else 'tries'} (--tries {tries + 2} goes on)"
    return f"{said}, {why}; {what_would_fit(outcome)}"
