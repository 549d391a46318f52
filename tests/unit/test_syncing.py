"""The newest readings reach the disk soon, and nobody waits for a disk that does not take them."""

import os
import threading

from journal_values import a_header, opened

from steadyrun.journal.syncing import LogSync

PATIENCE_S = 10.0


class Disk:
    """Notes what is synced; stalls while it is told to."""

    def __init__(self):
        self.synced, self.goes_on, self.was_asked = [], threading.Event(), threading.Event()
        self.goes_on.set()

    def sync(self, descriptor):
        self.was_asked.set()
        self.goes_on.wait(PATIENCE_S)
        self.synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), os.fstat(descriptor).st_size))


def wait_for(disk, count):
    for _ in range(1000):
        if len(disk.synced) >= count:
            return
        disk.was_asked.wait(0.01)
        disk.was_asked.clear()
    raise AssertionError(disk.synced)


def test_what_was_written_before_it_was_asked_is_synced(tmp_path):
    disk = Disk()
    with opened(tmp_path) as journal:
        journal.begin_run(a_header())
        sync = LogSync(journal.path, every_s=0.0, sync=disk.sync)
        before = os.stat(f"{journal.path}-wal").st_size
        journal.add_samples("r1", 1, [(n, 1.0, {"text": "x" * 1000}) for n in range(20)])
        sync.ask()
        wait_for(disk, 1)
        sync.close()
    path, size = disk.synced[0]
    assert path == f"{journal.path}-wal"
    assert size > before


def test_a_disk_that_stalls_holds_up_nobody_and_asking_often_syncs_once_more(tmp_path):
    disk = Disk()
    disk.goes_on.clear()
    with opened(tmp_path) as journal:
        journal.begin_run(a_header())
        sync = LogSync(journal.path, every_s=0.0, sync=disk.sync)
        sync.ask()
        assert disk.was_asked.wait(PATIENCE_S)
        for _ in range(1000):
            sync.ask()
        assert disk.synced == []
        disk.goes_on.set()
        wait_for(disk, 2)
        sync.close()
    assert len(disk.synced) == 2


def test_without_a_log_there_is_nothing_to_sync_and_no_error(tmp_path):
    disk = Disk()
    sync = LogSync(str(tmp_path / "nothing.db"), every_s=0.0, sync=disk.sync)
    sync.ask()
    sync.close()
    assert disk.synced == []
