"""What a person should know beside the changes: what stays unprotected, who else is there. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from steadyrun.model.finding import Finding, Severity
from steadyrun.protect.facts import Facts, Layout
from steadyrun.protect.shares import Profile

_GUARDS = {
    "systemd-oomd": (
        "kills a whole unit after half a minute of pressure or when swap is nearly full",
        "it stays; at our wall a single process is killed at once, so it will rarely have to act, and it"
        " is told"
        " to spare the desktop's slice",
    ),
    "earlyoom": (
        "kills the process that it finds most fit when less than a tenth of the machine's memory is free",
        "it stays; our wall stands below that point on most machines, so it will rarely act. It looks at the"
        " oom_score, in which the display server had no protection (--avoid '(^|/)(Xorg|Xwayland)$' gives"
        " it one)",
    ),
    "nohang": (
        "kills or warns by its own rules when memory or swap run short",
        "it stays; our wall is met first by what people run",
    ),
    "uresourced": (
        "gives the active user's session memory.low and CPU weight at run time",
        "it stays; it sets values of the same units at run time, and the last one to write wins:"
        " `--status` shows"
        " what is in force",
    ),
}
"""What each does, and how it goes together with this."""


def findings_of(facts: Facts, profile: Profile) -> tuple[Finding, ...]:
    """Return all of it, the lacks first."""
    return (*_unprotected(facts, profile), *_others(facts), *_advice(facts))


def _unprotected(facts: Facts, profile: Profile) -> Iterator[Finding]:
    for each in facts.desktops or ():
        if each.layout is Layout.SCOPE:
            yield Finding(
                code="one-scope",
                severity=Severity.WARNING,
                title=f"{each.user}'s desktop and the commands typed in it are one cgroup",
                evidence=f"window manager, panel and terminals are all in {each.session}: the kernel"
                f" cannot tell"
                " them apart. At the wall it kills the largest process in there, which is nearly always the"
                " command; until then the command may make the window manager slow. The X server, the user"
                " manager, its bus and SSH are outside",
                remedy="start terminals apart: systemd-run --user --scope --slice=app.slice xterm;"
                " or heavy commands: steadyrun run -- COMMAND",
            )
    if facts.desktops is None and profile is not Profile.SERVER:
        yield Finding(
            code="desktop-unknown",
            severity=Severity.NOTE,
            title="nobody is logged in at the screen, or it could not be told",
            evidence="whether the desktop is apart from what is started in it shows at the next login",
            remedy="type `steadyrun protect` again in a terminal of the desktop",
        )
    if facts.euid != 0:
        yield Finding(
            code="user-alone",
            severity=Severity.WARNING,
            title="as a user only your own part is changed",
            evidence="memory.low, OOM scores, SSH, the display manager and what you start outside of your"
            " user"
            " manager (a login on a console or by SSH) belong to root",
            remedy="sudo steadyrun protect",
        )
    if facts.euid == 0 and facts.engines:
        names = ", ".join(facts.engines)
        yield Finding(
            code="container-engine",
            severity=Severity.WARNING,
            title=f"containers are not behind a wall ({names})",
            evidence="they run below system.slice, where services are; a wall there would be met by services",
            remedy="give each one its own limit: docker run --memory, podman run --memory",
        )


def _others(facts: Facts) -> Iterator[Finding]:
    for name in facts.guards:
        does, together = _GUARDS.get(name, ("acts when memory is short", "it stays as it is"))
        yield Finding(
            code=f"found-{name}",
            severity=Severity.NOTE,
            title=f"{name} runs",
            evidence=f"it {does}; {together}",
            remedy="",
        )


def _advice(facts: Facts) -> Iterator[Finding]:
    if facts.euid == 0 and "io" in facts.controllers and not facts.weighs:
        yield Finding(
            code="disk-without-weights",
            severity=Severity.NOTE,
            title="no disk here shares its time out by weight",
            evidence="IOWeight= would be accepted and do nothing, so it is not written"
            " (kernel, cgroup-v2.rst, io.weight; block/bfq-iosched.rst)",
            remedy="echo bfq | sudo tee /sys/block/DISK/queue/scheduler, for a spinning or SATA disk;"
            " then type this again",
        )
    if facts.swap == 0:
        yield Finding(
            code="no-swap",
            severity=Severity.NOTE,
            title="there is no swap: a command at its wall is killed, it does not get slower first",
            evidence="that is the safer of the two. Compressed swap in memory (zram) gives idle programs"
            " a place"
            " to go; it is not set up by this",
            remedy="Debian: sudo apt install systemd-zram-generator; Fedora has it already",
        )
    elif facts.swap is not None:
        yield Finding(
            code="swap",
            severity=Severity.NOTE,
            title="there is swap: a command at its wall swaps before it is killed",
            evidence="its own pages go, not the desktop's, but the disk is busy meanwhile; nothing is changed"
            " about that, because what fits into memory and swap today has to fit tomorrow",
            remedy="heavy commands without swap: steadyrun run -- COMMAND",
        )
