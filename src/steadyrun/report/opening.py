"""The page before the first phase: the machine, the baseline, the proofs, the strategy. Pure."""

from __future__ import annotations

import shlex
from typing import NamedTuple, assert_never

from steadyrun.model.containment import BackendName
from steadyrun.model.desktop import ProbeName
from steadyrun.model.machine import MachineFacts
from steadyrun.model.plan import Phase
from steadyrun.model.record import Baseline, Proof, RunRecord
from steadyrun.model.verdict import Answer
from steadyrun.report import words
from steadyrun.report.escape import Md, code, fill
from steadyrun.report.figures import (
    UNKNOWN,
    Clock,
    count,
    finite,
    lasted,
    limit_words,
    load,
    load_words,
    plural,
    share,
)
from steadyrun.report.lines import (
    WEAK,
    Line,
    Row,
    clock_of,
    frames_words,
    probe_words,
    rows_of,
    with_word,
)
from steadyrun.report.means import means_lines
from steadyrun.report.others import other_lines
from steadyrun.report.totals import phases_of
from steadyrun.units import format_size


class ProofRow(NamedTuple):
    """One containment proof in its table."""

    name: str
    what: str
    answer: str
    evidence: str
    took: str


class Chapter(NamedTuple):
    """A heading and the lines below it."""

    heading: str
    lines: tuple[Line, ...]


def system_lines(record: RunRecord) -> tuple[Line, ...]:
    """Return what the page says about the machine and what is to be solved."""
    header, machine, clock = record.header, record.header.machine, clock_of(record)
    return (
        Line("Date", clock.date(header.started_wall)),
        Line("Time", clock.full_time(header.started_wall)),
        Line(
            "System",
            f"{machine.distribution or 'unknown distribution'}, kernel {machine.kernel or 'unknown'}",
        ),
        Line("Machine", _kind_words(machine)),
        Line("RAM", _ram_words(record)),
        Line("Cores", with_word(plural(machine.cores, "core"), machine.cpu_model or "")),
        Line("Swap", "none" if machine.swap_total == 0 else format_size(machine.swap_total)),
        Line("cgroups", _cgroup_words(record)),
        Line("Desktop", machine.desktop or _desktop_words(record, ProbeName.SESSION)),
        Line("Display manager", machine.display_manager or _desktop_words(record, ProbeName.DISPLAY_MANAGER)),
        Line("Other guards of memory", *_others_words(record)),
        *_guard_lines(record),
        Line("Command", _command_words(record)),
        Line("Problem", header.problem or Md("not given (`--problem`)")),
        Line("Goal", header.goal or Md("not given (`--goal`)")),
    )


def _others_words(record: RunRecord) -> tuple[str, tuple[Md, ...]]:
    machine, kept = record.header.machine, record.header.reserve
    if machine.others is None or kept is None:
        return UNKNOWN, ()
    if not machine.others:
        return "none found", ()
    return "", tuple(fill("{}", line) for line in other_lines(machine, kept))


def _guard_lines(record: RunRecord) -> tuple[Line, ...]:
    """Return what the guard of the first load had; each attempt says what was unknown to its own."""
    outcomes = (a.evidence.outcome for a in record.attempts if a.evidence)
    means = next((o.means for o in outcomes if o is not None and o.means is not None), None)
    return means_lines(means)


def _kind_words(machine: MachineFacts) -> str:
    name = machine.virtualization
    if name in ("", "unknown"):
        return "unknown (virtual machine, container or bare metal could not be told)"
    if name in ("bare metal", "none"):
        return "bare metal"
    containers = (
        "docker",
        "podman",
        "lxc",
        "lxc-libvirt",
        "systemd-nspawn",
        "openvz",
        "rkt",
        "container",
        "wsl",
    )
    return f"container ({name})" if name in containers or "container" in name else f"virtual machine ({name})"


def _ram_words(record: RunRecord) -> str:
    machine, reserve = record.header.machine, record.header.reserve
    text = format_size(machine.mem_total)
    if machine.effective_ram != machine.mem_total:
        text += f", effective {format_size(machine.effective_ram)} (a cgroup above limits it)"
    else:
        text += ", all of it effective" if machine.mem_total is not None else ""
    return text + (f"; reserve that no load gets: {format_size(reserve.reserve)}" if reserve else "")


OF_ROOT = "a load that runs as root is not held against its will (it may leave its cgroups)"


def _cgroup_words(record: RunRecord) -> str:
    header = record.header
    psi = "PSI available" if header.machine.psi else "no PSI on this kernel"
    text = f"{header.machine.cgroup_mode.value}; loads are held by {backend_words(header.backend)}; {psi}"
    text = f"{text}; ⚠️ {WEAK}" if header.weak else text
    return f"{text}; {OF_ROOT}" if header.uid == 0 else text


def backend_words(backend: BackendName) -> str:
    """Return what holds the loads, in words."""
    match backend:
        case BackendName.SYSTEMD:
            return "systemd (a unit for each load)"
        case BackendName.CGROUP2:
            return "cgroup2 (unified cgroups)"
        case BackendName.CGROUP1:
            return "cgroup1 (v1 controllers)"
        case BackendName.POLL:
            return "poll (no cgroup: rlimits and a watch over /proc)"
        case _:
            assert_never(backend)


def _desktop_words(record: RunRecord, name: ProbeName) -> str:
    if record.baseline is None:
        return "unknown"
    text = probe_words([("", record.baseline.desktop)], name, clock_of(record))
    return "none on this machine" if "not applicable" in text else text


