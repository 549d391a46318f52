"""Lets one thread of root touch files with a user's rights, so that root writes nothing a user could not.

The kernel then refuses what it would refuse the user: a symbolic link planted in the user's
folder leads nowhere that the user could not go. Never changes the rights of another thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from steadyrun.errors import SteadyrunError

_SETGROUPS = {"x86_64": 116, "aarch64": 159, "riscv64": 159, "loongarch64": 159, "ppc64le": 81, "s390x": 206}
"""Numbers of setgroups(2) (arch/*/entry/syscalls tables; s390x and ppc64le have the 32-bit-id one).
The system call is for one thread; glibc's function would change all (credentials(7), nptl(7))."""


class Owner(NamedTuple):
    """Whose rights."""

    uid: int
    gid: int


@contextmanager
def rights_of(owner: tuple[int, int] | None) -> Iterator[None]:
    """Do what is inside with the owner's file system rights; nothing changes without one, or for oneself.

    setfsuid(2) and setfsgid(2): a change from 0 also takes the capabilities that pass over file
    permissions out of the effective set of this thread, and the way back restores them
    (capabilities(7), "Effect of user ID changes on capabilities"). Both calls return the former
    value and never fail aloud, so each is read back.

    Raises:
        SteadyrunError: The rights could not be taken on; nothing inside was done.
    """
    if owner is None or (os.geteuid(), os.getegid()) == owner:
        yield
        return
    # Descriptors opened before keep what they were opened with: open everything inside.
    groups = os.getgroups()
    saved = Owner(_fs_id("setfsuid", -1), _fs_id("setfsgid", -1))
    try:
        _take_on(owner)
        yield
    finally:
        _fs_id("setfsuid", saved.uid)
        _fs_id("setfsgid", saved.gid)
        _set_groups(groups)


def _take_on(owner: tuple[int, int]) -> None:
    uid, gid = owner
    _set_groups([gid])
    _fs_id("setfsgid", gid)
    _fs_id("setfsuid", uid)
    found = (_fs_id("setfsuid", -1), _fs_id("setfsgid", -1))
    if found != owner:
        raise SteadyrunError(
            f"rights: expected to act as uid {uid}, gid {gid}, found uid {found[0]}, gid {found[1]}"
        )


def _fs_id(function: str, value: int) -> int:
    """Set the thread's file system user or group id, and return the former one; -1 only asks."""
    import ctypes

    return int(getattr(ctypes.CDLL(None), function)(ctypes.c_int(value)))


def _set_groups(groups: list[int]) -> None:
    """Set the supplementary groups of this thread alone.

    Raises:
        SteadyrunError: The kernel refused, or this architecture's number is not known here.
    """
    import ctypes
    import platform

    if sorted(os.getgroups()) == sorted(groups):
        return
    number = _SETGROUPS.get(platform.machine())
    if number is None:
        raise SteadyrunError(f"rights: expected a known architecture, found {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    ids = (ctypes.c_uint32 * len(groups))(*groups)
    if libc.syscall(ctypes.c_long(number), ctypes.c_long(len(groups)), ids) != 0:
        raise SteadyrunError(
            f"rights: expected to set groups {groups}, found {os.strerror(ctypes.get_errno())}"
        )
