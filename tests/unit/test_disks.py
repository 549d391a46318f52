"""Which disks I/O limits are written for, told from /sys."""

import pytest
from desktop_tree import Tree

from steadyrun.contain.disks import disks_that_weigh, whole_disks


def disk(tree, name, number, *, size="2048", slaves=(), scheduler=""):
    for slave in slaves:
        tree.file(f"sys/block/{name}/slaves/{slave}/dev", "")
    tree.file(f"sys/block/{name}/dev", f"{number}\n")
    tree.file(f"sys/block/{name}/size", f"{size}\n")
    tree.file(f"sys/dev/block/{number}/queue/scheduler", f"{scheduler}\n")


@pytest.fixture
def tree(tmp_path):
    found = Tree(tmp_path)
    disk(found, "sda", "8:0", scheduler="none [bfq] mq-deadline")
    disk(found, "nvme0n1", "259:0", scheduler="[none] bfq")
    return found


def test_each_disk_is_named_once(tree):
    assert whole_disks(tree.root) == ("259:0", "8:0")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("loop0", {}),
        ("ram0", {}),
        ("zram0", {}),
        ("sdb", {"size": "0"}),
        ("dm-0", {"slaves": ("sda",)}),
        ("md0", {"slaves": ("sda", "nvme0n1")}),
    ],
)
def test_what_is_no_disk_of_its_own_is_left_out(tree, name, how):
    disk(tree, name, "7:0", **how)
    assert whole_disks(tree.root) == ("259:0", "8:0")


def test_without_sys_there_are_none(tmp_path):
    assert whole_disks(str(tmp_path)) == ()


def test_a_disk_weighs_by_its_scheduler_or_where_costs_are_switched_on(tree):
    assert disks_that_weigh("/cg", tree.root) == ("8:0",)
    tree.file("cg/io.cost.qos", "259:0 enable=1 ctrl=auto\n8:0 enable=0\n")
    assert disks_that_weigh("/cg", tree.root) == ("259:0", "8:0")
