"""Limits into the files of a cgroup and back: written as the kernel takes them, judged as it has them."""

import pytest

from steadyrun.contain.cgroupfs import CgroupDirectory
from steadyrun.contain.unified_limits import UnifiedLimits, bfq_weight, quota_text, read_weight, weight_at
from steadyrun.contain.unified_promises import Kernel, promises
from steadyrun.errors import FormatError
from steadyrun.kernel.cgroupfiles import parse_cpu_max, parse_io_max, parse_io_weight
from steadyrun.model.containment import Capability
from steadyrun.model.limits import Limits

MIB = 2**20
OPEN = {
    "memory.max": "max",
    "memory.high": "max",
    "memory.swap.max": "max",
    "memory.oom.group": "0",
    "cpu.max": "max 100000",
    "cpu.weight": "100",
    "cpu.idle": "0",
    "pids.max": "max",
}


@pytest.fixture
def leaf(tmp_path):
    """A cgroup of files that remember what was written last, below one that limits nothing."""
    for directory in (tmp_path, tmp_path / "leaf"):
        directory.mkdir(exist_ok=True)
        for name, text in OPEN.items():
            (directory / name).write_text(text)
    held = CgroupDirectory(str(tmp_path / "leaf"))
    yield held
    held.close()


def apply(leaf, tmp_path, **limits):
    found = UnifiedLimits(leaf, str(tmp_path)).apply(Limits(**limits))
    return {r.name: r for r in found}


def read(tmp_path, name):
    return (tmp_path / "leaf" / name).read_text()


def test_every_limit_is_written_in_the_words_of_the_kernel_and_held(leaf, tmp_path):
    found = apply(
        leaf, tmp_path, memory_max=64 * MIB, memory_high=48 * MIB, swap_max=0, cpu_max=1.5, cpu_weight=50,
        tasks_max=9,
    )  # fmt: skip
    assert {n: r.held for n, r in found.items()} == dict.fromkeys(
        ("memory_max", "memory_high", "swap_max", "cpu_max", "cpu_weight", "tasks_max"), True
    )
    wanted = {
        "memory.max": str(64 * MIB), "memory.high": str(48 * MIB), "memory.swap.max": "0",
        "cpu.max": "150000 100000", "cpu.weight": "50", "pids.max": "9",
    }  # fmt: skip
    assert {name: read(tmp_path, name) for name in wanted} == wanted


def test_what_is_not_asked_for_any_more_is_opened(leaf, tmp_path):
    apply(leaf, tmp_path, memory_max=64 * MIB, memory_high=MIB, cpu_max=0.5, tasks_max=3, cpu_weight=50)
    assert apply(leaf, tmp_path, swap_max=None) == {}
    assert {name: read(tmp_path, name) for name in OPEN} == OPEN | {"cpu.max": "max"}


def test_a_weight_where_the_controller_was_not_given_says_so(leaf, tmp_path):
    (tmp_path / "leaf" / "cpu.weight").unlink()
    found = read_weight(leaf, 50)
    assert (found.held, found.found) == (False, "none: no cpu hierarchy can be used here")


def test_the_lowest_weight_is_idle_and_any_other_leaves_idle_first(leaf, tmp_path):
    assert apply(leaf, tmp_path, cpu_weight=1)["cpu_weight"] == ("cpu_weight", "1", "idle", "cpu.idle", True)
    assert read(tmp_path, "cpu.idle") == "1"
    assert weight_at(leaf.path) == 1
    assert apply(leaf, tmp_path, cpu_weight=30)["cpu_weight"].found == "30"
    assert (read(tmp_path, "cpu.idle"), read(tmp_path, "cpu.weight")) == ("0", "30")


def test_without_cpu_idle_the_lowest_weight_is_one(leaf, tmp_path):
    (tmp_path / "leaf/cpu.idle").unlink()
    found = apply(leaf, tmp_path, cpu_weight=1)["cpu_weight"]
    assert (found.found, found.held) == ("1", True)


def test_a_quota_under_the_kernels_least_is_held_by_the_least(leaf, tmp_path):
    found = apply(leaf, tmp_path, cpu_max=0.0005)["cpu_max"]
    assert (found.held, found.found) == (True, "0.001")
    assert read(tmp_path, "cpu.max") == "1000 1000000"


def test_a_smaller_limit_of_an_ancestor_holds_and_is_named(leaf, tmp_path):
    (tmp_path / "memory.max").write_text(str(32 * MIB))
    found = apply(leaf, tmp_path, memory_max=64 * MIB)["memory_max"]
    assert found.held
    assert found.found == f"{64 * MIB}, an ancestor allows {32 * MIB}"


class Deaf(CgroupDirectory):
    """Accepts every value and applies none."""

    def write(self, name, text):
        assert self.has(name)


def test_a_limit_that_was_accepted_and_not_applied_is_not_held(leaf, tmp_path):
    deaf = Deaf(leaf.path)
    found = apply(deaf, tmp_path, memory_max=64 * MIB, cpu_max=1.0, cpu_weight=7, tasks_max=3)
    deaf.close()
    assert [r.name for r in found.values() if r.held] == []


