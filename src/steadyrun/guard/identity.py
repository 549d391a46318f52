"""Run ids: short to type, random enough to name cgroups that are nobody else's."""

from __future__ import annotations

import os

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without i, l, o, 0, 1: read aloud and typed from a screen."""
LENGTH = 10
"""About 49 bits: no collision in a lifetime of runs."""


def new_run_id() -> str:
    """Return a fresh run id."""
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in os.urandom(LENGTH))
