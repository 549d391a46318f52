"""Limits of legacy hierarchies, in files that refuse what the kernel refuses: the order of writing counts."""

import errno
import os

import pytest

from steadyrun.contain.cgroup1_limits import LegacyLimits
from steadyrun.contain.cgroupfs import CgroupDirectory
from steadyrun.model.limits import Limits

MIB = 2**20
MOST = 2**63 - 4096
"""What an open limit of memory reads as: PAGE_COUNTER_MAX pages of 4096 bytes."""
ALLOWED = 0.05
"""Cores that the cgroup above has."""


class Legacy(CgroupDirectory):
    """A cgroup whose memory limit is never above memsw, and whose quota never above that of the one above it.

    As the kernel holds it: EINVAL, in mem_cgroup_resize_max() of mm/memcontrol.c and __cfs_schedulable() of
    kernel/sched/core.c.
    """

    def write(self, name, text):
        number = int(text)
        match name:
            case "memory.limit_in_bytes" | "memory.memsw.limit_in_bytes":
                super().write(name, self._memory(name, MOST if number < 0 else number))
            case "cpu.cfs_quota_us":
                self._expect_allowed(number, self._number("cpu.cfs_period_us"))
                super().write(name, text)
            case "cpu.cfs_period_us":
                self._expect_allowed(self._number("cpu.cfs_quota_us"), number)
                super().write(name, text)
            case _:
                super().write(name, text)

    def _memory(self, name, number):
        limit, memsw = (self._number(f"memory.{kind}limit_in_bytes") for kind in ("", "memsw."))
        if (number > memsw) if name == "memory.limit_in_bytes" else (number < limit):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return f"{number}"

    def _expect_allowed(self, quota, period):
        if quota / period > ALLOWED:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def _number(self, name):
        return int(self.read(name))


@pytest.fixture
def limits(tmp_path):
    """The limits of one containment; `load` is its cgroup, below one that has a quota."""
    open_files = {
        "memory.limit_in_bytes": MOST,
        "memory.memsw.limit_in_bytes": MOST,
        "cpu.cfs_quota_us": -1,
        "cpu.cfs_period_us": 100_000,
        "cpu.shares": 1024,
    }
    (tmp_path / "load").mkdir()
    for name, value in open_files.items():
        (tmp_path / "load" / name).write_text(f"{value}\n")
    (tmp_path / "cpu.cfs_quota_us").write_text(f"{int(ALLOWED * 100_000)}\n")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    load = Legacy(str(tmp_path / "load"))
    yield LegacyLimits({"memory": load, "cpu": load}, {"cpu": str(tmp_path)})
    load.close()


def number(tmp_path, name):
    return int((tmp_path / "load" / name).read_text())


@pytest.mark.parametrize("sizes", [(64, 512), (512, 64), (64, None), (512, 64, 512)])
def test_memory_and_swap_rise_and_fall_in_an_order_that_is_allowed(limits, tmp_path, sizes):
    for size in sizes:
        memory, swap = (None, None) if size is None else (size * MIB, 8 * MIB)
        limits.apply(Limits(memory_max=memory, swap_max=swap))
        assert number(tmp_path, "memory.limit_in_bytes") == (MOST if memory is None else memory)
        assert number(tmp_path, "memory.memsw.limit_in_bytes") == (MOST if memory is None else memory + swap)


@pytest.mark.parametrize(
    ("cores", "files"),
    [((0.009, 0.05), (5000, 100_000)), ((0.05, 0.009), (9000, 1_000_000)), ((0.009, None), (-1, 1_000_000))],
)
def test_a_quota_of_another_period_is_written_below_an_ancestor_that_has_one(limits, tmp_path, cores, files):
    for each in cores:
        found = [one for one in limits.apply(Limits(cpu_max=each)) if one.name == "cpu_max"]
        assert all(one.held and "gave" not in one.found for one in found)
    assert tuple(number(tmp_path, f"cpu.cfs_{name}_us") for name in ("quota", "period")) == files


def test_a_quota_under_the_kernels_least_is_held_by_the_least(limits, tmp_path):
    found = next(each for each in limits.apply(Limits(cpu_max=0.0005)) if each.name == "cpu_max")
    assert (found.held, found.found) == (True, "0.001")
    assert number(tmp_path, "cpu.cfs_quota_us") == 1000
