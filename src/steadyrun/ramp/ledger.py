"""The record of a running ramp: one value that grows, kept by the journal, the report and the feed.

Every change goes through here, so that the three can never tell different stories. What loosens
(a phase that begins) is in the journal before it happens. While a load runs nothing here waits for a
disk: `reading`, `event`, `status` and `finding_soon` leave the writing to threads. The report is waited for
at the borders of phases, never longer than its deadline.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from steadyrun.errors import JournalUnwritableError
from steadyrun.journal.syncing import LogSync
from steadyrun.journal.write import Journal
from steadyrun.model.codec import encode
from steadyrun.model.envelope import Envelope
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.record import Attempt, Baseline, Proof, RunEnd, RunHeader, RunRecord
from steadyrun.model.sample import Reading
from steadyrun.ramp.feed import Feed
from steadyrun.ramp.spool import Spool
from steadyrun.report.writer import ReportWriter

BORDER_DEADLINE_S = 10.0
"""A disk that is stalled longer than this does not hold up the ramp; the next border catches up."""


class Ledger:
    """The record and everybody who keeps a copy of it."""

    def __init__(
        self,
        header: RunHeader,
        *,
        journal: Journal,
        feed: Feed,
        owner: tuple[int, int] | None,
        carried: tuple[Attempt, ...],
    ) -> None:
        """Begin the run in the journal.

        `carried` are the attempts of the run it goes on from: one record tells one story.

        Raises:
            JournalUnwritableError: It is not in the journal; nothing may begin.
        """
        self.record = RunRecord(header, None, (), (), (), "Baseline is being taken", None, None, None)
        self.run_id = header.run_id
        self._journal, self._feed = journal, feed
        self._troubles: deque[Finding] = deque()
        self._writer = ReportWriter(header.report_dir or ".", owner=owner, on_trouble=self._troubles.append)
        self.carried = carried
        self._unwritten: deque[Finding] = deque()
        self._sync = LogSync(journal.path)
        self._spool = Spool(journal, header.run_id, on_written=self._sync.ask)
        journal.begin_run(header)
        for attempt in carried:
            self.attempt(attempt)
        self._change()
        self.border()

    def own_attempts(self) -> tuple[Attempt, ...]:
        """Return the attempts of this run alone."""
        return self.record.attempts[len(self.carried) :]

    def close(self) -> None:
        """Write the last report and end the writing thread."""
        self._spool.close()
        self._sync.close()
        self._writer.close()

    def status(self, text: str) -> None:
        """Say where the ramp stands."""
        self._spool.status(text)
        self._change(status=text)

    def baseline(self, baseline: Baseline) -> None:
        """Keep phase 0."""
        self._journal.set_baseline(self.run_id, baseline)
        self._change(baseline=baseline)
        self.border()

    def proof(self, proof: Proof) -> None:
        """Keep one containment proof."""
        self._journal.add_proof(self.run_id, proof)
        self._change(proofs=(*self.record.proofs, proof))

    def finding(self, *findings: Finding) -> None:
        """Keep findings of the run as a whole, each once."""
        self.finding_soon(*findings)
        while self._unwritten:
            self._journal.add_finding(self.run_id, self._unwritten[0])
            self._unwritten.popleft()

    def finding_soon(self, *findings: Finding) -> None:
        """Keep findings, and have the next durable word take them to the journal: a load is running."""
        new = [each for each in dict.fromkeys(findings) if each not in self.record.findings]
        self._unwritten.extend(new)
        if new:
            self._change(findings=(*self.record.findings, *new))

    def attempt(self, attempt: Attempt, *, status: str | None = None) -> None:
        """Keep the newest state of an attempt, durably, before anything is made of it.

        Raises:
            JournalUnwritableError: It is in the report alone.
        """
        others = tuple(a for a in self.record.attempts if a.serial != attempt.serial)
        try:
            self._journal.put_attempt(self.run_id, attempt)
        finally:
            self._change(attempts=(*others, attempt))
        if status is not None:
            self.status(status)

    def reading(self, serial: int, reading: Reading, *, show: bool) -> None:
        """Keep one reading of the guard; a crash takes the last second or two of them, decisions never."""
        payload = encode(reading)
        self._spool.sample(serial, reading.seq, reading.host.wall, payload)
        if show:
            self._feed.publish("reading", payload)

    def event(self, serial: int, wall: float, payload: Any) -> None:
        """Keep one event of the guard."""
        self._spool.event(serial, wall, payload)

    def settle(self) -> None:
        """Have the journal take what waits for it, now that no load runs; tell what it did not get.

        Raises:
            JournalUnwritableError: A finding could not be written.
        """
        self._spool.flush(now=True)
        lost = self._spool.give_up()
        self.finding(*((_lost(lost),) if lost else ()))

    def envelope(self, envelope: Envelope, tomorrow: str) -> None:
        """Keep what the ramp proved."""
        self._journal.store_envelope(envelope)
        self._change(envelope=envelope, tomorrow=tomorrow)

    def end(self, end: RunEnd, status: str, *findings: Finding) -> None:
        """End the run in the journal and write the last report.

        Raises:
            JournalUnwritableError: The journal does not have it. The report does, and says so.
        """
        try:
            self._spool.status(status)
            self._spool.flush(now=True)
            self.finding(*findings)
            self._journal.end_run(self.run_id, end, tomorrow=self.record.tomorrow)
        except JournalUnwritableError as error:
            self._change(end=RunEnd(end.wall, error.exit_code, error.message), status="Not finished")
            self._writer.flush(durable=True, timeout=BORDER_DEADLINE_S)
            raise
        self._change(end=end, status=status)
        self.border()

    def border(self) -> None:
        """Have the report on disk as it is now, or go on without after the deadline."""
        self._writer.flush(durable=True, timeout=BORDER_DEADLINE_S)
        while self._troubles:
            self.finding(self._troubles.popleft())

    def _change(self, **changes: Any) -> None:
        self.record = self.record._replace(**changes)
        self._writer.submit(self.record)
        self._feed.publish_record(encode(self.record))


def _lost(count: int) -> Finding:
    return Finding(
        "samples-lost",
        Severity.NOTE,
        "The journal could not be written for a while",
        f"{count} readings and events of the guard are not in it",
        "see what holds it up: df -h, iostat -x 1",
        "went on; figures and verdicts are not affected",
    )
