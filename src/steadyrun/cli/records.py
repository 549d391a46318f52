"""The journal of whoever calls, and which run is meant: shared by the commands that look back."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterable

from steadyrun.cli.complaint import complaint
from steadyrun.errors import SteadyrunError, UsageError
from steadyrun.journal.owners import living, process_lives
from steadyrun.journal.place import state_dir
from steadyrun.journal.rows import RunRow
from steadyrun.journal.write import Journal, open_journal
from steadyrun.kernel.reader import boot_id
from steadyrun.model.record import RunHeader, RunKind
from steadyrun.report.files import write_atomic
from steadyrun.report.rights import rights_of


def journal_here() -> Journal:
    """Open the caller's journal; say so where the one that was there could not be used.

    Raises:
        JournalUnwritableError: It cannot be opened or written.
    """
    journal = open_journal(state_dir(os.environ, os.geteuid()), boot_id=boot_id())
    for finding in journal.findings:
        said = f"{finding.title} {finding.evidence}; {finding.done}"
        sys.stderr.write(complaint(said, finding.remedy))
    return journal


def rewrite_reports(journal: Journal, run_ids: Iterable[str]) -> None:
    """Write the reports of these runs again, where their folders are still there.

    With the rights of the user whose run it was: root writes nothing there that they could not. What
    cannot be written stays as it was; `steadyrun report RUN` has it all the same.
    """
    from steadyrun.report.formats import FORMATS

    for run_id in run_ids:
        try:
            record = journal.record(run_id)
            folder = record.header.report_dir
            if folder is None:
                continue
            pages = [(os.path.join(folder, each.file), each.ramp(record)) for each in FORMATS.values()]
            with rights_of(_owner_of(record.header)):
                for path, page in pages:
                    write_atomic(path, page, durable=True)
        except (SteadyrunError, OSError):
            continue


def _owner_of(header: RunHeader) -> tuple[int, int] | None:
    """Return the user that root ran the loads as; `None`: our own rights are the right ones."""
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam(header.user)
    except KeyError:
        return None
    return None if user.pw_uid == 0 else (user.pw_uid, user.pw_gid)


def running(journal: Journal) -> tuple[RunRow, ...]:
    """Return the runs that go on, newest first: their process is seen here, or their owner elsewhere.

    Raises:
        JournalUnwritableError: It cannot be told.
    """
    runs = journal.open_runs()
    owned = living(journal.directory, runs)
    return tuple(r for r in runs if is_seen(r) or (r.run_id in owned and r.ended_wall is None))


def is_seen(run: RunRow) -> bool:
    """Tell whether the process of a run is one that this pid namespace shows."""
    return process_lives(run)


def find_run(journal: Journal, asked: str | None, *, kind: RunKind | None = None) -> str:
    """Return the id of the run that is meant: its beginning is enough; without one the newest.

    Raises:
        UsageError: There is none, or several begin like that.
    """
    rows = [row for row in journal.runs(None) if kind is None or row.kind is kind or asked]
    found = [row.run_id for row in rows if asked is None or row.run_id.startswith(asked)]
    if not found:
        what = f"a run {asked}" if asked else "a run in the journal"
        raise UsageError(f"expected {what}, found none", hint="`steadyrun history` lists the runs")
    if asked is not None and len(found) > 1 and asked not in found:
        raise UsageError(
            f"expected one run, found {len(found)} that begin with {asked}", hint="type more of its id"
        )
    return asked if asked in found and asked is not None else found[0]
