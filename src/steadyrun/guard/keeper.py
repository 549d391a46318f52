"""The keeper: when the guard dies or gives no sign of life, thaw, kill and remove the load's cgroups.

Run as a file of its own (`python -I -S keeper.py ...`): it imports nothing of steadyrun and reads
no setting, so that it stays small (a bare interpreter) and cannot fail for the reasons the guard
failed for. It does nothing else and writes nowhere else. A guard that has nothing left to keep kills it.

The pipe on standard input carries the guard's words, one byte each; its end (EOF) is the guard's
death, whatever it died of. A guard that is stopped (state T) is silent and not dead: the load is
frozen until it goes on. Silence counts from the guard's first sign of life on: until then the load
waits behind its barrier, and a journal on a stalled disk may keep the guard waiting for long.
"""

from __future__ import annotations

import os
import select
import sys

BEAT = b"."
PAUSE = b"p"
"""The guard is about to be stopped by its terminal: silence is no sign of death."""

READY = b"r"
"""Written to standard output, once: from here on the guard's end is noticed."""

NAMES = ("kill", "freeze", "procs", "dir", "marker", "guard")
SILENCE_S = 3.0
"""Chosen: thirty beats of a guard that looks ten times a second. Meanwhile the load has its hard limits,
which the kernel holds."""
OVERSLEPT_S = 1.0
"""A wait this much longer than asked: we slept as well (suspend, a paused VM). Discarded once."""
GIVE_UP_S = 60.0
"""As `Thresholds.kill_max`: what is still there waits uninterruptibly, and nobody waits for it."""
LOOK_EVERY_S = 0.02


def main(argv: list[str]) -> int:
    """Wait for the guard's end or silence, then clean up."""
    words = _parse(argv)
    _raise_own_priority()
    _say_ready()
    _wait_for_guards_end(words)
    _end_load(words)
    return 0


def _parse(argv: list[str]) -> dict[str, list[str]]:
    """Read `name value` pairs: those of NAMES (files, `inode:path`, `NAME=value`, pid) and silence, s."""
    words: dict[str, list[str]] = {name: [] for name in NAMES}
    words["silence"] = [str(SILENCE_S)]
    for name, value in zip(argv[::2], argv[1::2], strict=True):
        words[name].append(value)
    return words


def _say_ready() -> None:
    try:
        os.write(1, READY)
    except OSError:
        pass  # a guard that is dead by now: the pipe's end says so


def _raise_own_priority() -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -20)
        except OSError:
            pass
    _write("/proc/self/oom_score_adj", "-900")


def _wait_for_guards_end(words: dict[str, list[str]]) -> None:
    """Return when the guard died or went silent for `silence` seconds. One that has finished kills us.

    A guard that somebody stopped (SIGSTOP, a debugger) is silent and not dead: the load is frozen
    until it goes on, so that nothing runs unguarded and nothing is lost. Where nothing can be frozen
    (a polled load) it is as good as dead.
    """
    from time import monotonic

    silence = float(words["silence"][-1])
    poll = select.poll()
    poll.register(0, select.POLLIN)
    paused = True
    patient = stopped = False
    frozen: list[str] = []
    while True:
        asked = None if paused else silence
        before = monotonic()
        ready = poll.poll(None if asked is None else asked * 1000)
        if ready:
            word = os.read(0, 4096)
            if not word:
                return
            paused, patient, stopped = word.endswith(PAUSE), False, False
            frozen = _thaw(frozen)
        elif words["freeze"] and _is_stopped(words["guard"]):
            frozen += _freeze(words)
            patient, stopped = False, True  # once it goes on it has all the time again
        elif stopped or monotonic() - before > silence + OVERSLEPT_S:
            if patient:
                return
            patient = True
        else:
            return


def _is_stopped(pids: list[str]) -> bool:
    return any(_read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] in (["T"], ["t"]) for pid in pids)


