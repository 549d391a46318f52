"""OOM kills in a containment, told apart by whose limit the victims died at; in files as the kernel's."""

import pytest

from steadyrun.contain.cgroup1_counters import LegacyCounters
from steadyrun.contain.cgroupfs import CgroupDirectory
from steadyrun.contain.unified_counters import UnifiedCounters

EVENTS = "low 0\nhigh 0\nmax 9\noom {oom}\noom_kill {kills}\noom_group_kill 0\n"


def told(counters):
    sample = counters.sample(0.0, frozen=None)
    counters.close()
    return sample.oom_kills, sample.kills_at_limit


@pytest.mark.parametrize(
    ("kills", "met", "found"),
    [
        (0, 0, (0, 0)),
        (2, 1, (2, 2)),
        (2, 0, (2, 0)),  # at a limit below, or above
        (2, None, (2, 2)),  # an older kernel does not tell
    ],
)
def test_unified_a_kill_is_ours_when_our_own_limit_was_met(tmp_path, kills, met, found):
    (tmp_path / "memory.events").write_text(EVENTS.format(oom=1, kills=kills))
    if met is not None:
        (tmp_path / "memory.events.local").write_text(EVENTS.format(oom=met, kills=0))
    held = CgroupDirectory(str(tmp_path))
    assert told(UnifiedCounters(held)) == found
    held.close()


@pytest.mark.parametrize(
    ("own", "below", "failcnt", "memsw", "found"),
    [
        (1, 0, "0", "0", (1, 1)),
        (0, 1, "0", "0", (1, 1)),  # nothing below has a limit that was met: it was ours
        (0, 1, "7", "0", (1, 0)),
        (0, 1, "0", "7", (1, 0)),
        (1, 1, "7", "0", (2, 1)),
    ],
)
def test_legacy_a_victim_below_is_ours_when_nothing_there_met_its_own_limit(
    tmp_path, own, below, failcnt, memsw, found
):
    for directory, kills in ((tmp_path, own), (tmp_path / "inner", below)):
        directory.mkdir(exist_ok=True)
        text = f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n"
        (directory / "memory.oom_control").write_text(text)
    (tmp_path / "inner" / "memory.failcnt").write_text(f"{failcnt}\n")
    (tmp_path / "inner" / "memory.memsw.failcnt").write_text(f"{memsw}\n")
    held = CgroupDirectory(str(tmp_path))
    assert told(LegacyCounters({"memory": held}, None)) == found
    held.close()
