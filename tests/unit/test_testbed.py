"""The pure parts of the testbed: the recipe and its name, QEMU's command line, places, pictures, results."""

import contextlib
import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from suites import Ran, endings, found_by
from testbed.acceleration import worth_a_trial
from testbed.commandline import MODES, Attachments, Hardware, command_line
from testbed.errors import TestbedError
from testbed.hosttools import PACKAGES, call, missing
from testbed.place import ROOT, building, cache_dir, made, own_name, prune, sweep
from testbed.recipe import (
    DEFAULT,
    NEWEST,
    OLDEST,
    Recipe,
    chosen_suite,
    locked_blocks,
    merge_locks,
    names_in,
    read_recipe,
)

from picture import colours, pixels

LOCK = """\
# comment
Alpha==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
beta==2 ; os_name == 'nt' \\
    --hash=sha256:cc
    # via alpha
"""


class TestRecipe:
    def test_a_lock_is_read_by_name_with_its_hashes(self):
        blocks = locked_blocks(LOCK)
        assert list(blocks) == ["alpha", "beta"]
        assert blocks["alpha"].count("--hash") == 2
        assert "via" not in blocks["beta"]

    def test_all_of_the_first_lock_and_what_is_named_of_the_second(self):
        merged = merge_locks("alpha==1 \\\n    --hash=x", LOCK + "gamma==3 \\\n    --hash=y\n", ["beta"])
        assert merged == "alpha==1 \\\n    --hash=x\nbeta==2 ; os_name == 'nt' \\\n    --hash=sha256:cc\n"

    def test_a_name_that_nothing_locks_is_refused(self):
        with pytest.raises(ValueError, match="'delta'"):
            merge_locks(LOCK, LOCK, ["delta"])

    def test_lists_have_comments(self):
        assert names_in("# all\none\n\n two # 2\n") == ["one", "two"]

    @pytest.mark.parametrize(
        "changed",
        [
            {"suite": NEWEST},
            {"suite": DEFAULT._replace(renamed=(("one", "two"),))},
            {"suite": DEFAULT._replace(lender="sid", borrowed=("one",))},
            {"locked": "a==2"},
            {"files": (("packages.txt", b"one\n"), ("x", b""))},
            {"files": (("packages.txt", b"two\n"),)},
            {"files": (("packages.txt\0", b"one\n"),)},
        ],
    )
    def test_its_name_changes_with_every_part(self, changed):
        recipe = Recipe(DEFAULT, (("packages.txt", b"one\n"),), "a==1")
        assert recipe._replace(**changed).digest() != recipe.digest()
        assert recipe._replace().digest() == recipe.digest()

    def test_this_repositorys_recipe_has_what_issue_and_tests_need(self):
        recipe = read_recipe(ROOT)
        wanted = {
            "systemd",
            "dbus-user-session",
            "polkitd",
            "lightdm",
            "openbox",
            "openssh-server",
            "stress-ng",
        }
        assert wanted <= set(recipe.packages())
        assert {"pytest", "hypothesis", "jinja2"} <= set(locked_blocks(recipe.locked))
        assert "overlay/usr/share/xsessions/testbed.desktop" in dict(recipe.files)

    def test_a_package_has_another_name_in_another_suite_or_none(self):
        suite = DEFAULT._replace(renamed=(("b", "old-b"), ("c", "")))
        assert suite.packages(["a", "b", "c"]) == ("a", "old-b")
        assert DEFAULT.packages(["a", "b", "c"]) == ("a", "b", "c")

    def test_the_oldest_suite_borrows_its_python_and_keeps_its_systemd(self):
        everything, borrowed = OLDEST.preferences().strip().split("\n\n")
        assert everything.splitlines()[0] == "Package: *"
        assert "Pin-Priority: 50" in everything
        names = borrowed.splitlines()[0].split()[1:]
        assert {"python3", "libc6"} <= set(names)
        assert not [name for name in names if "systemd" in name or "dbus" in name]
        assert "policykit-1" in read_recipe(ROOT, OLDEST).packages()

    def test_a_suite_is_asked_for_by_the_environment(self):
        assert chosen_suite({}) == "bookworm"
        assert chosen_suite({"STEADYRUN_TESTBED_SUITE": "trixie"}) == "trixie"


