"""From which version on systemd understands what not all that steadyrun works with do."""

from __future__ import annotations

OOM_POLICY_SINCE = 253
"""`OOMPolicy=` of scopes; logind then gives its session scopes `continue` (systemd/systemd#25376, #25385)."""
OOM_PREFERENCE_SINCE = 248
"""`ManagedOOMPreference=` (systemd.resource-control(5), systemd NEWS, 248)."""
