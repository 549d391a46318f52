"""The raw figures of a whole run, kept as JSON after each cell; what is there is not done again."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
from storm.record import Record

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """Where it was measured."""

    host: str
    """Processor model and count of the host."""
    guest: str
    """CPUs, memory and kernel of the guest."""
    accelerator: str
    """`kvm`, or `tcg`: emulated in software."""
    qemu: str
    versions: dict[str, str]
    """Of what the loads ran under, by its name in the table."""


@dataclass(frozen=True)
class Results:
    """One file of results."""

    machine: Machine | None
    records: tuple[Record, ...]

    def has(self, load: str, under: str, swap: str, *, calm: float) -> bool:
        """Tell whether this cell is there, and others had at most `calm` of the host's CPU time."""
        return any(
            cell(one) == (load, under, swap)
            and (one.host_others_frac is None or one.host_others_frac <= calm)
            for one in self.records
        )

    def with_record(self, record: Record) -> Results:
        """Return these results with one more record, in place of an older one of the same cell."""
        kept = [one for one in self.records if cell(one) != cell(record)]
        return replace(self, records=(*kept, record))


def cell(record: Record) -> tuple[str, str, str]:
    """Return what tells a record's cell from others."""
    return record.load, record.under, record.swap


def read(path: Path) -> Results:
    """Read a file of results; none there yet: nothing was measured.

    Raises:
        msgspec.ValidationError: It is no such file.
    """
    if not path.exists():
        return Results(None, ())
    return msgspec.json.decode(path.read_bytes(), type=Results)


def write(results: Results, path: Path) -> None:
    """Replace the file, as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    text = msgspec.json.encode(results, order="deterministic")
    part.write_bytes(msgspec.json.format(text, indent=1) + b"\n")
    os.rename(part, path)
