"""The reader over trees that look like /proc and /sys/fs/cgroup, and once over this machine."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from steadyrun.errors import JournalUnwritableError
from steadyrun.kernel.reader import HostReader, KeptFile, boot_id, cpu_times, effective_ram, read_text
from steadyrun.model.sample import CpuTimes, Psi

KIB, MIB = 1024, 1024**2
NO_LIMIT = 9223372036854771712
PSI = "some avg10=50.00 avg60=0.13 avg300=0.21 total=70\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"

SCAN = "pgsteal_kswapd 10\npgsteal_direct 2\npgscan_kswapd 20\npgscan_direct 10\npgscan_direct_throttle 7\n"


def put(root, path, text):
    """Write a file below root, through the same inode when it is there already."""
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def put_v1(root, path, *, limit, usage=0, inactive=0):
    directory = f"/sys/fs/cgroup/memory{path}"
    put(root, f"{directory}/memory.limit_in_bytes", f"{limit}\n")
    put(root, f"{directory}/memory.usage_in_bytes", f"{usage}\n")
    put(root, f"{directory}/memory.stat", f"inactive_file 3\nrss 5\ntotal_inactive_file {inactive}\n")


def put_v2(root, path, *, limit, high="max", usage=0, inactive=0):
    directory = f"/sys/fs/cgroup{path}"
    put(root, f"{directory}/memory.max", f"{limit}\n")
    put(root, f"{directory}/memory.high", f"{high}\n")
    put(root, f"{directory}/memory.current", f"{usage}\n")
    put(root, f"{directory}/memory.stat", f"anon 5\ninactive_file {inactive}\nactive_file 9\n")


def mounts(root, *lines):
    put(root, "/proc/self/mountinfo", "".join(f"{line}\n" for line in lines))


V1_MOUNT = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
V2_MOUNT = "35 31 0:32 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"


@pytest.fixture
def root(tmp_path):
    """A machine with 1000 KiB, 800 of them available, and no cgroups."""
    meminfo = "MemTotal: 1000 kB\nMemAvailable: 800 kB\nSwapTotal: 20 kB\nSwapFree: 15 kB\n"
    put(tmp_path, "/proc/meminfo", meminfo)
    put(tmp_path, "/proc/loadavg", "36.01 15.20 3.12 91/880 11206\n")
    put(tmp_path, "/proc/vmstat", "nr_free_pages 5\npswpin 1\npswpout 2\noom_kill 3\n" + SCAN)
    for name in ("memory", "io", "cpu"):
        put(tmp_path, f"/proc/pressure/{name}", PSI)
    put(tmp_path, "/proc/self/cgroup", "0::/\n")
    put(tmp_path, "/proc/42/stat", "42 (a) b) S 1 42 42 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 2525 0\n")
    put(tmp_path, "/proc/43/stat", "43 (gone) Z 1 43 43 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 2600 0\n")
    put(tmp_path, "/proc/sys/kernel/random/boot_id", "946b75f0-fa66-4417-b573-6503491f93f4\n")
    mounts(tmp_path)
    return tmp_path


@pytest.fixture
def reader_of():
    """Make readers that are closed at the end."""
    made = []

    def make(root):
        made.append(HostReader(str(root)))
        return made[-1]

    yield make
    for reader in made:
        reader.close()


def sample(reader, **how):
    return reader.sample(at=1.0, wall=2.0, **how)


def test_a_sample_holds_every_figure_of_the_machine(root, reader_of):
    found = sample(reader_of(root), count_processes=True)
    assert found.at == 1.0
    assert found.wall == 2.0
    assert (found.mem_total, found.mem_available) == (1000 * KIB, 800 * KIB)
    assert (found.swap_total, found.swap_free) == (20 * KIB, 15 * KIB)
    assert (found.load1, found.load5, found.load15, found.runnable) == (36.01, 15.2, 3.12, 91)
    assert found.psi_memory == found.psi_io == found.psi_cpu == Psi(70, 7, 0.5)
    assert (found.swap_in_pages, found.swap_out_pages, found.oom_kills) == (1, 2, 3)
    assert (found.scanned_pages, found.stolen_pages) == (30, 12)
    assert found.processes == 2


def test_the_time_of_the_cpus_is_that_of_those_this_process_may_use(root):
    usable = sorted(os.sched_getaffinity(0))
    lines = [f"cpu{n} 1 0 0 9 0 0 0 0 0 0" for n in (*usable, usable[-1] + 1)]
    (root / "proc/stat").write_text("\n".join(["cpu 9 9 9 9", *lines, "intr 1"]))
    assert cpu_times(str(root)) == CpuTimes(len(usable), 9 * len(usable), 10 * len(usable))


@pytest.mark.parametrize("text", [None, "", "garbage\n"])
def test_the_time_of_cpus_that_cannot_be_read_is_unknown(root, text):
    if text is not None:
        (root / "proc/stat").write_text(text)
    assert cpu_times(str(root)) is None


def test_processes_are_counted_only_when_asked_for(root, reader_of):
    assert sample(reader_of(root)).processes is None


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("meminfo", ("mem_total", "mem_available", "swap_total", "swap_free")),
        ("loadavg", ("load1", "load5", "load15", "runnable")),
        ("vmstat", ("swap_in_pages", "swap_out_pages", "oom_kills", "scanned_pages", "stolen_pages")),
        ("pressure/memory", ("psi_memory",)),
        ("pressure/io", ("psi_io",)),
        ("pressure/cpu", ("psi_cpu",)),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "garbage", "empty"])
def test_a_file_that_cannot_be_used_leaves_its_own_fields_unknown(root, reader_of, path, fields, damage):
    file = root / "proc" / path
    file.unlink() if damage == "missing" else file.write_text("garbage\n" if damage == "garbage" else "")
    found = sample(reader_of(root), count_processes=True)
    unknown = {name for name, value in found._asdict().items() if value is None}
    assert unknown == set(fields)


def test_an_empty_machine_gives_a_sample_of_unknowns(tmp_path, reader_of):
    found = sample(reader_of(tmp_path), count_processes=True)
    assert set(found[2:]) == {None}


def test_every_sample_reads_the_files_anew(root, reader_of):
    reader = reader_of(root)
    sample(reader)
    put(root, "/proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 7 kB\n")
    assert sample(reader).mem_available == 7 * KIB


def test_the_tightest_v1_ancestor_bounds_ram_and_available_memory(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a/b\n0::/\n")
    put_v1(root, "", limit=NO_LIMIT)
    put_v1(root, "/a", limit=500 * KIB, usage=300 * KIB, inactive=50 * KIB)
    put_v1(root, "/a/b", limit=600 * KIB, usage=100 * KIB)
    found = sample(reader_of(root))
    assert found.mem_total == 500 * KIB
    assert found.mem_available == 250 * KIB


def test_ram_and_available_memory_may_be_bounded_by_different_ancestors(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a/b\n")
    put_v1(root, "", limit=NO_LIMIT)
    put_v1(root, "/a", limit=600 * KIB, usage=590 * KIB)
    put_v1(root, "/a/b", limit=500 * KIB, usage=100 * KIB)
    found = sample(reader_of(root))
    assert (found.mem_total, found.mem_available) == (500 * KIB, 10 * KIB)


def test_a_limit_above_the_machine_bounds_nothing(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\n")
    put_v1(root, "/a", limit=10**9, usage=0)
    found = sample(reader_of(root))
    assert (found.mem_total, found.mem_available) == (1000 * KIB, 800 * KIB)


def test_on_v2_hard_and_throttle_limits_bound_and_the_root_has_none(root, reader_of):
    mounts(root, V2_MOUNT)
    put(root, "/proc/self/cgroup", "0::/user.slice/x.scope\n")
    put_v2(root, "/user.slice", limit=700 * KIB, high=400 * KIB, usage=150 * KIB, inactive=50 * KIB)
    put_v2(root, "/user.slice/x.scope", limit="max")
    found = sample(reader_of(root))
    assert (found.mem_total, found.mem_available) == (400 * KIB, 300 * KIB)


def test_on_a_hybrid_machine_the_v1_memory_hierarchy_counts(root, reader_of):
    unified = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
    mounts(root, V1_MOUNT, unified)
    (root / "sys/fs/cgroup/unified/a").mkdir(parents=True)
    put(root, "/proc/self/cgroup", "4:memory:/a\n0::/a\n")
    put_v1(root, "/a", limit=300 * KIB, usage=100 * KIB)
    assert sample(reader_of(root)).mem_available == 200 * KIB


@pytest.mark.parametrize(
    ("mounted", "own", "names"),
    [
        ("/docker/ab", "/docker/ab/job", ["", "/job"]),
        ("/docker/ab", "/docker/ab", [""]),
        ("/docker/ab", "/", [""]),
        ("/docker/ab", "/docker/abc", [""]),
        ("/", "/../other", [""]),
        ("/", "/", [""]),
    ],
)
def test_in_a_container_the_mounted_part_of_the_own_path_is_followed(root, reader_of, mounted, own, names):
    mounts(root, V1_MOUNT.replace(" / /sys", f" {mounted} /sys"))
    put(root, "/proc/self/cgroup", f"4:memory:{own}\n")
    for order, name in enumerate(names):
        put_v1(root, name, limit=(900 - order) * KIB)
    for not_above_us in ("/c", "/../other", "/docker"):
        put_v1(root, not_above_us, limit=5 * KIB)
    assert sample(reader_of(root)).mem_total == (900 - len(names) + 1) * KIB


def test_more_cache_than_usage_leaves_a_working_set_of_nothing(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\n")
    put_v1(root, "/a", limit=300 * KIB, usage=100 * KIB, inactive=101 * KIB)
    assert sample(reader_of(root)).mem_available == 300 * KIB


def test_usage_above_the_limit_leaves_nothing_and_never_less(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\n")
    put_v1(root, "/a", limit=300 * KIB, usage=301 * KIB)
    assert sample(reader_of(root)).mem_available == 0


@pytest.mark.parametrize("name", ["memory.usage_in_bytes", "memory.stat"])
@pytest.mark.parametrize("damage", ["missing", "garbage"])
def test_a_limit_whose_usage_cannot_be_read_makes_available_memory_unknown(root, reader_of, name, damage):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\n")
    put_v1(root, "/a", limit=300 * KIB)
    file = root / "sys/fs/cgroup/memory/a" / name
    file.unlink() if damage == "missing" else file.write_text("total_inactive_file x\n")
    found = sample(reader_of(root))
    assert (found.mem_total, found.mem_available) == (300 * KIB, None)


def test_unreadable_meminfo_stays_unknown_below_a_limit(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\n")
    put_v1(root, "/a", limit=300 * KIB)
    put(root, "/proc/meminfo", "SwapTotal: 3 kB\n")
    found = sample(reader_of(root))
    assert (found.mem_total, found.mem_available) == (None, None)


def test_a_limit_that_changes_is_seen_in_the_next_sample(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\n")
    put_v1(root, "/a", limit=300 * KIB)
    reader = reader_of(root)
    assert sample(reader).mem_total == 300 * KIB
    put_v1(root, "/a", limit=200 * KIB)
    assert sample(reader).mem_total == 200 * KIB


def test_a_limit_that_goes_is_unknown_once_and_then_no_bound(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\n")
    put_v1(root, "/a", limit=300 * KIB)
    reader = reader_of(root)
    sample(reader)
    put_v1(root, "/a", limit=NO_LIMIT)
    assert sample(reader).mem_total is None
    assert sample(reader).mem_total == 1000 * KIB
    assert not [path for path in open_descriptors(root) if "cgroup" in path]


def test_a_limit_that_comes_is_found_within_sixty_samples(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\n")
    put_v1(root, "/a", limit=NO_LIMIT)
    reader = reader_of(root)
    assert sample(reader).mem_total == 1000 * KIB
    put_v1(root, "/a", limit=300 * KIB)
    assert [sample(reader).mem_total for _ in range(60)][-1] == 300 * KIB


def test_a_move_to_another_cgroup_is_followed_within_sixty_samples(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\n")
    put_v1(root, "/a", limit=300 * KIB)
    put_v1(root, "/b", limit=200 * KIB)
    reader = reader_of(root)
    put(root, "/proc/self/cgroup", "4:memory:/b\n")
    assert [sample(reader).mem_total for _ in range(61)][-1] == 200 * KIB


def test_levels_without_a_limit_keep_no_descriptor(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\n")
    put_v1(root, "", limit=NO_LIMIT)
    put_v1(root, "/a", limit=NO_LIMIT)
    reader = reader_of(root)
    before = open_descriptors(root)
    sample(reader)
    assert not [path for path in open_descriptors(root) - before if "cgroup" in path]


def open_descriptors(root):
    """Return the paths below root that this process holds open."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if path.startswith(str(root)):
            found.add(path)
    return found


