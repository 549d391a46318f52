"""Builds the image: a Debian tree by mmdebstrap, made into an ext4 file system without a loop device.

Needs the network (Debian's archive and the package index, as apt and pip are set up here). As root it
builds directly, as a user through mmdebstrap's unshare mode (subordinate ids: package uidmap).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import hosttools
from .errors import TestbedError
from .place import ROOT, building, cache_dir, prune
from .recipe import SUITES, Recipe, chosen_suite, read_recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from .recipe import Suite

SIZE = "6G"
"""Of the file system; sparse, about 1.3 GB are written."""
BUILD_S = 900.0
"""For mmdebstrap; 60-130 s were measured, most of it the unpacking of 310 packages."""
KEPT = 4
"""Images that stay in the cache: of each suite, and one of another recipe."""
_PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64")


class Image(NamedTuple):
    """A built image."""

    folder: Path
    digest: str

    @property
    def disk(self) -> Path:
        """The root file system, raw; never written to after the build."""
        return self.folder / "root.raw"

    @property
    def kernel(self) -> Path:
        """The kernel that is booted directly."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Its initial RAM disk."""
        return self.folder / "initrd.img"

    @property
    def key(self) -> Path:
        """The private SSH key of root, desk and other; made with the image, never leaves the cache."""
        return self.folder / "key"


def ensure_image(say: Callable[[str], None], suite: str | None = None) -> Image:
    """Return the image of this repository's recipe, built if the cache does not have it.

    Args:
        say: Told in one line what takes long.
        suite: One of `SUITES`; `None`: the environment's, else the default one.

    Raises:
        TestbedError: A program is missing, there is no such suite, or a step failed; the log's path is
            in the message.
    """
    hosttools.require()
    name = suite or chosen_suite()
    if name not in SUITES:
        raise TestbedError(f"suite: expected one of {', '.join(SUITES)}, found {name}")
    recipe = read_recipe(ROOT, SUITES[name])
    folder = cache_dir() / "image" / recipe.digest()
    with building(folder) as scratch:
        if scratch is not None:
            say(f"building the image {folder} (Debian {recipe.suite.name}, about 2 minutes) ...")
            log = cache_dir() / "image" / f"{recipe.digest()}.log"
            log.unlink(missing_ok=True)
            try:
                _build(recipe, scratch, log)
            except TestbedError as error:
                raise TestbedError(f"the image could not be built, see {log}: {error}") from error
    prune(folder.parent, keep=KEPT)
    return Image(folder, recipe.digest())


def _build(recipe: Recipe, scratch: Path, log: Path) -> None:
    hosttools.call(
        [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            "steadyrun testbed",
            "-f",
            str(scratch / "key"),
        ],
        seconds=30,
        log=log,
    )
    wheels = scratch / "wheels"
    download(recipe.locked, wheels, recipe.suite.python, log=log)
    tree = scratch / "tree"
    try:
        hosttools.call(_mmdebstrap(recipe, scratch, tree), seconds=BUILD_S, log=log)
        for name, source in (("vmlinuz", "vmlinuz"), ("initrd.img", "initrd.img")):
            _inside(f"cat {tree}/{source} > {scratch / name}", log)
        _inside(f"mke2fs -q -t ext4 -L root -d {tree} {scratch / 'root.raw'} {SIZE}", log)
    finally:
        # In the user's namespace: the tree's owners are not ours to remove outside of it.
        _inside(f"rm -rf --one-file-system {tree}", log)
        shutil.rmtree(wheels, ignore_errors=True)


def download(locked: str, folder: Path, python: str, *, log: Path | None = None) -> None:
    """Download the locked wheels for the guest's Python into `folder`, checked by their hashes.

    The list itself is kept there as locked.txt.
    """
    folder.mkdir(parents=True)
    (folder / "locked.txt").write_text(locked)
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    words += ["--only-binary", ":all:", "--python-version", python, "--implementation", "cp"]
    words += [word for abi in (f"cp{python.replace('.', '')}", "abi3", "none") for word in ("--abi", abi)]
    words += [word for platform in _PLATFORMS for word in ("--platform", platform)]
    words += ["--dest", str(folder), "--requirement", str(folder / "locked.txt")]
    hosttools.call(words, seconds=300, log=log)


def _mmdebstrap(recipe: Recipe, scratch: Path, tree: Path) -> list[str]:
    source = ROOT / "tests" / "vm" / "image"
    hooks = [
        'mkdir "$1/opt/wheels"',
        f"sync-in {scratch / 'wheels'} /opt/wheels",
        f"upload {scratch / 'key.pub'} /etc/ssh/testbed_authorized_keys",
        f"upload {source / 'setup.sh'} /tmp/setup.sh",
        'chroot "$1" sh /tmp/setup.sh',
        'rm "$1/tmp/setup.sh"',
    ]
    left_out = [f"path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "info", "locale")]
    borrowing = _borrowing(recipe.suite, scratch) if recipe.suite.lender else []
    return [
        *_private_mounts(),
        "mmdebstrap",
        *("--quiet", "--variant=minbase", f"--mode={'root' if os.geteuid() == 0 else 'unshare'}"),
        f"--include={','.join(recipe.packages())}",
        *('--aptopt=Acquire::Languages "none"', '--aptopt=Apt::Install-Recommends "false"'),
        *(f"--dpkgopt={option}" for option in ("force-unsafe-io", "force-confold", *left_out)),
        *(f"--setup-hook={hook}" for hook in borrowing),
        # Before the packages come, so that the kernel's initial RAM disk is made once, as small as it says.
        f"--essential-hook=sync-in {source / 'overlay'} /",
        *(f"--customize-hook={hook}" for hook in hooks),
        recipe.suite.name,
        str(tree),
    ]


def _borrowing(suite: Suite, scratch: Path) -> list[str]:
    """Return the hooks that add the lender's archives beside the suite's, and say what is taken from them."""
    preferences = scratch / "preferences"
    preferences.write_text(suite.preferences())
    lists = '"$1/etc/apt/sources.list'
    return [
        f'sed s/{suite.name}/{suite.lender}/ {lists}" > {lists}.d/{suite.lender}.list"',
        f'cp {preferences} "$1/etc/apt/preferences.d/{suite.lender}"',
    ]


def _private_mounts() -> list[str]:
    """Return the words that keep mmdebstrap's mounts to itself as root, so that killing it unmounts them.

    In its mode for users it has a namespace of its own. Where no namespace may be made it goes without.
    """
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        return []
    try:
        hosttools.call([*words, "true"], seconds=10)
    except TestbedError:
        return []
    return words


def _inside(command: str, log: Path) -> None:
    """Run a shell line where the tree's owners are seen as they are: the user's namespace, or root itself."""
    helper = [] if os.geteuid() == 0 else ["mmdebstrap", "--unshare-helper"]
    hosttools.call([*helper, "sh", "-c", command], seconds=300, log=log)
