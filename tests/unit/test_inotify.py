"""What comes into a folder is told once, and nothing else is."""

import os

import pytest

from steadyrun.kernel.inotify import Arrivals


def test_a_new_name_and_one_that_is_moved_there_are_told_and_forgotten(tmp_path):
    inside, beside = tmp_path / "inside", tmp_path / "beside"
    inside.mkdir()
    beside.write_text("")
    with Arrivals([str(inside)]) as arrivals:
        assert not arrivals.wait(0)
        (inside / "new").write_text("")
        assert arrivals.wait(5)
        assert not arrivals.wait(0)
        os.rename(beside, inside / "moved")
        assert arrivals.wait(5)
        (inside / "new").write_text("changed")
        (inside / "new").unlink()
        assert not arrivals.wait(0)


def test_a_new_terminal_is_told():
    with Arrivals(["/dev/pts"]) as arrivals:
        ends = os.openpty()
        assert arrivals.wait(5)
        for end in ends:
            os.close(end)


def test_a_folder_that_is_not_there_is_named_and_no_descriptor_is_left(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError) as caught:
        Arrivals([str(tmp_path), str(tmp_path / "none")])
    assert caught.value.filename == str(tmp_path / "none")
    assert len(os.listdir("/proc/self/fd")) == before
