"""Other guards of memory: what they were told is read as they read it, and ours is placed beside them."""

import pytest
import records
from evidence import RAM
from fake_bus import FakeSystemd
from hypothesis import given
from hypothesis import strategies as st

from steadyrun.desktop import others as adapter
from steadyrun.desktop.other_units import running_units
from steadyrun.desktop.others import find_others, others_by_unit, pressing_of, read_swap
from steadyrun.guard.rules import rules_of
from steadyrun.kernel.others import Nohang, Oomd, parse_earlyoom, parse_nohang, parse_oomd
from steadyrun.model.containment import Capability
from steadyrun.model.limits import Limits
from steadyrun.model.machine import beside, reserve_of
from steadyrun.model.others import OtherGuard, Pressing, Swap, acts_at, first_to_act, watches_pressure
from steadyrun.model.thresholds import Thresholds
from steadyrun.ramp.place import Place, scope_properties
from steadyrun.report.others import kept_words, other_lines, threshold_words
from steadyrun.units import GIB, KIB, MIB

TOTAL = 24684084 * KIB
NONE = Swap(0, 0)
OWN = reserve_of(RAM)


# What earlyoom 1.7 (Debian 12) said it would do on a machine of 24684084 kB without swap, with --dryrun:
# "sending SIGTERM when mem <= 8.50% and swap <= 100.00%".
@pytest.mark.parametrize(
    ("line", "memory", "swap"),
    [
        ("earlyoom", 10.00, 10.00),
        ("/usr/bin/earlyoom -r 3600", 10.00, 10.00),
        ("earlyoom -m 5", 5.00, 10.00),
        ("earlyoom -m 12,6 -M 2097152 -s 100 -r 3600", 8.50, 100.00),
        ("earlyoom -M 1048576,524288", 4.25, 10.00),
        ("earlyoom -m 20,18 -s 50", 20.00, 50.00),
        ("earlyoom -n --avoid ^sshd$ -m 6", 6.00, 10.00),
        ("earlyoom -pr 60 -m 7", 7.00, 10.00),
    ],
)
def test_a_command_line_of_earlyoom_means_what_earlyoom_itself_says(line, memory, swap):
    found = parse_earlyoom(tuple(line.split()), total=TOTAL, swap_total=0)
    assert (round(100 * found.memory / TOTAL, 2), round(100 * found.swap, 2)) == (memory, swap)
    assert not found.dry


@pytest.mark.parametrize("line", ["earlyoom -m ten", "earlyoom --unheard-of 3", "earlyoom -m"])
def test_a_command_line_that_is_not_understood_is_unknown(line):
    assert parse_earlyoom(tuple(line.split()), total=TOTAL, swap_total=0) is None


def test_a_size_of_swap_is_a_share_of_it_and_a_dry_run_is_told():
    found = parse_earlyoom(("earlyoom", "-S", "1048576", "--dryrun"), total=TOTAL, swap_total=4 * GIB)
    assert (found.swap, found.dry) == (0.25, True)


# Lines of /etc/nohang/nohang.conf and nohang-desktop.conf of Debian 12 (nohang 0.2.0), comments left out.
NOHANG = """\
## This is the configuration file of the nohang daemon.
zram_checking_enabled = False
psi_checking_enabled = False
psi_path = /proc/pressure/memory
psi_metrics = full_avg10
psi_excess_duration = 30
fill_rate_mem  = 6000
warning_exe =
warning_threshold_min_mem  = 20 %
soft_threshold_min_mem = 5 %
soft_threshold_min_swap = 10 %
soft_threshold_max_zram = 55 %
soft_threshold_max_psi  = 40
hard_threshold_min_mem = 2 %
@BADNESS_ADJ_RE_NAME   200  ///  ^(Web Content|Privileged Cont|file:// Content)$
"""
NOHANG_DESKTOP = NOHANG.replace("psi_checking_enabled = False", "psi_checking_enabled = True")