def _command_words(record: RunRecord) -> Md:
    if not record.header.argv:
        phases = phases_of(record)
        final = load_words(phases[-1].load) if phases else "unknown"
        return fill("none given; the final test: {}", final)
    return fill("{} in {}", code(shlex.join(record.header.argv)), code(record.header.cwd))


def is_post_reboot(baseline: Baseline) -> bool | None:
    """Tell whether the machine had just booted; `None`: uptime not known."""
    uptime = finite(baseline.uptime)
    return None if uptime is None else uptime < words.POST_REBOOT


def baseline_heading(record: RunRecord) -> str:
    """Return the heading of phase 0."""
    fresh = None if record.baseline is None else is_post_reboot(record.baseline)
    if fresh is None:
        return "Phase 0: Baseline"
    return f"Phase 0: Baseline ({'Post-Reboot' if fresh else 'Not Post-Reboot'})"


def baseline_lines(record: RunRecord) -> tuple[Line, ...]:
    """Return the baseline's lines; none while it has not been taken."""
    base, clock = record.baseline, clock_of(record)
    if base is None:
        return ()
    machine, reserve = record.header.machine, record.header.reserve
    room = words.available_word(
        base.mem_available, machine.effective_ram, reserve.reserve if reserve else None
    )
    memory = f"{format_size(base.mem_used)} used, {format_size(base.mem_available)} available"
    look = [(record.header.boot_id, base.desktop)]
    return (
        Line("Status", _baseline_status(base)),
        Line("Up since", _boot_words(base, machine, clock)),
        Line("Load", f"{load(base.load1)} (1-minute average, {_cores_words(base, machine)})"),
        Line("Memory", with_word(memory, room)),
        Line("Swap used", format_size(base.swap_used)),
        Line("Processes", f"{count(base.processes)} total"),
        Line(
            "PSI",
            f"memory some {share(base.psi_memory_some)}, I/O some {share(base.psi_io_some)}, "
            f"I/O full {share(base.psi_io_full)} of the time",
        ),
        Line("Canary", with_word(frames_words(base.frames), _canary_cost(base))),
        Line("Desktop", probe_words(look, ProbeName.SESSION, clock)),
        Line("Display manager", probe_words(look, ProbeName.DISPLAY_MANAGER, clock)),
        Line("SSH", probe_words(look, ProbeName.SSH, clock)),
        Line("Disk free", format_size(base.disk_free)),
        Line("Power", {True: "on battery", False: "mains, or no battery", None: "unknown"}[base.on_battery]),
        Line(
            "Time",
            f"{clock.span(base.started_wall, base.ended_wall)}, {plural(base.samples, 'sample')}, medians",
        ),
    )


def _cores_words(base: Baseline, machine: MachineFacts) -> str:
    idle = finite(base.cpu_idle)
    words = "how many were idle is not known" if idle is None else f"{idle:.2f} of them idle"
    return f"{plural(machine.cores, 'core')}, {words}"


def _canary_cost(base: Baseline) -> str:
    word = words.frames_word(base.frames.worst_ms) if base.frames else ""
    cost = f"costs {share(base.canary_cpu)} of a core" if base.canary_cpu is not None else ""
    return ", ".join(part for part in (word, cost) if part)


def _baseline_status(base: Baseline) -> str:
    fresh = {True: "Fresh reboot", False: "No fresh reboot", None: "Uptime unknown"}[is_post_reboot(base)]
    match base.healthy:
        case Answer.YES:
            return f"✅ {fresh}; healthy: every check below is answered yes or does not apply"
        case Answer.NO:
            failed = ", ".join(c.name for c in base.checks if c.answer is Answer.NO)
            return f"❌ {fresh}; not healthy: {failed or 'see the checks'}"
        case Answer.UNKNOWN | Answer.NOT_APPLICABLE:
            return f"⚠️ {fresh}; whether the machine is healthy could not be told"
        case _:
            assert_never(base.healthy)


def _boot_words(base: Baseline, machine: MachineFacts, clock: Clock) -> str:
    booted = machine.booted_wall
    if booted is None and finite(base.uptime) is not None:
        booted = type(base.started_wall)(base.started_wall - (base.uptime or 0.0))
    day = (
        f"{clock.date(booted)} "
        if clock.date(booted) not in clock.time(booted) and booted is not None
        else ""
    )
    return f"{day}{clock.time(booted)} (uptime {lasted(base.uptime)})"


def baseline_rows(record: RunRecord) -> tuple[Row, ...]:
    """Return the baseline's own checks as rows."""
    return rows_of(record.baseline.checks) if record.baseline else ()


def proof_rows(proofs: tuple[Proof, ...]) -> tuple[ProofRow, ...]:
    """Return the containment proofs as rows."""
    return tuple(
        ProofRow(p.name or "-", p.what or "-", words.ANSWER_WORD[p.answer], p.evidence or "-", lasted(p.took))
        for p in proofs
    )


def strategy(phases: tuple[Phase, ...]) -> tuple[Chapter, ...]:
    """Return each phase's goal, method and expectation, before any of it is run."""
    return tuple(
        Chapter(
            phase_title(phase),
            (
                Line("Goal", phase.goal or "not given"),
                Line("Method", phase.method or load_words(phase.load)),
                Line("Limits", limit_words(phase.limits)),
                Line("Expected", phase.expected or "not given"),
                *((Line("Scaled", phase.scaled),) if phase.scaled else ()),
            ),
        )
        for phase in phases
    )


def phase_title(phase: Phase, label: str | None = None) -> str:
    """Return `Phase 1: Ultra-Conservative (Single Process, 500 MB)`."""
    summary = f" ({phase.summary})" if phase.summary else ""
    return f"Phase {label or phase.number}: {phase.name}{summary}"
