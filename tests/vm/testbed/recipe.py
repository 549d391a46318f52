"""What the image is made from, as a value with a name of its own. Pure but for `read_recipe`."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FORMAT = "1"
"""Raised when image.py makes something else from the same files."""
VARIABLE = "STEADYRUN_TESTBED_SUITE"
"""The suite where none is named."""


class Suite(NamedTuple):
    """A release of Debian, and where it is not as the lists of tests/vm/image say."""

    name: str
    python: str
    """The version of its python3 package, after borrowing."""
    renamed: tuple[tuple[str, str], ...] = ()
    """(package of the list, its name there); an empty name: there is none."""
    lender: str = ""
    """The release that the borrowed packages are from."""
    borrowed: tuple[str, ...] = ()
    """Packages that are the lender's, as apt_preferences(5) names them."""

    def packages(self, listed: Iterable[str]) -> tuple[str, ...]:
        """Return the packages of a list by the names they have there."""
        names = dict(self.renamed)
        return tuple(name for name in (names.get(name, name) for name in listed) if name)

    def preferences(self) -> str:
        """Return the text for apt that takes the borrowed packages, and nothing else, from the lender."""
        # The codename of the security archive is the release's with a suffix.
        of = f"Pin: release n={self.lender}*\nPin-Priority:"
        return f"Package: *\n{of} 50\n\nPackage: {' '.join(self.borrowed)}\n{of} 990\n"


OLDEST, DEFAULT, NEWEST = (
    # systemd 247, kernel 5.10. Its Python is 3.9: Python and the libraries it was linked with are of the
    # next release; systemd, D-Bus, logind, the kernel and the desktop are its own.
    Suite(
        "bullseye",
        "3.11",
        renamed=(("polkitd", "policykit-1"), ("util-linux-extra", ""), ("systemd-oomd", "")),
        lender="bookworm",
        borrowed=(
            *("python3", "python3-*", "python3.11*", "libpython3*"),
            *("libc6", "libc-bin", "libexpat1", "libsqlite3-0", "media-types"),
        ),
    ),
    Suite("bookworm", "3.11"),  # systemd 252, kernel 6.1
    Suite("trixie", "3.13"),  # systemd 257, kernel 6.12
)
SUITES = {suite.name: suite for suite in (OLDEST, DEFAULT, NEWEST)}


def chosen_suite(env: Mapping[str, str] | None = None) -> str:
    """Return the name of the suite that the environment asks for, else of the default one."""
    return (os.environ if env is None else env).get(VARIABLE) or DEFAULT.name


class Recipe(NamedTuple):
    """Everything that decides what is in the image."""

    suite: Suite
    files: tuple[tuple[str, bytes], ...]
    """Path below tests/vm/image and content, sorted by path."""
    locked: str
    """The requirement lines, with hashes, of what is installed into the guest's Python."""

    def digest(self) -> str:
        """Name it: 16 hexadecimal digits that change whenever the image would."""
        content = hashlib.sha256()
        for part in (FORMAT, self.suite.name, self.locked):
            content.update(f"{len(part)}:{part}".encode())
        for path, data in self.files:
            content.update(f"{path}\0{len(data)}\0".encode() + data)
        if self.suite != DEFAULT:
            content.update(repr(self.suite).encode())
        return content.hexdigest()[:16]

    def packages(self) -> tuple[str, ...]:
        """Return the Debian packages, in the order of the list."""
        return self.suite.packages(names_in(dict(self.files)["packages.txt"].decode()))


def read_recipe(root: Path, suite: Suite = DEFAULT) -> Recipe:
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
