"""How a load ended, and how that was judged, in words: shared by the page and the plain lines. Pure."""

from __future__ import annotations

from steadyrun.model.limits import Limits
from steadyrun.model.outcome import Ending, LoadOutcome
from steadyrun.model.record import Attempt, Evidence, State
from steadyrun.model.validity import why_void
from steadyrun.model.verdict import Answer, Verdict
from steadyrun.report import words
from steadyrun.report.figures import count, lasted, memory_size, plural
from steadyrun.report.lines import with_word
from steadyrun.report.totals import is_passed


def peak_words(attempt: Attempt, outcome: LoadOutcome | None) -> str:
    """Return the load's peak against its hard limit."""
    limit = attempt.limits.memory_max
    peak = outcome.memory_peak if outcome else None
    if limit is None:
        return f"{memory_size(peak)} (no limit was asked for)"
    text = f"{memory_size(peak)} of {memory_size(limit)}"
    if peak is None:
        return text
    room = limit - peak
    return with_word(
        text, f"headroom {memory_size(room)}" if room >= 0 else f"OVER its limit by {memory_size(-room)}"
    )


def recovery_words(seen: Evidence) -> str:
    """Return how long the machine took to be itself again."""
    if seen.recovery is None and not seen.recovery_awaited:
        return "unknown: a second stop ended the wait"
    if seen.recovery is None:
        return f"❌ not back near the baseline within {lasted(seen.recovery_limit)}"
    word = words.recovery_word(seen.recovery)
    return with_word(
        f"back near the baseline after {lasted(seen.recovery)}", f"{word}, by itself" if word else ""
    )


def completed_words(attempt: Attempt) -> str:
    """Return whether the load did its work, how it ended, and what is left of it."""
    seen = attempt.evidence
    outcome = seen.outcome if seen else None
    if seen is None or outcome is None:
        return "unknown: the guard never told how the load ended"
    parts = [_finished_words(attempt, seen, outcome), ending_words(attempt, outcome)]
    parts += [seen.work] if seen.work else []
    parts.append(f"{lasted(outcome.wall)} wall time, {lasted(outcome.cpu)} CPU time")
    if outcome.survivors is None:
        parts.append("whether a process was left is unknown")
    else:
        parts.append(f"{plural(outcome.survivors, 'process', 'processes')} left behind")
    return "; ".join(parts)


def _finished_words(attempt: Attempt, seen: Evidence, outcome: LoadOutcome) -> str:
    done = outcome.exit_code in attempt.phase.load.ok_exits
    if outcome.ending is Ending.EXITED and done and seen.work_done is not False:
        return "✅ successfully"
    return "⚠️ unknown" if outcome.ending is Ending.UNKNOWN else "❌ not successfully"


def ending_words(attempt: Attempt, outcome: LoadOutcome) -> str:
    """Return how the load ended, with the limit or the code that says so."""
    return how_ended(outcome, attempt.limits)


def how_ended(outcome: LoadOutcome, limits: Limits) -> str:
    """Return how a load under these limits ended, with the limit or the code that says so."""
    text = words.ENDING_WORDS[outcome.ending]
    if outcome.ending is Ending.EXITED and outcome.signal is not None:
        return f"ended by signal {outcome.signal}"
    if outcome.ending is Ending.EXITED:
        return f"{text}, exit code {count(outcome.exit_code)}"
    if outcome.ending is Ending.MEMORY_LIMIT:
        text += f" of {memory_size(limits.memory_max)}"
    if outcome.ending is Ending.WALL_TIME and limits.wall_time is not None:
        text += f" of {lasted(limits.wall_time)}"
    reason = outcome.start_error if outcome.ending is Ending.NOT_STARTED else outcome.cause
    return f"{text} ({reason})" if reason else text


def state_heading(attempt: Attempt) -> str:
    """Return the state as it stands in a heading; PASSED with a verdict against it is no success."""
    if attempt.state is State.PASSED and not is_passed(attempt):
        return "NOT ALL PASSED ⚠️"
    heading = words.STATE_HEADING[attempt.state]
    return with_word(heading, changed_limit(attempt)) if attempt.state is State.PASSED else heading


def changed_limit(attempt: Attempt) -> str:
    """Return how the memory limit differs from the plan's; empty when it does not."""
    asked, had = attempt.phase.limits.memory_max, attempt.limits.memory_max
    if asked is None or had is None or asked == had:
        return ""
    return f"with {memory_size(had)} instead of {memory_size(asked)}"


def status_words(attempt: Attempt) -> str:
    """Return the state with both verdicts, and what kept each from being yes."""
    text = words.STATE_WORDS[attempt.state]
    if attempt.state is State.PASSED and not is_passed(attempt):
        text = "⚠️ NOT ALL PASSED"
    if attempt.state is State.INVALID and attempt.evidence is not None:
        text = with_word(text, why_void(attempt.evidence) or "")
    if attempt.host is None and attempt.job is None:
        return text
    return f"{text}: {_host_words(attempt.host)}; {_job_words(attempt)}"


def _host_words(verdict: Verdict | None) -> str:
    if verdict is None:
        return "the host was not judged"
    held = {
        Answer.YES: "the machine held (host verdict: yes)",
        Answer.NO: "the machine did not hold (host verdict: no)",
        Answer.UNKNOWN: "whether the machine held is not known (host verdict: unknown)",
        Answer.NOT_APPLICABLE: "nothing about the machine could be judged (host verdict: not applicable)",
    }[verdict.answer]
    return held + _because(verdict)


def _job_words(attempt: Attempt) -> str:
    if attempt.job is None:
        return "the load was not judged"
    did = {
        Answer.YES: "the load did its work (job verdict: yes)",
        Answer.NO: "the load did not do its work (job verdict: no)",
        Answer.UNKNOWN: "whether the load did its work is not known (job verdict: unknown)",
        Answer.NOT_APPLICABLE: "there was no work to judge (job verdict: not applicable)",
    }[attempt.job.answer]
    outcome = attempt.evidence.outcome if attempt.evidence else None
    if attempt.job.answer is Answer.NO and outcome is not None:
        return f"{did}: {ending_words(attempt, outcome)}"
    return did + _because(attempt.job)


def _because(verdict: Verdict) -> str:
    failed = verdict.failed()
    return f": {', '.join(c.name for c in failed)}" if failed and verdict.answer is not Answer.YES else ""
