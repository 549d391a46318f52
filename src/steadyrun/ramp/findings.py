"""What the reader of an attempt should know: each as a value, with evidence, remedy, what was done.

Pure. `done` says what steadyrun itself did about it and fills "Solutions Applied"; a finding never
changes a verdict.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from steadyrun.model.action import LET_GO, Action
from steadyrun.model.desktop import ProbeName
from steadyrun.model.fate import times
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.limits import Limits, ReadBack
from steadyrun.model.outcome import Ending, LoadOutcome
from steadyrun.model.plan import LoadKind, LoadSpec
from steadyrun.model.record import Evidence
from steadyrun.model.validity import CLOCK_JUMP_LEAST, SUSPEND_LEAST, cpu_share, is_starved, ran_out_of_time
from steadyrun.model.verdict import Answer, Check, Verdict
from steadyrun.ramp import checks_host
from steadyrun.ramp.checks_job import SOFT, not_held, time_on_cpus
from steadyrun.report.ending import tasks_refused
from steadyrun.units import MIB, Bytes, Ratio, Seconds, format_duration, format_oom_kills, format_size

RECOVERY_SLOW = Seconds(10.0)
"""A hand-written ramp began its next phase after 9 to 40 s; slower than this is worth a line."""
SWAP_GROWTH_LEAST = Bytes(16 * MIB)
"""Less is the kernel tidying idle pages away, with or without a load."""
FUTILE_FRACTION = Ratio(0.25)
"""A load that stalls on memory as a whole for a quarter of its time reclaims its own working set."""
TOLD_OTHERWISE = frozenset({Ending.MEMORY_LIMIT, Ending.WALL_TIME, Ending.STOPPED})
"""Ends that have their own words; the guard's kill only finished them."""
VICTIMS_SHOWN = 5
NOT_APPLIED = "limit-not-applied"
NO_SPACE = "No space left on device"
"""strerror(ENOSPC), as programs print it."""


def findings_of(
    load: LoadSpec,
    limits: Limits,
    evidence: Evidence,
    host: Verdict,
    *,
    weak: bool = False,
    troubles: tuple[Finding, ...] = (),
    told: frozenset[str] = frozenset(),
    run_id: str = "",
) -> tuple[Finding, ...]:
    """Return everything worth saying about an attempt, the guard's own findings first.

    Args:
        load: What was run.
        limits: What it was given.
        evidence: All that was seen.
        host: The host verdict, for what became of the session.
        weak: The containment is not guaranteed by the kernel.
        troubles: What the guard and the conductor found while it ran.
        told: What the run has told already and tells once (`told_once`).
        run_id: What `--resume` goes on from; empty: the newest ramp.
    """
    found = [
        *troubles,
        *_of_host(host),
        *_of_machine(evidence),
        *_of_limits(evidence, weak=weak),
        *_of_guard(evidence),
    ]
    if evidence.outcome is not None:
        resume = f"steadyrun ramp --resume {run_id}".rstrip()
        found += _of_own_exit(evidence.outcome, limits, load, resume)
        found += _of_load(evidence.outcome, evidence, limits, resume)
    return tuple(f for f in found if told_once(f, weak=weak) not in told)


def told_once(finding: Finding, *, weak: bool) -> str | None:
    """Return by what a run remembers a finding that it tells once; `None`: it is told each time.

    Of polled containments the same limits are lacking in each phase.
    """
    if finding.severity is Severity.NOTE:
        return finding.code
    return finding.title if weak and finding.code == NOT_APPLIED else None


def _of_host(host: Verdict) -> Iterator[Finding]:
    probes = {name.value for name in ProbeName}
    for check in host.failed():
        if check.name in probes:
            yield _session(check)
        elif check.name == checks_host.BOOT and check.answer is Answer.NO:
            yield Finding(
                "machine-restarted",
                Severity.PROBLEM,
                "The machine restarted during the phase",
                f"boot id {check.before} before, {check.after} after",
                "steadyrun recover",
            )
        elif check.name in (checks_host.FRAMES_LATE, checks_host.FRAMES_GAP) and check.answer is Answer.NO:
            yield Finding(
                "frames-late",
                Severity.WARNING,
                "The desktop's frames came late",
                f"{check.name}: {check.before} before, {check.worst} at worst; {check.why}",
                "give the load fewer CPUs, for example: steadyrun run --cpus 1 -- COMMAND",
            )
        elif check.name == checks_host.RESERVE and check.answer is Answer.NO:
            yield Finding(
                "memory-under-reserve",
                Severity.PROBLEM,
                "The machine's available memory fell below what a load never gets",
                f"{check.worst} at worst; {check.why}",
                "close other programs, or lower memory_max of this phase",
            )


def _session(check: Check) -> Finding:
    lost = check.answer is Answer.NO
    became = "did not stay as it was" if lost else "could not be watched all the time"
    if check.why.startswith(checks_host.SESSION_ENDED):
        became = "ended"
    return Finding(
        "session-lost" if lost else "session-unknown",
        Severity.PROBLEM if lost else Severity.WARNING,
        f"{check.name[0].upper()}{check.name[1:]} {became}",
        f"{check.before} before, {check.worst or 'not looked at'} at worst, {check.after} after: {check.why}",
        "journalctl -b --since -10min" if lost else "steadyrun doctor",
    )


