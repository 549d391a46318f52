"""What stands on the terminal when something went wrong: one line, and one with what to do. Pure.

Messages name paths and commands that others may have chosen, and root reads them: nothing in them moves
the cursor, sets a title or begins a line of its own.
"""

from __future__ import annotations

from steadyrun.report.escape import visible


def complaint(message: str, hint: str | None) -> str:
    """Return the lines; `hint` is left out where there is none."""
    lines = [f"steadyrun: {visible(message)}", *([f"  {visible(hint)}"] if hint else [])]
    return "".join(f"{line}\n" for line in lines)
