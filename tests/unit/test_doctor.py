# ruff: noqa: E501 (a row of a table is one line)
"""The doctor's ladder: facts to rungs, as tables; and how a stranger reads the page."""

import errno
import os

import pytest

from steadyrun.cli.doctor import Found, Page, as_object, closing, lines_of, settings_rung
from steadyrun.doctor.facts import Disk, DoctorFacts, PsiFacts, Rights, SwapFacts, VmSettings
from steadyrun.doctor.guard import judge_guard
from steadyrun.doctor.judge import judge_all, unsafe_to_prove
from steadyrun.doctor.proofs import Proved, exit_code, journal_lacks, prove_here
from steadyrun.doctor.read import capability_set, read_doctor_facts, try_in_child
from steadyrun.doctor.rung import Family, Level, Rung
from steadyrun.errors import JournalUnwritableError
from steadyrun.model.containment import (
    AS_ROOT,
    BackendName,
    Capability,
    CgroupMount,
    Choice,
    ContainmentFacts,
    ManagerFacts,
    Obstacle,
    UnifiedLevel,
)
from steadyrun.model.desktop import DesktopView, Probe, ProbeName, Seen
from steadyrun.model.means import DEEDS, Known, Means
from steadyrun.model.others import OtherGuard, Swap
from steadyrun.model.record import Proof
from steadyrun.model.verdict import Answer
from steadyrun.report.remedy import typed_here

MIB, GIB = 2**20, 2**30
EVERY_CAPABILITY = 2**41 - 1
V1 = tuple(
    CgroupMount(f"/sys/fs/cgroup/{name}", "/", (name,), False, True)
    for name in ("memory", "cpu", "pids", "blkio")
)
V2 = CgroupMount("/sys/fs/cgroup", "/", ("memory", "cpu", "pids", "io"), True, True)
MADE = tuple(m.path for m in V1)
CONTAINMENT = ContainmentFacts(V1, (("memory", "/"), ("cpu", "/")), 0, True, MADE, False, True)
FINE = DoctorFacts(
    containment=CONTAINMENT,
    choice=Choice(BackendName.CGROUP1, ()),
    capabilities=frozenset(Capability),
    cmdline=("quiet",),
    family=Family.DEBIAN,
    swap=SwapFacts(0, ()),
    psi=PsiFacts(True, None),
    rights=Rights(0, EVERY_CAPABILITY, EVERY_CAPABILITY, 0, None, None),
    desktop=DesktopView(
        0.0, tuple(Probe(n, Seen.ABSENT, None, "", None, None, "no socket") for n in ProbeName)
    ),
    disks=(Disk("disk: journal", "/s", 9 * GIB, True), Disk("disk: reports", "/w", 9 * GIB, True)),
    guards=(),
    vm=VmSettings(0, 0, 0, False, None),
    python=(3, 11, 7),
    on_battery=False,
)
HELD = tuple(Proof(n, "what", Answer.YES, "seen", 0.1) for n in ("limits", "memory", "nobody"))
JOURNAL = Rung("journal", Level.OK, "/s/journal.db", "")
WITHOUT_MEMORY = frozenset(Capability) - {Capability.MEMORY_MAX, Capability.GUARANTEED}
USER = FINE.rights._replace(euid=1000, effective=0)


def contained(**changes):
    return {"containment": CONTAINMENT._replace(**changes)}


SYSTEM = ManagerFacts(False, 252, "/sys/fs/cgroup", ("memory", "cpu", "pids", "io"), ("cgroup.kill",))
USER_MANAGER = ManagerFacts(True, 252, "/sys/fs/cgroup/u", ("memory", "cpu", "pids"), ("cgroup.kill",))
NAMED = CgroupMount("/sys/fs/cgroup/systemd", "/", (), False, True)
GIVEN = UnifiedLevel("/sys/fs/cgroup/ours", ("memory", "pids"), (), False, False, True, False, True)
TOP = UnifiedLevel("/sys/fs/cgroup", ("memory", "cpu", "pids", "io"), (), True, True, True, False, False)


