"""Whom a load runs as, and where: root on behalf of a user runs it as that user, root alone if asked."""

from __future__ import annotations

import os

from steadyrun.errors import UsageError
from steadyrun.model.plan import RunAs


def expect_working_directory() -> str:
    """Return where we are.

    Raises:
        UsageError: It was removed.
    """
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise UsageError(
            "the working directory does not exist any more", hint="cd to one that does"
        ) from None


def run_as(name: str | None) -> RunAs | None:
    """Return the user to become, `None` to stay who we are.

    Args:
        name: Of `--user`; `None`: under sudo the user who called it (`SUDO_UID`), else ourselves.

    Raises:
        UsageError: No such user, or we may not become it.
    """
    if os.geteuid() != 0:
        if name is not None:
            raise UsageError(
                "--user: expected to be root, found another user", hint=f"sudo -u {name} steadyrun ..."
            )
        return None
    if name is None:
        uid = os.environ.get("SUDO_UID", "")
        return _of_uid(int(uid)) if uid.isdecimal() and uid != "0" else None
    import pwd

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise UsageError(f"--user: expected a user of this machine, found {name!r}") from None
    return None if entry.pw_uid == 0 else _of_uid(entry.pw_uid)


def _of_uid(uid: int) -> RunAs:
    import pwd

    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise UsageError(
            f"SUDO_UID: expected a user of this machine, found {uid}", hint="--user root"
        ) from None
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return RunAs(entry.pw_uid, entry.pw_gid, groups, entry.pw_name, entry.pw_dir)


def environment_of(user: RunAs | None) -> dict[str, str]:
    """Return the environment for the load: ours, with the names of the user it runs as."""
    env = dict(os.environ)
    if user is not None:
        env |= {"HOME": user.home, "USER": user.name, "LOGNAME": user.name}
    return env


def owner_of(user: RunAs | None) -> tuple[int, int] | None:
    """Return (uid, gid) of the user that root works for; `None`: whoever runs this."""
    return None if user is None else (user.uid, user.gid)
