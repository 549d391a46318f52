"""The facts of a machine, told from files of a machine made here, and of this one."""

import os
import time

import pytest
from desktop_tree import BTIME, Tree

from steadyrun.desktop.facts import machine_facts, quick_facts
from steadyrun.desktop.power import on_battery
from steadyrun.desktop.virtualization import virtualization
from steadyrun.errors import JournalUnwritableError
from steadyrun.model.machine import CgroupMode

MOUNT = "30 25 0:30 / /sys/fs/cgroup/{name} rw,relatime - {kind} {kind} rw,{options}\n"
ROOT_MOUNT = "27 1 254:0 / / rw,relatime - {kind} /dev/vda rw\n"
V2 = MOUNT.format(name="unified", kind="cgroup2", options="nsdelegate")
V1_MEMORY = MOUNT.format(name="memory", kind="cgroup", options="memory")
V1_NAMED = MOUNT.format(name="systemd", kind="cgroup", options="name=systemd")
INTEL = "processor\t: 0\nmodel name\t: Intel(R)  Core(TM) i7\nflags\t\t: fpu vme{more} sse\n\n"
HYPERVISOR = INTEL.format(more=" hypervisor")
NO_HYPERVISOR = INTEL.format(more="")


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path)
    tree.file("proc/sys/kernel/random/boot_id", "1-2-3\n")
    tree.file("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 500 kB\nSwapTotal: 20 kB\nSwapFree: 10 kB\n")
    return tree


def facts(tree, **env):
    return machine_facts(tree.root, env)


def test_an_empty_machine_has_no_facts_but_its_boot(tmp_path):
    with pytest.raises(JournalUnwritableError, match="boot_id"):
        machine_facts(str(tmp_path), {})
    tree = Tree(tmp_path / "other")
    tree.file("proc/sys/kernel/random/boot_id", "1-2-3\n")
    os.unlink(tree.path("proc/stat"))
    found = facts(tree)
    assert found.boot_id == "1-2-3"
    assert found.virtualization == "unknown"
    assert not found.psi
    assert found.cgroup_mode is CgroupMode.NONE
    nothing = (found.mem_total, found.effective_ram, found.swap_total, found.booted_wall, found.cpu_model)
    assert nothing == (None,) * 5
    assert (found.desktop, found.display_manager) == (None, None)


