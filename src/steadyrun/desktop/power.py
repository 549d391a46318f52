"""Whether the machine runs on its battery. Reads sysfs; never judges."""

from __future__ import annotations

import os

from steadyrun.kernel.reader import read_text

_MAINS = ("Mains", "USB")
_FIELDS = ("type", "status", "online", "scope")


def on_battery(root: str = "/") -> bool | None:
    """Tell whether a battery discharges; False without one; `None` when it cannot be told.

    Source: kernel, Documentation/ABI/testing/sysfs-class-power (`type`, `status`, `online`, `scope`;
    the scope `Device` is that of a mouse or a headset).
    """
    folder = f"{root.rstrip('/')}/sys/class/power_supply"
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return False
    except OSError:
        return None
    supplies = [{field: _text(f"{folder}/{name}/{field}") for field in _FIELDS} for name in names]
    batteries = [s for s in supplies if s["type"] == "Battery" and s["scope"] != "Device"]
    if any(s["online"] == "1" for s in supplies if s["type"] in _MAINS):
        return False
    if any(s["status"] is None for s in batteries):
        return None
    return any(s["status"] == "Discharging" for s in batteries)


def _text(path: str) -> str | None:
    text = read_text(path)
    return None if text is None else text.strip()
