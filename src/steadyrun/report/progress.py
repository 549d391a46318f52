"""Renders PROGRESS.md from one RunRecord. Pure: the same record gives the same words.

What stands where is in `templates/progress.md.j2`; what is said is in the modules beside this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steadyrun.model.record import RunRecord
from steadyrun.report import attempt, final, opening, summary
from steadyrun.report.down import down_section, downs_after
from steadyrun.report.escape import Md, fill
from steadyrun.report.lines import TO_BE_FILLED, WEAK, clock_of, finding_lines
from steadyrun.report.page import fill_page
from steadyrun.report.short import in_short
from steadyrun.report.totals import attempts_of, phases_of

if TYPE_CHECKING:
    from steadyrun.model.plan import Phase


def render_progress(record: RunRecord) -> str:
    """Return the whole page, ending in a newline."""
    early, late = summary.split(record)
    ended = record.end is not None
    issues = (*finding_lines(record.findings), *summary.run_issues(record))
    return fill_page(
        "progress.md.j2",
        preface=_preface(record),
        short=in_short(record),
        system=opening.system_lines(record),
        baseline_heading=opening.baseline_heading(record),
        baseline=opening.baseline_lines(record),
        baseline_rows=opening.baseline_rows(record),
        proofs=opening.proof_rows(record.proofs),
        results=summary.testing_results(record),
        issues=issues,
        no_issues="none" if ended else TO_BE_FILLED,
        solutions=summary.run_solutions(record),
        no_solutions="none" if ended else TO_BE_FILLED,
        strategy=opening.strategy(phases_of(record)),
        status=record.status or "unknown",
        early=(*_downs(record, ""), *_sections(record, early)),
        summary=summary.progress_summary(record),
        late=_sections(record, late),
        final=final.final_results(record),
        missing="not done" if ended else TO_BE_FILLED,
    )


def _preface(record: RunRecord) -> Md:
    header = record.header
    text = fill("Written by steadyrun {}, run {}.", header.version, header.run_id)
    if header.resumed_from:
        text = fill(
            "{} It goes on from run {}: what began before {} is of that one, "
            "the baseline and the proofs are of this one.",
            text,
            header.resumed_from,
            clock_of(record).time(header.started_wall),
        )
    if record.end is None:
        text = fill("{} The ramp is not over: this page grows as it runs.", text)
    if header.weak:
        text = fill("{}\n\n⚠️ **" + WEAK + "**: without cgroups the kernel does not hold these limits.", text)
    zone = clock_of(record).zone
    return text if zone.resolved else fill("{} Times are in UTC.", text)


def _sections(record: RunRecord, phases: tuple[Phase, ...]) -> tuple[attempt.Section, ...]:
    """Return the sections of some phases, every try of each in its order."""
    sections: list[attempt.Section] = []
    for phase in phases:
        tries = attempts_of(record, phase)
        for each in tries:
            sections += [attempt.section(record, each), *_downs(record, each.label)]
        if not tries:
            sections.append(attempt.untried(record, phase))
    return tuple(sections)


def _downs(record: RunRecord, label: str) -> tuple[attempt.Section, ...]:
    """Return the sections of the boots that ended right after a try."""
    return tuple(down_section(record, down) for down in downs_after(record, label))
