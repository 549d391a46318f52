"""From facts of a machine and a profile to what would be changed on it. Pure.

`wanted.py` says what each unit should say; here it meets what is there: units that do not exist or are
masked, a systemd that is too old, an administrator's own settings.
"""

from __future__ import annotations

from typing import NamedTuple

from steadyrun.model.machine import CgroupMode
from steadyrun.protect.change import FileChange, Line, Plan, Skipped, ValueChange
from steadyrun.protect.facts import Facts, UnitFacts, Whose
from steadyrun.protect.findings import findings_of
from steadyrun.protect.room import crowds_of, finding_of
from steadyrun.protect.shares import LEAST_RAM, Profile, shares_of
from steadyrun.protect.stricter import amount, in_force, judge
from steadyrun.protect.terminals import terminal_files
from steadyrun.protect.unitfile import LAST, NAME, write, write_tmpfiles
from steadyrun.protect.wanted import MANAGER, Wanted, wanted
from steadyrun.units import Bytes, format_size

SYSTEM_UNITS = "/etc/systemd/system"
USER_UNITS = "/etc/systemd/user"
TMPFILES = "/etc/tmpfiles.d/steadyrun.conf"
MIN_TTL = "/sys/kernel/mm/lru_gen/min_ttl_ms"
TTL_MS = 1000
"""The value that the kernel's document gives as an example that avoids noticeable lags."""
_TTL_WHY = (
    "memory that was used within the last second is not taken away; where that cannot be kept the kernel"
    " kills something instead of grinding on"
)
_TTL_SOURCE = "kernel, multigen_lru.rst, Thrashing prevention"
OLDEST = 247
"""systemd that steadyrun is tested with."""


class Merged(NamedTuple):
    """One unit after it met what is there."""

    change: FileChange | None
    skipped: tuple[Skipped, ...]


def plan(facts: Facts, profile: Profile | None = None) -> Plan:
    """Return what would be changed; without a profile for what the machine looks like."""
    profile = profile or usual_profile(facts)
    obstacle, remedy = obstacle_of(facts)
    if obstacle or facts.ram is None:
        return Plan(facts, profile, None, (), (), (), (), obstacle, remedy)
    shares = shares_of(facts.ram, profile)
    wants = wanted(facts, shares, profile)
    merged = [_merge(each, facts, facts.ram) for each in wants]
    walls = {
        (want.unit, want.whose): wall
        for want, one in zip(wants, merged, strict=True)
        if one.change is not None and (wall := _wall(one.change, facts.ram)) is not None
    }
    files = [each.change for each in merged if each.change is not None]
    skipped = [each for one in merged for each in one.skipped]
    ttl, why = _ttl(facts)
    if ttl is not None:
        files.append(ttl)
    skipped += why
    apart, why_not = terminal_files(facts, profile, USER_UNITS if facts.euid == 0 else facts.home)
    files += apart
    skipped += why_not
    return Plan(
        facts=facts,
        profile=profile,
        shares=shares,
        files=tuple(files),
        values=_values(facts, files),
        skipped=tuple(skipped),
        findings=(
            *map(finding_of, crowds_of(walls, facts.uses)),
            *findings_of(facts, profile, shares, terminals_apart=bool(apart)),
        ),
    )


def usual_profile(facts: Facts) -> Profile:
    """Return the profile that fits: a desktop where somebody could sit at a screen."""
    screen = facts.display_manager is not None or facts.desktops
    return Profile.DESKTOP if screen else Profile.SERVER


def obstacle_of(facts: Facts) -> tuple[str, str]:
    """Return why nothing can be done here and what to do instead; empty: it can."""
    if not facts.booted:
        return (
            "no systemd runs as the first process here (a container, or another init): what protects"
            " lastingly are settings of systemd's",
            "start what is heavy with `steadyrun run -- COMMAND`, which works here too; in a container"
            " set the limit outside (docker run --memory, a Pod's limits), and run `steadyrun protect`"
            " on the host",
        )
    if facts.mode is not CgroupMode.UNIFIED:
        return (
            f"cgroups are {facts.mode.value} here: memory.low and a wall for a slice are of the unified"
            " hierarchy alone",
            "boot with systemd.unified_cgroup_hierarchy=1 on the kernel command line, then type this"
            " again; until then start what is heavy with `steadyrun run -- COMMAND`",
        )
    if facts.version is None or facts.version < OLDEST:
        found = "no answer" if facts.version is None else f"{facts.version}"
        return f"systemd: expected version {OLDEST} or newer, found {found}", "systemctl --version"
    if "memory" not in facts.controllers:
        return (
            "the memory controller: expected it in cgroup.controllers, found none",
            "boot without cgroup_disable=memory",
        )
    if facts.ram is None:
        return "/proc/meminfo: expected the size of the memory, found none", "cat /proc/meminfo"
    if facts.ram < LEAST_RAM:
        return (
            f"memory: expected at least {format_size(LEAST_RAM)}, found {format_size(facts.ram)}: a wall"
            " would stand too close to what a login needs",
            "start what is heavy with `steadyrun run --memory SIZE -- COMMAND`",
        )
    return "", ""


