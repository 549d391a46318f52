"""What the page says of a boot that ended between two phases, and that its cause is not known. Pure."""

from __future__ import annotations

from steadyrun.model.fate import downs_of
from steadyrun.model.record import RunRecord
from steadyrun.model.run import Down
from steadyrun.report.attempt import Section
from steadyrun.report.escape import code, fill
from steadyrun.report.lines import Line, clock_of

HEADING = "THE MACHINE WENT DOWN OR WAS BOOTED"
EITHER = "a crash of the machine, or somebody's boot: which of the two is not known"


def downs_after(record: RunRecord, label: str) -> tuple[Down, ...]:
    """Return the boots that ended right after that try; an empty label: before there was one."""
    return tuple(down for down in downs_of(record) if down.after == label)


def down_line(record: RunRecord, down: Down) -> str:
    """Return the line of the results."""
    return f"{_where(down)}: {HEADING} ⚠️ {_when(record, down)}"


def down_section(record: RunRecord, down: Down) -> Section:
    """Return the section, which stands where it happened."""
    lines = (
        Line("Time", _when(record, down)),
        Line("Results", f"boot {down.boot_id} ended; no phase was running, so no limit is lowered for it"),
        Line("Status", f"⚠️ UNKNOWN - {EITHER}"),
        Line(
            "To tell",
            fill(
                "{} shows the end of its log, where that was kept: an orderly stop names itself there",
                code(f"journalctl -e -b {down.boot_id.replace('-', '')}"),
            ),
        ),
        Line("Next", _next_words(record, down)),
    )
    return Section(f"{_where(down)} - {HEADING}", lines, (), None, "")


def _where(down: Down) -> str:
    return f"After Phase {down.after}" if down.after else "Before the first phase"


def _when(record: RunRecord, down: Down) -> str:
    clock = clock_of(record)
    return (
        f"after {clock.time(down.seen_wall)}, when it was last heard of; "
        f"found by the next start of steadyrun at {clock.time(down.found_wall)}"
    )


def _next_words(record: RunRecord, down: Down) -> str:
    if down.run_id == record.header.run_id:
        return "none: the ramp ended here"
    return "a ramp went on after the boot, with a new baseline and new proofs"
