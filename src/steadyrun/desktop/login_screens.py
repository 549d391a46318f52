"""The display managers that are known by name: one table for who watches them and who protects them.

Process and unit mostly share the name. Those that do not have both here: Debian's process gdm3 of
gdm.service, lxdm-binary of lxdm.service, ly-dm of ly.service.
"""

from __future__ import annotations

DISPLAY_MANAGERS = frozenset(
    {
        *("lightdm", "gdm3", "gdm", "sddm", "xdm", "wdm", "lxdm", "lxdm-binary", "ly", "ly-dm", "slim"),
        *("greetd", "nodm", "plasmalogin", "cosmic-greeter", "emptty", "lemurs"),
    }
)
