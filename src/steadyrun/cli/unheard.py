"""A Ctrl-C that came where Python forgets it, heard a moment later.

A signal's handler runs between any two steps of the interpreter, also in a callback of a weak
reference and in a `__del__`. What is raised there is printed and forgotten (Python documentation,
`sys.unraisablehook`), and importing a module runs such a callback (`_get_module_lock` of
importlib._bootstrap): of a few hundred Ctrl-C that meet a command in its imports, one was lost.
"""

from __future__ import annotations

import sys

from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

LATER_S = 0.001
"""Long enough for the callback to be over; where it met another one, it is tried once more."""


def hear_what_is_lost() -> None:
    """From now on, raise a KeyboardInterrupt that a callback swallowed once more, outside of it."""
    sys.unraisablehook = _later


def _later(lost: Any) -> None:
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    import signal

    interrupt = lost.exc_value

    def again(_number: int, _frame: Any) -> None:
        signal.signal(signal.SIGALRM, before)
        raise interrupt.with_traceback(None)

    before = signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, LATER_S)
