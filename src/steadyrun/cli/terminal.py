"""What of the terminal the pages ask for."""

from __future__ import annotations

import shutil


def text_width(most: int) -> int:
    """Return the columns of a page: those of the terminal, at most so many; so many where there is none."""
    return min(most, shutil.get_terminal_size((most, 24)).columns)
