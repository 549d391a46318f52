"""/proc/meminfo and the other small files of /proc."""

import pytest

from steadyrun.errors import FormatError
from steadyrun.kernel.meminfo import MemInfo, parse_meminfo
from steadyrun.kernel.proc import (
    LoadAvg,
    PidStat,
    VmStat,
    parse_loadavg,
    parse_os_release,
    parse_pid_stat,
    parse_stat_btime,
    parse_stat_cpus,
    parse_vmstat,
)
from steadyrun.model.sample import CpuTimes

MEMINFO = """MemTotal:       24684092 kB
MemFree:        24530268 kB
MemAvailable:   24440936 kB
SwapCached:            7 kB
SwapTotal:          2048 kB
SwapFree:           1024 kB
HugePages_Total:       0
"""
STAT = """cpu  100 10 50 800 40 1 2 7 30 0
cpu0 60 10 20 400 30 1 1 3 30 0
cpu1 40 0 30 400 10 0 1 4 0 0
cpu10 1 1 1 1 1 1 1 1 0 0
intr 99
btime 1700000000
"""
STAT_TAIL = "S 1 42 41 0 -1 4194560 39186 354457 0 145 124 460 1076 747 20 0 14 0 2525 51253248 4148 0 1"


def test_meminfo_gives_bytes():
    assert parse_meminfo(MEMINFO) == MemInfo(24684092 * 1024, 24440936 * 1024, 2048 * 1024, 1024 * 1024)


def test_a_line_that_meminfo_lacks_is_unknown_and_swap_cached_is_not_swap():
    old = "MemTotal: 100 kB\nSwapCached: 7 kB\n"
    assert parse_meminfo(old) == MemInfo(102400, None, None, None)


def test_the_last_line_of_meminfo_needs_no_newline():
    assert parse_meminfo("MemTotal: 100 kB\nSwapFree: 3 kB").swap_free == 3072


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MemFree: 3 kB\n",
        "MemTotal: many kB\n",
        "MemTotal: -3 kB\n",
        "MemTotal: 3\n",
        "MemTotal: 3 MB\n",
        "MemTotal:\n 3 kB\n",
        "x MemTotal: 3 kB\n",
    ],
)
def test_meminfo_of_another_form_is_refused(text):
    with pytest.raises(FormatError, match=r"^/proc/meminfo: expected a line such as 'MemTotal"):
        parse_meminfo(text)


def test_loadavg_gives_averages_and_counts_of_tasks():
    assert parse_loadavg("36.01 15.20 3.12 91/880 11206\n") == LoadAvg(36.01, 15.2, 3.12, 91, 880)


@pytest.mark.parametrize(
    "text", ["", "1 2 3", "0.1 0.2 0.3 1-80 5", "0.1 0.2 x 1/80 5", "-1 0 0 1/2 3", "inf 0 0 1/2 3"]
)
def test_loadavg_of_another_form_is_refused(text):
    with pytest.raises(FormatError, match=r"^/proc/loadavg: expected a line such as"):
        parse_loadavg(text)


def test_vmstat_gives_the_paging_counters_and_not_those_with_longer_names():
    text = "nr_free_pages 6120731\npswpin 12\npswpout 34\npswpin_x 9\noom_kill 5\nballoon_inflate 0\n"
    assert parse_vmstat(text) == VmStat(12, 34, 5)


def test_a_kernel_without_swap_or_oom_counters_leaves_them_unknown():
    assert parse_vmstat("nr_free_pages 6120731\n") == VmStat(None, None, None)


def test_vmstat_adds_what_kswapd_and_those_who_need_memory_scanned_and_got():
    text = "pgsteal_kswapd 5\npgsteal_direct 6\npgscan_kswapd 70\npgscan_direct 8\npgscan_anon 99\n"
    assert parse_vmstat(text) == VmStat(None, None, None, 78, 11)
    assert parse_vmstat("pgscan_kswapd 70\n").scanned is None


@pytest.mark.parametrize("text", ["", "pswpin x\n", "nonsense\n", "a 1\npswpout -1\n", "oom_kill\n"])
def test_vmstat_of_another_form_is_refused(text):
    with pytest.raises(FormatError, match=r"^/proc/vmstat: expected "):
        parse_vmstat(text)


