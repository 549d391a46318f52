"""What is or was under a path, as plain data: all that `--undo` puts back. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Seen(NamedTuple):
    """What is under a path: all that is put back."""

    content: bytes | None
    """`None`: a folder."""
    mode: int
    """Permission bits."""
    uid: int
    gid: int
    special: bool = False
    """Neither a file nor a folder: a symbolic link, a device."""