def by(manager):
    return {"choice": Choice(BackendName.SYSTEMD, ())} | contained(
        mounts=(V2,), creatable=(), manager=manager
    )


def below(level):
    choice = {"choice": Choice(BackendName.CGROUP2, ())}
    return choice | contained(mounts=(V2,), levels=(level,), systemd_running=False)


def rights(**changes):
    return {"rights": USER._replace(**changes)}


def vm(**changes):
    return {"vm": FINE.vm._replace(**changes)}


def seen(what, evidence="asked"):
    return {"desktop": DesktopView(0.0, (Probe(ProbeName.SSH, what, None, "OpenSSH", None, 1.0, evidence),))}


def without(*capabilities):
    return frozenset(Capability) - set(capabilities)


def rung(name, **changes):
    (found,) = (r for r in judge_all(FINE._replace(**changes)) if r.name == name)
    return found


OK, DEGRADED, MISSING, UNKNOWN = Level.OK, Level.DEGRADED, Level.MISSING, Level.UNKNOWN
NOT_APPLICABLE = Level.NOT_APPLICABLE
BLACKLISTED = contained(mounts=V1[1:]) | {"cmdline": ("cgroup_disable=memory",), "family": Family.FEDORA}
POLLED = {
    "choice": Choice(BackendName.POLL, (Obstacle(BackendName.CGROUP1, "no memory", "sudo mount X"),)),
    "capabilities": frozenset({Capability.FREEZE}),
}
GUARDED = {"guards": (OtherGuard("systemd-oomd", 7), OtherGuard("earlyoom", 8))}
SWAPPED = {"swap": SwapFacts(2 * GIB, ("/dev/zram0",))}
UNCOUNTED = SWAPPED | {"capabilities": without(Capability.SWAP_MAX)}
TABLE = [
    ("cgroups", {}, OK, "legacy: 0 unified", ""),
    ("cgroups", contained(mounts=(V2,)), OK, "unified: 1", ""),
    ("cgroups", contained(mounts=(V2, *V1)), OK, "hybrid: 1 unified mount, 4 legacy", ""),
    ("cgroups", contained(mounts=()), MISSING, "no cgroup hierarchy", "sudo mount -t cgroup2"),
    ("controller memory", {}, OK, "cgroup v1, /sys/fs/cgroup/memory", ""),
    ("controller io", {}, OK, "cgroup v1, /sys/fs/cgroup/blkio", ""),
    ("controller io", contained(mounts=(V2,)), OK, "cgroup v2, /sys/fs/cgroup", ""),
    ("controller memory", contained(mounts=V1[1:]), MISSING, "memory cannot be", "-o memory,X-mount.mkdir"),
    ("controller memory", BLACKLISTED, MISSING, "cgroup_disable=memory", "grubby --update-kernel=ALL --args=cg"),
    ("controller cpu", contained(mounts=V1[:1]), DEGRADED, "CPU time cannot", "sudo mount -t cgroup -o cpu,"),
    ("controller pids", contained(mounts=V1[:1]), DEGRADED, "processes cannot", "sudo mount -t cgroup -o pids,"),
    ("controller io", contained(mounts=V1[:1]), DEGRADED, "bandwidth cannot", "sudo mount -t cgroup -o blkio,"),
    ("controller io", contained(mounts=(V2._replace(controllers=()),)), DEGRADED, "", "echo +io | sudo tee /sys/fs"),
    ("delegation", {}, OK, "in 4 hierarchies", ""),
    ("delegation", contained(creatable=(), euid=1000), MISSING, "uid 1000 can make", AS_ROOT),
    ("delegation", contained(creatable=()), MISSING, "nowhere", "docker run --privileged"),
    ("delegation", contained(creatable=()) | {"is_container": False}, MISSING, "nowhere", "grep cgroup /proc/self/mountinfo"),
    ("delegation", contained(creatable=MADE[:3]), DEGRADED, "not in /sys/fs/cgroup/blkio", "docker run"),
    ("delegation", contained(mounts=(), creatable=()), MISSING, "no hierarchy", ""),
    ("containment", {}, OK, "by cgroup v1, enforced by the kernel", ""),
    ("containment", POLLED, MISSING, "polling, which can be outrun: the kernel enforces nothing; not cgroup v1: no",
     "sudo mount X"),
    ("limits", {}, OK, "memory, swap, CPU, CPU weight, tasks, disk", ""),
    ("limits", {"capabilities": without(Capability.IO_MAX)}, DEGRADED, "not here: disk", ""),
    ("limits", {"capabilities": WITHOUT_MEMORY}, MISSING, "no memory limit", ""),
    ("finer limits", {}, OK, "memory.high", ""),
    ("finer limits", {"capabilities": without(Capability.MEMORY_HIGH)}, DEGRADED, "no throttle limit", ""),
    ("delegation", by(SYSTEM), OK, "the system's manager (systemd 252) gives its units memory, cpu, pids, io", ""),
    ("delegation", by(USER_MANAGER), DEGRADED, "not io: the disk's bandwidth cannot", "/etc/systemd/system/user@.service.d"),
    ("delegation", below(TOP), OK, "a cgroup can be made in /sys/fs/cgroup, with memory, pids, cpu, io", ""),
    ("delegation", below(TOP._replace(available=("memory", "pids"))), DEGRADED, "not cpu: CPU time", ""),
    ("delegation", below(GIVEN), DEGRADED, "not cpu: CPU time", "echo +cpu +io | sudo tee /sys/fs/cgroup/cgroup.subtree_control"),
    ("delegation", below(GIVEN._replace(directory="/sys/fs/cgroup")), DEGRADED, "not io", "docker run --privileged"),
    ("delegation", below(GIVEN._replace(directory="/sys/fs/cgroup")) | {"is_container": False}, DEGRADED, "not io", ""),
    ("delegation", contained(mounts=(*V1, NAMED)), OK, "in 4 hierarchies", ""),
    ("finer limits", {"capabilities": without(Capability.OOM_GROUP, Capability.IO_WEIGHT)}, DEGRADED,
     "no group kill (memory.oom.group), disk weight (io.weight): cgroup v1 has none. The guard freezes", ""),
    ("finer limits", by(SYSTEM) | {"capabilities": without(Capability.IO_WEIGHT)}, DEGRADED, "(io.weight)", ""),
    ("freeze and kill", by(SYSTEM) | {"capabilities": without(Capability.KILL)}, MISSING, "outruns", "uname -r"),
    ("delegation", below(TOP._replace(is_root=False)), MISSING, "has processes in it", "mkdir -p /sys/fs/cgroup/rest"),
    ("freeze and kill", by(SYSTEM), OK, "by cgroup.kill", ""),
    ("freeze and kill", below(TOP), OK, "freezing, and killing one by one", ""),
    ("freeze and kill", {}, OK, "legacy freezer", ""),
    ("freeze and kill", contained(kill_supported=True), OK, "by cgroup.kill", ""),
    ("freeze and kill", {"capabilities": without(Capability.FREEZE)}, DEGRADED, "nothing to freeze with", ""),
    ("freeze and kill", {"capabilities": without(Capability.KILL)}, MISSING, "outrun", "mount -t cgroup -o freezer"),
    ("freeze and kill", {"capabilities": without(Capability.KILL)} | contained(creatable=(), euid=1000), MISSING, "outruns",
     AS_ROOT),
    ("swap", {}, OK, "none:", ""),
    ("swap", {"swap": SwapFacts(None, ())}, UNKNOWN, "/proc/meminfo", ""),
    ("swap", SWAPPED, OK, "2 GiB in zram, limited", ""),
    ("swap", UNCOUNTED, DEGRADED, "not counted", "grub.d/steadyrun.cfg"),
    ("swap", UNCOUNTED | {"family": Family.FEDORA}, DEGRADED, "not counted", "--args=swapaccount=1"),
    ("pressure (PSI)", {}, OK, "of the load", ""),
    ("pressure (PSI)", {"capabilities": without(Capability.PSI)}, OK, "not of the load", ""),
    ("pressure (PSI)", {"psi": PsiFacts(False, "0")}, DEGRADED, "psi=0 is on", "psi=1"),
    ("pressure (PSI)", {"psi": PsiFacts(False, None)}, DEGRADED, "PSI_DEFAULT_DISABLED", "psi=1"),
    ("CAP_SYS_RESOURCE", {}, OK, "held", ""),
    ("CAP_SYS_RESOURCE", rights(effective=None), UNKNOWN, "CapEff", ""),
    ("CAP_SYS_RESOURCE", rights(), DEGRADED, "multiples of 2 s", AS_ROOT),
    ("CAP_SYS_RESOURCE", rights(bounding=0), DEGRADED, "not held", "--cap-add=SYS_RESOURCE"),
    ("CAP_SYS_RESOURCE", rights(bounding=0) | {"is_container": False}, DEGRADED, "not held", "CapabilityBoundingSet= (CAP_SYS_RESOURCE)"),
    ("CAP_SYS_RESOURCE", rights(effective=1 << 24), OK, "held", ""),
    ("CAP_SYS_RESOURCE", rights(effective=1 << 23), DEGRADED, "not held", "sudo"),
    ("real-time guard", {}, OK, "granted", ""),
    ("real-time guard", rights(realtime_errno=None), UNKNOWN, "did not answer", ""),
    ("real-time guard", rights(realtime_errno=errno.EPERM), DEGRADED, "EPERM", "limits.d/steadyrun.conf"),
    ("real-time guard", rights(realtime_errno=errno.EPERM, euid=0), DEGRADED, "EPERM", "--cap-add=SYS_NICE"),
    ("real-time guard", rights(realtime_errno=errno.EPERM, realtime_budget_us=0), DEGRADED, "RT_GROUP_SCHED",
     "steadyrun doctor   # from a shell outside"),
    ("real-time guard", rights(realtime_errno=errno.EPERM, nice_errno=0), DEGRADED, "works without, at nice -20", "rtprio"),
    ("real-time guard", rights(realtime_errno=errno.EPERM, nice_errno=errno.EACCES), DEGRADED, "was started with", "rtprio"),
    ("real-time guard", rights(realtime_errno=errno.EPERM), DEGRADED, "value that is not known", "rtprio"),
    ("memory lock", {}, OK, "no limit", ""),
    ("memory lock", rights(memlock=8 * MIB, effective=1 << 14), OK, "CAP_IPC_LOCK", ""),
    ("memory lock", rights(memlock=8 * MIB), DEGRADED, "at most 8 MiB", "memlock unlimited"),
    ("memory lock", rights(memlock=8 * MIB, euid=0), DEGRADED, "at most 8 MiB", "ulimit -l unlimited"),
    ("memory lock", rights(memlock=8 * MIB, effective=None), UNKNOWN, "CapEff", ""),
    ("SSH", {}, NOT_APPLICABLE, "none here: no socket", ""),
    ("SSH", seen(Seen.PRESENT), OK, "OpenSSH", ""),
    ("SSH", seen(Seen.UNKNOWN, "no answer in 2 s"), UNKNOWN, "no answer in 2 s", ""),
    ("display server", seen(Seen.PRESENT), UNKNOWN, "not looked at", ""),
    ("disk: journal", {}, OK, "9 GiB free at /s", ""),
    ("disk: journal", {"disks": (Disk("disk: journal", "/s", GIB, True),)}, OK, "1 GiB free", ""),
    ("disk: journal", {"disks": (Disk("disk: journal", "/s", GIB - 1, True),)}, DEGRADED, "less than 1 GiB", "du -xh"),
    ("disk: journal", {"disks": (Disk("disk: journal", "/s", None, False),)}, UNKNOWN, "/s", ""),
    ("disk: journal", {"disks": (Disk("disk: journal", "/s", 9 * GIB, False),)}, DEGRADED, "cannot be written",
     "STEADYRUN_STATE_DIR="),
    ("disk: reports", {"disks": (Disk("disk: reports", "/w", 9 * GIB, False),)}, DEGRADED, "cannot be", "cd ~"),
    ("other guards", {}, OK, "none of systemd-oomd", ""),
    ("other guards", {"guards": None}, UNKNOWN, "/proc", ""),
    ("other guards", GUARDED, DEGRADED, "systemd-oomd (pid 7) may kill the whole desktop session",
     "sudo systemctl stop systemd-oomd.socket systemd-oomd.service earlyoom"),
    ("other guards", {"guards": (OtherGuard("earlyoom", 8, 2 * GIB, 0.1, source="/proc/8/cmdline"),),
                      "swap_now": Swap(0, 0), "effective_ram": 20 * GIB}, DEGRADED,
     "acts once available memory is at most 2 GiB and free swap at most 10%. earlyoom may end processes: so that our "
     "guard acts first, 2816 MiB instead of 2 GiB stay", "sudo systemctl stop earlyoom"),
    ("other guards", GUARDED | contained(systemd_running=False), DEGRADED, "earlyoom (pid 8)", "sudo kill 7 8"),
    ("panic on OOM", {}, OK, "no", ""),
    ("panic on OOM", vm(panic_on_oom=None), UNKNOWN, "/proc/sys/vm/panic_on_oom", ""),
    ("panic on OOM", vm(panic_on_oom=1), DEGRADED, "panics", "sudo sysctl vm.panic_on_oom=0"),
    ("panic on OOM", vm(panic_on_oom=2), MISSING, "at a load's limit too", "sudo sysctl vm.panic_on_oom=0"),
    ("overcommit", {}, OK, "heuristic", ""),
    ("overcommit", vm(overcommit_memory=1), OK, "always", ""),
    ("overcommit", vm(overcommit_memory=2), DEGRADED, "is 2", "sudo sysctl vm.overcommit_memory=0"),
    ("overcommit", vm(overcommit_memory=None), UNKNOWN, "vm/overcommit_memory", ""),
    ("OOM victim", {}, OK, "the largest", ""),
    ("OOM victim", vm(oom_kill_allocating_task=1), DEGRADED, "whoever", "sudo sysctl vm.oom_kill_allocating_task=0"),
    ("OOM victim", vm(oom_kill_allocating_task=None), UNKNOWN, "oom_kill_allocating_task", ""),
    ("MGLRU min_ttl_ms", {}, NOT_APPLICABLE, "no MGLRU", ""),
    ("MGLRU min_ttl_ms", vm(has_mglru=True), UNKNOWN, "lru_gen", ""),
    ("MGLRU min_ttl_ms", vm(has_mglru=True, min_ttl_ms=0), OK, "the default", ""),
    ("MGLRU min_ttl_ms", vm(has_mglru=True, min_ttl_ms=1000), OK, "last 1000 ms", ""),
    ("Python", {}, OK, "3.11.7", ""),
    ("Python", {"python": (3, 10, 1)}, MISSING, "older than 3.11", "--python 3.11"),
    ("power", {}, OK, "not on battery", ""),
    ("power", {"on_battery": True}, DEGRADED, "on battery", "plug it in"),
    ("power", {"on_battery": None}, UNKNOWN, "power_supply", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "level", "evidence", "remedy"), TABLE)
