"""What the image is made from, as a value with a name of its own. Pure but for `read_recipe`."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORMAT = "1"
"""Raised when image.py makes something else from the same files."""
SUITE = "bookworm"
"""systemd 252, kernel 6.1, Python 3.11."""
PYTHON = "3.11"


class Recipe(NamedTuple):
    """Everything that decides what is in the image."""

    suite: str
    files: tuple[tuple[str, bytes], ...]
    """Path below tests/vm/image and content, sorted by path."""
    locked: str
    """The requirement lines, with hashes, of what is installed into the guest's Python."""

    def digest(self) -> str:
        """Name it: 16 hexadecimal digits that change whenever the image would."""
        content = hashlib.sha256()
        for part in (FORMAT, self.suite, self.locked):
            content.update(f"{len(part)}:{part}".encode())
        for path, data in self.files:
            content.update(f"{path}\0{len(data)}\0".encode() + data)
        return content.hexdigest()[:16]

    def packages(self) -> tuple[str, ...]:
        """Return the Debian packages, in the order of the list."""
        return tuple(names_in(dict(self.files)["packages.txt"].decode()))


def read_recipe(root: Path, suite: str = SUITE) -> Recipe:
    """Read the recipe of the repository at `root`."""
    folder = root / "tests" / "vm" / "image"
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = tuple((str(path.relative_to(folder)), path.read_bytes()) for path in paths)
    locked = merge_locks(
        (root / "requirements" / "install.txt").read_text(),
        (root / "requirements" / "dev.txt").read_text(),
        names_in((folder / "python-packages.txt").read_text()),
    )
    return Recipe(suite, files, locked)


def names_in(text: str) -> list[str]:
    """Return the words of a list, one a line, without comments and empty lines."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def merge_locks(whole: str, larger: str, names: Iterable[str]) -> str:
    """Return all requirements of `whole`, and those of `larger` that are named and not there.

    Raises:
        ValueError: A name that neither file has.
    """
    kept = locked_blocks(whole)
    offered = locked_blocks(larger)
    for name in names:
        if name not in kept and name not in offered:
            raise ValueError(f"python-packages.txt: expected names that are locked, found {name!r}")
        kept.setdefault(name, offered.get(name, ""))
    return "\n".join(kept[name] for name in sorted(kept)) + "\n"


def locked_blocks(text: str) -> dict[str, str]:
    """Read a locked requirement file: name -> its requirement line with the hashes that follow it."""
    blocks: dict[str, str] = {}
    name = None
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if found := re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)==", line):
            name = found[1].lower()
            blocks[name] = line
        elif name is not None:
            blocks[name] += "\n" + line
    return blocks
