"""Pressure stall information: /proc/pressure/* and the `*.pressure` files of cgroups.

Form and meaning: kernel, Documentation/accounting/psi.rst, "Pressure interface". Pure.
"""

from __future__ import annotations

from steadyrun.kernel.text import decimal, unexpected, whole
from steadyrun.model.sample import Psi
from steadyrun.units import Microseconds, Ratio

_LINE = "a line such as 'some avg10=0.00 avg60=0.00 avg300=0.00 total=0'"


def parse_psi(text: str, *, source: str) -> Psi:
    """Read one pressure file.

    Averages are percent in the file and 0 to 1 here; totals are microseconds since boot (or since
    the cgroup was made). A file without a `full` line gives `full_total=None`.

    Raises:
        FormatError: There is no `some` line, or a line of another form.
    """
    some: tuple[Ratio, Microseconds] | None = None
    full: Microseconds | None = None
    for line in text.splitlines():
        if line.startswith("some "):
            some = _average_and_total(line, source)
        elif line.startswith("full "):
            full = _average_and_total(line, source)[1]
        else:
            raise unexpected(source, _LINE, line)
    if some is None:
        raise unexpected(source, _LINE, text)
    return Psi(some_total=some[1], full_total=full, some_avg10=some[0])


def parse_psi_avg60(text: str, *, source: str) -> tuple[Ratio, Ratio | None]:
    """Return the shares of the last minute in which something (`some`) and all (`full`) waited.

    For what was usual before a load; decisions use the totals. No `full` line: `None`.

    Raises:
        FormatError: As `parse_psi`.
    """
    found: dict[str, Ratio] = {}
    for line in text.splitlines():
        kind, _, fields = line.partition(" ")
        value = next((field[6:] for field in fields.split() if field.startswith("avg60=")), None)
        if kind not in ("some", "full") or value is None:
            raise unexpected(source, _LINE, line)
        average = decimal(value, source, "a percentage after avg60=")
        if average > 100:
            raise unexpected(source, _LINE, line)
        found[kind] = Ratio(average / 100)
    if "some" not in found:
        raise unexpected(source, _LINE, text)
    return found["some"], found.get("full")


def _average_and_total(line: str, source: str) -> tuple[Ratio, Microseconds]:
    """Read `avg10=` (percent) and `total=` (microseconds) of one line, wherever they stand in it."""
    average: float | None = None
    total: int | None = None
    for field in line.split()[1:]:
        name, _, value = field.partition("=")
        if name == "avg10":
            average = decimal(value, source, "a percentage after avg10=")
        elif name == "total":
            total = whole(value, source, "microseconds after total=")
    if average is None or total is None or average > 100:
        raise unexpected(source, _LINE, line)
    return Ratio(average / 100), Microseconds(total)