def test_each_rung_stands_as_its_facts_say(name, changes, level, evidence, remedy):
    found = rung(name, **changes)
    assert found.level is level
    assert evidence in found.evidence
    assert remedy in found.remedy if remedy else found.remedy == ""


@pytest.mark.parametrize(
    ("remedy", "is_root", "has_sudo", "typed"),
    [
        (AS_ROOT, False, True, AS_ROOT),
        (
            AS_ROOT,
            False,
            False,
            "steadyrun ramp --user kim -- YOUR COMMAND   # as root: there is no sudo here",
        ),
        (
            'echo "$USER - rtprio 1" | sudo tee /x',
            False,
            False,
            'echo "kim - rtprio 1" | tee /x   # as root: there is no sudo here',
        ),
        ("echo 1 | sudo tee /x   # until then", False, True, "echo 1 | sudo tee /x   # until then"),
        ("echo 1 | sudo tee /x   # until then", True, True, "echo 1 | tee /x   # until then"),
        ("sudo kill 7", True, False, "kill 7"),
        ("sudo kill 7", False, False, "kill 7   # as root: there is no sudo here"),
        ("sudo a && sudo b  # c", False, False, "a && b   # as root: there is no sudo here; c"),
        ("sudo -u kim steadyrun stop", True, False, "sudo -u kim steadyrun stop"),
        ("a pseudo terminal", True, False, "a pseudo terminal"),
        ("plug it in", True, False, "plug it in"),
    ],
)
def test_a_remedy_has_sudo_where_it_is_needed_and_there(remedy, is_root, has_sudo, typed):
    assert typed_here(remedy, is_root=is_root, has_sudo=has_sudo, user="kim") == typed


