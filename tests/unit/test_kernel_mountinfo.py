"""Cgroup mounts."""

import pytest

from steadyrun.errors import FormatError
from steadyrun.kernel.mountinfo import parse_cgroup_mounts
from steadyrun.model.containment import CgroupMount

HYBRID = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /docker/ab /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup ro,seclabel,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/cpu,name=systemd
41 31 0:38 /a\040b /mnt/my\040cgroup\134\011x rw - cgroup2 none rw,nsdelegate,memory_recursiveprot
"""


def test_each_hierarchy_is_found_with_its_controllers():
    assert parse_cgroup_mounts(HYBRID) == (
        CgroupMount("/sys/fs/cgroup/cpu,cpuacct", "/", ("cpu", "cpuacct"), False, True),
        CgroupMount("/sys/fs/cgroup/memory", "/docker/ab", ("memory",), False, False),
        CgroupMount("/sys/fs/cgroup/pids", "/", ("pids",), False, False),
        CgroupMount("/sys/fs/cgroup/systemd", "/", ("name=systemd",), False, True),
        CgroupMount("/mnt/my cgroup\\\tx", "/a b", (), True, True),
    )


def test_no_mounts_are_no_cgroups():
    assert parse_cgroup_mounts("") == ()


def test_a_backslash_that_escapes_nothing_stays():
    text = "41 31 0:38 / /a\\9b\\04 rw - cgroup2 none rw\n"
    assert parse_cgroup_mounts(text)[0].path == "/a\\9b\\04"


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "1 2 0:3 / /x rw cgroup cgroup rw",
        "1 2 0:3 / /x - cgroup cgroup rw",
        "1 2 0:3 / /x rw - cgroup",
    ],
)
def test_a_line_of_another_form_is_refused(line):
    with pytest.raises(FormatError, match=r"^/proc/self/mountinfo: expected a line such as"):
        parse_cgroup_mounts(f"{HYBRID}{line}\n")
