"""Reads the journal: the record of a run, the list of runs, samples, what is still open.

A row that this version cannot read (a newer one wrote it) is left where it is, left out of the
answer and named in `findings`; it never makes the rest unreadable. Never writes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from steadyrun.errors import FormatError, UsageError
from steadyrun.journal.rows import IS_OPEN, EventRow, Intent, IntentKind, OpenAttempt, RunRow, SampleRow
from steadyrun.journal.schema import sample_tables
from steadyrun.journal.store import Store, is_damage, mark_suspect
from steadyrun.model.codec import decode
from steadyrun.model.envelope import Envelope
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.run import RunEnd, RunHeader, RunKind, RunResult, State
from steadyrun.typed import TYPE_CHECKING
from steadyrun.units import Seconds

if TYPE_CHECKING:
    from enum import Enum
    from typing import Any, TypeVar

    from steadyrun.model.record import Attempt, RunRecord

    T = TypeVar("T")
    E = TypeVar("E", bound=Enum)

UNREADABLE = "journal-row-unreadable"
_PAGE = 2000
"""Rows of samples or events held in memory at a time."""
_RUN_COLUMNS = "run_id, kind, boot_id, pid, pid_started, started_wall, ended_wall, exit_code, status, header"


def unreadable(where: str, why: str) -> Finding:
    """Return the finding for a row that was left out."""
    return Finding(
        code=UNREADABLE,
        severity=Severity.WARNING,
        title=f"A row of the journal could not be read and was left out: {where}.",
        evidence=why,
        remedy="If a newer steadyrun wrote it: pip install --upgrade steadyrun",
    )


class Reader(Store):
    """The reading half of the journal."""

    def record(self, run_id: str) -> RunRecord:
        """Return all that is known of a run.

        Raises:
            UsageError: There is no such run.
            FormatError: A newer version wrote its header.
            JournalUnwritableError: The journal cannot be read.
        """
        from steadyrun.model.record import Baseline, Proof, RunRecord  # not on the way of a plain `run`

        rows = self._rows(
            "SELECT header, baseline, proofs, findings, status, envelope, tomorrow, ended_wall, exit_code,"
            " reason FROM runs WHERE run_id=?",
            (run_id,),
        )
        if not rows:
            raise UsageError(f"{run_id}: expected a run of {self.path}, found none", hint="steadyrun history")
        header, baseline, proofs, findings, status, envelope, tomorrow, wall, code, reason = rows[0]
        left_out: list[Finding] = []
        attempts = self._attempts(run_id, left_out)
        known = self._list(Finding, findings, f"run {run_id}, findings", left_out)
        known_header = decode(RunHeader, loads(header), source=f"run {run_id}")
        single = known_header.kind is RunKind.RUN
        return RunRecord(
            header=known_header,
            result=self._result(run_id, left_out) if single else None,
            baseline=self._one(Baseline, baseline, f"run {run_id}, baseline", left_out),
            proofs=self._list(Proof, proofs, f"run {run_id}, proofs", left_out),
            attempts=attempts,
            status=_text(status),
            envelope=self._one(Envelope, envelope, f"run {run_id}, envelope", left_out),
            tomorrow=None if tomorrow is None else _text(tomorrow),
            end=None if wall is None else RunEnd(Seconds(wall), code, _text(reason)),
            findings=known + tuple(left_out),
        )

    def runs(self, limit: int | None = None) -> tuple[RunRow, ...]:
        """Return the runs, newest first, at most `limit` (`None`: all)."""
        return self._run_rows("1 ORDER BY id DESC LIMIT ?", (-1 if limit is None else limit,))

    def latest(self, kind: RunKind | None = None) -> str | None:
        """Return the id of the newest run of a kind (`None`: of any); `None` when there is none."""
        rows = self._rows(
            "SELECT run_id FROM runs WHERE ? IS NULL OR kind=? ORDER BY id DESC LIMIT 1",
            (kind and kind.value, kind and kind.value),
        )
        return str(rows[0][0]) if rows else None

    def unfinished(self) -> tuple[tuple[RunRow, ...], tuple[Intent, ...]]:
        """Return the runs with something open, newest first, and their open intents, oldest first.

        Intents are read before the runs: one that is of none of these was fulfilled in between, while one
        read after them may be of a run that has begun since, and whoever asked for owners would not know its.
        """
        intents = self.open_intents()
        runs = self.open_runs()
        known = {run.run_id for run in runs}
        return runs, tuple(intent for intent in intents if intent.run_id in known)

    def open_runs(self) -> tuple[RunRow, ...]:
        """Return the runs with something open, newest first: the end, an attempt, or an intent."""
        return self._run_rows(
            f"ended_wall IS NULL OR run_id IN (SELECT run_id FROM attempts WHERE {IS_OPEN})"
            " OR run_id IN (SELECT run_id FROM intents WHERE done_wall IS NULL) ORDER BY id DESC"
        )

    def open_intents(self) -> tuple[Intent, ...]:
        """Return the intents that nobody has fulfilled or undone, oldest first."""
        rows = self._rows(
            "SELECT id, run_id, boot_id, kind, payload, wall, detail FROM intents"
            " WHERE done_wall IS NULL ORDER BY id"
        )
        return tuple(
            Intent(
                id=number,
                run_id=run_id,
                boot_id=boot_id,
                kind=_member(IntentKind, kind),
                payload=_object(payload),
                wall=Seconds(wall),
                detail=_object(detail),
            )
            for number, run_id, boot_id, kind, payload, wall, detail in rows
        )

    def envelope(self, kind: str | None = None) -> Envelope | None:
        """Return the newest envelope for a kind of load (`None`: of any kind); `None`: there is none."""
        rows = self._rows(
            "SELECT id, record FROM envelopes WHERE NOT superseded AND (? IS NULL OR kind=?)"
            " ORDER BY id DESC",
            (kind, kind and json.dumps(kind)),
        )
        left_out: list[Finding] = []
        for number, record in rows:
            found = self._one(Envelope, record, f"envelope {number}", left_out)
            if found is not None:
                return found
        return None

    def samples(self, run_id: str, serial: int) -> Iterator[SampleRow]:
        """Yield the kept samples of one attempt in their order, a page in memory at a time."""
        after = -(2**63)
        for table in self._sample_tables():
            sql = f"SELECT seq, wall, payload FROM {table} WHERE run_id=? AND serial=? AND seq>?"
            for seq, wall, payload in self._pages(sql + " ORDER BY seq LIMIT ?", (run_id, serial), after):
                yield SampleRow(seq, Seconds(wall), payload)

    def last_samples(self, run_id: str, serial: int, most: int) -> tuple[SampleRow, ...]:
        """Return the last kept samples of one attempt, in their order, at most so many."""
        rows: list[Any] = []
        for table in reversed(self._sample_tables()):
            sql = f"SELECT seq, wall, payload FROM {table} WHERE run_id=? AND serial=?"
            rows += self._rows(sql + " ORDER BY seq DESC LIMIT ?", (run_id, serial, most - len(rows)))
        read = ((seq, wall, _object(payload)) for seq, wall, payload in reversed(rows))
        return tuple(SampleRow(seq, Seconds(wall), payload) for seq, wall, payload in read if payload)

    def _sample_tables(self) -> tuple[str, ...]:
        with self._lock, self._refusing():
            return sample_tables(self._connection)

    def events(self, run_id: str, serial: int | None = None) -> Iterator[EventRow]:
        """Yield the kept events of one attempt (`None`: of the whole run) in their order."""
        sql = "SELECT id, wall, payload FROM events WHERE run_id=? AND (? IS NULL OR serial=?) AND id>?"
        for _, wall, payload in self._pages(sql + " ORDER BY id LIMIT ?", (run_id, serial, serial), 0):
            yield EventRow(Seconds(wall), payload)

    def _pages(
        self, sql: str, values: tuple[Any, ...], after: int
    ) -> Iterator[tuple[int, float, dict[str, Any]]]:
        """Yield rows page by page. Damage ends them, with a finding: the record is worth more."""
        while True:
            try:
                with self._lock:
                    rows = self._connection.execute(sql, (*values, after, _PAGE)).fetchall()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    with self._refusing():
                        raise
                mark_suspect(self.directory)
                self._find(unreadable(f"samples of {values[0]}", str(error)))
                return
            for number, wall, text in rows:
                payload = _object(text)
                if payload is None:
                    self._find(unreadable(f"a sample of {values[0]}", f"row {number}: expected an object"))
                else:
                    yield number, wall, payload
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    def _run_rows(self, where: str, values: tuple[Any, ...] = ()) -> tuple[RunRow, ...]:
        """Return rows of runs with their open attempts."""
        opened: dict[str, list[OpenAttempt]] = {}
        for run_id, serial, label, boot_id, state in self._rows(
            f"SELECT run_id, serial, label, boot_id, state FROM attempts WHERE {IS_OPEN} ORDER BY serial"
        ):
            opened.setdefault(run_id, []).append(OpenAttempt(serial, _text(label), boot_id, State(state)))
        return tuple(
            RunRow(
                run_id=run_id,
                kind=_member(RunKind, kind),
                boot_id=boot_id,
                pid=pid,
                pid_started=pid_started,
                started_wall=Seconds(started),
                ended_wall=None if ended is None else Seconds(ended),
                exit_code=code,
                status=_text(status),
                open_attempts=tuple(opened.get(run_id, ())),
                argv=_argv(header),
            )
            for run_id, kind, boot_id, pid, pid_started, started, ended, code, status, header in self._rows(
                f"SELECT {_RUN_COLUMNS} FROM runs WHERE {where}", values
            )
        )

    def _attempts(self, run_id: str, left_out: list[Finding]) -> tuple[Attempt, ...]:
        """Return the attempts that can be read, in their order."""
        from steadyrun.model.record import Attempt

        found = (
            self._one(Attempt, record, f"run {run_id}, attempt {serial}", left_out)
            for serial, record in self._rows(
                "SELECT serial, record FROM attempts WHERE run_id=? ORDER BY serial", (run_id,)
            )
        )
        return tuple(attempt for attempt in found if attempt is not None)

    def _result(self, run_id: str, left_out: list[Finding]) -> RunResult | None:
        """Return how a `run` ended: its one event; `None` when it never told, or that is unreadable."""
        rows = self._rows("SELECT payload FROM events WHERE run_id=? ORDER BY id DESC LIMIT 1", (run_id,))
        return self._one(RunResult, rows[0][0], f"run {run_id}, result", left_out) if rows else None

    def _one(self, cls: type[T], text: Any, where: str, left_out: list[Finding]) -> T | None:
        """Decode one value; `None` when there is none, or when it is unreadable (then a finding)."""
        if text is None:
            return None
        try:
            return decode(cls, loads(text), source=where)
        except FormatError as error:
            left_out.append(unreadable(where, error.message))
            self._find(left_out[-1])
            return None

    def _list(self, cls: type[T], text: Any, where: str, left_out: list[Finding]) -> tuple[T, ...]:
        """Decode a list, leaving out the items that are unreadable."""
        items = loads(text)
        if not isinstance(items, list):
            left_out.append(unreadable(where, "expected a list"))
            return ()
        found = (self._one(cls, json.dumps(item), f"{where}[{i}]", left_out) for i, item in enumerate(items))
        return tuple(item for item in found if item is not None)


def loads(text: Any) -> Any:
    """Return what the JSON says; `None` for anything that is no JSON (and so decodes as nothing)."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None


def _object(text: Any) -> dict[str, Any] | None:
    """Return the object the JSON says; `None` when it is none."""
    value = loads(text)
    return value if isinstance(value, dict) else None


def _text(text: Any) -> str:
    """Return the text the JSON says; empty when it is none."""
    value = loads(text)
    return value if isinstance(value, str) else ""


def _argv(header: Any) -> tuple[str, ...]:
    """Return the command that a header names, whatever else is in it; empty when there is none."""
    argv = (_object(header) or {}).get("argv")
    return tuple(word for word in argv if isinstance(word, str)) if isinstance(argv, list) else ()


def _member(cls: type[E], value: Any) -> E | None:
    """Return the member of that value; `None` when this version has none."""
    return next((m for m in cls if m.value == value), None)
