"""Writes the journal: `open_journal` gives a `Journal`, whose every method is one transaction.

Durable (on the disk when the method returns): intents and what became of them, the begin and end
of a run, attempts, findings, envelopes. Relaxed: samples, events, the status line; those give up on a
busy journal after a moment, for a caller that comes back. `batch` puts
several calls into one durable transaction. Never decides anything and never undoes anything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from steadyrun.errors import FormatError, UsageError
from steadyrun.journal.opening import open_connection
from steadyrun.journal.read import Reader, loads
from steadyrun.journal.rows import IS_OPEN, IntentKind
from steadyrun.journal.schema import sample_tables
from steadyrun.journal.store import DURABLE_SECONDS
from steadyrun.model.codec import encode
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from steadyrun.journal.recover import AttemptMark, Mark
    from steadyrun.model.envelope import Envelope
    from steadyrun.model.finding import Finding
    from steadyrun.model.record import Attempt, Baseline, Proof
    from steadyrun.model.run import RunEnd, RunHeader

    Payload = tuple[Any, ...] | dict[str, Any]
    """A NamedTuple of the model, or an object ready for JSON."""


def open_journal(
    directory: str,
    *,
    boot_id: str,
    now_wall: Callable[[], float] = time.time,
    patience: float = DURABLE_SECONDS,
) -> Journal:
    """Open the journal in a directory (`place.state_dir`), making it where there is none.

    Args:
        directory: Exists and is this user's alone.
        boot_id: Of this boot, as /proc/sys/kernel/random/boot_id gives it; empty when unknown.
        now_wall: Gives the Unix time that intents are stamped with.
        patience: Seconds that a durable write waits for other processes.

    Raises:
        JournalUnwritableError: It cannot be written, or a newer steadyrun wrote it.
    """
    connection, findings = open_connection(directory, boot_id=boot_id, now_wall=now_wall)
    return Journal(
        connection, directory, boot_id=boot_id, now_wall=now_wall, findings=findings, patience=patience
    )


class Journal(Reader):
    """The journal, open for reading and writing, as a context manager.

    Every writing method raises `JournalUnwritableError` when nothing was written, and `UsageError`
    for a run or an intent that is not there.
    """

    def __enter__(self) -> Journal:
        """Give the journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Make one durable transaction of all calls inside: all are on the disk afterwards, or none."""
        with self._transaction(durable=True):
            yield

    def begin_run(self, header: RunHeader) -> None:
        """Write that a run begins. Before its first intent."""
        with self._transaction(durable=True) as connection:
            connection.execute(
                "INSERT INTO runs (run_id, kind, boot_id, started_wall, pid, pid_started, uid, header)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    header.run_id,
                    header.kind.value,
                    header.boot_id,
                    header.started_wall,
                    header.pid,
                    header.pid_started,
                    header.uid,
                    _json(header),
                ),
            )

    def set_baseline(self, run_id: str, baseline: Baseline) -> None:
        """Write the baseline of a run."""
        self._set(run_id, "baseline=?", (_json(baseline),))

    def set_status(self, run_id: str, status: str) -> None:
        """Write the status line (relaxed: the next border takes it to the disk)."""
        self._set(run_id, "status=?", (_json(status),), durable=False)

    def add_proof(self, run_id: str, proof: Proof) -> None:
        """Write one containment proof behind those that are there."""
        self._append(run_id, "proofs", proof)

    def add_finding(self, run_id: str, finding: Finding) -> None:
        """Write one finding about the run as a whole behind those that are there."""
        self._append(run_id, "findings", finding)

    def put_attempt(self, run_id: str, attempt: Attempt) -> None:
        """Write an attempt as it stands now, in place of the one with the same serial."""
        with self._transaction(durable=True) as connection:
            connection.execute(
                "INSERT INTO attempts (run_id, serial, boot_id, label, state, record)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, serial) DO UPDATE SET"
                " boot_id=excluded.boot_id, label=excluded.label, state=excluded.state,"
                " record=excluded.record",
                (
                    run_id,
                    attempt.serial,
                    attempt.boot_id,
                    _json(attempt.label),
                    attempt.state.value,
                    _json(attempt),
                ),
            )

    def store_envelope(self, envelope: Envelope) -> None:
        """Write the envelope of a kind of load; the older ones of that kind are superseded, and stay."""
        with self._transaction(durable=True) as connection:
            connection.execute("UPDATE envelopes SET superseded=1 WHERE kind=?", (_json(envelope.kind),))
            connection.execute(
                "INSERT INTO envelopes (kind, run_id, boot_id, proven_wall, memory_max, record)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    _json(envelope.kind),
                    envelope.run_id,
                    self.boot_id,
                    envelope.proven_wall,
                    envelope.limits.memory_max,
                    _json(envelope),
                ),
            )
            connection.execute(
                "UPDATE runs SET envelope=? WHERE run_id=?", (_json(envelope), envelope.run_id)
            )

    def end_run(self, run_id: str, end: RunEnd, tomorrow: str | None = None) -> None:
        """Write how a run ended. The owner's word stands over what recovery may have guessed."""
        self._set(
            run_id,
            "ended_wall=?, exit_code=?, reason=?, tomorrow=coalesce(?, tomorrow)",
            (end.wall, end.exit_code, _json(end.reason), None if tomorrow is None else _json(tomorrow)),
        )

    def intend(self, run_id: str, kind: IntentKind, payload: Payload) -> int:
        """Write what is about to be done, before it is done; return the intent's id.

        Raises:
            SteadyrunError: The run was never begun: nobody could tell whose the intent is.
        """
        with self._transaction(durable=True) as connection:
            cursor = connection.execute(
                "INSERT INTO intents (run_id, boot_id, kind, payload, wall) VALUES (?, ?, ?, ?, ?)",
                (run_id, self.boot_id, kind.value, _json(payload), self._now_wall()),
            )
            assert cursor.lastrowid is not None  # an INSERT of one row has one
            return cursor.lastrowid

    def note(self, intent_id: int, detail: Payload, *, durable: bool = True) -> None:
        """Write what became of an intent (a containment with its inodes); it stays open."""
        self._update_intent(intent_id, "detail=?", (_json(detail),), durable=durable)

    def fulfil(self, intent_id: int, how: str) -> None:
        """Write that nothing is left to undo for an intent, and why. The first word stands."""
        self._update_intent(
            intent_id,
            "done_how=coalesce(done_how, ?), done_wall=coalesce(done_wall, ?)",
            (_json(how), self._now_wall()),
        )

    def mark(self, mark: Mark) -> None:
        """Write one of recovery's marks, unless the row has been closed in the meantime."""
        from steadyrun.journal.recover import AttemptMark  # not on the way of a plain `run`

        if isinstance(mark, AttemptMark):
            self._mark_attempt(mark)
            return
        values = (self._now_wall(), mark.exit_code, _json(mark.reason), _json(mark.status), mark.run_id)
        with self._transaction(durable=True) as connection:
            connection.execute(
                "UPDATE runs SET ended_wall=?, exit_code=?, reason=?, status=?"
                " WHERE run_id=? AND ended_wall IS NULL",
                values,
            )

    def add_samples(
        self, run_id: str, serial: int, samples: Iterable[tuple[int, float, dict[str, Any]]]
    ) -> None:
        """Keep samples of an attempt, as (seq, Unix time, payload), in one relaxed transaction.

        A seq that is there already stays as it is.
        """
        rows = [(run_id, serial, seq, self.boot_id, wall, _json(payload)) for seq, wall, payload in samples]
        with self._transaction(durable=False) as connection:
            connection.executemany(
                f"INSERT INTO {sample_tables(connection)[-1]} (run_id, serial, seq, boot_id, wall, payload)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                rows,
            )

    def add_events(self, run_id: str, serial: int, events: Iterable[tuple[float, Payload]]) -> None:
        """Keep events of an attempt, as (Unix time, payload), in one relaxed transaction."""
        rows = [(run_id, serial, self.boot_id, wall, _json(payload)) for wall, payload in events]
        with self._transaction(durable=False) as connection:
            connection.executemany(
                "INSERT INTO events (run_id, serial, boot_id, wall, payload) VALUES (?, ?, ?, ?, ?)", rows
            )

    def _set(self, run_id: str, columns: str, values: tuple[Any, ...], *, durable: bool = True) -> None:
        """Change columns of a run.

        Raises:
            UsageError: There is no such run.
        """
        with self._transaction(durable=durable) as connection:
            changed = connection.execute(f"UPDATE runs SET {columns} WHERE run_id=?", (*values, run_id))
            if changed.rowcount != 1:
                raise UsageError(f"{run_id}: expected a run of {self.path}, found none")

    def _append(self, run_id: str, column: str, value: Payload) -> None:
        """Put one value behind the others of a column; those are not looked into (they may be newer)."""
        with self._transaction(durable=True) as connection:
            row = connection.execute(f"SELECT {column} FROM runs WHERE run_id=?", (run_id,)).fetchone()
            if row is None:
                raise UsageError(f"{run_id}: expected a run of {self.path}, found none")
            there = loads(row[0])
            if not isinstance(there, list):
                raise FormatError(f"run {run_id}, {column}: expected a list, found {row[0]!r:.80}")
            self._set(run_id, f"{column}=?", (_json([*there, value]),))

    def _update_intent(
        self, intent_id: int, columns: str, values: tuple[Any, ...], *, durable: bool = True
    ) -> None:
        """Change columns of an intent.

        Raises:
            UsageError: There is no such intent.
        """
        with self._transaction(durable=durable, patient=True) as connection:
            changed = connection.execute(f"UPDATE intents SET {columns} WHERE id=?", (*values, intent_id))
            if changed.rowcount != 1:
                raise UsageError(f"intent {intent_id}: expected an intent of {self.path}, found none")

    def _mark_attempt(self, mark: AttemptMark) -> None:
        """Close an open attempt in its column and in its record, whatever else the record holds."""
        with self._transaction(durable=True) as connection:
            row = connection.execute(
                f"SELECT record FROM attempts WHERE run_id=? AND serial=? AND {IS_OPEN}",
                (mark.run_id, mark.serial),
            ).fetchone()
            if row is None:
                return
            record = loads(row[0])
            if isinstance(record, dict):
                record["state"] = mark.state.value
                told = [encode(finding) for finding in (mark.finding, *mark.more)]
                record["findings"] = [*record.get("findings", ()), *told]
                record["crash"] = encode(mark.crash)
            connection.execute(
                "UPDATE attempts SET state=?, record=? WHERE run_id=? AND serial=?",
                (
                    mark.state.value,
                    row[0] if record is None else _json(record),
                    mark.run_id,
                    mark.serial,
                ),
            )


def _json(value: Any) -> str:
    """Return a value as compact JSON in ASCII (bytes that are no UTF-8 come as escaped surrogates)."""
    return json.dumps(encode(value), separators=(",", ":"))