def test_every_rung_is_in_the_table():
    tabled = {name for name, *_ in TABLE} | {p.value for p in ProbeName}
    assert {r.name for r in judge_all(FINE)} == tabled


def test_a_machine_without_faults_has_only_rungs_that_are_ok_or_not_applicable():
    assert {r.level for r in judge_all(FINE)} == {Level.OK, Level.NOT_APPLICABLE}


def test_the_proofs_are_held_back_only_where_an_oom_kill_in_a_cgroup_panics_the_machine():
    refused = [value for value in (None, 0, 1, 2) if unsafe_to_prove(FINE._replace(**vm(panic_on_oom=value)))]
    assert refused == [2]


@pytest.mark.parametrize(
    ("proofs", "changes", "code"),
    [
        (HELD, {}, 0),
        (HELD, {"guards": None}, 0),
        ((), {}, 3),
        ((*HELD[:2], HELD[2]._replace(answer=Answer.NO)), {}, 3),
        ((*HELD[:2], HELD[2]._replace(answer=Answer.UNKNOWN)), {}, 3),
        (HELD, POLLED, 3),
    ],
)
def test_the_exit_code_is_0_only_when_the_kernel_enforces_and_every_proof_held(proofs, changes, code):
    assert exit_code(FINE._replace(**changes), proofs) == code


