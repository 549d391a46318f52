"""Properties of transient units with their D-Bus types, checked before they are sent. Pure.

Names and types: org.freedesktop.systemd1(5). A property that is newer than systemd 247 says since when
it can be set on a transient unit; a manager that does not know it answers
`org.freedesktop.DBus.Error.PropertyReadOnly` (bus_unit_set_properties(), systemd/systemd
src/core/dbus-unit.c) and makes nothing.
"""

from __future__ import annotations

from steadyrun.errors import BusError
from steadyrun.named import NamedTuple
from steadyrun.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

INFINITY = 2**64 - 1
"""What systemd calls `infinity` in its unsigned 64-bit numbers: no limit, no weight set."""

SIGNATURES: dict[str, str] = {
    # of every unit
    "Description": "s",
    "Documentation": "as",
    "CollectMode": "s",  # inactive-or-failed: a failed unit is forgotten, too
    "BindsTo": "as",
    "PartOf": "as",
    "After": "as",
    "Before": "as",
    "Requires": "as",
    "Wants": "as",
    "Conflicts": "as",
    "DefaultDependencies": "b",
    "RefuseManualStart": "b",
    "IgnoreOnIsolate": "b",
    "AddRef": "b",
    "Markers": "as",  # 248
    # of what has a cgroup (systemd.resource-control(5))
    "Slice": "s",
    "Delegate": "b",
    "DelegateControllers": "as",
    "DelegateSubgroup": "s",  # services only, 254
    "CPUAccounting": "b",
    "CPUWeight": "t",
    "StartupCPUWeight": "t",
    "CPUQuotaPerSecUSec": "t",
    "CPUQuotaPeriodUSec": "t",
    "AllowedCPUs": "ay",
    "MemoryAccounting": "b",
    "MemoryMin": "t",
    "MemoryLow": "t",
    "MemoryHigh": "t",
    "MemoryMax": "t",
    "MemorySwapMax": "t",
    "MemoryZSwapMax": "t",  # 253
    "ManagedOOMSwap": "s",
    "ManagedOOMMemoryPressure": "s",
    "ManagedOOMPreference": "s",  # 248
    "TasksAccounting": "b",
    "TasksMax": "t",
    "IOAccounting": "b",
    "IOWeight": "t",
    "IOReadBandwidthMax": "a(st)",
    "IOWriteBandwidthMax": "a(st)",
    "IOReadIOPSMax": "a(st)",
    "IOWriteIOPSMax": "a(st)",
    # of how it ends
    "KillMode": "s",
    "KillSignal": "i",
    "FinalKillSignal": "i",
    "SendSIGKILL": "b",
    "SendSIGHUP": "b",
    "TimeoutStopUSec": "t",
    "RuntimeMaxUSec": "t",
    "OOMPolicy": "s",  # scopes: 253
    # of scopes
    "PIDs": "au",
    "PIDFDs": "ah",  # 255
    # of services
    "Type": "s",
    "ExecStart": "a(sasb)",
    "ExecStop": "a(sasb)",
    "ExecStopPost": "a(sasb)",
    "Environment": "as",
    "WorkingDirectory": "s",
    "User": "s",
    "Group": "s",
    "UMask": "u",
    "RemainAfterExit": "b",
    "Restart": "s",
    "RestartUSec": "t",
    "StandardInput": "s",
    "StandardOutput": "s",
    "StandardError": "s",
    "StandardInputFileDescriptor": "h",
    "StandardOutputFileDescriptor": "h",
    "StandardErrorFileDescriptor": "h",
    "OOMScoreAdjust": "i",
    "Nice": "i",
    "LimitNOFILE": "t",
    "TimeoutStartUSec": "t",
}

_WHOLE = {"t": (0, 2**64 - 1), "u": (0, 2**32 - 1), "i": (-(2**31), 2**31 - 1), "h": (0, 2**31 - 1)}


class Property(NamedTuple):
    """One property of a unit, ready to be sent; make it with `prop`."""

    name: str
    value: tuple[str, Any]
    """Its signature and what it is set to: a D-Bus variant."""


def prop(name: str, value: Any) -> Property:
    """Return a property with its type.

    Args:
        name: As in `SIGNATURES`.
        value: int for `t`, `u`, `i` and `h`; bool for `b`; str for `s`; list for `a...`; bytes for `ay`.

    Raises:
        BusError: The property is not known here, or the value is of another type or out of range.
    """
    signature = SIGNATURES.get(name)
    if signature is None:
        raise BusError(f"property {name}: expected one whose type is known, found another")
    if not _fits(signature, value):
        raise BusError(f"property {name}: expected a value of D-Bus type {signature}, found {value!r}")
    return Property(name, (signature, value))


def command(*argv: str) -> list[tuple[str, list[str], bool]]:
    """Return the value of `ExecStart` for one command; a failure counts as one.

    Args:
        argv: The first is an absolute path.
    """
    return [(argv[0], list(argv), False)]


def _fits(signature: str, value: Any) -> bool:
    if signature in _WHOLE:
        least, most = _WHOLE[signature]
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    if signature == "b":
        return isinstance(value, bool)
    if signature == "s":
        return isinstance(value, str) and "\0" not in value
    if signature == "ay":
        return isinstance(value, bytes)
    inner = signature[1:]
    return isinstance(value, list) and (
        all(isinstance(each, tuple) for each in value)
        if inner.startswith("(")
        else all(_fits(inner, each) for each in value)
    )