def _wall(change: FileChange, ram: Bytes) -> Bytes | None:
    found = [amount(line.value, ram) for line in change.lines if line.key == "MemoryMax"]
    return None if not found or found[0] is None else Bytes(int(found[0]))


def _merge(want: Wanted, facts: Facts, ram: Bytes) -> Merged:
    unit = facts.unit(want.unit, want.whose)
    where = place(want.unit, want.whose, facts)
    if unit is None or not unit.exists or not want.lines:
        return Merged(None, ())
    if unit.masked:
        return Merged(None, (Skipped(want.unit, "it is masked: nobody wants it to run"),))
    kept, skipped, last = [], [], False
    for line in want.lines:
        why = _not_for(line, unit, facts)
        verdict = judge(line, unit, ram)
        if why or not verdict.write:
            skipped.append(Skipped(f"{want.unit}: {line.text()}", why or verdict.why))
            continue
        kept.append(line)
        last = last or verdict.last
    if not kept:
        return Merged(None, tuple(skipped))
    path = f"{where}/{LAST if last else NAME}"
    change = FileChange(path, write(want.section, tuple(kept)), want.unit, tuple(kept))
    return Merged(change, tuple(skipped))


def place(unit: str, whose: Whose, facts: Facts) -> str:
    """Return the folder of a unit's drop-ins."""
    if unit == "user.conf":
        return "/etc/systemd/user.conf.d"
    if whose is Whose.SYSTEM:
        return f"{SYSTEM_UNITS}/{unit}.d"
    return f"{USER_UNITS if facts.euid == 0 else facts.home}/{unit}.d"


def _not_for(line: Line, unit: UnitFacts, facts: Facts) -> str:
    """Say why a line is not written on this machine whatever the unit says; empty: it may be."""
    version = facts.version or 0
    if version < line.since:
        return f"systemd {version} does not know it (since {line.since}); a drop-in with it is not written"
    if line.key in ("OOMScoreAdjust", "DefaultOOMScoreAdjust") and unit.name != MANAGER:
        manager = facts.unit(MANAGER, Whose.SYSTEM)
        theirs = None if manager is None else in_force("OOMScoreAdjust", manager.settings)
        if theirs is not None and theirs.path.startswith("/etc/"):
            return f"{theirs.path} sets the user manager's: yours, kept; the others belong to it"
    return ""


def _ttl(facts: Facts) -> tuple[FileChange | None, list[Skipped]]:
    what = f"{MIN_TTL}: {TTL_MS}"
    mglru = facts.mglru
    if facts.euid != 0 or mglru is None or mglru.min_ttl_ms is None:
        return None, []
    if mglru.enabled is None:
        return None, [Skipped(what, "whether the multi-generational LRU is on could not be read")]
    if not mglru.enabled:
        return None, [Skipped(what, "the multi-generational LRU is built into this kernel and off")]
    if mglru.min_ttl_ms not in (0, TTL_MS):
        return None, [Skipped(what, f"it is {mglru.min_ttl_ms}: somebody has chosen that, kept")]
    line = Line(MIN_TTL, f"{TTL_MS}", _TTL_WHY, _TTL_SOURCE)
    text = write_tmpfiles(MIN_TTL, f"{TTL_MS}", _TTL_WHY, _TTL_SOURCE)
    return FileChange(TMPFILES, text, "at each boot", (line,)), []


def _values(facts: Facts, files: list[FileChange]) -> tuple[ValueChange, ...]:
    """Return what the running kernel is told, so that nobody has to log out or boot for it."""
    found = []
    if any(each.path == TMPFILES for each in files) and facts.mglru is not None:
        now = facts.mglru.min_ttl_ms
        if now != TTL_MS:
            found.append(ValueChange(MIN_TTL, f"{TTL_MS}", f"{now}", _TTL_WHY, _TTL_SOURCE))
    if facts.euid != 0:
        return tuple(found)
    scores = {
        each.unit: int(line.value) for each in files for line in each.lines if line.key == "OOMScoreAdjust"
    }
    for one in facts.running:
        score = scores.get(one.unit)  # none where an administrator has set their own: it is kept
        if score is not None and one.oom_score_adj is not None and one.oom_score_adj > score:
            found.append(
                ValueChange(
                    f"/proc/{one.pid}/oom_score_adj",
                    f"{score}",
                    f"{one.oom_score_adj}",
                    f"{one.what}, which runs already: as from its next start on",
                    "proc_pid_oom_score_adj(5)",
                    process=f"{one.pid} {one.started}",
                )
            )
    return tuple(found)