def found(proofs=HELD, journal=JOURNAL, **changes):
    facts = FINE._replace(**changes)
    rungs = (*judge_all(facts), journal)
    return Found(facts, rungs, Proved(proofs, journal, exit_code(facts, proofs)))


def page(quiet=False, verbose=False, colour=False):
    return Page(80, colour, quiet, verbose)


WORST = {
    **POLLED,
    **BLACKLISTED,
    **UNCOUNTED,
    **GUARDED,
    **rights(realtime_errno=1, memlock=1),
    "on_battery": True,
}


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("changes", [{}, WORST], ids=["fine", "worst"])
def test_the_page_fits_80_columns(changes, verbose):
    too_long = [x for x in lines_of(found(**changes), page(verbose=verbose)) if len(x) > 80]
    assert [x for x in too_long if "tee" not in x] == []


def test_quiet_shows_only_what_is_not_ok_and_the_closing_line():
    assert list(lines_of(found(), page(quiet=True))) == [
        "This machine contains a load: all 3 proofs held. It can limit memory, swap, CPU,",
        "CPU weight, tasks, disk. Type next: steadyrun ramp -- YOUR COMMAND",
    ]
    first, *_ = lines_of(found(on_battery=True), page(quiet=True))
    assert first.startswith("degraded  power  on battery")


