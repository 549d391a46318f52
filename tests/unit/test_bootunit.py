"""The unit that resumes after a boot: its text, its place, written whole and removed only as written."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from steadyrun.cli import ramp_lasting
from steadyrun.errors import SteadyrunError, UsageError
from steadyrun.model.execline import command_line
from steadyrun.ramp.bootunit import Resuming, boot_unit
from steadyrun.recovery.lasting import remove_boot_unit, write_boot_unit

HOSTILE = 'a b"c\\d%h$HOME'


def a_unit(home, **changes):
    resuming = Resuming(
        ("/opt/steadyrun",), ("--report", "/r p"), str(home), {"HOME": str(home), "PATH": "/bin"}
    )
    return boot_unit(resuming._replace(**changes), euid=1000)


def test_a_users_unit_goes_on_with_the_last_ramp_and_cleans_up(tmp_path):
    unit = a_unit(tmp_path)
    assert unit.path == f"{tmp_path}/.config/systemd/user/steadyrun-resume.service"
    assert unit.link == f"{tmp_path}/.config/systemd/user/default.target.wants/steadyrun-resume.service"
    lines = dict(line.split("=", 1) for line in unit.text.splitlines() if "=" in line)
    assert shlex.split(lines["ExecStart"])[:3] == ["/opt/steadyrun", "ramp", "--resume"]
    assert shlex.split(lines["ExecStart"])[-2:] == ["--report", "/r p"]
    assert shlex.split(lines["ExecStopPost"]) == ["/opt/steadyrun", "recover"]
    assert lines["WantedBy"] == "default.target"
    assert lines["SuccessExitStatus"] == "1 5 6", "answers of a ramp, no faults of a service"
    assert f'Environment="HOME={tmp_path}"' in unit.text


def test_roots_unit_is_the_systems(tmp_path):
    unit = boot_unit(Resuming(("/opt/steadyrun",), (), "/", {}), euid=0)
    assert unit.path == "/etc/systemd/system/steadyrun-resume.service"
    assert unit.link == "/etc/systemd/system/multi-user.target.wants/steadyrun-resume.service"


def test_words_are_quoted_as_systemd_reads_them():
    assert command_line(("x", HOSTILE)) == '"x" "a b\\"c\\\\d%%h$$HOME"'


@pytest.mark.parametrize("bad", ["a\nExecStart=/bin/evil", "a\x7f", "a\tb"])
def test_what_a_unit_file_cannot_hold_is_refused(bad, tmp_path):
    with pytest.raises(UsageError, match="control characters"):
        a_unit(tmp_path, options=(bad,))
    with pytest.raises(UsageError, match="control characters"):
        a_unit(tmp_path, cwd=bad)


CLOSED = ["back\\", "two\\\\", "space "]
"""Names whose last character means something there (systemd.syntax(7)): join the next line, take it off."""


@pytest.mark.parametrize("last", CLOSED)
def test_the_folder_it_runs_in_keeps_its_last_character_and_its_line(last, tmp_path):
    folder = tmp_path / last
    folder.mkdir()
    lines = a_unit(tmp_path, cwd=str(folder)).text.splitlines()
    (line,) = [each for each in lines if each.startswith("WorkingDirectory=")]
    assert line == line.strip()
    assert not line.endswith("\\")
    assert os.path.samefile(line.partition("=")[2], folder)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("last", ["plain", "per%cent", *CLOSED])
def test_systemd_reads_a_unit_with_such_a_folder(last, tmp_path):
    unit = tmp_path / "steadyrun-resume.service"
    resuming = Resuming(("/bin/true",), (), str(tmp_path / last), {})  # ExecStart= is the next line then
    unit.write_text(boot_unit(resuming, euid=0).text)
    line = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_home_there_is_no_place_for_it():
    with pytest.raises(UsageError, match="HOME"):
        boot_unit(Resuming(("/x",), (), "/", {}), euid=1000)


def test_it_is_written_enabled_and_removed_with_every_folder_it_needed(tmp_path):
    unit = a_unit(tmp_path)
    write_boot_unit(unit)
    write_boot_unit(unit)  # a second time changes nothing
    with open(unit.link) as file:
        assert file.read() == unit.text
    assert [name for name in os.listdir(os.path.dirname(unit.path)) if name.endswith(".part")] == []
    assert remove_boot_unit(unit) == f"removed {unit.path}"
    assert os.listdir(tmp_path) == []
    assert remove_boot_unit(unit) == ""


def test_folders_that_hold_somebody_elses_files_stay(tmp_path):
    unit = a_unit(tmp_path)
    write_boot_unit(unit)
    other = os.path.join(os.path.dirname(unit.path), "own.service")
    with open(other, "w") as file:
        file.write("x")
    remove_boot_unit(unit)
    assert os.listdir(os.path.dirname(unit.path)) == ["own.service"]


def test_a_file_that_somebody_else_wrote_is_neither_overwritten_nor_removed(tmp_path):
    unit = a_unit(tmp_path)
    os.makedirs(os.path.dirname(unit.path))
    with open(unit.path, "w") as file:
        file.write("theirs")
    with pytest.raises(SteadyrunError, match="did not write"):
        write_boot_unit(unit)
    assert remove_boot_unit(unit) == ""
    with open(unit.path) as file:
        assert file.read() == "theirs"


def test_a_link_that_leads_elsewhere_is_left_alone(tmp_path):
    unit = a_unit(tmp_path)
    os.makedirs(os.path.dirname(unit.link))
    os.symlink("/dev/null", unit.link)
    with pytest.raises(SteadyrunError):
        write_boot_unit(unit)
    remove_boot_unit(unit)
    assert os.readlink(unit.link) == "/dev/null"


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / ".config").write_text("a file")
    unit = a_unit(tmp_path)._replace(folders=(f"{tmp_path}/.config/systemd/user",))
    with pytest.raises(SteadyrunError, match="expected to write a unit") as caught:
        write_boot_unit(unit)
    assert "--resume-on-boot" in caught.value.hint


def test_a_disk_that_takes_a_part_of_a_write_gets_the_rest(tmp_path, monkeypatch):
    unit, write = a_unit(tmp_path), os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    write_boot_unit(unit)
    with open(unit.path) as file:
        assert file.read() == unit.text


def test_a_disk_that_fills_up_while_it_is_written_gets_no_unit_at_all(tmp_path, monkeypatch):
    unit, write = a_unit(tmp_path), os.write
    taken = []

    def fills_up(file, data):
        if taken:
            raise OSError(28, "No space left on device")
        taken.append(write(file, data[:7]))
        return taken[0]

    monkeypatch.setattr(os, "write", fills_up)
    with pytest.raises(SteadyrunError, match="No space left"):
        write_boot_unit(unit)
    assert os.listdir(os.path.dirname(unit.path)) == ["default.target.wants"]


@pytest.mark.parametrize("then", [write_boot_unit, remove_boot_unit])
def test_what_a_crash_left_of_a_write_goes_with_the_next_deed(tmp_path, then):
    unit = a_unit(tmp_path)
    os.makedirs(os.path.dirname(unit.path))
    with open(f"{unit.path}.part", "w") as file:
        file.write("half")
    then(unit)
    remove_boot_unit(unit)
    assert os.listdir(tmp_path) == []


def test_an_enabled_unit_that_was_changed_is_disabled_left_and_told_once(tmp_path):
    unit = a_unit(tmp_path)
    write_boot_unit(unit)
    with open(unit.path, "a") as file:
        file.write("# mine\n")
    with pytest.raises(SteadyrunError, match="found another text") as caught:
        remove_boot_unit(unit)
    assert caught.value.hint == f"rm {unit.path}"
    assert not os.path.lexists(unit.link)
    assert os.path.exists(unit.path)
    assert remove_boot_unit(unit) == ""


def test_started_as_a_module_nothing_is_imported_from_the_folder_it_runs_in(tmp_path, monkeypatch):
    (tmp_path / "steadyrun.py").write_text("raise SystemExit('not ours')")
    monkeypatch.setattr(sys, "argv", ["/some/python/steadyrun/__main__.py"])
    found = subprocess.run(
        [*ramp_lasting._program(), "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
