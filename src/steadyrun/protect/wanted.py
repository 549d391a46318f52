"""What is wanted of each unit on a machine like this, whatever is there already. Pure.

memory.low has to be on every ancestor, or it counts for nothing below (cgroup-v2.rst, "Memory Interface
Files"): so it goes down user.slice, user-UID.slice, user@UID.service, session.slice, and down system.slice
to the services. Nothing here sets memory.high: without swap a throttle limit below what is in use never ends
(Containarium#1454), and with it nobody of us would be there to watch. A wall ends in an OOM kill among
those behind it.
"""

from __future__ import annotations

from typing import NamedTuple

from steadyrun.model.systemd import OOM_POLICY_SINCE, OOM_PREFERENCE_SINCE
from steadyrun.protect.change import Line, When
from steadyrun.protect.facts import Facts, Layout, Whose
from steadyrun.protect.shares import Profile, Shares
from steadyrun.protect.stricter import in_force

CONTROL = "systemd.resource-control(5)"
CGROUP = "kernel, cgroup-v2.rst"
OOM_FIRST = "systemd.exec(5), OOMScoreAdjust="
SCORES_HAVE_DEFAULT = 250
"""`DefaultOOMScoreAdjust=` (systemd NEWS, 250)."""
SCORE_KEPT = -100
"""Enough: a tenth of the memory less counts for these few MiB than any command has. More would be passed on
to what they start (proc_pid_oom_score_adj(5): a child has its parent's)."""
SCORE_ORDINARY = 200
"""What systemd gives a user's services by itself (systemd NEWS, 250)."""
MANAGER = "user@.service"
SSH = ("ssh.service", "sshd.service")
BUSES = ("dbus.service", "dbus-broker.service")
COMPOSITORS = ("org.gnome.Shell@.service", "plasma-kwin_wayland.service", "plasma-kwin_x11.service")
"""User units that draw the screen."""


WALLED = (
    ("user.slice", Whose.SYSTEM),
    ("user-.slice", Whose.SYSTEM),
    ("session-.scope", Whose.SYSTEM),
    ("steadyrun.slice", Whose.SYSTEM),
    ("app.slice", Whose.USER),
    ("steadyrun.slice", Whose.USER),
)
"""Units that get a wall."""


class Wanted(NamedTuple):
    """One unit, and what it should say."""

    unit: str
    whose: Whose
    section: str
    lines: tuple[Line, ...]


def wanted(facts: Facts, shares: Shares, profile: Profile) -> tuple[Wanted, ...]:
    """Return everything that is wanted, from the outside in."""
    if facts.euid != 0:
        return _users(facts, shares, profile, own=True)
    screen = profile is not Profile.SERVER
    system = (*_slices(facts, shares, screen), *_services(facts, shares, screen))
    return (*system, *_users(facts, shares, profile, own=False))


def _slices(facts: Facts, shares: Shares, screen: bool) -> tuple[Wanted, ...]:
    low = _low(shares.session, "the desktop's memory; it counts only where every slice above has it")
    everybody = Line(
        "MemoryMax",
        f"{shares.everybody}%",
        "a wall for all users together: the kernel, SSH and the services keep the rest",
        CONTROL,
    )
    person = Line(
        "MemoryMax",
        f"{shares.person}%",
        "a wall for each user, lower than that for all: another login always finds room",
        CONTROL,
    )
    ordinary = Line(
        "MemoryMax",
        f"{shares.ordinary}%",
        "a wall for one login and all that was started in it: who is killed at it is in there, never the"
        " user manager, its bus, SSH or a display server that the display manager runs",
        CONTROL,
    )
    held = _low(
        shares.login + 3 * shares.way_in, "for the display manager, sshd, D-Bus and logind, given on to them"
    )
    return (
        Wanted("user.slice", Whose.SYSTEM, "Slice", (everybody, *low)),
        Wanted("user-.slice", Whose.SYSTEM, "Slice", (person, *low)),
        Wanted(
            "session-.scope",
            Whose.SYSTEM,
            "Scope",
            (ordinary, *_drawn(facts, shares, screen), *_survives(facts, policy=False)),
        ),
        Wanted("system.slice", Whose.SYSTEM, "Slice", held),
        Wanted("steadyrun.slice", Whose.SYSTEM, "Slice", (_loads(shares),)),
    )


def _drawn(facts: Facts, shares: Shares, screen: bool) -> tuple[Line, ...]:
    """Return weights for logins where every desktop here is one: what is started apart gives way to it.

    Where a desktop is units of the user manager it stands beside the logins, which must not outweigh it.
    """
    layouts = {desktop.layout for desktop in facts.desktops or ()}
    if not screen or layouts != {Layout.SCOPE}:
        return ()
    return _weights(facts, shares, "the desktop is in it, and draws while what is started apart computes")


def _loads(shares: Shares) -> Line:
    return Line(
        "MemoryMax",
        f"{shares.loads}%",
        "all loads of `steadyrun` together: limits of single runs do not add up to a limit"
        " (kirodotdev/KiroCrew#3316)",
        CONTROL,
    )


def _low(percent: int, why: str) -> tuple[Line, ...]:
    if percent <= 0:
        return ()
    return (Line("MemoryLow", f"{percent}%", why, f"{CGROUP}, memory.low"),)


