"""Who is there: the desktop's identities and every process, read as root in the guest.

Nothing that hangs may hang the census: what does not answer in time is unknown.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from storm.inside import load, window
from storm.record import Census, Process

ANSWER_S = 15.0
BETWEEN_S = 0.5
"""Between two looks: an exec(3) takes milliseconds, also on an emulated machine."""
DESK = 1000
KERNEL = 2
"""kthreadd: every kernel thread is its child (proc_pid_stat(5))."""
OURS = {load.COMM, window.COMM, "storm-watch"}


def take(own: int) -> Census:
    """Look at everything once; `own` is the watcher's pid."""
    there = staying()
    return Census(
        boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        session=_session(),
        display_manager=_said("systemctl", "show", "-p", "InvocationID", "--value", "lightdm.service"),
        user_manager=_first(there, "systemd", DESK),
        user_bus=_first(there, "dbus-daemon", DESK),
        display_server=_first(there, "Xorg", 0),
        processes=tuple(one for one in there if one.comm not in OURS and one.pid != own),
        shm_bytes=_used("/dev/shm"),
    )


def staying() -> tuple[Process, ...]:
    """Return the processes that are there at two looks: what sshd forks is a shell a moment later."""
    first = processes()
    time.sleep(BETWEEN_S)
    later = set(processes())
    return tuple(one for one in first if one in later)


def processes() -> tuple[Process, ...]:
    """Return every process but kernel threads and what is dead already."""
    found = []
    for pid in pids():
        try:
            with open(f"/proc/{pid}/stat") as file:
                head, _, tail = file.read().rpartition(")")
            fields = tail.split()
            if KERNEL in (pid, int(fields[1])) or fields[0] in "ZX":
                continue
            uid = os.stat(f"/proc/{pid}").st_uid
        except OSError:
            continue
        found.append(Process(pid, int(fields[19]), head.partition("(")[2], uid))
    return tuple(found)


def pids() -> list[int]:
    """Return the number of every process."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def named(comm: str) -> list[int]:
    """Return the processes of this name. Reads nothing that a process in reclaim holds."""
    found = []
    for pid in pids():
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                head, _, tail = file.read().rpartition(b")")
        except OSError:
            continue
        if head.partition(b"(")[2] == comm.encode() and tail[1:2] not in (b"Z", b"X"):
            found.append(pid)
    return found


def _first(there: tuple[Process, ...], comm: str, uid: int) -> Process | None:
    """Return the oldest process of a name and user. `None`: there is none."""
    return min((one for one in there if (one.comm, one.uid) == (comm, uid)), key=_age, default=None)


def _age(one: Process) -> int:
    return one.start


def _session() -> str | None:
    """Name the graphical session on the seat: an ordinary user's, not the greeter's. Empty: none."""
    active = _said("loginctl", "show-seat", "seat0", "-p", "ActiveSession", "--value")
    if not active:
        return active
    told = _said("loginctl", "show-session", active, "-p", "Class", "-p", "Leader", "-p", "State")
    if told is None:
        return None
    fields = dict(line.split("=", 1) for line in told.splitlines())
    if fields.get("Class") != "user" or fields.get("State") == "closing":
        return ""
    leader = next((one for one in processes() if str(one.pid) == fields.get("Leader")), None)
    return f"session {active}, leader {leader.pid} started {leader.start}" if leader else ""


def _said(*words: str) -> str | None:
    """Return what a command wrote; `None`: it failed, or not in time."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _used(path: str) -> int:
    at = os.statvfs(path)
    return (at.f_blocks - at.f_bfree) * at.f_frsize