def test_a_remedy_stands_below_its_lack():
    lines = list(lines_of(found(**vm(panic_on_oom=1)), page(quiet=True)))
    at = lines.index("  mend: sudo sysctl vm.panic_on_oom=0")
    assert lines[0].startswith("degraded  panic on OOM  ")
    assert (lines[at - 1].split()[-2:], lines[at + 1]) == (["used", "up"], "")


def test_a_remedy_of_several_lines_can_be_pasted_into_a_shell():
    lines = list(lines_of(found(psi=PsiFacts(False, "0")), page(quiet=True)))
    at = next(i for i, line in enumerate(lines) if line.startswith("  mend: "))
    pasted = lines[at:-3]
    assert len(pasted) > 1
    assert all(line.endswith(("|", "&&")) for line in pasted[:-1])


def test_no_escape_is_printed_without_colour_and_none_from_a_name_that_holds_one():
    told = found(disks=(Disk("disk: reports", "/w\x1b[31m", 9 * GIB, True),))
    assert "\x1b" not in "".join(lines_of(told, page(verbose=True)))
    assert "\x1b[32mok\x1b[0m" in "".join(lines_of(found(), page(colour=True)))


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (found(), "Type next: steadyrun ramp -- YOUR COMMAND"),
        (found(journal=JOURNAL._replace(level=Level.MISSING)), "Mend the journal first"),
        (
            found(**POLLED),
            "cannot contain a load: what is missing is marked above (containment, limits, freeze and kill). Mend",
        ),
        (found(**(POLLED | contained(creatable=(), euid=1000))), f"runs the load as you. Type: {AS_ROOT}"),
        (found(proofs=(HELD[0]._replace(answer=Answer.NO),)), "cannot contain a load: limits: seen"),
    ],
)
def test_the_closing_sentence_says_what_to_type_next(what, says):
    assert says in closing(what)