def _of_machine(evidence: Evidence) -> Iterator[Finding]:
    if evidence.suspended > SUSPEND_LEAST:
        yield Finding(
            "suspend-detected",
            Severity.WARNING,
            "The machine slept during the phase",
            f"{format_duration(evidence.suspended)} of sleep",
            "keep it awake: systemd-inhibit --what=sleep:idle steadyrun ramp",
            "did not count this try",
        )
    if abs(evidence.clock_jump) > CLOCK_JUMP_LEAST:
        yield Finding(
            "clock-jump",
            Severity.WARNING,
            "The clock was set during the phase",
            f"by {evidence.clock_jump:+.1f} s",
            "timedatectl timesync-status",
            "did not count this try",
        )
    yield from _of_oom_outside(evidence)
    yield from _of_swap(evidence)
    yield from _of_recovery(evidence)


def _of_oom_outside(evidence: Evidence) -> Iterator[Finding]:
    if evidence.oom_kills_outside:
        yield Finding(
            "oom-kill-outside",
            Severity.PROBLEM,
            "The kernel killed processes that are not the load's",
            f"{format_oom_kills(evidence.oom_kills_outside)} outside the containment{_victims(evidence)}",
            "see who it was: journalctl -k -g 'Out of memory|oom-kill'",
        )
    if evidence.oom_kills_elsewhere:
        kills = format_oom_kills(evidence.oom_kills_elsewhere)
        yield Finding(
            "oom-kill-elsewhere",
            Severity.NOTE,
            "Something else on the machine was killed at a memory limit of its own",
            f"{kills} at the limits of other cgroups{_victims(evidence)}",
            "",
            "did not hold it against the machine",
        )


def _victims(evidence: Evidence) -> str:
    return f": {', '.join(evidence.oom_victims[:VICTIMS_SHOWN])}" if evidence.oom_victims else ""


def _of_swap(evidence: Evidence) -> Iterator[Finding]:
    host, worst = evidence.before.host, evidence.worst.swap_used
    if worst is None or host.swap_total is None or host.swap_free is None:
        return
    grown = worst - (host.swap_total - host.swap_free)
    if grown > SWAP_GROWTH_LEAST:
        yield Finding(
            "swap-used",
            Severity.WARNING,
            "The machine moved memory to swap during the phase",
            f"{format_size(grown)} more than before; the load's own swap limit is in its limits",
            "lower memory_max of this phase, or close other programs",
        )


def _of_recovery(evidence: Evidence) -> Iterator[Finding]:
    took = evidence.recovery
    if not evidence.recovery_awaited or (took is not None and took <= RECOVERY_SLOW):
        return
    yield Finding(
        "recovery-slow",
        Severity.WARNING if took is None else Severity.NOTE,
        "The machine took long to recover",
        f"not within {format_duration(evidence.recovery_limit)}" if took is None else format_duration(took),
        "see what still holds memory: ps -eo rss,pid,comm --sort=-rss | head" if took is None else "",
        "waited before the next phase",
    )


def _of_limits(evidence: Evidence, *, weak: bool) -> Iterator[Finding]:
    for limit in not_held(evidence):
        if limit.name == "memory_high":
            yield Finding(
                "memory-high-missing",
                Severity.NOTE,
                "There is no throttle limit (memory.high) here",
                f"asked {limit.asked}; {limit.found or 'not there'} ({limit.source})",
                "",
                "held the load by its hard limit and by freezing alone",
            )
        else:
            yield _not_applied(limit, weak=weak)


def _not_applied(limit: ReadBack, *, weak: bool) -> Finding:
    soft = weak or limit.name in SOFT
    return Finding(
        NOT_APPLIED,
        Severity.WARNING if soft else Severity.PROBLEM,
        f"{limit.name} was asked for and is not enforced",
        f"asked {limit.asked}, found {limit.found or 'unreadable'} ({limit.source})",
        "steadyrun doctor",
    )


def _of_guard(evidence: Evidence) -> Iterator[Finding]:
    freezes = tuple(a for a in evidence.actions if a.action is Action.FREEZE)
    kills = tuple(a for a in evidence.actions if a.action is Action.KILL and a.seq >= 0)
    tightened = tuple(a for a in evidence.actions if a.action is Action.TIGHTEN)
    if tightened:
        loosened = sum(a.action is Action.LOOSEN and a.cause != LET_GO for a in evidence.actions)
        yield Finding(
            "load-tightened",
            Severity.NOTE,
            "The guard gave the load less, for the desktop's sake",
            tightened[0].cause,
            "give it fewer CPUs from the start, for example: steadyrun run --cpus 1 -- COMMAND",
            f"tightened it {times(len(tightened))}, loosened it {times(loosened)}",
        )
    if freezes:
        frozen = None if evidence.outcome is None else evidence.outcome.frozen
        yield Finding(
            "load-frozen",
            Severity.WARNING,
            "The guard had to hold the load to keep the machine well",
            freezes[0].cause,
            "lower memory_max, or give the machine more room",
            f"froze the load {times(len(freezes))}, {format_duration(frozen)} in all",
        )
    if kills and not (evidence.outcome and evidence.outcome.ending in TOLD_OTHERWISE):
        yield Finding(
            "load-killed",
            Severity.PROBLEM,
            "The guard killed the load",
            kills[0].cause,
            "",
            "killed everything in the containment and removed it"
            if evidence.outcome is not None and evidence.outcome.removed
            else "killed the containment; that all of it is gone was not seen",
        )