class TestCommandLine:
    ATTACHED = Attachments("/k", "/i", "/d,1.qcow2", "/c", "/q", 2222)

    def words(self, hardware=None, **changes):
        return command_line(hardware or Hardware("tcg"), self.ATTACHED._replace(**changes))

    def after(self, words, option):
        return words[words.index(option) + 1]

    def test_only_ssh_gets_in_and_nothing_gets_out(self):
        net = self.after(self.words(), "-netdev")
        assert "restrict=on" in net
        assert "hostfwd=tcp:127.0.0.1:2222-:22" in net

    def test_a_comma_in_a_path_does_not_part_an_option(self):
        assert "file=/d,,1.qcow2,if=virtio" in self.after(self.words(), "-drive")

    def test_the_disk_is_as_slow_as_a_disk_unless_said_otherwise(self):
        assert "throttling.iops-total" in self.after(self.words(), "-drive")
        assert "throttling" not in self.after(self.words(throttled=False), "-drive")

    def test_a_volatile_disk_is_told_what_the_guest_flushes(self):
        drive = self.after(self.words(disk_socket="/s,1"), "-drive")
        assert "file.server.path=/s,,1" in drive
        assert "cache=writeback" in drive
        assert "throttling.iops-total" in drive
        assert "cache=unsafe" in self.after(self.words(), "-drive")

    def test_a_boot_has_no_incoming_state(self):
        assert "-incoming" not in self.words()
        assert "zstd" in self.after(self.words(incoming="/m"), "-incoming")

    def test_the_devices_do_not_depend_on_how_it_is_started(self):
        """Else a state could not be taken up by another command line."""

        def devices(words):
            return [words[n + 1].partition(",")[0] for n, word in enumerate(words) if word == "-device"]

        assert devices(self.words()) == devices(self.words(incoming="/m", throttled=False, disk_socket="/s"))

    @pytest.mark.parametrize("accelerator", ["kvm", "tcg"])
    def test_the_processor_fits_the_accelerator(self, accelerator):
        words = self.words(Hardware(accelerator))
        assert self.after(words, "-accel").partition(",")[0] == accelerator
        assert (self.after(words, "-cpu") == "host") == (accelerator == "kvm")

    def test_the_mode_is_chosen_on_the_kernels_command_line(self):
        line = self.after(self.words(Hardware("tcg", kernel_words=MODES["hybrid"])), "-append")
        assert line.endswith(" systemd.unified_cgroup_hierarchy=0")
        assert "unified_cgroup" not in self.after(self.words(), "-append")
        assert len(set(MODES.values())) == 3


class TestAcceleration:
    @pytest.mark.parametrize(
        ("cpuinfo", "writable", "worth"),
        [
            ("flags\t\t: fpu vmx sse\n", True, True),
            ("flags\t\t: fpu svm\n", True, True),
            ("flags\t\t: fpu svm\n", False, False),
            ("flags\t\t: fpu sse\nvmx flags\t: vnmi\n", True, False),
            ("", True, False),
        ],
    )
    def test_is_tried_only_where_the_processor_says_so(self, cpuinfo, writable, worth):
        assert worth_a_trial(cpuinfo, writable=writable) is worth


