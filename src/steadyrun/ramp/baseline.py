"""Phase 0: what the machine looks like before any load, and whether it is well enough to begin.

Pure: samples and one look at the session in, medians and checks out. Whoever watched the machine
brings the figures; nothing here waits or reads.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from steadyrun.model.desktop import DesktopView, Seen
from steadyrun.model.finding import Finding, Severity
from steadyrun.model.machine import Reserve
from steadyrun.model.rates import host_rates
from steadyrun.model.record import Baseline
from steadyrun.model.sample import Frames, HostSample
from steadyrun.model.validity import STARVED_CPU
from steadyrun.model.verdict import Answer, Check, Scope, combine
from steadyrun.ramp.worst import mem_used, swap_used
from steadyrun.units import GIB, Bytes, Cores, Ratio, Seconds, format_size

PSI_HIGHEST = Ratio(0.10)
"""A machine that stalls on memory a tenth of its time is in trouble without any load."""
CPU_IDLE_LEAST = Cores(STARVED_CPU)
"""With less a load that has missed its wall time is not held to it: it is no use to begin."""
FRAMES_HIGHEST_MS = 33.0
"""Two frames of 60 Hz: from here on a person sees the desktop stutter."""
DISK_LEAST = Bytes(GIB)
"""What the journal, the report and 64 MiB of output for each attempt need, ten times over."""


class Health(NamedTuple):
    """What the baseline comes to; `answer` other than YES is not to be ramped on unforced."""

    checks: tuple[Check, ...]
    answer: Answer
    findings: tuple[Finding, ...]
    """One for each check that is not passed, with its remedy."""


def summarise(
    samples: Sequence[HostSample],
    frames: Frames | None,
    desktop: DesktopView,
    *,
    canary_cpu: Ratio | None = None,
    cpu_idle: Cores | None = None,
    uptime: Seconds | None = None,
    disk_free: Bytes | None = None,
    on_battery: bool | None = None,
) -> Baseline:
    """Fold the samples of phase 0 into medians, and PSI over the whole of it; judged not yet.

    Args:
        samples: At least one, in their order.
        frames: The canary's frames over the same time, `None` without a canary.
        desktop: The session as every later phase is compared with.
        canary_cpu: Of one core.
        cpu_idle: CPUs without work on average; `None`: not known.
        uptime: Seconds since boot.
        disk_free: Bytes free where the journal and the report go.
        on_battery: `None`: cannot be told.
    """
    first, last = samples[0], samples[-1]
    rates = host_rates(first, last)
    available = _median(s.mem_available for s in samples)
    used = _median(mem_used(s) for s in samples)
    swap = _median(swap_used(s) for s in samples)
    processes = _median(s.processes for s in samples)
    return Baseline(
        started_wall=first.wall,
        ended_wall=last.wall,
        uptime=uptime,
        load1=_median(s.load1 for s in samples),
        mem_used=None if used is None else Bytes(int(used)),
        mem_available=None if available is None else Bytes(int(available)),
        swap_used=None if swap is None else Bytes(int(swap)),
        processes=None if processes is None else int(processes),
        psi_memory_some=None if rates is None else rates.psi_memory.some,
        psi_io_some=None if rates is None else rates.psi_io.some,
        psi_io_full=None if rates is None else rates.psi_io.full,
        frames=frames,
        canary_cpu=canary_cpu,
        samples=len(samples),
        disk_free=disk_free,
        on_battery=on_battery,
        desktop=desktop,
        checks=(),
        healthy=Answer.UNKNOWN,
        cpu_idle=cpu_idle,
    )


def judge_baseline(baseline: Baseline, *, reserve: Reserve, first_limit: Bytes, yields: bool) -> Health:
    """Judge whether a ramp may begin on this machine as it is now.

    Args:
        baseline: Its `checks` and `healthy` are not looked at; the caller puts the result there.
        reserve: What a load never gets.
        first_limit: Bytes, the memory limit of phase 1.
        yields: A load has a lower CPU weight than others have, and gets what they leave.
    """
    judged = (
        _memory(baseline.mem_available, Bytes(reserve.reserve + first_limit)),
        _pressure(baseline.psi_memory_some),
        _cpus(baseline.cpu_idle, yields=yields),
        _frames(baseline.frames),
        _disk(baseline.disk_free),
        _battery(baseline.on_battery),
        _session(baseline.desktop),
    )
    checks = tuple(check for check, _ in judged)
    findings = tuple(
        _finding(check, remedy) for check, remedy in judged if check.answer in (Answer.NO, Answer.UNKNOWN)
    )
    return Health(checks, combine(tuple(c.answer for c in checks)), findings)


_Judged = tuple[Check, str]
"""A check and what mends it when it is not passed."""


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _check(name: str, answer: Answer, found: str, why: str) -> Check:
    return Check(name, Scope.HOST, answer, before=found, worst="", after="", why=why)


def _memory(available: Bytes | None, wanted: Bytes) -> _Judged:
    answer = Answer.UNKNOWN if available is None else Answer.of(available >= wanted)
    why = f"at least {format_size(wanted)}: the reserve and phase 1"
    check = _check("available memory", answer, format_size(available), why)
    return (
        check,
        "close what holds the most memory (ps -eo rss,pid,comm --sort=-rss | head), then start again",
    )


def _pressure(share: Ratio | None) -> _Judged:
    name = "memory PSI some"
    if share is None:
        return _check(
            name, Answer.NOT_APPLICABLE, "not there", "this kernel gives no PSI (boot with psi=1)"
        ), ""
    check = _check(
        name, Answer.of(share <= PSI_HIGHEST), f"{share:.1%}", f"at most {PSI_HIGHEST:.0%} of the time"
    )
    return check, "wait until what reclaims memory has ended (cat /proc/pressure/memory), then start again"


def _cpus(idle: Cores | None, *, yields: bool) -> _Judged:
    name, found = "idle CPU time", "not known" if idle is None else f"{idle:.2f} cores"
    if not yields:
        return _check(name, Answer.NOT_APPLICABLE, found, "no load has a lower CPU weight than others"), ""
    answer = Answer.UNKNOWN if idle is None else Answer.of(idle >= CPU_IDLE_LEAST)
    why = f"at least {CPU_IDLE_LEAST:g} cores: a load at a low CPU weight gets what others leave"
    return _check(name, answer, found, why), "stop what keeps the cores busy (top), then start again"


def _frames(frames: Frames | None) -> _Judged:
    late = None if frames is None else frames.p99_ms
    answer = Answer.UNKNOWN if late is None else Answer.of(late <= FRAMES_HIGHEST_MS)
    found = "no frames" if late is None else f"{late:.1f} ms"
    check = _check("canary p99", answer, found, f"at most {FRAMES_HIGHEST_MS:.0f} ms late")
    return check, "look for what keeps the machine busy (top), then watch the frames alone: steadyrun canary"


def _disk(free: Bytes | None) -> _Judged:
    answer = Answer.UNKNOWN if free is None else Answer.of(free >= DISK_LEAST)
    check = _check("free disk", answer, format_size(free), f"at least {format_size(DISK_LEAST)}")
    return check, "free some disk space (df -h), or write elsewhere: steadyrun ramp --report DIR"


def _battery(on_battery: bool | None) -> _Judged:
    # Most machines that cannot tell have no battery (servers, containers): neutral, not unknown.
    if on_battery is None:
        return _check("mains power", Answer.NOT_APPLICABLE, "cannot be told", "not on battery"), ""
    found = "on battery" if on_battery else "on mains"
    check = _check("mains power", Answer.of(not on_battery), found, "not on battery")
    return check, "plug the power supply in"


def _session(desktop: DesktopView) -> _Judged:
    hidden = tuple(p for p in desktop.probes if p.seen is Seen.UNKNOWN)
    found = "; ".join(f"{p.name.value}: {p.evidence}" for p in hidden) or "everything answers or is absent"
    answer = Answer.UNKNOWN if hidden else Answer.YES
    check = _check("session can be watched", answer, found, "a probe that cannot tell now cannot tell later")
    return check, "steadyrun doctor"


def _finding(check: Check, remedy: str) -> Finding:
    state = "is not known" if check.answer is Answer.UNKNOWN else "is not as it has to be before a load"
    code = "baseline-" + check.name.lower().replace(" ", "-")
    evidence = f"{check.before}; expected {check.why}"
    return Finding(code, Severity.PROBLEM, f"{check.name} {state}", evidence, remedy)
