"""What a person should know beside the changes: what stays unprotected, who else is there. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from steadyrun.model.finding import Finding, Severity
from steadyrun.protect.facts import Desktop, Facts, Layout
from steadyrun.protect.shares import Profile, Shares, part
from steadyrun.units import format_size

_GUARDS = {
    "systemd-oomd": "kills a whole unit after half a minute of pressure or when swap is nearly full. It"
    " stays: a process at our wall is killed at once, so it will rarely have to act, and it is told to"
    " spare the desktop's slice",
    "earlyoom": "kills the process that it finds most fit when less than a tenth of memory and swap is"
    " free. It stays, and may act before a wall is met. The display server is an ordinary process to it:"
    " --avoid '(^|/)(Xorg|Xwayland)$' in its settings spares it",
    "nohang": "warns or kills by its own rules when memory or swap run short. It stays, and may act"
    " before a wall is met",
    "uresourced": "gives the active user's session memory.low and CPU weight at run time. It stays; of"
    " the same value the last one who wrote it wins: --status shows what is in force",
}
"""What each does, and how it goes together with this."""


def findings_of(
    facts: Facts, profile: Profile, shares: Shares, *, terminals_apart: bool
) -> tuple[Finding, ...]:
    """Return all of it, the lacks first.

    Args:
        facts: The machine.
        profile: What it is for.
        shares: How its memory is shared out.
        terminals_apart: Terminals of a desktop that is one scope get scopes of their own.
    """
    lacks = _unprotected(facts, profile, terminals_apart)
    return (*lacks, *_shm(facts, shares), *_others(facts), *_advice(facts))


def _unprotected(facts: Facts, profile: Profile, terminals_apart: bool) -> Iterator[Finding]:
    for each in facts.desktops or ():
        if each.layout is Layout.SCOPE and terminals_apart:
            yield _started_from_the_menu(each)
        elif each.layout is Layout.SCOPE:
            yield _one_scope(each, root=facts.euid == 0)
    if facts.desktops is None and profile is not Profile.SERVER:
        yield Finding(
            code="desktop-unknown",
            severity=Severity.NOTE,
            title="Nobody is logged in at the screen, or it could not be told",
            evidence="Whether the desktop is apart from what is started in it shows at the next login",
            remedy="type `steadyrun protect` again in a terminal of the desktop",
        )
    if facts.euid != 0 and facts.machine_wide:
        yield Finding(
            code="machine-wide",
            severity=Severity.NOTE,
            title="Root has applied lasting protection for the whole machine",
            evidence="It holds for you, too, and nothing of your own is needed",
            remedy="to see it: sudo steadyrun protect --status",
        )
    elif facts.euid != 0:
        yield Finding(
            code="user-alone",
            severity=Severity.WARNING,
            title="As a user only your own part is changed",
            evidence="Protection of memory, OOM scores, SSH, the display manager, and a wall for what"
            " you start outside of your user manager (a login on a console or by SSH) belong to root",
            remedy="sudo steadyrun protect",
        )
    if facts.euid == 0 and facts.engines:
        yield Finding(
            code="container-engine",
            severity=Severity.WARNING,
            title=f"Containers are not behind a wall ({', '.join(facts.engines)})",
            evidence="They run below system.slice, where services are; services would meet a wall there, too",
            remedy="give each one its own limit: docker run --memory, podman run --memory",
        )


def _one_scope(desktop: Desktop, *, root: bool) -> Finding:
    held = (
        "they share the CPU, and at the wall it kills the largest process in there. With one large"
        " command that is the command; with many small ones it may be the window manager. The X server,"
        " the user manager, its bus and SSH are outside"
        if root
        else "what is typed there meets no wall of a user's own; root's reaches it"
    )
    return Finding(
        code="one-scope",
        severity=Severity.WARNING,
        title=f"{desktop.user}'s desktop and the commands typed in it are one cgroup",
        evidence=f"Window manager, panel and terminals are all in {desktop.session}, and the kernel"
        f" cannot tell them apart: {held}",
        remedy="start terminals apart: systemd-run --user --scope --slice=app.slice xterm; or heavy"
        " commands: steadyrun run -- COMMAND",
    )


def _started_from_the_menu(desktop: Desktop) -> Finding:
    return Finding(
        code="one-scope-but-terminals",
        severity=Severity.NOTE,
        title=f"{desktop.user}'s desktop and the programs started from its menu are one cgroup",
        evidence=f"Window manager, panel, browser and IDE are all in {desktop.session}; terminals, and what"
        " is typed in them, are kept apart",
        remedy="start what is heavy in a terminal, also in an IDE's own, or with: steadyrun run -- COMMAND",
    )


def _shm(facts: Facts, shares: Shares) -> Iterator[Finding]:
    if facts.ram is None or facts.shm is None:
        return
    wall = part(facts.ram, shares.ordinary)
    if wall - facts.shm < part(facts.ram, shares.session + 10):
        yield Finding(
            code="shared-memory",
            severity=Severity.WARNING,
            title="Files in /dev/shm could fill the wall of ordinary commands nearly alone",
            evidence="They count for who wrote them and stay when that is killed. The wall stands at"
            f" {format_size(wall)}, and they may take {format_size(facts.shm)} (kernel, cgroup-v2.rst,"
            " Memory Ownership)",
            remedy="sudo mount -o remount,size=25% /dev/shm, and the same option in /etc/fstab",
        )


def _others(facts: Facts) -> Iterator[Finding]:
    for name in facts.guards:
        does = _GUARDS.get(name, "acts when memory is short. It stays")
        yield Finding(
            code=f"found-{name}",
            severity=Severity.NOTE,
            title=f"{name} runs",
            evidence=f"It {does}",
            remedy="",
        )


def _advice(facts: Facts) -> Iterator[Finding]:
    if facts.euid == 0 and "io" in facts.controllers and not facts.weighs:
        yield Finding(
            code="disk-without-weights",
            severity=Severity.NOTE,
            title="No disk here shares its time out by weight",
            evidence="IOWeight= would be accepted and do nothing, so it is not written (kernel,"
            " cgroup-v2.rst, IO Interface Files; block/bfq-iosched.rst)",
            remedy="for a SATA or spinning disk: echo bfq | sudo tee /sys/block/DISK/queue/scheduler,"
            " then this again",
        )
    if facts.swap == 0:
        yield Finding(
            code="no-swap",
            severity=Severity.NOTE,
            title="There is no swap: a command at its wall is killed, it does not get slower first",
            evidence="That is the safer of the two. Compressed swap in memory (zram) would give idle"
            " programs a place to go; it is not set up by this",
            remedy="Debian: sudo apt install systemd-zram-generator; Fedora has it already",
        )
    elif facts.swap is not None:
        yield Finding(
            code="swap",
            severity=Severity.NOTE,
            title="There is swap: a command at its wall swaps before it is killed",
            evidence="Its own pages go, not the desktop's, but the disk is busy meanwhile. Nothing is"
            " changed about that, because what fits into memory and swap today has to fit tomorrow",
            remedy="heavy commands without swap: steadyrun run -- COMMAND",
        )