def test_what_the_files_say_is_what_the_facts_say(tree):
    tree.file("etc/os-release", 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12"\n')
    tree.file("proc/cpuinfo", NO_HYPERVISOR * 2)
    tree.file("proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
    found = facts(tree, TZ=":/usr/share/zoneinfo/Europe/Berlin")
    assert found.distribution == "Debian GNU/Linux 12"
    assert found.cpu_model == "Intel(R) Core(TM) i7"
    assert (found.mem_total, found.effective_ram, found.swap_total) == (1024000, 1024000, 20480)
    assert found.booted_wall == BTIME
    assert found.psi
    assert found.timezone == "Europe/Berlin"
    assert (found.kernel, found.hostname) == (os.uname().release, os.uname().nodename)


def test_quick_facts_are_the_same_without_what_is_slow(tree):
    tree.file("proc/cpuinfo", HYPERVISOR)
    slow = {
        "virtualization": "unknown",
        "cpu_model": None,
        "desktop": None,
        "display_manager": None,
        "others": None,
    }
    assert quick_facts(tree.root, {}) == facts(tree)._replace(**slow)


def test_the_vendors_os_release_stands_in_for_a_missing_one(tree):
    tree.file("usr/lib/os-release", "ID=arch\n")
    assert facts(tree).distribution == "arch"


@pytest.mark.parametrize(
    ("mounts", "mode"),
    [
        (V2, CgroupMode.UNIFIED),
        (V2 + V1_MEMORY, CgroupMode.HYBRID),
        (V2 + V1_NAMED, CgroupMode.UNIFIED),
        (V1_MEMORY + V1_NAMED, CgroupMode.LEGACY),
        (V1_NAMED, CgroupMode.NONE),
        ("", CgroupMode.NONE),
        ("nonsense\n", CgroupMode.NONE),
    ],
)
def test_the_cgroup_mode_is_told_by_the_mounts(tree, mounts, mode):
    tree.file("proc/self/mountinfo", mounts)
    assert facts(tree).cgroup_mode is mode


def test_a_stray_v1_controller_leaves_a_machine_unified_whose_memory_is_unified(tree):
    tree.file("proc/self/mountinfo", V2 + MOUNT.format(name="blkio", kind="cgroup", options="blkio"))
    tree.file("sys/fs/cgroup/unified/cgroup.controllers", "cpu memory pids\n")
    assert facts(tree).cgroup_mode is CgroupMode.UNIFIED


@pytest.mark.parametrize(
    ("env", "desktop"),
    [
        ({"XDG_CURRENT_DESKTOP": "XFCE", "XDG_SESSION_TYPE": "x11"}, "XFCE (x11)"),
        ({"XDG_CURRENT_DESKTOP": "ubuntu:GNOME", "XDG_SESSION_TYPE": "wayland"}, "GNOME (wayland)"),
        ({"XDG_CURRENT_DESKTOP": "KDE", "XDG_SESSION_TYPE": "tty"}, "KDE"),
        ({"XDG_SESSION_TYPE": "tty"}, None),
        ({}, None),
    ],
)
def test_the_desktop_is_named_by_the_environment(tree, env, desktop):
    assert facts(tree, **env).desktop == desktop


def test_under_sudo_the_desktop_is_named_by_logind(tree):
    tree.process(800, "lightdm", ticks=1)
    tree.session("c2", LEADER=800, TYPE="x11", DESKTOP="xfce")
    assert facts(tree).desktop == "xfce (x11)"


def test_the_display_manager_is_the_alias_before_debians_file(tree):
    tree.file("etc/X11/default-display-manager", "/usr/sbin/lightdm\n")
    assert facts(tree).display_manager == "lightdm"
    tree.link("etc/systemd/system/display-manager.service", "/usr/lib/systemd/system/sddm.service")
    assert facts(tree).display_manager == "sddm"


def test_the_time_zone_is_asked_of_tz_then_localtime_then_debians_file(tree):
    assert facts(tree).timezone in time.tzname
    tree.file("etc/timezone", "Asia/Tokyo\n")
    assert facts(tree).timezone == "Asia/Tokyo"
    tree.link("etc/localtime", "../usr/share/zoneinfo/America/New_York")
    assert facts(tree).timezone == "America/New_York"
    assert facts(tree, TZ="UTC").timezone == "UTC"


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ({"run/systemd/container": "systemd-nspawn\n"}, "systemd-nspawn"),
        ({"proc/1/environ": "PATH=/bin\0container=lxc\0"}, "lxc"),
        ({".dockerenv": ""}, "docker"),
        ({"run/.containerenv": "", ".dockerenv": ""}, "podman"),
        ({"sys/hypervisor/type": "xen\n"}, "xen"),
        ({"proc/cpuinfo": HYPERVISOR, "sys/class/dmi/id/product_name": "KVM\n"}, "kvm"),
        ({"proc/cpuinfo": HYPERVISOR, "sys/class/dmi/id/sys_vendor": "Amazon EC2\n"}, "amazon"),
        ({"proc/cpuinfo": NO_HYPERVISOR, "sys/class/dmi/id/sys_vendor": "Amazon EC2\n"}, "bare metal"),
        ({"proc/cpuinfo": NO_HYPERVISOR, "sys/class/dmi/id/sys_vendor": "QEMU\n"}, "qemu"),
        ({"proc/cpuinfo": HYPERVISOR}, "virtual machine"),
        ({"proc/cpuinfo": NO_HYPERVISOR, "sys/class/dmi/id/sys_vendor": "LENOVO\n"}, "bare metal"),
        ({"proc/cpuinfo": NO_HYPERVISOR}, "unknown"),
        ({"proc/cpuinfo": "processor: 0\nBogoMIPS: 50\n", "sys/class/dmi/id/sys_vendor": "HPE\n"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_what_the_machine_runs_in_is_told_by_evidence_alone(tree, files, answer):
    for path, content in files.items():
        tree.file(path, content)
    assert virtualization(tree.root) == answer


@pytest.mark.parametrize(
    ("namespace", "kind", "answer"),
    [
        ("pid:[4026531836]", "ext4", "virtual machine"),
        ("pid:[4026531836]", "overlay", "docker"),
        ("pid:[4026532999]", "ext4", "docker"),
    ],
)
def test_a_disk_made_from_a_containers_image_does_not_make_a_container(tree, namespace, kind, answer):
    tree.file(".dockerenv", "")
    tree.file("proc/cpuinfo", HYPERVISOR)
    tree.file("proc/self/mountinfo", ROOT_MOUNT.format(kind=kind))
    tree.link("proc/self/ns/pid", namespace)
    assert virtualization(tree.root) == answer


@pytest.mark.parametrize(
    ("supplies", "answer"),
    [
        ([], False),
        ([{"type": "Battery", "status": "Discharging"}], True),
        ([{"type": "Battery", "status": "Discharging"}, {"type": "Mains", "online": "1"}], False),
        ([{"type": "Battery", "status": "Discharging", "scope": "Device"}], False),
        ([{"type": "Battery"}], None),
    ],
)
def test_a_discharging_battery_of_the_machine_itself_is_on_battery(tree, supplies, answer):
    for number, supply in enumerate(supplies):
        for field, value in supply.items():
            tree.file(f"sys/class/power_supply/s{number}/{field}", value + "\n")
    assert on_battery(tree.root) is answer


def test_the_facts_of_this_machine_can_be_told():
    found = machine_facts()
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.mem_total >= found.effective_ram > 0
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert abs(found.booted_wall + uptime - time.time()) < 2