def _survives(facts: Facts, *, policy: bool) -> tuple[Line, ...]:
    """Return what keeps a scope alive when the kernel kills one process in it.

    Before 253 systemd stops the whole scope then, and it looks for such a kill only where memory is accounted
    for (unit_watch_cgroup_memory(), systemd/systemd src/core/cgroup.c); the limits hold all the same.
    """
    if facts.version is not None and facts.version >= OOM_POLICY_SINCE:
        why = "one command that is killed at a wall does not take its terminal with it"
        line = Line("OOMPolicy", "continue", why, "systemd/systemd PR#25385", since=OOM_POLICY_SINCE)
        return (line,) if policy else ()
    why = (
        "before version 253 systemd ends the whole scope, a terminal or a desktop, when the kernel kills"
        " one process in it; it does not notice where memory is not accounted for. The limits still hold"
    )
    return (Line("MemoryAccounting", "no", why, "systemd/systemd#25376"),)


def _services(facts: Facts, shares: Shares, screen: bool) -> tuple[Wanted, ...]:
    found = [Wanted(MANAGER, Whose.SYSTEM, "Service", _manager(facts, shares))]
    if screen and facts.display_manager is not None:
        why = "the display manager; the X server of lightdm, sddm and others is in its unit"
        lines = (*_low(shares.login, why), *_weights(facts, shares, "it draws while others compute"))
        found.append(Wanted(facts.display_manager, Whose.SYSTEM, "Service", lines))
    for name in SSH:
        lines = (
            *_low(shares.way_in, "the way in when nothing else answers"),
            *_weights(facts, shares, "a login is answered while others compute"),
        )
        found.append(Wanted(name, Whose.SYSTEM, "Service", lines))
    for name in (*BUSES, "systemd-logind.service"):
        low = _low(shares.way_in, "no login and no session goes without it")
        found.append(Wanted(name, Whose.SYSTEM, "Service", low))
    return tuple(found)


def _weights(facts: Facts, shares: Shares, why: str) -> tuple[Line, ...]:
    weight = f"{shares.weight}"
    lines = [Line("CPUWeight", weight, f"{why}; others have 100", f"{CGROUP}, cpu.weight")]
    if facts.weighs and "io" in facts.controllers:
        lines.append(Line("IOWeight", weight, "the same for the disk", f"{CGROUP}, io.weight"))
    return tuple(lines)


def _manager(facts: Facts, shares: Shares) -> tuple[Line, ...]:
    lines = list(_low(shares.session, "on the way down to the desktop's slice"))
    given = _delegated(facts)
    if "io" in facts.controllers and given is not None and "io" not in given:
        why = "a user may limit and weigh the disk for their own units; systemd leaves io out"
        lines.append(Line("Delegate", " ".join((*given, "io")), why, CONTROL, when=When.LOGIN))
    lines.append(
        Line(
            "OOMScoreAdjust",
            f"{SCORE_KEPT}",
            "systemd gives the user manager 100, so it goes before a command that has 0; without it"
            " there is no desktop",
            OOM_FIRST,
            since=SCORES_HAVE_DEFAULT,
            when=When.LOGIN,
        )
    )
    return tuple(lines)


def _delegated(facts: Facts) -> tuple[str, ...] | None:
    """Return the controllers that user managers are given already; `None`: all of them."""
    unit = facts.unit(MANAGER, Whose.SYSTEM)
    found = None if unit is None else in_force("Delegate", unit.settings)
    if found is not None and found.value.lower() in ("1", "yes", "true", "on"):
        return None
    return ("pids", "memory", "cpu") if found is None else tuple(found.value.split())


def _users(facts: Facts, shares: Shares, profile: Profile, *, own: bool) -> tuple[Wanted, ...]:
    """Return what user managers are told. As an ordinary user without what needs root's part of it."""
    user = Whose.USER
    session: list[Line] = []
    if profile is not Profile.SERVER:
        session += () if own else _low(shares.session, "the compositor and the desktop's own services")
        session += _weights(facts, shares, "the desktop draws while others compute")
        if "systemd-oomd" in facts.guards:
            why = "systemd-oomd runs and may end whole sessions (systemd/systemd#23606): this one last"
            session.append(Line("ManagedOOMPreference", "avoid", why, CONTROL, since=OOM_PREFERENCE_SINCE))
    wall = Line(
        "MemoryMax",
        f"{shares.ordinary}%",
        "a wall for all programs that a desktop starts as units, terminals and what runs in them too:"
        " the desktop itself is in session.slice, outside of it",
        CONTROL,
    )
    found = [
        Wanted("session.slice", user, "Slice", tuple(session)),
        Wanted("app.slice", user, "Slice", (wall,)),
        Wanted("steadyrun.slice", user, "Slice", (_loads(shares),)),
        Wanted("scope", user, "Scope", _survives(facts, policy=True)),
    ]
    return tuple(found) if own else (*found, *_scores(profile))


def _scores(profile: Profile) -> tuple[Wanted, ...]:
    default = Line(
        "DefaultOOMScoreAdjust",
        f"{SCORE_ORDINARY}",
        "a user's services stay where systemd has them, although their manager has less now",
        "systemd-system.conf(5)",
        since=SCORES_HAVE_DEFAULT,
        when=When.LOGIN,
    )
    kept = Line(
        "OOMScoreAdjust",
        f"{SCORE_KEPT}",
        "the user's bus has 200 by default and is killed first of all; nothing on the desktop works"
        " without it",
        OOM_FIRST,
        since=SCORES_HAVE_DEFAULT,
        when=When.LOGIN,
    )
    drawn = kept._replace(
        value="0",
        why="what draws the screen goes after the programs on it; what it starts has the same value",
    )
    found = [Wanted("user.conf", Whose.USER, "Manager", (default,))]
    found += [Wanted(name, Whose.USER, "Service", (kept,)) for name in BUSES]
    if profile is not Profile.SERVER:
        found += [Wanted(name, Whose.USER, "Service", (drawn,)) for name in COMPOSITORS]
    return tuple(found)