def test_the_boot_time_stands_among_the_lines_of_stat():
    assert parse_stat_btime("cpu  1 2 3\nctxt 99\nbtime 1762530561\nprocesses 5\n") == 1762530561.0


@pytest.mark.parametrize("text", ["", "cpu 1 2\n", "btime soon\n"])
def test_a_stat_without_boot_time_is_refused(text):
    with pytest.raises(FormatError, match=r"^/proc/stat: expected "):
        parse_stat_btime(text)


@pytest.mark.parametrize(
    "comm", ["bash", "a b", "a) S 9 (b", "((sd-pam))", "", ")", "new\nline", "kworker/0:1-ev"]
)
def test_the_name_of_a_process_may_hold_anything(comm):
    found = parse_pid_stat(f"42 ({comm}) {STAT_TAIL}\n")
    assert found == PidStat(42, comm, "S", 1, 42, 41, 124, 460, 2525)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "42 (name S 1 2 3",
        "x (name) " + STAT_TAIL,
        "42 (name) " + " ".join(STAT_TAIL.split()[:19]),
        "42 (name) " + STAT_TAIL.replace("S 1", "S one"),
        "42 (name) " + STAT_TAIL.replace("S 1", "Sleep 1"),
        "42 (name) " + STAT_TAIL.replace("2525", "-1"),
    ],
)
def test_a_process_line_of_another_form_is_refused(text):
    with pytest.raises(FormatError, match=r"^/proc/42/stat: expected a line such as"):
        parse_pid_stat(text, source="/proc/42/stat")


def test_twenty_two_fields_are_enough_for_a_process():
    assert parse_pid_stat("1 (init) " + " ".join(STAT_TAIL.split()[:20])).start_ticks == 2525


def test_os_release_loses_quotes_comments_and_escapes():
    text = (
        "# a comment = with equals\n\nNAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID='12'\n"
        'PRETTY_NAME="A \\"quoted\\" \\$name \\\\ end"\nEMPTY=\nONE="\nstray line\n'
    )
    assert parse_os_release(text) == {
        "NAME": "Debian GNU/Linux",
        "ID": "debian",
        "VERSION_ID": "12",
        "PRETTY_NAME": 'A "quoted" $name \\ end',
        "EMPTY": "",
        "ONE": '"',
    }


def test_an_escaped_backslash_does_not_escape_what_follows():
    assert parse_os_release('NAME="a\\\\\\"b"')["NAME"] == 'a\\"b'
    assert parse_os_release('NAME="a\\\\$b"')["NAME"] == "a\\$b"
    assert parse_os_release('NAME="tab\\t"')["NAME"] == "tab\\t"


@pytest.mark.parametrize("text", ["", "# nothing\n", "no assignment", "1=2\n"])
def test_an_os_release_that_assigns_nothing_is_refused(text):
    with pytest.raises(FormatError, match=r"^/etc/os-release: expected lines such as"):
        parse_os_release(text)


def test_the_cpus_that_are_asked_for_are_summed_up_with_waits_for_a_disk_as_idle_and_guests_once():
    assert parse_stat_cpus(STAT, cpus={0, 1}) == CpuTimes(2, 840, 1010)
    assert parse_stat_cpus(STAT, cpus={1}) == CpuTimes(1, 410, 485)


def test_a_cpu_that_is_offline_is_not_counted():
    assert parse_stat_cpus(STAT, cpus=range(4)).cpus == 2


def test_a_kernel_that_counts_less_is_read_as_far_as_it_counts():
    assert parse_stat_cpus("cpu0 1 2 3 4\n", cpus={0}) == CpuTimes(1, 4, 10)


@pytest.mark.parametrize(
    "text", ["", "cpu 1 2 3 4\n", "cpu0 1 2 3\n", "cpu0 1 2 x 4\n", "cpu0 1 2 3 -4\n", STAT]
)
def test_processor_times_of_another_form_are_refused(text):
    with pytest.raises(FormatError, match=r"^/proc/stat: expected a line such as 'cpu0"):
        parse_stat_cpus(text, cpus={0} if text is not STAT else {7})
