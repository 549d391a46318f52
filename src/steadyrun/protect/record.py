"""The record of changes as lines of text: what was there, what we made of it, how far we came. Pure.

One line for each step, with a checksum before it; the line of a change is on the disk before the change is
made. A line that a crash cut short is the last one, and its change was never begun. Lines and not the
journal's SQLite: this lasts for months and over versions, and root has to be able to read it in a rescue
shell (docs/adr/0014-lasting-protection.md).
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any, NamedTuple

from steadyrun.errors import FormatError
from steadyrun.protect.seen import Seen

FORMAT = 1


class Change(NamedTuple):
    """One thing that is another one afterwards."""

    path: str
    before: Seen | str | None
    """A file or a folder; a value's text; `None`: there was nothing."""
    after: Seen | str | None
    """`None`: it is removed."""
    process: str = ""
    """`PID STARTED BOOT` of whose value it is; empty: nobody's."""
    boot: str = ""
    """The boot in which the kernel was given a value; empty: a file, or an older version did not note it."""


class Begin(NamedTuple):
    """One `--apply` begins."""

    version: str
    """steadyrun's."""
    profile: str
    wall: float
    made: tuple[str, ...] = ()
    """Folders that were made for the state directory, the outermost first."""
    format: int = FORMAT


class Intent(NamedTuple):
    """A change is about to be made."""

    number: int
    change: Change


class Undone(NamedTuple):
    """It is taken back, or there was nothing to be taken back."""

    number: int


class End(NamedTuple):
    """The `--apply` came to its end."""


class Undoing(NamedTuple):
    """An `--undo` of everything begins."""


Step = Begin | Intent | Undone | End | Undoing


class Chain(NamedTuple):
    """All changes of one thing that stand, oldest first: an `--apply` may change what an earlier one made."""

    intents: tuple[Intent, ...]

    def change(self) -> Change:
        """Return all of them as one: from what was there before the first."""
        first, last = self.intents[0].change, self.intents[-1].change
        return last._replace(before=first.before)

    def made(self, now: Seen | str | None) -> bool:
        """Tell whether a file or a value is as one of them left it; `None`: it is not there."""
        return any(_same(now, intent.change.after) for intent in self.intents)


def _same(now: Seen | str | None, after: Seen | str | None) -> bool:
    if isinstance(now, Seen) and isinstance(after, Seen):
        return now.content == after.content
    return now == after


def chains_of(intents: tuple[Intent, ...]) -> tuple[Chain, ...]:
    """Return changes thing by thing, in the order in which they are taken back: the newest thing first."""
    found: dict[tuple[str, str], list[Intent]] = {}
    for intent in intents:
        found.setdefault((intent.change.path, intent.change.process), []).append(intent)
    return tuple(Chain(tuple(each)) for each in reversed(found.values()))


class Record(NamedTuple):
    """All of it, and how many bytes of the file are whole lines."""

    steps: tuple[Step, ...]
    size: int

    def standing(self) -> tuple[Intent, ...]:
        """Return the changes that are not taken back, oldest first."""
        undone = {step.number for step in self.steps if isinstance(step, Undone)}
        return tuple(s for s in self.steps if isinstance(s, Intent) and s.number not in undone)

    def unfinished(self) -> tuple[Intent, ...]:
        """Return the changes of an `--apply` that did not come to its end."""
        begun = max((n for n, step in enumerate(self.steps) if isinstance(step, Begin)), default=None)
        if begun is None or any(isinstance(step, End) for step in self.steps[begun:]):
            return ()
        after = {step.number for step in self.steps[begun:] if isinstance(step, Intent)}
        return tuple(intent for intent in self.standing() if intent.number in after)

    def undoing(self) -> bool:
        """Tell whether an `--undo` began that did not come to its end."""
        for step in reversed(self.steps):
            if isinstance(step, Begin | Undoing):
                return isinstance(step, Undoing)
        return False

    def last(self) -> Begin | None:
        """Return the newest `--apply` that came to its end."""
        begun = found = None
        for step in self.steps:
            if isinstance(step, Begin):
                begun = step
            elif isinstance(step, End):
                found = begun
        return found

    def made(self) -> tuple[str, ...]:
        """Return the folders that were made for the state directory, the outermost first."""
        return tuple(path for step in self.steps if isinstance(step, Begin) for path in step.made)

    def processes(self) -> dict[str, str]:
        """Return of whose process a value is that we changed, by the value's path."""
        return {s.change.path: s.change.process for s in self.standing() if s.change.process}

    def next_number(self) -> int:
        """Return a number that no change has."""
        return 1 + max((step.number for step in self.steps if isinstance(step, Intent)), default=0)

    def ours(self) -> dict[str, Seen | str]:
        """Return what we left under each path, by path; values of processes too."""
        found: dict[str, Seen | str] = {}
        for intent in self.standing():
            if intent.change.after is None:
                found.pop(intent.change.path, None)
            else:
                found[intent.change.path] = intent.change.after
        return found


