"""Following a ramp from a terminal: its own client's and `steadyrun watch`'s view of the feed."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from steadyrun.cli.complaint import complaint
from steadyrun.cli.live import LiveView
from steadyrun.cli.plain import line_for
from steadyrun.cli.settings import Settings
from steadyrun.errors import EXIT_DECISION_NEEDED, EXIT_OK
from steadyrun.model.codec import decode
from steadyrun.model.limits import Limits
from steadyrun.model.record import RunRecord
from steadyrun.model.sample import Reading
from steadyrun.ramp.feed import listen
from steadyrun.ramp.launch import LOG, Launched
from steadyrun.report.lines import WEAK, with_word
from steadyrun.run.exitcode import SIGNAL_BASE

CONNECT_WITHIN_S = 15.0
ENDING = (signal.SIGTERM, signal.SIGHUP)
CI_VARIABLES = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "JENKINS_URL")


def progress_mode(args: argparse.Namespace, settings: Settings) -> str:
    """Return `bar`, `text` or `none`: what was asked, else a live view on a terminal alone, never in CI."""
    if args.quiet:
        return "none"
    asked = args.progress or settings.text("progress") or "auto"
    if asked != "auto":
        return str(asked)
    dumb = os.environ.get("TERM", "dumb") == "dumb" or any(os.environ.get(name) for name in CI_VARIABLES)
    return "text" if dumb or not sys.stdout.isatty() else "bar"


def answer(words: str) -> None:
    """Say something beside what is shown."""
    sys.stderr.write(f"\nsteadyrun: {words}\n")


class Show:
    """Shows records and readings as they come, in one of the three ways."""

    def __init__(self, mode: str, stop_hint: str) -> None:
        self.record: RunRecord | None = None
        self.failure: dict[str, str | None] | None = None
        """What ended the conductor, when it could not even write that down."""
        self._mode = mode
        self._view: LiveView | None = None
        if mode == "bar":
            from rich.console import Console

            self._view = LiveView(stop_hint=stop_hint)
            self._view.start(Console())

    def hear(self, message: dict[str, Any]) -> None:
        """Take one message of the feed."""
        if "failure" in message:
            self.failure = message["failure"]
        elif "record" in message:
            self._show_record(decode(RunRecord, message["record"]))
        elif "reading" in message and self._view is not None and self.record is not None:
            limits = self.record.attempts[-1].limits if self.record.attempts else Limits()
            self._view.sample(decode(Reading, message["reading"]), limits)

    def _show_record(self, record: RunRecord) -> None:
        before, self.record = self.record, record
        if self._view is not None:
            self._view.update(record)
        elif self._mode == "text":
            for line in line_for(before, record):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def say(self, words: str) -> None:
        """Answer whoever sits at the terminal."""
        if self._view is not None:
            self._view.say(words)
        else:
            answer(words)

    def close(self) -> None:
        """Leave the terminal as a terminal."""
        if self._view is not None:
            self._view.stop()


def may_go_on(record: RunRecord) -> bool:
    """Tell whether `--resume` goes on with an ended ramp: stopped, or ended before its last phase passed."""
    if record.end is None or record.end.exit_code in (EXIT_OK, EXIT_DECISION_NEEDED):
        return False
    return record.end.exit_code > SIGNAL_BASE or bool(record.attempts)


class ClientEndedError(KeyboardInterrupt):
    """TERM or HUP came: this client ends, the ramp goes on."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interrupts:
    """Ctrl-C, TERM and HUP, from before the conductor is started on: what comes too early counts later."""

    def __init__(self) -> None:
        self._asked = 0
        self._ended_by = 0
        self._send: Callable[[], None] | None = None
        self.say: Callable[[str], None] = answer
        """Tells the terminal what a Ctrl-C does."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._heard)
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup: HUP stays ignored
                self._before[number] = signal.signal(number, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def asked(self) -> bool:
        """Tell whether the ramp was asked to stop."""
        return self._asked > 0

    def pass_to(self, send: Callable[[], None]) -> None:
        """Name who hears of each Ctrl-C, and tell of those that came before.

        Raises:
            ClientEndedError: TERM or HUP came before; from now on they raise it wherever we are.
        """
        self._send = send
        for _ in range(self._asked):
            send()
        if self._ended_by:
            raise ClientEndedError(self._ended_by)

    def _end(self, number: int, _frame: Any) -> None:
        self._ended_by = number
        if self._send is not None:
            raise ClientEndedError(number)

    def _heard(self, _number: int, _frame: Any) -> None:
        self._asked += 1
        words = "asking the ramp to stop (Ctrl-C again insists)" if self._asked == 1 else "insisting"
        self.say(words)
        if self._send is not None:
            self._send()


class Follower:
    """The client of a ramp it started itself."""

    def __init__(self, launched: Launched, mode: str, interrupts: Interrupts) -> None:
        self._launched, self._mode, self._interrupts = launched, mode, interrupts

    def follow(self) -> int:
        """Show the ramp to its end, or to ours, and return the exit code."""
        try:
            self._interrupts.pass_to(lambda: self._launched.conductor.send_signal(signal.SIGINT))
            return self._follow()
        except ClientEndedError as ended:
            self._say_it_goes_on(ended.number)
            return SIGNAL_BASE + ended.number
        except BrokenPipeError:  # `| head`: whoever read us is gone, and the ramp is not
            self._say_it_goes_on(signal.SIGPIPE)
            raise

    def _say_it_goes_on(self, number: int) -> None:
        run_id, log = self._launched.run_id, os.path.join(self._launched.report_dir, "PROGRESS.md")
        name = signal.Signals(number).name
        if self._launched.conductor.poll() is not None:
            lines = f"steadyrun: {name} ended this client; ramp {run_id} is over, its log is {log}\n"
        elif self._interrupts.asked:
            lines = (
                f"steadyrun: {name} ended this client; ramp {run_id} was asked to stop and is ending\n"
                f"  `steadyrun watch {run_id}` shows it; log: {log}\n"
            )
        else:
            lines = (
                f"steadyrun: {name} ended this client; ramp {run_id} goes on\n"
                f"  `steadyrun watch {run_id}` shows it, `steadyrun stop {run_id}` ends it\n"
                f"  log: {log}\n"
            )
        try:
            sys.stderr.write(lines)
            sys.stderr.flush()
        except OSError:
            pass  # after a HUP the terminal may be gone

    def _follow(self) -> int:
        show = Show(self._mode, "Ctrl-C asks to stop, twice insists")
        self._interrupts.say = show.say
        try:
            for message in self._messages():
                if message is not None:
                    show.hear(message)
        finally:
            self._interrupts.say = answer
            show.close()
        code = self._launched.conductor.wait()
        self._closing_words(show, code)
        return code if code >= 0 else SIGNAL_BASE - code

    def _messages(self) -> Iterator[dict[str, Any] | None]:
        until = time.monotonic() + CONNECT_WITHIN_S
        while True:
            try:
                yield from listen(self._launched.run_id, timeout_s=1.0)
                return
            except ConnectionError:
                if self._launched.conductor.poll() is not None or time.monotonic() > until:
                    return
                time.sleep(0.02)

    def _closing_words(self, show: Show, code: int) -> None:
        folder, record = self._launched.report_dir, show.record
        failure = show.failure or self._launched.last_words()
        if failure is not None:
            sys.stderr.write(
                complaint(f"{failure['message']}", failure["hint"] or "`steadyrun recover` cleans up")
            )
            return
        if record is None and code == SIGNAL_BASE + signal.SIGINT:
            sys.stderr.write("steadyrun: stopped before anything ran\n")
            return
        if record is None or record.end is None:
            log = os.path.join(folder, LOG)
            sys.stderr.write("steadyrun: the conductor ended without a word\n")
            sys.stderr.write(f"  {log} may say why; `steadyrun recover` cleans up\n")
            return
        out = sys.stdout
        if self._mode != "text":  # which has said so
            reason = with_word(record.end.reason, WEAK if record.header.weak else "")
            out.write(f"\n{reason[:1].upper()}{reason[1:]}\n")
        last = record.attempts[-1].findings if record.attempts else ()
        mends = [each for each in (*record.findings, *last) if each.remedy and record.end.exit_code]
        for finding in mends:
            out.write(f"  {finding.title}: {finding.remedy}\n")
        if record.attempts and record.end.exit_code:
            output = os.path.join(folder, record.attempts[-1].log_name)
            if os.path.exists(output):
                out.write(f"its output: {output}\n")
        out.write(f"log: {os.path.join(folder, 'PROGRESS.md')}\n")
        resume = f"steadyrun ramp --resume {record.header.run_id}"
        if may_go_on(record) and not any(resume in each.remedy for each in mends):
            out.write(f"to go on with it: {resume}\n")
        if record.tomorrow and self._mode != "text":
            out.write(f"tomorrow: {record.tomorrow}\n")
        out.flush()
