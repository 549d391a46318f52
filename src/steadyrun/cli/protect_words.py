"""What `steadyrun protect` says, for people and for programs. Pure: values in, lines out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from steadyrun.model.finding import Finding, Severity
from steadyrun.protect.change import FileChange, Plan, When
from steadyrun.protect.deeds import Left
from steadyrun.protect.facts import Facts, Layout
from steadyrun.protect.inforce import State
from steadyrun.protect.protection import Applied, Undone
from steadyrun.protect.record import Change, Record
from steadyrun.protect.seen import Seen
from steadyrun.protect.shares import ABOUT, Shares, part
from steadyrun.protect.status import Status
from steadyrun.protect.terminals import is_service
from steadyrun.report.escape import one_line
from steadyrun.report.figures import plural
from steadyrun.units import format_size

_INDENT = 6


def plan_lines(plan: Plan, pending: tuple[Change, ...], record: Record, width: int) -> Iterator[str]:
    """Yield everything that would be changed, and why."""
    yield from _opening(plan, pending, record, width)
    yield ""
    yield from _walls(plan, width)
    yield from _findings(plan, "In the way now", (Severity.PROBLEM,), width)
    yield from _findings(plan, "Not protected", (Severity.WARNING,), width)
    waiting = {change.path for change in pending}
    replaced = {change.path for change in pending if change.before is not None}
    shown = [each for each in plan.files if each.path in waiting or not waiting]
    if shown:
        yield ""
        yield "Files, with the same reasons in them"
    for each in shown:
        yield from _file(each, replaced, width)
    gone = [change.path for change in pending if change.after is None]
    for path in gone:
        yield f"  {path}  is removed: this version does not need it"
    values = [each for each in plan.values if each.path in waiting]
    if values:
        yield ""
        yield "Values of the running system, so that nobody has to log out or boot"
    for value in values:
        yield f"  {value.path}: {value.now} -> {value.value}"
        yield from _wrapped(f"{value.why} [{value.source}]", _INDENT, width)
    yield from _rest(plan, width)
    yield ""
    yield from _closing(plan, pending, width)


def _opening(plan: Plan, pending: tuple[Change, ...], record: Record, width: int) -> Iterator[str]:
    if record.undoing() or record.unfinished():
        yield "A crash interrupted a change here. --undo takes it back; --apply does so, and begins again."
    elif not pending:
        yield "Lasting protection is applied, and nothing is left to be changed. This is what it consists of."
    elif record.standing():
        yield "Lasting protection is applied; this is what would be changed in it. Nothing is changed yet."
    else:
        yield "This is what would be changed on this machine. Nothing is changed yet."
    yield ""
    yield from _wrapped(_machine(plan.facts), 2, width)
    yield from _wrapped(f"Profile {plan.profile.value}: {ABOUT[plan.profile]}.", 2, width)


def _machine(facts: Facts) -> str:
    swap = (
        "unknown swap"
        if facts.swap is None
        else f"{format_size(facts.swap)} of swap"
        if facts.swap
        else "no swap"
    )
    words = f"{format_size(facts.ram)} of memory, {swap}, systemd {facts.version}"
    for desktop in facts.desktops or ():
        if desktop.layout is Layout.MANAGED:
            words += f"; {desktop.user}'s desktop is made of units of its own (session.slice, app.slice)"
        else:
            words += f"; {desktop.user}'s desktop is all in {desktop.session}"
    return words + "."


def _walls(plan: Plan, width: int) -> Iterator[str]:
    shares, ram = plan.shares, plan.facts.ram
    if shares is None or ram is None:
        return
    yield "What it comes to"
    words = (
        'A command that takes too much memory meets a wall, and the kernel kills it there ("Killed", exit'
        " code 137) while the machine still has memory to go on with. What fits below the wall runs as"
        " before. File cache counts, and gives way by itself. Walls count at once, for what runs already too;"
        " --apply refuses one that what runs now does not fit behind."
    )
    yield from _wrapped(words, 2, width)
    for name, percent in _wall_rows(plan, shares):
        yield f"  {name:<46}{percent:>3} %  {format_size(part(ram, percent)):>9}"


def _wall_rows(plan: Plan, shares: Shares) -> Iterator[tuple[str, int]]:
    root = plan.facts.euid == 0
    if root:
        yield "wall for all users together", shares.everybody
        yield "wall for one user", shares.person
    yield "wall for ordinary commands" if root else "wall for programs of app.slice", shares.ordinary
    yield "wall for everything that `steadyrun` runs", shares.loads
    if root and shares.session:
        yield "kept for the desktop when memory is short", shares.session
    if root:
        yield "kept for sshd, D-Bus, logind, each", shares.way_in


def _file(each: FileChange, replaced: set[str], width: int) -> Iterator[str]:
    yield f"  {each.path}{'  (ours, written anew)' if each.path in replaced else ''}"
    for line in each.lines:
        said = line.text() if not line.key.startswith("/") else f"at each boot {line.key} = {line.value}"
        later = f" ({line.when.value})" if line.when is not When.NOW else ""
        yield f"    {said}{later}"
        yield from _wrapped(f"{line.why} [{line.source}]", _INDENT, width)


def _rest(plan: Plan, width: int) -> Iterator[str]:
    if plan.skipped:
        yield ""
        yield "Left as it is"
    for each in plan.skipped:
        yield f"  {each.what}"
        yield from _wrapped(each.why, _INDENT, width)
    yield from _findings(plan, "Also", (Severity.NOTE,), width)


def _findings(plan: Plan, title: str, severities: tuple[Severity, ...], width: int) -> Iterator[str]:
    found = [each for each in plan.findings if each.severity in severities]
    if found:
        yield ""
        yield title
    for finding in found:
        yield from _finding(finding, width)


def _finding(finding: Finding, width: int) -> Iterator[str]:
    yield f"  {finding.title}"
    yield from _wrapped(finding.evidence + ".", _INDENT, width)
    if finding.remedy:
        yield from _wrapped(f"What helps: {finding.remedy}", _INDENT, width)


def _closing(plan: Plan, pending: tuple[Change, ...], width: int) -> Iterator[str]:
    sudo = "sudo " if plan.facts.euid == 0 else ""
    profile = f" --profile {plan.profile.value}"
    undo = f"{sudo}steadyrun protect --undo"
    if not pending:
        yield from _wrapped(
            f"Whether it is in force: {sudo}steadyrun protect --status. To take it back: {undo}", 0, width
        )
        return
    values = sum(1 for each in pending if isinstance(each.after, str))
    files = sum(1 for each in pending if _is_file(each))
    told = plural(files, "file")
    told += f" and {plural(values, 'value')}" if values else ""
    ours = " but our own, which is started" if any(is_service(each.path) for each in pending) else ""
    yield from _wrapped(
        f"In all {told}. No other file is touched, nothing is installed, no service is restarted{ours}. What"
        f" is there now is written down first, and `{undo}` puts every byte of it back.",
        0,
        width,
    )
    yield f"Type next: {sudo}steadyrun protect --apply{profile}"


def _is_file(change: Change) -> bool:
    state = change.before if change.after is None else change.after
    return isinstance(state, Seen) and state.content is not None


def applied_lines(applied: Applied, width: int) -> Iterator[str]:
    """Yield how an apply went."""
    if applied.changes:
        yield f"Applied: {plural(len(applied.changes), 'change')}, each read back:"
    else:
        yield "Nothing had to be changed:"
    yield from status_lines(applied.status, width)
    for trouble in applied.trouble:
        yield from _wrapped(trouble, 2, width)


def status_lines(status: Status, width: int) -> Iterator[str]:
    """Yield what is in force: what is not first."""
    rows = [(s.state, f"{s.unit}: {s.setting}", s.found) for s in status.settings]
    rows += [(f.state, f.path, f.found) for f in status.files if f.state is not State.YES]
    bad = (State.NO, State.UNKNOWN)
    across = max((len(what) for _, what, _ in rows), default=0)
    mark = 2 + max((len(state.value) for state, _, _ in rows), default=0)
    for state, what, found in sorted(rows, key=lambda row: row[0] not in bad):
        said = f"  {state.value:<{mark}}{what:<{min(across, width - 30)}}"
        yield (said + (f"  {found}" if found else "")).rstrip()


def status_closing(status: Status, record: Record, facts: Facts) -> str:
    """Return the last sentence of a status."""
    begun = record.last()
    if record.undoing() or record.unfinished():
        return "A crash interrupted a change: `steadyrun protect --undo` or `--apply` finishes it."
    if facts.euid != 0 and facts.machine_wide and not record.standing():
        return "Root has applied it for the whole machine: sudo steadyrun protect --status."
    if not record.standing() or begun is None:
        return "Nothing is applied here. `steadyrun protect` shows what would be."
    if status.holds():
        return f"Applied with profile {begun.profile} by steadyrun {begun.version}, and in force."
    return (
        f"Applied with profile {begun.profile} by steadyrun {begun.version}, and not all of it is in"
        " force: see above. `steadyrun protect --apply` sets it again; what that does not mend a boot does."
    )


def mended_lines(left: Iterable[Left], width: int) -> Iterator[str]:
    """Yield what was done about a change that a crash had interrupted."""
    yield "A crash had interrupted a change here: it was taken back first."
    for each in left:
        yield from _wrapped(f"left: {each.path}: {each.why}", 2, width)
    yield ""


def undone_lines(undone: Undone, width: int) -> Iterator[str]:
    """Yield how an undo went."""
    if not undone.paths:
        yield "Nothing is applied here, nothing to be undone."
        return
    back = len(undone.paths) - len(undone.left)
    yield f"{plural(back, 'change is', 'changes are')} taken back; what was there before is there again."
    for left in undone.left:
        yield from _wrapped(
            f"left: {left.path}: {left.why}. Look at it, remove it, and type this again.", 2, width
        )
    for trouble in undone.trouble:
        yield from _wrapped(trouble, 2, width)


def to_undo_lines(record: Record) -> Iterator[str]:
    """Yield what an undo would do, for `--dry-run`."""
    standing = record.standing()
    if not standing:
        yield "Nothing is applied here, nothing to be undone."
    for intent in reversed(standing):
        change = intent.change
        if isinstance(change.before, str):
            yield f"  {change.path}: {change.before} again"
        else:
            yield f"  {change.path}: {'removed' if change.before is None else 'as it was before'}"


def _wrapped(words: str, indent: int, width: int) -> list[str]:
    before = " " * indent
    return textwrap.wrap(
        one_line(words),
        width,
        initial_indent=before,
        subsequent_indent=before,
        break_long_words=False,
        break_on_hyphens=False,
    )


def joined(lines: Iterable[str]) -> str:
    """Return lines as text."""
    return "".join(f"{line}\n" for line in lines)
