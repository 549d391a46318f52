"""The largest limits proven safe here for a kind of load."""

from __future__ import annotations

import re

from steadyrun.model.limits import Limits
from steadyrun.model.plan import LoadKind, LoadSpec
from steadyrun.named import NamedTuple
from steadyrun.typed import assert_never
from steadyrun.units import MIB, Bytes, Seconds


class Envelope(NamedTuple):
    """What a passed ramp proved. Valid while the machine's facts are the same."""

    kind: str
    """What was proven with: `storm`, `hog`, or the first word of the user's command (`pytest`)."""
    limits: Limits
    peak: Bytes | None
    """The most memory the load really used."""
    proven_wall: Seconds
    run_id: str
    effective_ram: Bytes | None
    cores: int
    kernel: str


STORM = "storm"
HOG = "hog"
HEADROOM = 64
"""A sixty-fourth, 1.6 %, on top of a peak: no two runs of the same have theirs at the same byte. By choice;
never above the limit under which the load passed."""
_WRAPPERS = ("env", "sudo", "nice", "time")
_NO_COMMAND = r"[0-9]+|[A-Za-z_][A-Za-z0-9_]*=(?s:.*)"
"""What stands before the command of a wrapper: `nice -n 19 make`, `env CC=clang make`."""
_INTERPRETERS = {
    **dict.fromkeys(("sh", "bash"), r"-[a-z]*c[a-z]*"),
    "python": r"-[A-Za-z]*c",
    **dict.fromkeys(("perl", "ruby"), r"-[a-z]*e"),
    "node": r"-e|-p|--eval|--print",
}
"""Programs that run another one, and the options whose word is that program itself (sh(1), python(1),
perl(1), ruby(1), node(1))."""
_SHORT = 60


def proven_limits(load: LoadSpec, limits: Limits, peak: Bytes | None) -> Limits:
    """Return what a load that passed proved: of memory what a built-in one really held at once, and a little.

    A user's command proved that it fits under its limit, however little of that it took. Its wall time and
    the cap of its log were the phase's; daily work sets its own.

    Args:
        load: What passed.
        limits: What it passed under.
        peak: The most memory that it used, bytes; `None`: not known, and of memory nothing is proven.
    """
    proven = limits._replace(wall_time=None, output_max=None)
    if load.kind is LoadKind.COMMAND or limits.memory_max is None:
        return proven
    held = None if peak is None else Bytes(min(limits.memory_max, _up(peak + peak // HEADROOM)))
    high = limits.memory_high
    return proven._replace(
        memory_max=held, memory_high=None if high is None or held is None else Bytes(min(high, held))
    )


def _up(size: int) -> int:
    return -(-size // MIB) * MIB


def kind_of_load(load: LoadSpec) -> str:
    """Name what a ramp proves its envelope with: the load of its last phase."""
    match load.kind:
        case LoadKind.COMMAND:
            return kind_of(load.argv)
        case LoadKind.STORM:
            return STORM
        case LoadKind.HOG:
            return HOG
        case _:
            assert_never(load.kind)


def kind_of(argv: tuple[str, ...]) -> str:
    """Name the kind of load: `pytest` for `python3 -m pytest tests`, `storm` for the built-in one.

    A program that is written on the command line (`sh -c "..."`) is known by its text; a user's program that
    is called like a built-in load by its path.
    """
    words = [word for word in argv if not word.startswith("-")]
    if not words:
        return STORM if not argv else _named(argv[0])
    first = _basename(words[0])
    if first in _WRAPPERS:
        rest = [word for word in words[1:] if not re.fullmatch(_NO_COMMAND, word)]
        return kind_of(argv[argv.index(rest[0]) :]) if rest else first
    inline = _INTERPRETERS.get(first.rstrip("0123456789."))
    if inline is None or len(words) == 1:
        return _named(words[0])
    options = argv[argv.index(words[0]) + 1 : argv.index(words[1])]
    if any(re.fullmatch(inline, each) for each in options):
        return f"{first} -c {_in_short(words[1])}"
    return _named(words[1])


def _in_short(text: str) -> str:
    """Return a program of one line or many in few words, another one for another program."""
    from zlib import crc32  # a start of `run` hardly ever comes here

    line = " ".join(text.split())
    if len(line) <= _SHORT:
        return line
    return f"{line[:_SHORT]}... ({crc32(text.encode('utf-8', 'replace')):08x})"


def _named(path: str) -> str:
    name = _basename(path)
    return f"./{name}" if name in (STORM, HOG) else name


def _basename(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
