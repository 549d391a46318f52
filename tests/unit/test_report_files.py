"""Files are replaced whole or not at all, with the rights of their owner, and a stalled disk stops nobody."""

import errno
import json
import os
import stat
import threading
import time
from pathlib import Path

import pytest
import records

from steadyrun.errors import SteadyrunError
from steadyrun.report.files import ReportUnwritableError, expect_room, prepare_folder, write_atomic
from steadyrun.report.rights import rights_of
from steadyrun.report.writer import ReportWriter

NOBODY = (65534, 65534)
GROUPS = os.getgroups()  # before any test changed this thread's
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act with another user's rights")


@pytest.fixture
def open_tmp(tmp_path):
    """A folder that other users can reach; pytest keeps its own for one user."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    return tmp_path


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_whole(tmp_path, durable):
    path = tmp_path / "PROGRESS.md"
    write_atomic(str(path), "old", durable=durable)
    write_atomic(str(path), "new ✅ \udce9", durable=durable)
    assert path.read_text(encoding="utf-8") == "new ✅ \\udce9"
    assert os.listdir(tmp_path) == ["PROGRESS.md"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "PROGRESS.md"
    write_atomic(str(path), "old", durable=True)

    def full(descriptor, data):
        with open("/dev/full", "wb", buffering=0) as disk:
            return disk.write(data)

    monkeypatch.setattr("steadyrun.report.files.write_all", full)
    with pytest.raises(SteadyrunError, match=r"PROGRESS\.md: expected to write .* No space left") as caught:
        write_atomic(str(path), "new", durable=True)
    assert caught.value.hint == f"df -h {tmp_path}"
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["PROGRESS.md"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ReportUnwritableError, match="no-such/x: expected to write the report"):
        write_atomic(str(tmp_path / "no-such" / "x"), "text", durable=False)


def test_a_link_at_the_name_is_replaced_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "PROGRESS.md").symlink_to(victim)
    write_atomic(str(tmp_path / "PROGRESS.md"), "page", durable=False)
    assert victim.read_text() == "mine"
    assert not (tmp_path / "PROGRESS.md").is_symlink()


def test_latest_points_at_the_newest_run(tmp_path):
    base = str(tmp_path / "steadyrun-report")
    first, second = prepare_folder(base, "run"), prepare_folder(base, "run")
    assert (os.path.basename(first), os.path.basename(second)) == ("run", "run-2")
    assert os.readlink(os.path.join(base, "latest")) == "run-2"
    assert sorted(os.listdir(base)) == ["latest", "run", "run-2"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "latest"])
def test_a_folder_name_cannot_lead_elsewhere(tmp_path, name):
    with pytest.raises(ReportUnwritableError, match="expected a plain name"):
        prepare_folder(str(tmp_path), name)


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ReportUnwritableError, match="taken") as caught:
        prepare_folder(str(tmp_path / "taken"), "run")
    assert "--report" in caught.value.hint


def test_whether_a_folder_can_be_made_is_seen_without_making_it(tmp_path):
    expect_room(str(tmp_path / "new/below"))
    expect_room(str(tmp_path))
    (tmp_path / "taken").write_text("")
    with pytest.raises(
        ReportUnwritableError, match=r"taken/below: expected a folder .* found .*taken, which is none"
    ):
        expect_room(str(tmp_path / "taken/below"))
    assert os.listdir(tmp_path) == ["taken"]


@needs_root
def test_whether_a_user_may_write_there_is_asked_with_the_users_rights(open_tmp):
    private = open_tmp / "private"
    private.mkdir(mode=0o755)
    expect_room(str(private / "new"))
    with pytest.raises(ReportUnwritableError, match="no permission to write") as caught:
        expect_room(str(private / "new"), owner=NOBODY)
    assert caught.value.exit_code == 74


@needs_root
def test_a_root_only_folder_is_refused_to_a_user(open_tmp):
    private = open_tmp / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(ReportUnwritableError, match="Permission denied"):
        prepare_folder(str(private), "run", owner=NOBODY)
    with pytest.raises(ReportUnwritableError, match="Permission denied"), rights_of(NOBODY):
        write_atomic(str(private / "page"), "text", durable=False)
    assert os.listdir(private) == []


@needs_root
def test_a_link_planted_by_a_user_does_not_lead_root_out(open_tmp):
    private, base = open_tmp / "private", open_tmp / "theirs"
    private.mkdir(mode=0o700)
    base.mkdir()
    os.chown(base, *NOBODY)
    (base / "steadyrun-report").symlink_to(private)
    with pytest.raises(ReportUnwritableError):
        prepare_folder(str(base / "steadyrun-report"), "run", owner=NOBODY)
    assert os.listdir(private) == []


@needs_root
def test_a_folder_open_to_roots_group_alone_is_refused(open_tmp):
    shared = open_tmp / "shared"
    shared.mkdir()
    shared.chmod(0o770)
    with pytest.raises(ReportUnwritableError):
        prepare_folder(str(shared), "run", owner=NOBODY)


@needs_root
def test_rights_come_back_and_other_threads_keep_theirs(open_tmp):
    secret = open_tmp / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    seen, go = [], threading.Event()
    other = threading.Thread(target=lambda: (go.wait(20), seen.append((secret.read_text(), os.getgroups()))))
    other.start()  # before: a thread started inside would inherit the rights
    with rights_of(NOBODY):
        with pytest.raises(PermissionError):
            secret.read_text()
        assert os.getgroups() == [65534]
        go.set()
        other.join()
    assert seen == [("root's", GROUPS)]
    assert os.getgroups() == GROUPS


@needs_root
def test_rights_come_back_after_a_failure(open_tmp):
    with pytest.raises(RuntimeError), rights_of(NOBODY):
        raise RuntimeError
    (open_tmp / "mine").write_text("")
    assert (open_tmp / "mine").stat().st_uid == 0


@needs_root
def test_what_is_written_for_a_user_is_theirs(open_tmp):
    base = open_tmp / "theirs"
    base.mkdir()
    os.chown(base, *NOBODY)
    folder = prepare_folder(str(base / "steadyrun-report"), "run", owner=NOBODY)
    writer = ReportWriter(folder, owner=NOBODY)
    writer.submit(records.passed())
    assert writer.close(timeout=20)
    for path in (
        folder,
        os.path.join(folder, "PROGRESS.md"),
        os.path.join(base, "steadyrun-report", "latest"),
    ):
        assert os.lstat(path)[stat.ST_UID] == NOBODY[0]


def test_a_flush_returns_when_both_files_are_on_disk(tmp_path):
    writer = ReportWriter(str(tmp_path), every=3600.0)
    writer.submit(records.halfway())
    writer.submit(records.passed())
    assert writer.flush(timeout=20)
    assert "SUCCESS" in (tmp_path / "PROGRESS.md").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["phases_passed"] == 5
    assert writer.flush(timeout=0)
    assert writer.close()


def test_a_stalled_disk_lets_the_ramp_go_on_and_is_said_once():
    stall, found = threading.Event(), []
    writer = ReportWriter("/nowhere", on_trouble=found.append, write=lambda *_, **__: stall.wait(20))
    writer.submit(records.just_begun())
    assert writer.flush(timeout=0.05) is False
    writer.submit(records.halfway())
    assert writer.flush(timeout=0.05) is False
    assert [f.code for f in found] == ["report-not-written"]
    assert "within 0.05 s" in found[0].evidence
    stall.set()
    assert writer.flush(timeout=20) is True
    writer.close()


def test_a_disk_that_fails_is_a_finding_and_a_later_record_is_tried_again(tmp_path):
    failing, found = [True], []

    def write(path, text, *, durable):
        if failing:
            raise ReportUnwritableError(
                f"{path}: expected to write the report, found {os.strerror(errno.EIO)}"
            )
        write_atomic(path, text, durable=durable)

    writer = ReportWriter(str(tmp_path), on_trouble=found.append, write=write, every=0.0)
    began = time.monotonic()
    writer.submit(records.just_begun())
    assert writer.flush(timeout=20) is False
    assert writer.flush(durable=False, timeout=20) is False
    assert time.monotonic() - began < 15  # a failure ends the wait, not the deadline
    assert len(found) == 1
    assert "Input/output error" in found[0].evidence
    failing.clear()
    writer.submit(records.passed())
    assert writer.flush(timeout=20) is True
    assert "SUCCESS" in (tmp_path / "PROGRESS.md").read_text()
    writer.close()


def test_a_bug_in_rendering_is_a_finding_and_not_the_ramps_end(tmp_path):
    found = []
    writer = ReportWriter(str(tmp_path), on_trouble=found.append)
    writer.submit(records.passed()._replace(header=None))
    assert writer.flush(timeout=20) is False
    assert "could not be rendered" in found[0].evidence
    writer.close()


def test_nothing_submitted_is_nothing_to_wait_for(tmp_path):
    writer = ReportWriter(str(tmp_path))
    assert writer.flush(timeout=0)
    assert writer.close()
    assert os.listdir(tmp_path) == []