def test_controllers_that_are_not_there_are_named_and_nothing_is_held(tmp_path):
    bare = CgroupDirectory(str(tmp_path))
    found = UnifiedLimits(bare, str(tmp_path)).apply(
        Limits(memory_max=MIB, cpu_max=1.0, cpu_weight=3, tasks_max=4, io_read_bps=5, io_weight=6)
    )
    bare.close()
    assert {r.name for r in found} == {
        "memory_max", "swap_max", "cpu_max", "cpu_weight", "tasks_max", "io_read_bps", "io_weight",
    }  # fmt: skip
    assert not any(r.held for r in found)
    assert all("none: no " in r.found for r in found)


def test_compressed_swap_is_shut_with_all_other_swap(leaf, tmp_path):
    (tmp_path / "leaf/memory.zswap.max").write_text("max")
    apply(leaf, tmp_path, memory_max=MIB, swap_max=0)
    assert read(tmp_path, "memory.zswap.max") == "0"
    apply(leaf, tmp_path, memory_max=MIB, swap_max=MIB)
    assert read(tmp_path, "memory.zswap.max") == "max"


@pytest.mark.parametrize(
    ("cores", "text"),
    [(None, "max"), (1.5, "150000 100000"), (0.005, "5000 1000000"), (64, "6400000 100000")],
)
def test_a_quota_in_the_words_of_cpu_max(cores, text):
    assert quota_text(cores) == text


@pytest.mark.parametrize(("weight", "bfq"), [(1, 1), (100, 100), (10000, 1000), (5050, 550)])
def test_weights_of_bfq_keep_the_default_and_both_ends(weight, bfq):
    assert bfq_weight(weight) == bfq


@pytest.mark.parametrize(("text", "value"), [("max 100000\n", (None, 100000)), ("1500 1000\n", (1500, 1000))])
def test_cpu_max_is_read(text, value):
    assert parse_cpu_max(text, source="cpu.max") == value


@pytest.mark.parametrize("text", ["", "max\n", "1 0\n", "a b\n", "-1 5\n", "1 2 3\n"])
def test_other_text_in_cpu_max_is_an_error(text):
    with pytest.raises(FormatError, match=r"cpu\.max"):
        parse_cpu_max(text, source="cpu.max")


def test_io_max_and_io_weight_are_read():
    text = "8:16 rbps=2097152 wbps=max riops=max wiops=120\n8:0 rbps=max wbps=1\n"
    assert parse_io_max(text, source="io.max") == {
        "8:16": {"rbps": 2097152, "wbps": None, "riops": None, "wiops": 120},
        "8:0": {"rbps": None, "wbps": 1},
    }
    assert parse_io_max("", source="io.max") == {}
    assert parse_io_weight("default 50\n8:0 200\n", source="io.weight") == 50


@pytest.mark.parametrize("text", ["8:0\n", "sda rbps=1\n", "8:0 rbps=x\n", "\n8:0 rbps=1\n"])
def test_other_text_in_io_max_is_an_error(text):
    with pytest.raises(FormatError):
        parse_io_max(text, source="io.max")


@pytest.mark.parametrize("text", ["", "8:0 200\n", "default\n", "default x\n"])
def test_other_text_in_io_weight_is_an_error(text):
    with pytest.raises(FormatError):
        parse_io_weight(text, source="io.weight")


SEEN = Kernel((6, 1), ("cgroup.kill", "memory.max", "memory.peak", "memory.swap.max"), True, True, False)


def test_what_is_promised_is_what_was_seen():
    found = promises(("memory", "cpu", "pids", "io"), SEEN)
    assert found == set(Capability) - {Capability.IO_WEIGHT, Capability.STOPPED_BY_OTHERS}
    assert Capability.MEMORY_PEAK not in promises(("memory",), SEEN._replace(files=("memory.max",)))
    assert Capability.SWAP_MAX not in promises(("memory",), SEEN._replace(files=("memory.max",)))
    assert Capability.IO_MAX not in promises(("io",), SEEN._replace(has_disks=False))
    assert Capability.IO_WEIGHT in promises(("io",), SEEN._replace(disks_weigh=True))


def test_without_controllers_kill_freeze_and_pressure_are_left():
    assert promises((), SEEN) == {Capability.KILL, Capability.FREEZE, Capability.PSI}
    assert promises((), SEEN._replace(release=(4, 19), files=(), psi=False)) == set()


@pytest.mark.parametrize(
    ("release", "peak", "swap"), [((5, 18), False, False), ((5, 19), True, False), ((6, 1), True, True)]
)
def test_files_that_cannot_be_seen_yet_are_told_by_the_kernels_release(release, peak, swap):
    found = promises(("memory",), SEEN._replace(release=release, files=("cgroup.kill",)))
    assert (Capability.MEMORY_PEAK in found, Capability.SWAP_MAX in found) == (peak, swap)
