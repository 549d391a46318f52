"""The kernel's log: which records tell of an OOM kill, and of whose memory it was."""

import pytest

from steadyrun.kernel.kmsg import KernelLog, parse_oom_kill
from steadyrun.model.oom import OomKill

AT_LIMIT = (
    "3,14276,3392067696,-;Memory cgroup out of memory: Killed process 10722 (python3) total-vm:274592kB, "
    "anon-rss:3584kB, file-rss:5716kB, shmem-rss:61440kB, UID:0 pgtables:188kB oom_score_adj:1000"
)
OF_THE_MACHINE = "3,9,77,-;Out of memory: Killed process 812 (gnome-shell) total-vm:1kB, anon-rss:1kB"
ALLOCATING = "3,9,77,c;Out of memory (oom_kill_allocating_task): Killed process 7 (a (b) c) total-vm:1kB"


@pytest.mark.parametrize(
    ("record", "kill"),
    [
        (AT_LIMIT, OomKill(10722, "python3", at_limit=True)),
        (OF_THE_MACHINE, OomKill(812, "gnome-shell", at_limit=False)),
        (ALLOCATING, OomKill(7, "a (b) c", at_limit=False)),
        (AT_LIMIT + "\n SUBSYSTEM=memory\n", OomKill(10722, "python3", at_limit=True)),
    ],
)
def test_a_kill_is_read_with_its_victim_and_whose_memory_it_was(record, kill):
    assert parse_oom_kill(record) == kill


@pytest.mark.parametrize(
    "record",
    [
        "",
        "4,14277,3507492839,-;python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0",
        "6,14362,1,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=python3,pid=11896,uid=0",
        "12,1,1,-;a user wrote; Out of memory: Killed process 1 (init) total-vm",
        "Out of memory: Killed process 1 (init) total-vm:1kB",
        "3,9,77,-;Killed process 812 (gnome-shell) total-vm:1kB",
    ],
)
def test_other_records_tell_of_none(record):
    assert parse_oom_kill(record) is None


def test_a_log_that_cannot_be_read_tells_nothing_rather_than_no_kill(tmp_path):
    log = KernelLog(str(tmp_path / "kmsg"))
    assert log.new_kills() is None
    log.close()


def test_only_what_came_after_the_beginning_is_told_and_once(tmp_path):
    path = tmp_path / "kmsg"
    path.write_text(AT_LIMIT)
    log = KernelLog(str(path))
    assert log.new_kills() == ()
    with path.open("a") as file:
        file.write(OF_THE_MACHINE)
    assert log.new_kills() == (OomKill(812, "gnome-shell", at_limit=False),)
    assert log.new_kills() == ()
    log.close()
    assert log.new_kills() is None