def test_nohangs_configuration_means_what_its_own_check_says():
    # `nohang --check` on the same machine: "soft_threshold_min_mem:   1205 MiB, 5.0 %".
    found = parse_nohang(NOHANG, total=TOTAL, swap_total=0)
    assert (found.memory // MIB, found.swap, found.pressure, found.lasting) == (1205, 0.1, None, None)
    desktop = parse_nohang(NOHANG_DESKTOP, total=TOTAL, swap_total=0)
    assert (desktop.pressure, desktop.lasting) == (0.4, 30.0)


def test_nohangs_sizes_in_mebibytes_and_what_is_not_there():
    text = "soft_threshold_min_mem = 500 M\nsoft_threshold_min_swap = 512 M\n"
    found = parse_nohang(text, total=TOTAL, swap_total=1 * GIB)
    assert (found.memory, found.swap) == (500 * MIB, 0.5)
    assert parse_nohang("", total=TOTAL, swap_total=0) == Nohang(None, None, None, None)
    assert parse_nohang("soft_threshold_min_mem = much", total=TOTAL, swap_total=0).memory is None


# /etc/systemd/oomd.conf and /usr/lib/systemd/oomd.conf.d/10-oomd-defaults.conf of Debian 12 (systemd 252).
OOMD_CONF = """\
# See oomd.conf(5) for details

[OOM]
#SwapUsedLimit=90%
#DefaultMemoryPressureLimit=60%
#DefaultMemoryPressureDurationSec=30s
"""
OOMD_DROP_IN = "[OOM]\nDefaultMemoryPressureDurationSec=20s\n"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], Oomd(0.9, 0.6, 30.0)),
        ([OOMD_CONF], Oomd(0.9, 0.6, 30.0)),
        ([OOMD_CONF, OOMD_DROP_IN], Oomd(0.9, 0.6, 20.0)),
        ([OOMD_DROP_IN, "[OOM]\nDefaultMemoryPressureDurationSec=1min 30s\n"], Oomd(0.9, 0.6, 90.0)),
        ([OOMD_DROP_IN, "[OOM]\nDefaultMemoryPressureDurationSec=0\n"], Oomd(0.9, 0.6, 30.0)),
        (["[OOM]\nSwapUsedLimit=855\N{PER MILLE SIGN}\n"], Oomd(0.855, 0.6, 30.0)),
        (["[OOM]\nDefaultMemoryPressureLimit=45%\n"], Oomd(0.9, 0.45, 30.0)),
        (["[Service]\nSwapUsedLimit=1%\n"], Oomd(0.9, 0.6, 30.0)),
        (["[OOM]\nSwapUsedLimit=much\n"], None),
        (["[OOM]\nDefaultMemoryPressureDurationSec=a while\n"], None),
    ],
)  # fmt: skip
def test_oomds_configuration_is_the_last_word_of_its_files(texts, expected):
    assert parse_oomd(texts) == expected


@given(st.text(), st.lists(st.text(), max_size=4), st.integers(0, 2**40))
def test_any_settings_parse_or_are_unknown(text, words, swap_total):
    parse_nohang(text, total=TOTAL, swap_total=swap_total)
    parse_oomd([text, f"[OOM]\n{text}"])
    parse_earlyoom(("earlyoom", *words), total=TOTAL, swap_total=swap_total)


# Where they are found