def _freeze(words: dict[str, list[str]]) -> list[str]:
    """Freeze what the guard did not freeze itself; return the files that this was done by."""
    ours = _ours(words)
    files = [f for f in words["freeze"] if _below(f, ours) and _read(f).strip() in ("0", "THAWED")]
    for path in files:
        _write(path, "FROZEN" if path.endswith("freezer.state") else "1")
    return files


def _thaw(files: list[str]) -> list[str]:
    """Let go on what we froze; a guard that wants it frozen looks again at each tick."""
    for path in files:
        _write(path, "THAWED" if path.endswith("freezer.state") else "0")
    return []


def _ours(words: dict[str, list[str]]) -> list[str]:
    return [path for inode, _, path in (d.partition(":") for d in words["dir"]) if _inode(path) == inode]


def _end_load(words: dict[str, list[str]]) -> None:
    """Kill until nobody is left and every directory is removed; give up after a minute.

    The kernel's limits still hold after that, and the next start of steadyrun recovers.
    """
    from time import monotonic, sleep

    ours = _ours(words)
    until = monotonic() + GIVE_UP_S
    while monotonic() < until:
        _kill_once(words, ours)
        left = [path for path in ours if not _remove(path)]
        if not left and not _marked(words["marker"]):
            for path in ours:
                _remove_parent(path)
            return
        sleep(LOOK_EVERY_S)


def _kill_once(words: dict[str, list[str]], ours: list[str]) -> None:
    for path in words["kill"]:
        if _below(path, ours):
            _write(path, "1")
    for path in words["procs"]:
        if _below(path, ours):
            _kill_tree(os.path.dirname(path))
    _kill_all(_marked(words["marker"]))
    for path in words["freeze"]:
        if _below(path, ours):
            _write(path, "THAWED" if path.endswith("freezer.state") else "0")


def _kill_tree(directory: str) -> None:
    """Kill what is in a cgroup and in those that the load itself made below it."""
    for path in _tree(directory):
        _kill_all(_read(f"{path}/cgroup.procs").split())


def _tree(directory: str) -> list[str]:
    """Return a cgroup and those below it, each before its own; a load nests them deeper than Python calls."""
    found = [directory]
    for path in found:
        try:
            found += [entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
        except OSError:
            pass
    return found


def _below(path: str, ours: list[str]) -> bool:
    return os.path.dirname(path) in ours


def _kill_all(pids: list[str]) -> None:
    for pid in pids:
        if pid == "0":  # one of another pid namespace (cgroup_namespaces(7)); kill(2) takes 0 for us
            continue
        try:
            os.kill(int(pid), 9)
        except OSError:
            pass


def _marked(markers: list[str]) -> list[str]:
    """Find the living processes with one of these `NAME=value` in their environment."""
    found: list[str] = []
    for marker in markers:
        wanted = marker.encode()
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            if wanted in _read_bytes(f"/proc/{pid}/environ").split(b"\0"):
                found.append(pid)
    return found


def _remove(path: str) -> bool:
    """Remove a cgroup and the ones below it; True when it is gone."""
    for each in reversed(_tree(path)):
        try:
            os.rmdir(each)
        except OSError:
            pass
    return not os.path.isdir(path)


def _remove_parent(path: str) -> None:
    """Remove the shared `steadyrun` cgroup when we were the last in it."""
    parent = os.path.dirname(path)
    if os.path.basename(parent) == "steadyrun":
        try:
            os.rmdir(parent)
        except OSError:
            pass


def _inode(path: str) -> str:
    try:
        return str(os.stat(path).st_ino)
    except OSError:
        return "gone"


def _read(path: str) -> str:
    return _read_bytes(path).decode("ascii", "replace")


def _read_bytes(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
        return b"".join(chunks)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _write(path: str, text: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(fd, text.encode("ascii"))
    except OSError:
        pass
    finally:
        os.close(fd)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
