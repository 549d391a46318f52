"""Writing that a power cut does not take back: all the bytes, then the disk. Judges nothing."""

from __future__ import annotations

import os


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it: on a disk that is nearly full write(2) takes a part, and only the next one fails.

    Raises:
        OSError: It could not be done; a part may have been written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync(path: str) -> None:
    """Have a file's content, or the names in a folder, on the disk: a new name is there with its folder.

    Raises:
        OSError: It could not be done.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
