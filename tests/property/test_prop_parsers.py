"""Any text parses or raises FormatError with its source; any bytes can be read."""

import os
import tempfile
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steadyrun.errors import FormatError
from steadyrun.kernel import cgroupfiles, meminfo, mountinfo, pastlog, proc, psi
from steadyrun.kernel.reader import KeptFile

PARSERS = [
    psi.parse_psi,
    psi.parse_psi_avg60,
    pastlog.parse_journal,
    meminfo.parse_meminfo,
    proc.parse_loadavg,
    proc.parse_vmstat,
    proc.parse_stat_btime,
    partial(proc.parse_stat_cpus, cpus={0}),
    proc.parse_pid_stat,
    proc.parse_os_release,
    mountinfo.parse_cgroup_mounts,
    cgroupfiles.parse_flat,
    cgroupfiles.parse_limit,
    cgroupfiles.parse_count,
    cgroupfiles.parse_blkio_bytes,
    cgroupfiles.parse_io_stat,
    cgroupfiles.parse_proc_cgroup,
    cgroupfiles.parse_cpu_max,
    cgroupfiles.parse_io_max,
    cgroupfiles.parse_io_weight,
]
TRUE_TEXTS = [
    "some avg10=0.09 avg60=0.13 avg300=0.21 total=8217649\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "MemTotal:       24684092 kB\nMemAvailable:   24440936 kB\nSwapTotal:   0 kB\nSwapFree:   0 kB\n",
    "0.20 0.18 0.12 1/80 11206\n",
    "nr_free_pages 6120731\npswpin 0\npswpout 0\noom_kill 0\n",
    "cpu  1 2 3\nbtime 1762530561\n",
    "cpu0 60 10 20 400 30 1 1 3 30 0\n",
    "42 (a b) S 1 42 41 0 -1 4194560 39186 354457 0 145 124 460 1076 747 20 0 14 0 2525 51253248 4148\n",
    'NAME="Debian GNU/Linux"\nID=debian\n',
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n",
    "8:0 Read 4096\n8:0 Write 512\nTotal 4608\n",
    "8:0 rbytes=10 wbytes=20 rios=1 wios=2\n",
    "4:memory:/user.slice\n0::/\n",
    "9223372036854771712\n",
    "max\n",
    '{"__REALTIME_TIMESTAMP":"1700000000000000","MESSAGE":"BUG: x"}\n',
    "max 100000\n",
    "8:16 rbps=2097152 wbps=max riops=max wiops=120\n",
    "default 100\n8:0 200\n",
]
PIECES = st.sampled_from(
    [" ", "\n", ":", "=", "-", "0", "9" * 21, "٣", "\udc80", "\x00", "(", ")", "/", "\\", "kB"]
)


@st.composite
def damaged_texts(draw):
    """Texts of the kernel with a piece cut out and another put in."""
    text = draw(st.sampled_from(TRUE_TEXTS))
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 12)))
    return text[:start] + draw(st.just("") | PIECES | st.text(max_size=3)) + text[end:]


def refusal(parse, text):
    """Return the message of the FormatError that parsing raises, `None` where it does not."""
    try:
        parse(text, source="THE SOURCE")
    except FormatError as error:
        return error.message
    return None


def parses_or_refuses(parse, text):
    message = refusal(parse, text)
    if message is not None:
        assert message.startswith("THE SOURCE: expected ")
        assert ", found " in message
        assert len(message) < 500


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.one_of(damaged_texts(), st.text()))
@example(text="9" * 5000)
@example(text="")
@example(text="\n")
def test_any_text_parses_or_is_refused_with_its_source(parse, text):
    parses_or_refuses(parse, text)


@pytest.mark.parametrize("parse", PARSERS)
def test_each_true_text_is_understood_by_at_least_its_own_parser(parse):
    understood = sum(refusal(parse, text) is None for text in TRUE_TEXTS)
    assert 1 <= understood < len(TRUE_TEXTS)


@given(st.binary(max_size=300))
def test_any_bytes_of_a_file_are_read_and_then_parse_or_are_refused(data):
    with tempfile.NamedTemporaryFile() as file:
        os.write(file.fileno(), data)
        kept = KeptFile(file.name)
        text = kept.read()
        kept.close()
    assert text is not None
    assert text.encode("utf-8", "surrogateescape") == data
    for parse in PARSERS:
        parses_or_refuses(parse, text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=15))
def test_the_name_of_a_process_never_moves_its_start_time(comm):
    tail = "S 1 42 41 0 -1 0 0 0 0 145 124 0 0 0 20 0 14 0 2525"
    found = proc.parse_pid_stat(f"42 ({comm}) {tail}")
    assert (found.comm, found.start_ticks) == (comm, 2525)


@given(st.text(min_size=1, max_size=12).filter(lambda t: "\\" not in t and not set(t) & set(" \t\n-\r")))
def test_an_escaped_mount_point_comes_back(name):
    path = f"/a {name}\tb\\c\n"
    escaped = "".join(f"\\{ord(c):03o}" if c in " \t\n\\" else c for c in path)
    (mount,) = mountinfo.parse_cgroup_mounts(f"1 2 0:3 / {escaped} rw - cgroup2 none rw\n")
    assert mount.path == path