def test_json_gives_null_for_no_remedy_and_the_exit_code():
    told = as_object(found(on_battery=True))
    assert set(told) == {"schema", "rungs", "proofs", "containment", "means", "exit_code"}
    remedies = {r["name"]: r["remedy"] for r in told["rungs"]}
    assert (remedies["power"], remedies["Python"]) == ("plug it in", None)
    assert (told["schema"], told["exit_code"], told["containment"]["backend"]) == (1, 0, "cgroup1")


def test_a_journal_that_cannot_be_written_is_a_rung_with_its_remedy():
    lack = journal_lacks(JournalUnwritableError("/s: expected a directory, found a file", hint="rm /s"))
    assert (lack.level, lack.remedy) == (Level.MISSING, "rm /s")
    assert "/s: expected a directory" in lack.evidence


def test_where_an_oom_kill_would_panic_nothing_is_made_for_a_proof():
    def refuse():
        raise JournalUnwritableError("/s: no")

    proved = prove_here(FINE._replace(**vm(panic_on_oom=2)), refuse)
    assert [p.answer for p in proved.proofs] == [Answer.UNKNOWN]
    assert (proved.exit_code, proved.journal.level, proved.means) == (3, Level.MISSING, None)


MEANS = Means(1, Known(1, 1, 1, 1, 0, 1, 1, 1, 1, 1), ("ssh.service",), DEEDS)


def means_without(*deeds):
    return MEANS._replace(deeds=tuple(set(DEEDS) - set(deeds)))