def plant(root, files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return str(root)


MEMINFO = "MemTotal: 24684084 kB\nMemAvailable: 20000000 kB\nSwapTotal: 1048576 kB\nSwapFree: 1048576 kB\n"
RUNNING = {
    "proc/meminfo": MEMINFO,
    "proc/8/comm": "earlyoom\n",
    "proc/8/cmdline": "/usr/bin/earlyoom\0-m\x005\0",
    "proc/9/comm": "nohang\n",
    "proc/9/cmdline": "/usr/bin/python3\0/usr/sbin/nohang\0--monitor\0"
    "--config\0/etc/nohang/nohang-desktop.conf\0",
    "etc/nohang/nohang-desktop.conf": NOHANG_DESKTOP,
    "proc/10/comm": "systemd-oomd\n",
    "etc/systemd/oomd.conf": OOMD_CONF,
    "usr/lib/systemd/oomd.conf.d/10-oomd-defaults.conf": OOMD_DROP_IN,
    "proc/11/comm": "uresourced\n",
    "proc/12/comm": "earlyoomed\n",
}


def test_each_is_found_with_its_thresholds_and_where_they_were_read(tmp_path):
    units = (Pressing(0.5, 0.0, "user@1000.service"),)
    found = {each.name: each for each in find_others(plant(tmp_path, RUNNING), lambda: units)}
    assert set(found) == {"earlyoom", "nohang", "systemd-oomd", "uresourced"}
    assert (found["earlyoom"].memory, found["earlyoom"].source) == (round(TOTAL * 0.05), "/proc/8/cmdline")
    assert found["nohang"].pressing == (Pressing(0.4, 30.0, "the machine"),)
    assert found["nohang"].source == "/etc/nohang/nohang-desktop.conf"
    assert found["systemd-oomd"].pressing == (Pressing(0.5, 20.0, "user@1000.service"),)
    assert found["systemd-oomd"].needs_swap
    assert found["uresourced"] == OtherGuard("uresourced", 11)


def test_a_unit_that_sets_no_limit_of_its_own_has_oomds(tmp_path):
    units = (Pressing(0.0, 0.0, "user@1000.service"), Pressing(0.3, 5.0, "a.service"))
    found = {each.name: each for each in find_others(plant(tmp_path, RUNNING), lambda: units)}
    usual, own = found["systemd-oomd"].pressing
    assert usual == Pressing(0.6, 20.0, "user@1000.service")
    assert own == units[1]


def test_what_cannot_be_read_is_assumed_as_by_default_and_said_to_be(tmp_path):
    hidden = {path: text for path, text in RUNNING.items() if "cmdline" not in path}
    found = {each.name: each for each in find_others(plant(tmp_path, hidden), lambda: None)}
    assert (found["earlyoom"].memory, found["earlyoom"].source) == (round(TOTAL / 10), "")
    assert (found["nohang"].memory, found["nohang"].source) == (TOTAL * 5 // 100, "")
    assert found["systemd-oomd"].pressing[0].where == "any unit that asks for it"
    assert threshold_words(found["earlyoom"]).endswith("(its defaults: what it was told could not be read)")


def test_a_drop_in_of_the_administrator_replaces_the_vendors_of_the_same_name(tmp_path):
    own = {"etc/systemd/oomd.conf.d/10-oomd-defaults.conf": "[OOM]\nDefaultMemoryPressureDurationSec=45s\n"}
    (found,) = [
        each
        for each in find_others(plant(tmp_path, RUNNING | own), lambda: None)
        if each.name == "systemd-oomd"
    ]
    assert found.pressing[0].lasting == 45.0


def test_without_processes_to_list_nothing_is_known(tmp_path):
    assert find_others(str(tmp_path)) is None
    assert read_swap(str(tmp_path)) == Swap(None, None)


@pytest.mark.parametrize("mount", ["sys/fs/cgroup", "sys/fs/cgroup/systemd"])
def test_run_finds_those_that_run_as_units(tmp_path, mount):
    units = {f"{mount}/system.slice/earlyoom.service/cgroup.procs": "8\n"}
    root = plant(tmp_path, RUNNING | units)
    assert running_units(root) == [(8, "earlyoom")]
    (found,) = others_by_unit(running_units(root), root)
    assert found.memory == round(TOTAL * 0.05)
    (tmp_path / mount / "system.slice/earlyoom.service/cgroup.procs").write_text("")
    assert running_units(root) == []


@pytest.mark.parametrize(
    ("limit", "lasting", "expected"),
    [
        (2**31, 20_000_000, (0.5, 20.0)),
        (0, 2**64 - 1, (0.0, 0.0)),
        (None, None, (0.0, 0.0)),
    ],
)
def test_a_units_own_pressure_is_a_32_bit_fraction(limit, lasting, expected):
    own = {"ManagedOOMMemoryPressureLimit": limit, "ManagedOOMMemoryPressureDurationUSec": lasting}
    found = pressing_of("user@1.service", own)
    assert (round(found.share, 6), found.lasting) == expected


def test_systemd_is_asked_which_units_it_kills_in(tmp_path, monkeypatch):
    with FakeSystemd(tmp_path / "bus") as systemd:
        systemd.units["user.slice"] = {
            "Id": ("s", "user.slice"),
            "ManagedOOMMemoryPressure": ("s", "kill"),
            "ManagedOOMMemoryPressureLimit": ("u", 2**31),
        }
        systemd.units["system.slice"] = {
            "Id": ("s", "system.slice"),
            "ManagedOOMMemoryPressure": ("s", "auto"),
        }
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
        (found,) = adapter.watched_units()
    assert (found.where, round(found.share, 6)) == ("user.slice", 0.5)
    assert adapter.watched_units() is None  # nobody answers


# Where ours is placed

EARLYOOM = OtherGuard("earlyoom", 8, RAM // 10, 0.1, source="/proc/8/cmdline")
OOMD = OtherGuard(
    "systemd-oomd", 9, RAM // 10, 0.1, True, (Pressing(0.5, 20.0, "user@1000.service"),), "oomd.conf, systemd"
)


@pytest.mark.parametrize(
    ("other", "swap", "acts"),
    [
        (EARLYOOM, NONE, True),
        (EARLYOOM, Swap(4 * GIB, 4 * GIB), False),
        (EARLYOOM, Swap(4 * GIB, 4 * GIB // 5), True),
        (EARLYOOM, Swap(None, None), True),
        (EARLYOOM._replace(acts=False), NONE, False),
        (EARLYOOM._replace(swap=1.0), Swap(4 * GIB, 4 * GIB), True),
        (OOMD, NONE, False),
        (OOMD, Swap(4 * GIB, 0), True),
        (OtherGuard("uresourced", 7), NONE, False),
    ],
)
def test_free_swap_keeps_one_from_acting_unless_it_is_nearly_used_or_unknown(other, swap, acts):
    assert acts_at(other, swap) == (other.memory if acts else None)


def test_of_several_the_one_that_acts_first_counts():
    later = EARLYOOM._replace(name="nohang", memory=RAM // 20)
    assert first_to_act((later, EARLYOOM), NONE) == RAM // 10
    assert first_to_act((), NONE) is None


@given(st.integers(0, 2**45), st.integers(1 * GIB, 2**45))
def test_ours_is_placed_above_and_never_below_its_own(theirs, ram):
    own = reserve_of(ram)
    placed = beside(own, theirs, ram)
    assert placed.reserve > placed.floor > placed.black > 0
    assert all(after >= before for after, before in zip(placed, own, strict=True))
    assert placed == own or (placed.black > theirs and placed.reserve <= max(own.reserve, ram // 2))


def test_where_nobody_acts_nothing_is_moved():
    assert beside(OWN, None, RAM) == OWN
    assert beside(OWN, RAM // 100, RAM).reserve == OWN.reserve


def test_nothing_makes_pressure_on_purpose_where_somebody_acts_on_it():
    assert watches_pressure((OOMD,))
    assert not watches_pressure((EARLYOOM,))
    swaps, able = Limits(swap_max=GIB), frozenset({Capability.MEMORY_HIGH})
    table = Thresholds.of(OWN)
    assert rules_of(table, swaps, 1, (), capabilities=able).throttles
    assert not rules_of(table, swaps, 1, (), capabilities=able, may_throttle=False).throttles


@pytest.mark.parametrize(("version", "there"), [(None, False), (247, False), (248, True), (257, True)])
def test_the_conductor_is_not_what_oomd_takes_first(version, there):
    properties = dict(scope_properties(Place.USER_SCOPE, "r1", 42, version))
    assert properties.get("ManagedOOMPreference") == (("s", "avoid") if there else None)


# What is said


def machine_with(others, acts_from):
    return records.machine(effective_ram=RAM, others=others, others_from=acts_from)


def test_a_ramp_names_them_and_what_it_does_because_of_them():
    placed = beside(OWN, RAM // 10, RAM)
    machine = machine_with((EARLYOOM, OOMD), RAM // 10)
    said = other_lines(machine, placed)
    assert said[0].startswith("earlyoom (pid 8) runs: acts once available memory is at most ")
    assert "user@1000.service stalls on memory, fully, over 50% for 20 s" in said[1]
    assert said[2].startswith("earlyoom, systemd-oomd may end processes: so that our guard acts first, ")
    assert "no throttle limit" in said[3]
    assert len(said) == 4


def test_a_ramp_says_when_there_is_no_room_above_them_and_when_it_does_not_know():
    greedy = EARLYOOM._replace(memory=RAM * 2 // 3)
    machine = machine_with((greedy,), RAM * 2 // 3)
    assert "may act before ours" in other_lines(machine, beside(OWN, RAM * 2 // 3, RAM))[-1]
    assert "not known" in other_lines(machine_with(None, None), OWN)[0]
    assert other_lines(machine_with((), None), OWN) == ()


def test_nothing_is_said_where_nothing_is_done():
    assert kept_words((EARLYOOM,), OWN, OWN) == ()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (OtherGuard("uresourced", 1), "ends nothing"),
        (OtherGuard("nohang", 1, source="/etc/nohang.conf"), "from where on it acts is not known"),
        (EARLYOOM._replace(acts=False), "only says what it would do"),
    ],
)
def test_who_does_nothing_or_is_not_known_is_said_so(other, words):
    assert threshold_words(other) == words