NOTHING = Record((), 0)


def line_of(step: Step) -> bytes:
    """Write a step as a line."""
    fields = step._asdict()
    if isinstance(step, Intent):
        fields["change"] = {
            "path": step.change.path,
            "before": _packed(step.change.before),
            "after": _packed(step.change.after),
            "process": step.change.process,
            "boot": step.change.boot,
        }
    text = json.dumps({"step": type(step).__name__, **fields}, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read_record(data: bytes, *, source: str) -> Record:
    """Read the lines; a last one that was cut short is left out.

    Raises:
        FormatError: Another line is not what was written, or a newer steadyrun wrote it.
    """
    steps: list[Step] = []
    size = 0
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        step = _step(line, f"{source}: line {number}")
        if step is None:
            if b"".join(lines[number:]):
                raise FormatError(
                    f"{source}: line {number}: expected a step with its checksum, found {line[:40]!r}"
                )
            break
        steps.append(step)
        size += len(line) + 1
    return Record(tuple(steps), size)


def _step(line: bytes, source: str) -> Step | None:
    """Return the step of a line; `None`: it is not whole."""
    head, _, text = line.partition(b" ")
    if head != b"%08x" % zlib.crc32(text):
        return None
    try:
        fields = json.loads(text)
        match fields.pop("step"):
            case "Begin":
                _expect_format(fields, source)
                return Begin(**{**fields, "made": tuple(fields.get("made", ()))})
            case "Intent":
                return Intent(fields["number"], _change(fields["change"]))
            case "Undone":
                return Undone(fields["number"])
            case "End":
                return End()
            case "Undoing":
                return Undoing()
            case other:
                raise FormatError(f"{source}: expected a known step, found {other!r}")
    except (ValueError, TypeError, KeyError) as error:
        raise FormatError(f"{source}: expected a step, found {error!r:.60}") from error


def _expect_format(fields: dict[str, Any], source: str) -> None:
    """Refuse what a newer steadyrun wrote, whatever else it has in it.

    Raises:
        FormatError: A newer one did.
    """
    if fields["format"] > FORMAT:
        raise FormatError(
            f"{source}: expected format {FORMAT}, found {fields['format']}",
            hint=f"steadyrun {fields.get('version', 'of a newer version')} wrote it: use that or a newer",
        )


def _packed(state: Seen | str | None) -> dict[str, Any] | str | None:
    if not isinstance(state, Seen):
        return state
    content = None if state.content is None else base64.b64encode(state.content).decode()
    return {**state._asdict(), "content": content}


def _change(fields: dict[str, Any]) -> Change:
    before, after = _state(fields["before"]), _state(fields["after"])
    return Change(fields["path"], before, after, fields["process"], fields.get("boot", ""))


def _state(packed: dict[str, Any] | str | None) -> Seen | str | None:
    if not isinstance(packed, dict):
        return packed
    content = packed["content"]
    return Seen(**{**packed, "content": None if content is None else base64.b64decode(content)})