def _of_load(outcome: LoadOutcome, evidence: Evidence, limits: Limits, resume: str) -> Iterator[Finding]:
    yield from _of_starving(outcome, resume, void=ran_out_of_time(evidence) is not None)
    yield from _of_ending(outcome, limits)
    if outcome.forks_refused:
        yield Finding(
            "tasks-refused",
            Severity.WARNING,
            "The load met its task limit",
            f"{tasks_refused(outcome, limits)}, at most {_known(outcome.tasks_peak)} at once",
            "raise tasks_max of the phase, or start fewer workers",
        )
    if outcome.survivors:
        yield Finding(
            "survivors",
            Severity.PROBLEM,
            "Processes of the load outlived its end",
            f"{outcome.survivors} found alive after the kill",
            "steadyrun recover",
        )
    stalled = outcome.psi_memory_full
    if stalled is not None and outcome.wall > 0 and stalled / outcome.wall > FUTILE_FRACTION:
        yield Finding(
            "futile-reclaim",
            Severity.WARNING,
            "The load spent its time reclaiming its own memory",
            f"stalled on memory (PSI full) {stalled / outcome.wall:.0%} of {format_duration(outcome.wall)}",
            "give it more memory (memory_max), or fewer workers",
        )
    if evidence.output_dropped:
        yield Finding(
            "output-dropped",
            Severity.NOTE,
            "The load wrote more than is kept",
            f"{format_size(evidence.output_dropped)} of {format_size(evidence.output_bytes)} dropped",
            "raise output_max of the phase",
            f"kept {format_size(limits.output_max)} and let the load go on",
        )
    if NO_SPACE in evidence.output_tail or outcome.start_errno == errno.ENOSPC:
        yield Finding(
            "disk-full",
            Severity.PROBLEM,
            "The disk is full",
            NO_SPACE,
            "df -h",
        )


def _known(count: int | None) -> str:
    return "an unknown number" if count is None else str(count)


def _of_starving(outcome: LoadOutcome, resume: str, *, void: bool) -> Iterator[Finding]:
    share = cpu_share(outcome)
    if share is not None and share.is_starved:
        yield Finding(
            "load-starved",
            Severity.WARNING,
            "The load hardly got a CPU: other programs keep the cores busy",
            time_on_cpus(share),
            "stop what keeps the cores busy (top)" + (f", then: {resume}" if void else ""),
            "did not count this try" if void else "",
        )


def _of_own_exit(outcome: LoadOutcome, limits: Limits, load: LoadSpec, resume: str) -> Iterator[Finding]:
    """Tell a command that failed for its own reasons from one that the limits failed."""
    code = outcome.exit_code
    by_itself = outcome.ending is Ending.EXITED and outcome.oom_kills == 0 and not outcome.forks_refused
    if load.kind is LoadKind.COMMAND and by_itself and code is not None and code not in load.ok_exits:
        yield Finding(
            "own-exit-code",
            Severity.NOTE,
            f"The command ended by itself with exit code {code}; no limit had a part in it",
            f"peak {format_size(outcome.memory_peak)} of {format_size(limits.memory_max)}, no OOM kill, "
            "not ended by the guard",
            f"where that is its usual result (failing tests): {resume} --ok-exit {code}",
        )


def _of_ending(outcome: LoadOutcome, limits: Limits) -> Iterator[Finding]:
    if outcome.ending is Ending.MEMORY_LIMIT or outcome.kills_at_limit:
        kills = outcome.kills_at_limit
        yield Finding(
            "oom-kill-inside",
            Severity.WARNING,
            "The kernel killed the load at its memory limit",
            f"{format_oom_kills(kills)} inside, "
            f"peak {format_size(outcome.memory_peak)} of {format_size(limits.memory_max)}",
            "give it more memory (memory_max), or fewer workers",
            "ended the whole load; nothing outside it was touched",
        )
    if outcome.ending is Ending.WALL_TIME:
        share = cpu_share(outcome)
        yield Finding(
            "wall-time-reached",
            Severity.WARNING,
            "The load ran into its wall-time limit",
            f"{format_duration(outcome.wall)} of {format_duration(limits.wall_time)}"
            + ("" if share is None else f": {time_on_cpus(share)}"),
            # A longer one would wait for the same programs: what helps is with `load-starved`.
            "" if is_starved(outcome) else "raise wall_time of the phase",
            "asked it to end, then killed what was left",
        )
