"""The conductor as a process: started by `steadyrun ramp` in a session of its own.

Reads its order from standard input, holds the machine's ramp lock (an inherited descriptor), and
goes on when the terminal it was started from is closed.
"""

from __future__ import annotations

import json
import os
import sys
import time

from steadyrun.contain.facts import read_facts
from steadyrun.contain.open import open_backend
from steadyrun.errors import EXIT_BUG, SteadyrunError, UsageError
from steadyrun.journal.identity import run_header
from steadyrun.journal.owners import Owners
from steadyrun.journal.recover import RESUMABLE
from steadyrun.journal.write import Journal, open_journal
from steadyrun.kernel.reader import boot_id
from steadyrun.model.codec import decode
from steadyrun.model.fate import downs_of
from steadyrun.model.finding import Finding
from steadyrun.model.machine import reserve_for
from steadyrun.model.record import Attempt, RunEnd, RunHeader, RunKind, RunRecord
from steadyrun.model.run import Down
from steadyrun.ramp.bug import bug_finding, bug_reason, where_raised
from steadyrun.ramp.conductor import Conductor
from steadyrun.ramp.environment import environment_changed
from steadyrun.ramp.feed import Feed, MachineLock
from steadyrun.ramp.launch import LOG, leave_words
from steadyrun.ramp.ledger import Ledger
from steadyrun.ramp.order import RampOrder
from steadyrun.ramp.outlive import Outliving
from steadyrun.ramp.stopping import StopRequests
from steadyrun.recovery.crashes import findings_between
from steadyrun.units import Seconds


def main(_argv: list[str]) -> int:
    """Conduct one ramp and return its exit code."""
    stop = StopRequests()
    order = decode(RampOrder, json.load(sys.stdin))
    lock = MachineLock(order.lock_fd)
    allowed = {0, os.geteuid()} | ({order.run_as.uid} if order.run_as else set())
    feed = Feed(order.run_id, allowed_uids=frozenset(allowed))
    try:
        code = _conduct(order, stop, feed)
    except SteadyrunError as error:
        code = error.exit_code
        _fail(order, feed, error.message, error.hint)
        _note(f"steadyrun: {error.message}")
    except Exception as error:
        code = EXIT_BUG
        _fail(order, feed, f"{bug_reason(error)} ({where_raised(error)})", f"see {_log(order)}")
        _note(_traceback(error))
    finally:
        feed.close()
        lock.close()
    return code


def _fail(order: RampOrder, feed: Feed, message: str, hint: str | None) -> None:
    """Say why it failed to whoever listens, and to the client that may have come too late for that."""
    feed.publish("failure", {"message": message, "hint": hint})
    if order.words_fd >= 0:
        leave_words(order.words_fd, message, hint)


def _note(text: str) -> None:
    """Write to conductor.log; a full disk must not change the exit code."""
    try:
        os.write(2, text.encode("utf-8", "backslashreplace") + b"\n")
    except OSError:
        pass


def _conduct(order: RampOrder, stop: StopRequests, feed: Feed) -> int:
    machine = order.machine
    if machine.effective_ram is None:
        raise SteadyrunError("/proc/meminfo: expected MemTotal, found nothing; a reserve cannot be kept")
    with (
        Owners(order.state_dir, order.owners_fd) as owners,
        open_journal(order.state_dir, boot_id=boot_id()) as journal,
    ):
        owners.own(order.run_id)
        before = None if order.resumed_from is None else journal.record(order.resumed_from)
        carried = () if before is None else _carried(before)
        downs = () if before is None else downs_of(before)
        header = _header(order, downs)
        ledger = Ledger(header, journal=journal, feed=feed, owner=order.owner(), carried=carried)
        ledger.finding(*journal.findings)
        if downs and downs[-1].run_id == order.resumed_from:
            ledger.finding(*findings_between(downs[-1], header.boot_id))
        changed = environment_changed(_names_before(journal, order.resumed_from), order.env)
        ledger.finding(*((changed,) if changed else ()))
        outliving = Outliving(order.run_id, journal, owners, ledger.finding, boot_unit=order.boot_unit)
        try:
            outliving.begin()
            conductor = Conductor(
                order,
                backend=open_backend(order.backend, read_facts()),  # where we are now: that decides
                journal=journal,
                ledger=ledger,
                stop=stop,
                reserve=reserve_for(machine, machine.effective_ram),
                effective_ram=machine.effective_ram,
            )
            return conductor.run()
        except SteadyrunError as error:
            if ledger.record.end is None:  # it never came to be conducted
                ledger.end(RunEnd(Seconds(time.time()), error.exit_code, error.message), "Not finished")
            raise
        except Exception as error:
            _note(_traceback(error))  # first: the report points there
            _end_by_bug(ledger, error, _log(order))
            return EXIT_BUG
        finally:
            ledger.close()
            for failure in outliving.end():
                _note(f"steadyrun: not undone yet, the next start does it: {failure}")


def _end_by_bug(ledger: Ledger, error: Exception, log: str) -> None:
    """Say in the record that it was ours. What fails in turn is in the log alone."""
    end = RunEnd(Seconds(time.time()), EXIT_BUG, bug_reason(error))
    try:
        ledger.end(end, "steadyrun itself failed", bug_finding(error, log))
    except Exception as again:
        _note(_traceback(again))


def _log(order: RampOrder) -> str:
    return os.path.join(order.report_dir, LOG)


def _traceback(error: Exception) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


def _carried(before: RunRecord) -> tuple[Attempt, ...]:
    """Return the attempts of the run that is gone on from; what their findings advise is being done."""
    return tuple(a._replace(findings=tuple(_followed(f) for f in a.findings)) for a in before.attempts)


def _names_before(journal: Journal, run_id: str | None) -> set[str]:
    """Return the names of the variables that loads of the runs before had, as far as those are known."""
    names: set[str] = set()
    while run_id is not None:
        try:
            header = journal.record(run_id).header
        except UsageError:
            break
        names.update(header.env_names)
        run_id = header.resumed_from
    return names


def _followed(finding: Finding) -> Finding:
    return finding._replace(remedy="") if finding.code in RESUMABLE else finding


def _header(order: RampOrder, downs: tuple[Down, ...]) -> RunHeader:
    machine = order.machine
    return run_header(
        order.run_id,
        RunKind.RAMP,
        user=order.user,
        argv=order.argv,
        cwd=order.cwd,
        report_dir=order.report_dir,
        backend=order.backend,
        weak=order.weak,
        machine=machine,
        reserve=None if machine.effective_ram is None else reserve_for(machine, machine.effective_ram),
        plan=order.plan,
        problem=order.plan.problem,
        goal=order.plan.goal,
        resumed_from=order.resumed_from,
        env_names=tuple(sorted(order.env)),
        downs=downs,
    )