@pytest.mark.parametrize(
    ("means", "name", "level", "evidence"),
    [
        (MEANS, "guard's inputs", OK, "protected groups (ssh.service)"),
        (MEANS, "guard's inputs", OK, "the canary comes with a load"),
        (MEANS._replace(known=MEANS.known._replace(protected=0)), "guard's inputs", DEGRADED,
         "unknown, which fires nothing: memory pressure of protected groups"),
        (None, "guard's inputs", UNKNOWN, "no load"),
        (MEANS, "guard's deeds", OK, "CPU quota, CPU weight"),
        (means_without(Capability.MEMORY_HIGH), "guard's deeds", OK, "not: throttle limit"),
        (means_without(Capability.FREEZE), "guard's deeds", DEGRADED, "can only be killed"),
        (means_without(Capability.CPU_MAX), "guard's deeds", DEGRADED, "frozen at once"),
        (means_without(Capability.KILL), "guard's deeds", DEGRADED, "can get away"),
        (None, "guard's deeds", UNKNOWN, "no load"),
    ],
)  # fmt: skip
def test_what_a_guard_has_here_is_a_rung_and_what_is_unknown_is_not_ok(means, name, level, evidence):
    (found,) = (r for r in judge_guard(means) if r.name == name)
    assert found.level is level
    assert evidence in found.evidence


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("CapBnd:\tff\nCapEff:\t0000000001000000\n", 1 << 24),
        ("CapEff:\t\n", None),
        ("CapEff:\tzz\n", None),
        ("", None),
    ],
)
def test_a_capability_set_is_read_or_unknown(status, expected):
    assert capability_set(status, "CapEff") == expected


def children():
    """Return the pids of our children, zombies too: earlier tests may have left some."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return set(file.read().split())


def test_a_trial_leaves_no_child_and_this_process_as_it_was():
    before, others = os.sched_getscheduler(0), children()
    assert try_in_child(lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))) == 0
    assert os.sched_getscheduler(0) == before
    assert try_in_child(lambda: os.kill(os.getppid(), 999)) == errno.EINVAL
    assert children() <= others


def test_a_tree_with_nothing_in_it_gives_unknown_and_never_ok_by_accident(tmp_path):
    facts = read_doctor_facts(None, str(tmp_path), root=str(tmp_path))
    levels = {r.name: r.level for r in judge_all(facts)}
    unknown = ("swap", "CAP_SYS_RESOURCE", "panic on OOM", "overcommit", "OOM victim", "disk: journal")
    assert {levels[name] for name in (*unknown, "other guards")} == {Level.UNKNOWN}
    assert levels["containment"] is Level.MISSING


def test_facts_are_read_from_the_tree_they_are_in(tmp_path):
    for path, text in {
        "proc/cmdline": "quiet psi=0\n",
        "proc/meminfo": "MemTotal: 4 kB\nMemFree: 1 kB\nMemAvailable: 2 kB\nSwapTotal: 8 kB\nSwapFree: 8 kB\n",
        "proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 8 0 100\n",
        "proc/7/comm": "systemd-oomd\n",
        "proc/8/comm": "earlyoomed\n",
        "proc/sys/vm/panic_on_oom": "2\n",
        "etc/os-release": 'ID=linuxmint\nID_LIKE="ubuntu debian"\n',
        "sys/kernel/mm/lru_gen/min_ttl_ms": "1000\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    facts = read_doctor_facts(str(tmp_path / "not/yet/made"), str(tmp_path), root=str(tmp_path))
    assert facts.psi == PsiFacts(False, "0")
    assert facts.swap.areas == ("/dev/zram0",)
    assert [(each.name, each.pid) for each in facts.guards] == [("systemd-oomd", 7)]
    assert (facts.vm.panic_on_oom, facts.vm.has_mglru, facts.vm.min_ttl_ms) == (2, True, 1000)
    assert facts.family is Family.DEBIAN
    assert facts.disks[0].free == facts.disks[1].free


@pytest.mark.parametrize(
    ("variable", "level", "says"),
    [
        ({}, Level.OK, "none set: the defaults"),
        ({"STEADYRUN_MEMORY": "1G"}, Level.OK, "memory"),
        ({"STEADYRUN_MEMROY": "1G"}, Level.MISSING, "STEADYRUN_MEMROY"),
    ],
)
def test_settings_that_nothing_starts_with_are_said_before_something_is_started(
    monkeypatch, tmp_path, variable, level, says
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [each for each in os.environ if each.startswith(("STEADYRUN_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    rung = settings_rung()
    assert (rung.level, says in rung.evidence) == (level, True), rung
    what = found()
    closed = closing(what._replace(rungs=(*what.rungs, rung)))
    assert ("Mend the settings first" in closed) is (level is Level.MISSING)
