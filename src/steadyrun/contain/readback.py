"""What every limit of a cgroup is read back with: write, read, compare, describe.

A limit is an upper bound; it is held when the smallest of its own and its ancestors' is not above
what was asked. Never raises: what went wrong becomes part of the words.
"""

from __future__ import annotations

from steadyrun.kernel.cgroupfiles import parse_flat, parse_limit
from steadyrun.kernel.kept import parsed, read_text
from steadyrun.model.limits import ReadBack
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from steadyrun.contain.cgroupfs import CgroupDirectory

UNLIMITED = "-1"
"""How every legacy limit but pids.max is opened (Documentation/admin-guide/cgroup-v1/memory.rst, 4.1)."""

CPU_LIMITS = frozenset(("cpu_max", "cpu_weight"))
IO_LIMITS = frozenset(("io_read_bps", "io_write_bps", "io_weight"))
"""Fields of `Limits`: what is written together."""


def bound(
    name: str, asked: int, own: int | None, effective: int | None, source: str, trouble: str
) -> ReadBack:
    """Read back an upper bound: held when what takes effect is not above what was asked."""
    held = effective is not None and effective <= asked
    text = describe(number(own), number(effective), trouble)
    return ReadBack(name, str(asked), text, source, held)


def describe(own: str | None, effective: str | None, trouble: str) -> str | None:
    """Put the own value, a smaller one of an ancestor and what went wrong into one line."""
    found = own
    if effective is not None and effective != own:
        found = f"{own or 'none'}, an ancestor allows {effective}"
    return f"{found or 'none'}; {trouble}" if trouble else found


def refused(name: str, asked: int, reason: str, source: str) -> ReadBack:
    """Answer for a limit that this kind of cgroup cannot hold, with the reason in place of a figure."""
    return ReadBack(name, str(asked), reason, source, False)


def missing(hierarchy: str, **asked: float | None) -> list[ReadBack]:
    """Answer for the limits of a hierarchy that cannot be used here; those not asked for are left out."""
    reason = f"none: no {hierarchy} hierarchy can be used here"
    return [ReadBack(n, f"{v:g}", reason, hierarchy, False) for n, v in asked.items() if v is not None]


def number(value: int | None) -> str | None:
    """Print a number that may be unknown."""
    return None if value is None else str(value)


def limit_of(directory: CgroupDirectory, name: str) -> int | None:
    """Read a limit of a held cgroup; `None` when it is open or cannot be read."""
    return parsed(directory.read(name), parse_limit, name)


def limit_at(path: str) -> int | None:
    """Read a limit by its path (of an ancestor); `None` when it is open or cannot be read."""
    return parsed(read_text(path), parse_limit, path)


def flat_of(directory: CgroupDirectory, name: str) -> dict[str, int]:
    """Read a flat keyed file; empty when it cannot be read."""
    return parsed(directory.read(name), parse_flat, name) or {}


def try_write(directory: CgroupDirectory, name: str, text: str) -> str:
    """Write one file; return what went wrong, empty when nothing did."""
    try:
        directory.write(name, text)
    except OSError as error:
        return f"{name}: writing {text} gave {error.strerror}"
    return ""


def machine_has_swap(root: str = "") -> bool:
    """Tell whether any swap is on; unreadable counts as yes (proc_swaps(5): the first line is a heading)."""
    text = read_text(f"{root}/proc/swaps")
    return text is None or len(text.splitlines()) > 1