class TestPlaces:
    @pytest.mark.parametrize(
        ("env", "where"),
        [
            ({"STEADYRUN_TESTBED_DIR": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
            ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/steadyrun-testbed"),
            ({"HOME": "/c"}, "/c/.cache/steadyrun-testbed"),
        ],
    )
    def test_the_cache(self, env, where):
        assert str(cache_dir(env)) == where

    def test_a_thing_is_built_once_and_has_a_name_of_its_own(self, tmp_path):
        target = tmp_path / "a" / "thing"
        with building(target) as scratch:
            (scratch / "file").write_text("x")
        name = made(target)
        with building(target) as scratch:
            assert scratch is None
        assert made(target) == name

    def test_what_failed_is_not_there_and_what_was_left_is_gone(self, tmp_path):
        target = tmp_path / "thing"
        (tmp_path / ".thing.part").mkdir()
        (tmp_path / ".thing.part" / "old").write_text("")

        def fail():
            with building(target) as scratch:
                assert list(scratch.iterdir()) == []
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert not target.exists()
        assert not (tmp_path / ".thing.part").exists()

    def test_the_latest_and_what_was_used_within_the_hour_stay(self, tmp_path):
        for number, name in enumerate(("new", "fresh", "old", "older")):
            (tmp_path / name).mkdir()
            at = time.time() - (0, 60, 7200, 9000)[number]
            os.utime(tmp_path / name, (at, at))
        prune(tmp_path, keep=1)
        assert {each.name for each in tmp_path.iterdir()} == {"new", "fresh"}

    def test_only_what_a_dead_process_of_ours_left_is_swept(self, tmp_path):
        mine = own_name()
        for name in (mine, "steadyrun-vm-999999999-ab", "other-999999999-ab", "steadyrun-vm-old"):
            (tmp_path / name).mkdir()
        sweep(tmp_path)
        assert {each.name for each in tmp_path.iterdir()} == {mine, "other-999999999-ab", "steadyrun-vm-old"}


class TestHostTools:
    def test_what_is_missing_is_named_by_its_package_once(self, monkeypatch, tmp_path):
        monkeypatch.setattr("testbed.hosttools._path", lambda: str(tmp_path))
        assert missing() == tuple(dict.fromkeys(PACKAGES.values()))

    def test_a_failed_command_is_printed_ready_to_paste(self):
        with pytest.raises(TestbedError, match=r"exit code 3 of: sh -c 'echo it; exit 3'\nit"):
            call(["sh", "-c", "echo it; exit 3"], seconds=10)

    def test_one_that_hangs_is_ended_with_what_it_started(self, tmp_path):
        began = time.monotonic()
        with pytest.raises(TestbedError, match="more than"):
            call(["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 100 & wait"], seconds=2)
        assert time.monotonic() - began < 30
        group = (tmp_path / "pid").read_text().strip()
        end = time.monotonic() + 5  # a killed process is there until the kernel has taken it down
        while (left := [state for pgid, state in _groups() if pgid == group and state != "Z"]) and (
            time.monotonic() < end
        ):
            time.sleep(0.05)
        assert left == []


def _groups():
    """Give the process group and the state of every process."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            yield fields[2], fields[0]


def png(rows, *, kind=0):
    """Make a PNG of RGB rows with no filter, or filter `kind` applied to zeroes."""
    width = len(rows[0])
    raw = b"".join(bytes([kind]) + b"".join(bytes(pixel) for pixel in row) for row in rows)

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, len(rows), 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


class TestPictures:
    def test_colours_are_counted(self):
        seen = colours(png([[(0, 0, 0), (1, 2, 3)], [(1, 2, 3), (1, 2, 3)]]))
        assert seen == {(1, 2, 3): 3, (0, 0, 0): 1}

    @pytest.mark.parametrize(
        ("kind", "last"),
        [(1, (2, 4, 6)), (2, (2, 4, 6)), (3, (2, 5, 7)), (4, (3, 6, 9))],
    )
    def test_filters_are_undone(self, kind, last):
        """Each byte is what stands there and a guess from its left, upper and corner neighbours."""
        _, _, rows = pixels(png([[(1, 2, 3), (1, 2, 3)], [(1, 2, 3), (1, 2, 3)]], kind=kind))
        assert rows[1][1] == last


SUITE = """
import pytest

@pytest.mark.parametrize("how", ["a::b", "c [d]"])
class TestX:
    def test_passes(self, how):
        pass

def test_is_skipped():
    pytest.skip("no such thing here")

def test_fails():
    assert False

@pytest.fixture
def broken():
    raise OSError

def test_cannot_begin(broken):
    pass
"""


def test_each_test_that_words_find_is_known_by_the_name_that_its_ending_has(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    line = [sys.executable, "-m", "pytest", "-q", "--junitxml=junit.xml", "inner", "-k", "not cannot"]
    subprocess.run(line, cwd=tmp_path, capture_output=True, check=False)
    ended = endings((tmp_path / "junit.xml").read_text())
    assert ended == {
        "inner.test_suite.TestX::test_passes[a::b]": "passed",
        "inner.test_suite.TestX::test_passes[c [d]]": "passed",
        "inner.test_suite::test_is_skipped": "no such thing here",
        "inner.test_suite::test_fails": "failed",
    }
    assert found_by("inner -k 'not cannot'", tmp_path) == set(ended)
    assert found_by("inner", tmp_path) - set(ended) == {"inner.test_suite::test_cannot_begin"}
    with pytest.raises(subprocess.CalledProcessError):
        found_by("inner -k nothing_of_this_name", tmp_path)


def test_what_did_not_pass_is_missing_unless_its_reason_is_allowed():
    found = frozenset({"a", "b", "c"})
    ran = Ran(found, {"a": "passed", "b": "no such thing here", "d": "failed"}, "", 1)
    assert ran.missing() == {"b": "no such thing here", "c": "did not run", "d": "failed"}
    assert ran.missing(r"no \w+ thing here") == {"c": "did not run", "d": "failed"}
    assert "b" in ran.missing("no such thing"), "a reason is allowed as a whole"
    assert Ran(found, {}, "", 5).missing(".* here") == dict.fromkeys(found, "did not run")
