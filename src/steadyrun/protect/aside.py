"""Does something in a process of its own, as the user whom it concerns, with bounded memory and time.

Root has to talk to users' own managers, and what listens there is the user's to replace: it may be silent,
drip, or send what no parser is prepared for. So it is heard by a process that has that user's rights and
nothing of ours, and that is killed when its time is over. All that comes back is whether it went well, and
a few words.
"""

from __future__ import annotations

import os
import resource
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from steadyrun.errors import BusError

MORE_MEMORY = 256 * 2**20
"""Bytes of address space beyond what a fork begins with: an answer is below 1 MiB."""
_SAID_MOST = 300
_WELL, _FAILED, _SILENT = 0, 1, 2


def as_user(uid: int, deed: Callable[[], object], *, seconds: float) -> None:
    """Do it as a user; nothing that it changes in this process's memory is seen here.

    Args:
        uid: Whose rights it has; of groups it has the one of their runtime directory alone.
        deed: Raises `BusError` where it fails.
        seconds: After them it is killed.

    Raises:
        BusError: It failed, or did not end in time.
    """
    try:
        gid = os.stat(f"/run/user/{uid}").st_gid
    except OSError as error:
        raise BusError(f"/run/user/{uid}: {os.strerror(error.errno or 0)}") from error
    hear, say = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    pid = os.fork()
    if pid == 0:
        _be_the_child(say, uid, gid, deed, seconds)
    os.close(say)
    try:
        code = _end_of(pid, seconds)
        with suppress(BlockingIOError):
            said = _words(os.read(hear, _SAID_MOST))
    finally:
        os.close(hear)
    if code is None or code == _SILENT:
        raise BusError(said or "no answer in time", silent=True)
    if code != _WELL:
        raise BusError(said or f"what asks it ended with {code}")


def _be_the_child(say: int, uid: int, gid: int, deed: Callable[[], object], seconds: float) -> NoReturn:
    code = _FAILED
    try:
        _give_up_rights(uid, gid, seconds)
        deed()
        code = _WELL
    except BusError as error:
        code = _SILENT if error.silent else _FAILED
        _tell(say, error.message)
    except BaseException as error:
        _tell(say, f"it answered what cannot be understood ({type(error).__name__})")
    finally:
        os._exit(code)


def _give_up_rights(uid: int, gid: int, seconds: float) -> None:
    with open("/proc/self/statm") as file:
        have = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (have + MORE_MEMORY, have + MORE_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 1))
    if os.geteuid() == 0:
        os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _tell(say: int, text: str) -> None:
    with suppress(OSError):
        os.write(say, text.encode(errors="replace")[:_SAID_MOST])


def _end_of(pid: int, seconds: float) -> int | None:
    """Wait for the child; return its exit code, less than 0 for a signal, or `None`: it had to be killed."""
    handle = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        in_time = bool(poll.poll(seconds * 1000))
        if not in_time:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(handle)
    return os.waitstatus_to_exitcode(status) if in_time else None


def _words(heard: bytes) -> str:
    """Return what was said as one line that can be shown on any terminal."""
    text = heard.decode("utf-8", errors="replace")
    return "".join(each if each.isprintable() else "?" for each in text)
