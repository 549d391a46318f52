"""Reads what is left of a boot that ended in the middle of a ramp. Judges nothing, changes nothing.

Three places: our own journal (the last readings), systemd's journal where it is persistent, and
pstore, in which some firmware keeps the kernel's last words over a reset (kernel,
Documentation/ABI/testing/pstore), with systemd's archive of it (systemd-pstore.service(8)). An ordinary
user may read none of the latter two: then what the kernel said is unknown, and that is said.
"""

from __future__ import annotations

import os
import re
import subprocess
import time

from steadyrun.desktop.facts import booted_wall
from steadyrun.errors import SteadyrunError
from steadyrun.journal.crashed import ROWS_MOST, crash_findings, last_seen
from steadyrun.journal.recover import AttemptMark
from steadyrun.journal.write import Journal
from steadyrun.kernel.pastlog import last_wall, one_line, parse_journal, parse_record, telling
from steadyrun.kernel.reader import read_text
from steadyrun.model.crash import Crash, LastSeen, LogLine, PastLog
from steadyrun.model.finding import Finding
from steadyrun.model.run import Down
from steadyrun.units import Seconds

JOURNALCTL = ("/usr/bin/journalctl", "/bin/journalctl")
"""Not looked up: a start of root's must not run what somebody's PATH says."""
JOURNALCTL_S = 10.0
"""Longer than a disk takes to answer that is busy with a boot. By choice."""
JOURNAL_LINES = 1000
"""The last ones, about 400 bytes each."""
_BOOT_ID = re.compile("[0-9a-f]{32}")
PSTORE_FOLDERS = ("/sys/fs/pstore", "/var/lib/systemd/pstore")
PSTORE_BACKEND = "/sys/module/pstore/parameters/backend"
RECORDS_MOST = 8
"""Newest first. One crash is some records of a few KB each."""
RECORD_MOST = 64 * 1024
"""Bytes read of one, from its end."""


def with_evidence(mark: AttemptMark, journal: Journal, boot_id: str) -> AttemptMark:
    """Return the mark of a crashed attempt with all that is found of the crash. Never raises.

    Args:
        mark: As planned.
        journal: Holds the attempt.
        boot_id: Of this boot.
    """
    try:
        began = _began(journal, mark)
        rows = journal.last_samples(mark.run_id, mark.serial, ROWS_MOST)
    except SteadyrunError:  # the mark matters more than what stands beside it
        began, rows = None, ()
    crash = _crash(mark.boot_id, boot_id, found=Seconds(time.time()), last=last_seen(rows), since=began)
    return mark._replace(crash=crash, more=_findings(crash))


def findings_between(down: Down, boot_id: str) -> tuple[Finding, ...]:
    """Return what the kernel said before a boot that ended between two phases. Never raises.

    Args:
        down: That boot.
        boot_id: Of this boot.
    """
    return _findings(_crash(down.boot_id, boot_id, found=down.found_wall, last=None, since=down.seen_wall))


def _crash(theirs: str, ours: str, *, found: Seconds, last: LastSeen | None, since: Seconds | None) -> Crash:
    """Ask both logs for what they have of a boot that ended."""
    return Crash(
        boot_id=theirs,
        found_boot_id=ours,
        found_wall=found,
        booted_wall=booted_wall(),
        last=last,
        logs=(read_systemds_journal(theirs, since=since), read_pstore(since=since)),
    )


def _findings(crash: Crash) -> tuple[Finding, ...]:
    return crash_findings(crash, as_root=os.geteuid() == 0)


def _began(journal: Journal, mark: AttemptMark) -> Seconds | None:
    attempts = journal.record(mark.run_id).attempts
    return next((a.started_wall for a in attempts if a.serial == mark.serial), None)


# -- systemd's journal -----------------------------------------------------------------------------


def read_systemds_journal(
    boot_id: str,
    *,
    since: Seconds | None,
    programs: tuple[str, ...] = JOURNALCTL,
    deadline_s: float = JOURNALCTL_S,
) -> PastLog:
    """Return what systemd's journal has of the kernel's log of another boot. Never raises."""
    try:
        lines, why = _kernel_lines(boot_id, programs, deadline_s)
    except SteadyrunError as error:
        lines, why = (), error.message
    until = last_wall(lines)
    if lines and since is not None and (until is None or until < since):
        why = "it has no line of the kernel of that time: there was none, or it did not reach the disk"
    elif lines:
        why = ""
    return PastLog("systemd's journal", not why, why, until, telling(lines, since=since))


def _kernel_lines(
    boot_id: str, programs: tuple[str, ...], deadline_s: float
) -> tuple[tuple[LogLine, ...], str]:
    """Return the kernel's last lines of a boot; without any, why there are none.

    Raises:
        FormatError: journalctl does not speak as documented.
    """
    boot = boot_id.replace("-", "")
    if not _BOOT_ID.fullmatch(boot):
        return (), "the id of that boot is not known"
    program = next((name for name in programs if os.access(name, os.X_OK)), None)
    if program is None:
        return (), "there is no journalctl here"
    words = [program, "--dmesg", f"--boot={boot}", f"--lines={JOURNAL_LINES}"]
    words += ["--output=json", "--output-fields=MESSAGE", "--no-pager", "--quiet"]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline_s,
            check=False,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        return (), f"journalctl did not answer within {deadline_s:g} s"
    except OSError as error:
        return (), f"{program}: {os.strerror(error.errno or 0)}"
    lines = parse_journal(done.stdout.decode("utf-8", "replace"))
    said = one_line(done.stderr.decode("utf-8", "replace"))
    return lines, said or "it has no line of the kernel of that boot that this user may read"


# -- pstore ----------------------------------------------------------------------------------------


def read_pstore(
    *,
    since: Seconds | None,
    folders: tuple[str, ...] = PSTORE_FOLDERS,
    backend: str = PSTORE_BACKEND,
) -> PastLog:
    """Return what pstore has kept since then, of the kernel's log of a boot that ended. Never raises.

    A record does not name its boot: those written before `since` are of earlier crashes.
    """
    try:
        records = _records(folders, since)
        lines = [line for path in records for line in parse_record(_end_of(path))]
    except OSError as error:
        return _no_pstore(f"{error.filename}: {os.strerror(error.errno or 0)}")
    if not records and (read_text(backend) or "(null)").strip() == "(null)":
        return _no_pstore("this machine has nothing that keeps the kernel's last words")
    return PastLog("pstore", True, "", None, telling(lines))


def _no_pstore(why: str) -> PastLog:
    return PastLog("pstore", False, why, None, ())


def _records(folders: tuple[str, ...], since: Seconds | None) -> list[str]:
    """Return the newest records, oldest first.

    Raises:
        OSError: A folder may not be read.
    """
    found: list[tuple[float, str]] = []
    for top in folders:
        for folder, _, names in os.walk(top, onerror=_unless_missing):
            paths = (os.path.join(folder, name) for name in names if name.startswith("dmesg"))
            found += [(os.stat(path).st_mtime, path) for path in paths]
    new = sorted((at, path) for at, path in found if since is None or at >= since)
    return [path for _, path in new[-RECORDS_MOST:]]


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _end_of(path: str) -> str:
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - RECORD_MOST))
        return file.read(RECORD_MOST).decode("utf-8", "replace")
