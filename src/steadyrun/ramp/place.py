"""Where a conductor runs: from its own cgroup to the place that outlives the session. Pure.

On systemd a session's processes are in `session-N.scope`; those that the user's manager started are in
`user@UID.service` (systemd.special(7), CGROUP_DELEGATION document). A scope of its own is outside of
both ends: why a scope and not a service is in
docs/adr/0007-a-scope-for-the-conductor.md.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from steadyrun.bus.properties import Property, prop
from steadyrun.model.systemd import OOM_POLICY_SINCE, OOM_PREFERENCE_SINCE

STOP_WITHIN_S = 60
"""What a shutdown gives the conductor to end the load and write that down."""


class Place(Enum):
    """Where the conductor is to be."""

    SYSTEM_SCOPE = "a scope of its own in system.slice"
    USER_SCOPE = "a scope of its own in the user manager's app.slice"
    AS_IT_IS = "where it was started"


class Surroundings(NamedTuple):
    """What is known before anything is asked of systemd."""

    euid: int
    systemd: bool
    """It is the init system of what we see (sd_booted(3): /run/systemd/system is there)."""
    unit_path: str
    """Our path in systemd's own hierarchy; empty when unknown."""

    def in_user_slice(self) -> bool:
        """Tell whether we belong to a login of our own uid, by session or by user manager."""
        return f"/user-{self.euid}.slice/" in f"{self.unit_path}/"

    def in_any_session(self) -> bool:
        """Tell whether we end with somebody's login, ours or another user's (su, sudo)."""
        return "/user.slice/" in f"{self.unit_path}/"


def unit_path(own: tuple[tuple[str, str], ...]) -> str:
    """Return the path in systemd's hierarchy, of (controller, path) pairs; empty: there is none.

    Legacy and hybrid machines have `name=systemd` for it, unified ones the only hierarchy
    (CGROUP_DELEGATION document, "Three Scenarios").
    """
    paths = dict(own)
    return paths.get("name=systemd", paths.get("", ""))


def place_for(around: Surroundings) -> Place:
    """Decide where the conductor belongs."""
    if not around.systemd:
        return Place.AS_IT_IS
    if around.euid == 0:
        return Place.SYSTEM_SCOPE
    return Place.USER_SCOPE if around.in_user_slice() else Place.AS_IT_IS


def scope_name(run_id: str) -> str:
    """Return the name of the conductor's scope."""
    return f"steadyrun-ramp-{run_id}.scope"


def scope_properties(place: Place, run_id: str, pid: int, version: int | None) -> tuple[Property, ...]:
    """Return the properties of the conductor's scope.

    Args:
        place: SYSTEM_SCOPE or USER_SCOPE.
        run_id: For its description.
        pid: Who moves into it; children it has by then stay behind.
        version: Of systemd; `None`: unknown, and only what every one has is set.

    systemd-oomd is to avoid the conductor. A load's preference is left alone: if somebody has to go for its
    pressure, it is the load.
    """
    has_policy = version is not None and version >= OOM_POLICY_SINCE
    has_preference = version is not None and version >= OOM_PREFERENCE_SINCE
    return (
        prop("Description", f"steadyrun ramp {run_id}: conductor and guard"),
        prop("PIDs", [pid]),
        prop("Slice", "system.slice" if place is Place.SYSTEM_SCOPE else "app.slice"),
        prop("CollectMode", "inactive-or-failed"),
        prop("TimeoutStopUSec", STOP_WITHIN_S * 10**6),
        *((prop("OOMPolicy", "continue"),) if has_policy else ()),
        *((prop("ManagedOOMPreference", "avoid"),) if has_preference else ()),
    )


def foresee(around: Surroundings, *, lingers: bool | None) -> str:
    """Say before anything runs what will become of the ramp when this session ends; empty: no session.

    Args:
        around: Where we are.
        lingers: Whether lingering is on for us; `None`: it could not be told.
    """
    match place_for(around):
        case Place.SYSTEM_SCOPE:
            return "It goes on when your session ends: it runs in a unit of its own in system.slice."
        case Place.USER_SCOPE if lingers:
            return "It goes on when your session ends: it runs in a unit of its own of your user manager."
        case Place.USER_SCOPE:
            return (
                "It goes on when your session ends: it runs in a unit of its own of your user manager, for "
                "which lingering\nis switched on for you while it runs, and off again afterwards."
            )
        case Place.AS_IT_IS:
            return "It ends with your session." if around.in_any_session() else ""