def test_a_closed_reader_holds_nothing_open_and_can_be_used_again(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\n")
    put_v1(root, "/a", limit=300 * KIB)
    reader = reader_of(root)
    for _ in range(130):
        sample(reader)
    assert len(open_descriptors(root)) == 9
    reader.close()
    assert not open_descriptors(root)
    assert sample(reader).mem_total == 300 * KIB


def test_effective_ram_is_bounded_as_a_sample_is(root, tmp_path_factory):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\n")
    put_v1(root, "/a", limit=300 * KIB)
    assert effective_ram(str(root)) == 300 * KIB
    assert effective_ram(str(tmp_path_factory.mktemp("empty"))) is None
    assert not open_descriptors(root)


def test_the_boot_id_is_read_or_refused(root):
    assert boot_id(str(root)) == "946b75f0-fa66-4417-b573-6503491f93f4"
    (root / "proc/sys/kernel/random/boot_id").unlink()
    with pytest.raises(JournalUnwritableError, match=r"boot_id: expected the id of this boot, found nothing"):
        boot_id(str(root))


def test_a_kept_file_is_read_whole_however_long_it_is(tmp_path):
    text = "x" * 16384 + "y" * 16384 + "end\n"
    (tmp_path / "long").write_text(text)
    file = KeptFile(str(tmp_path / "long"))
    assert file.read() == text
    assert file.read() == text
    file.close()


def test_a_kept_file_is_opened_once_and_anew_after_a_failure(tmp_path):
    path = tmp_path / "late"
    file = KeptFile(str(path))
    assert file.read() is None
    path.write_text("there\n")
    assert file.read() == "there\n"
    path.unlink()
    assert file.read() == "there\n"
    file.close()
    assert file.read() is None
    assert open_descriptors(tmp_path) == set()


def test_a_kept_file_on_a_directory_is_unreadable_and_leaks_nothing(tmp_path):
    file = KeptFile(str(tmp_path))
    assert file.read() is None
    assert open_descriptors(tmp_path) == set()


def test_a_path_that_cannot_exist_is_unreadable():
    assert KeptFile("/proc/\0").read() is None


def test_an_own_cgroup_that_cannot_exist_bounds_nothing(root, reader_of):
    mounts(root, V1_MOUNT)
    put(root, "/proc/self/cgroup", "4:memory:/a\0b\n")
    assert sample(reader_of(root)).mem_available == 800 * KIB


def test_an_empty_file_is_empty_text_and_not_unknown(tmp_path):
    (tmp_path / "empty").touch()
    assert read_text(str(tmp_path / "empty")) == ""
    assert read_text(str(tmp_path / "missing")) is None


def test_a_kernel_file_of_many_records_is_read_to_its_end():
    """One read of /proc/self/maps gives a page at most, however large the buffer is."""
    file = KeptFile("/proc/self/maps")
    text = file.read() or ""
    file.close()
    assert len(text) > 4096
    assert "[stack]" in text


def test_this_machine_gives_a_sample_without_unknowns_but_its_pressure(reader_of):
    found = sample(reader_of("/"), count_processes=True)
    pressure = {"psi_memory", "psi_io", "psi_cpu"}
    assert {name for name, value in found._asdict().items() if value is None} <= pressure
    assert 0 < found.mem_available <= found.mem_total
    assert found.processes >= 2


def memory_cgroup():
    """Return the own v1 memory cgroup's directory, or skip with the reason."""
    own = [line for line in Path("/proc/self/cgroup").read_text().splitlines() if ":memory:" in line]
    if not own:
        pytest.skip("no v1 memory hierarchy here")
    directory = Path("/sys/fs/cgroup/memory" + own[0].split(":", 2)[2])
    if not os.access(directory, os.W_OK):
        pytest.skip("no right to make a cgroup below the own one")
    return directory


@pytest.mark.real
def test_inside_a_real_limited_cgroup_ram_is_the_limit_and_available_memory_what_is_left():
    directory = memory_cgroup() / f"steadyrun-test-{random.randrange(2**48):012x}"
    script = (
        "import os, sys\n"
        f"open({str(directory / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
        "from steadyrun.kernel.reader import HostReader\n"
        "found = HostReader().sample(at=0.0, wall=0.0)\n"
        "block = bytearray(os.urandom(1)) * (20 * 2**20)\n"
        "after = HostReader().sample(at=0.0, wall=0.0)\n"
        "print(found.mem_total, found.mem_available, after.mem_available)\n"
    )
    try:
        directory.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        (directory / "memory.limit_in_bytes").write_text(str(64 * MIB))
        child = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
        )
        total, available, after = map(int, child.stdout.split())
    finally:
        directory.rmdir()
    assert total == 64 * MIB
    assert 30 * MIB < available <= 64 * MIB
    assert 19 * MIB < available - after < 22 * MIB


def test_a_file_of_one_record_is_read_once_and_one_that_fills_the_buffer_to_its_end(tmp_path, monkeypatch):
    reads = []
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda *args: reads.append(args[2]) or real(*args))
    path = tmp_path / "file"
    for text, at in (("short\n", [0]), ("x" * 16384 + "end", [0, 16384, 16387])):
        path.write_text(text)
        reads.clear()
        file = KeptFile(str(path), one_record=True)
        assert file.read() == text
        file.close()
        assert reads == at
