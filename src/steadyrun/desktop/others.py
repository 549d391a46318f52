"""Finds who else ends processes when memory is short, and reads from where on. Never writes, never judges.

`find_others` looks at every process and asks systemd, for a ramp and the doctor; `run` has time for
`other_units.py` alone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from steadyrun.desktop.processes import pids_named
from steadyrun.kernel.kept import read_text
from steadyrun.kernel.meminfo import MemInfo
from steadyrun.kernel.reader import read_meminfo
from steadyrun.model.others import OtherGuard, Pressing, Swap
from steadyrun.units import Bytes, Ratio, Seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from steadyrun.kernel.others import Oomd

OOMD, EARLYOOM, NOHANG, URESOURCED = "systemd-oomd", "earlyoom", "nohang", "uresourced"
NAMES = (OOMD, EARLYOOM, NOHANG, URESOURCED)
"""In /proc/PID/comm (at most 15 characters, proc_pid_comm(5))."""
OOMD_DROP_INS = ("/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd")
"""From weak to strong where names are the same (oomd.conf(5), systemd.syntax(7))."""
UNIT_PATIENCE_S = 1.0

Watched = tuple[Pressing, ...]


def find_others(
    root: str = "/", watched: Callable[[], Watched | None] | None = None
) -> tuple[OtherGuard, ...] | None:
    """Return the others that run now; `None`: processes cannot be listed.

    Args:
        root: Where `/proc` and `/etc` are looked for; tests give a tree of their own.
        watched: Says which units systemd-oomd kills in, and from which pressure on; `None` from it: not
            known. Called only where that runs; `None`: systemd is asked, of this machine alone.
    """
    before = root.rstrip("/")
    found = pids_named(NAMES, root)
    ask = watched or (watched_units if not before else _not_asked)
    return None if found is None else _read(found, before, ask)


def others_by_unit(found: list[tuple[int, str]], root: str = "/") -> tuple[OtherGuard, ...]:
    """Return those that `other_units.running_units` found; systemd is not asked."""
    return _read(found, root.rstrip("/"), _not_asked)


def _not_asked() -> None:
    return None


def read_swap(root: str = "/") -> Swap:
    """Return what swap there is."""
    memory = read_meminfo(root)
    return Swap(memory.swap_total, memory.swap_free)


def _read(
    named: Iterable[tuple[int, str]], before: str, watched: Callable[[], Watched | None]
) -> tuple[OtherGuard, ...]:
    memory = read_meminfo(before)
    return tuple(_thresholds(OtherGuard(name, pid), memory, before, watched) for pid, name in named)


def _thresholds(
    other: OtherGuard, memory: MemInfo, before: str, watched: Callable[[], Watched | None]
) -> OtherGuard:
    total = memory.total
    if total is None:
        return other
    if other.name == EARLYOOM:
        return _earlyoom(other, total, memory.swap_total, before)
    if other.name == NOHANG:
        return _nohang(other, total, memory.swap_total, before)
    if other.name == OOMD:
        return _oomd(other, total, before, watched)
    return other


def _argv(before: str, pid: int) -> tuple[str, ...]:
    return tuple((read_text(f"{before}/proc/{pid}/cmdline") or "").split("\0")[:-1])


def _earlyoom(other: OtherGuard, total: Bytes, swap_total: Bytes | None, before: str) -> OtherGuard:
    from steadyrun.kernel.others import parse_earlyoom

    argv = _argv(before, other.pid)
    said = parse_earlyoom(argv, total=total, swap_total=swap_total) if argv else None
    if said is not None:
        found = other._replace(memory=said.memory, swap=said.swap, acts=not said.dry)
        return found._replace(source=f"/proc/{other.pid}/cmdline")
    assumed = parse_earlyoom((EARLYOOM,), total=total, swap_total=swap_total)
    return other if assumed is None else other._replace(memory=assumed.memory, swap=assumed.swap)


def _nohang(other: OtherGuard, total: Bytes, swap_total: Bytes | None, before: str) -> OtherGuard:
    from steadyrun.kernel.others import parse_nohang

    path = _config_of(_argv(before, other.pid))
    text = None if path is None else read_text(f"{before}{path}")
    if path is None or text is None:  # its defaults, of nohang-desktop.conf: the ones that act sooner
        assumed = (Pressing(Ratio(0.4), Seconds(30.0), "the machine"),)
        return other._replace(memory=Bytes(total * 5 // 100), swap=Ratio(0.1), pressing=assumed)
    said = parse_nohang(text, total=total, swap_total=swap_total)
    pressing: Watched = ()
    if said.pressure is not None and said.lasting is not None:
        pressing = (Pressing(said.pressure, said.lasting, "the machine"),)
    return other._replace(memory=said.memory, swap=said.swap, pressing=pressing, source=path)


def _config_of(argv: tuple[str, ...]) -> str | None:
    """Return the absolute path after `-c` or `--config`."""
    for at, word in enumerate(argv):
        named, equals, value = word.partition("=")
        if named in ("-c", "--config"):
            path = value if equals else next(iter(argv[at + 1 :]), "")
            return path if path.startswith("/") else None
    return None


def _oomd(other: OtherGuard, total: Bytes, before: str, watched: Callable[[], Watched | None]) -> OtherGuard:
    from steadyrun.kernel.others import Oomd, parse_oomd

    said = parse_oomd(_oomd_texts(before))
    known = Oomd() if said is None else said
    units = watched()
    usual = (Pressing(known.pressure, known.lasting, "any unit that asks for it"),)
    pressing = usual if units is None else tuple(_own(each, known) for each in units)
    used = Bytes(int(total * (1 - known.used)))
    source = "" if said is None else "oomd.conf" if units is None else "oomd.conf, systemd"
    found = other._replace(memory=used, swap=Ratio(1 - known.used), needs_swap=True)
    return found._replace(pressing=pressing, source=source)


def _own(each: Pressing, usual: Oomd) -> Pressing:
    """Fill in what a unit left to oomd.conf."""
    share = each.share or usual.pressure
    return each._replace(share=share, lasting=each.lasting or usual.lasting)


def _oomd_texts(before: str) -> Iterator[str]:
    """Yield oomd.conf, then the drop-ins by name; of the same name the one in /etc alone counts."""
    main = (read_text(f"{before}{directory}/oomd.conf") for directory in reversed(OOMD_DROP_INS))
    yield next((text for text in main if text is not None), "")
    named: dict[str, str] = {}
    for directory in OOMD_DROP_INS:
        try:
            names = os.listdir(f"{before}{directory}/oomd.conf.d")
        except OSError:
            continue
        named.update({name: f"{before}{directory}/oomd.conf.d/{name}" for name in names})
    for name in sorted(named):
        if name.endswith(".conf"):
            yield read_text(named[name]) or ""


def watched_units() -> Watched | None:
    """Ask systemd in which units its oomd kills for pressure; `None`: it cannot be asked.

    A share of 0 and a time of 0 are what oomd.conf says (systemd.resource-control(5),
    `ManagedOOMMemoryPressureLimit=`; on the bus it is a 32 bit fraction).
    """
    from steadyrun.bus.address import Bus
    from steadyrun.bus.connection import within
    from steadyrun.bus.units import Manager
    from steadyrun.errors import BusError

    until = within(UNIT_PATIENCE_S)
    found = []
    try:
        with Manager.open(Bus.SYSTEM, until=until) as manager:
            for name in ("-.slice", "user.slice", "system.slice", *_user_managers()):
                unit = manager.unit(name, until=until)
                if unit is not None and unit.own.get("ManagedOOMMemoryPressure") == "kill":
                    found.append(pressing_of(name, unit.own))
    except BusError:
        return None
    return tuple(found)


def pressing_of(name: str, own: dict[str, object]) -> Pressing:
    """Return what a unit's properties say of its pressure; 0 where they leave it to oomd.conf."""
    limit, lasting = own.get("ManagedOOMMemoryPressureLimit"), own.get("ManagedOOMMemoryPressureDurationUSec")
    share = limit / (2**32 - 1) if isinstance(limit, int) else 0.0
    span = lasting / 1e6 if isinstance(lasting, int) and lasting < 2**63 else 0.0  # 2**64 - 1: not set
    return Pressing(Ratio(share), Seconds(span), name)


def _user_managers() -> list[str]:
    try:
        return [f"user@{name}.service" for name in sorted(os.listdir("/run/user")) if name.isdecimal()]
    except OSError:
        return []
