"""Applying and undoing on hostile ground: files in the way, a disk that refuses, somebody else's changes."""

import errno
import fcntl
import os

import pytest
from protect_disk import FragileDisk, full
from protect_tree import Desktop

from steadyrun.errors import (
    BusyError,
    CannotContainError,
    FormatError,
    JournalUnwritableError,
    SteadyrunError,
)
from steadyrun.protect.deeds import Deeds
from steadyrun.protect.disk import Disk
from steadyrun.protect.inforce import State
from steadyrun.protect.plan import MIN_TTL, plan
from steadyrun.protect.protection import Protection
from steadyrun.protect.read import read_facts
from steadyrun.protect.record import Begin, Change, End, Intent, line_of
from steadyrun.protect.seen import Seen

STATE = "/var/lib/steadyrun"
FIRST = "/etc/systemd/system/user.slice.d/10-steadyrun.conf"


@pytest.fixture
def tree(tmp_path):
    return Desktop(tmp_path)


def planned(tree, **changes):
    return plan(read_facts(root=tree.root, env={"HOME": "/home/desk"}, euid=0)._replace(**changes))


def protection(tree, disk=None):
    return Protection(STATE, disk or FragileDisk(tree.root), root=tree.root)


def test_a_whole_plan_is_applied_and_undone_to_the_byte(tree):
    before = tree.everything()
    made = planned(tree)
    applied = protection(tree).apply(made)
    assert len(applied.changes) > 30
    for each in made.files:
        assert tree.text(each.path) == each.text
    assert tree.text(MIN_TTL) == "1000\n"
    assert tree.text("/proc/200/oom_score_adj") == "-100\n"
    undone = protection(tree).undo()
    assert undone.left == ()
    assert tree.everything() == before, "the state directory was ours, too"


def test_a_second_apply_changes_nothing_and_one_undo_takes_back_both(tree):
    before = tree.everything()
    protection(tree).apply(planned(tree))
    after = tree.everything()
    assert protection(tree).apply(planned(tree)).changes == ()
    assert tree.everything() == after
    protection(tree).undo()
    assert tree.everything() == before


def test_undo_without_an_apply_makes_nothing(tree):
    before = tree.everything()
    assert protection(tree).undo().paths == ()
    assert tree.everything() == before


def test_files_are_readable_by_everybody_and_the_record_by_root_alone(tree):
    protection(tree).apply(planned(tree))
    assert os.stat(tree.root + FIRST).st_mode & 0o777 == 0o644
    assert os.stat(f"{tree.root}{STATE}/protect.changes").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_something_of_that_name_that_is_not_ours_is_refused_and_nothing_is_changed(tree, kind):
    if kind == "file":
        tree.file(FIRST.lstrip("/"), "[Slice]\nMemoryMax=1%\n")
    elif kind == "link":
        tree.link(FIRST.lstrip("/"), "/dev/null")
    else:
        os.makedirs(tree.root + FIRST)
    before = tree.everything()
    with pytest.raises(CannotContainError, match="did not write") as caught:
        protection(tree).apply(planned(tree))
    assert FIRST in caught.value.message
    assert "mv " in caught.value.hint
    assert caught.value.exit_code == 3
    assert tree.everything() == before


def test_a_file_of_ours_that_somebody_edited_is_not_written_over(tree):
    protection(tree).apply(planned(tree))
    with open(tree.root + FIRST, "a") as file:
        file.write("# mine\n")
    with pytest.raises(CannotContainError, match="another text"):
        protection(tree).apply(planned(tree))


def test_a_file_that_somebody_edited_is_left_by_undo_named_and_undone_once_it_is_gone(tree):
    before = tree.everything()
    protection(tree).apply(planned(tree))
    with open(tree.root + FIRST, "a") as file:
        file.write("# mine\n")
    left = protection(tree).undo().left
    assert [each.path for each in left] == [FIRST]
    assert tree.text(FIRST).endswith("# mine\n")
    assert not os.path.exists(tree.root + "/etc/systemd/system/app.slice.d")
    os.unlink(tree.root + FIRST)
    assert protection(tree).undo().left == ()
    os.rmdir(os.path.dirname(tree.root + FIRST))
    assert tree.everything() == before


def test_a_value_that_somebody_sets_after_a_boot_is_theirs_and_undo_forgets_ours(tree):
    protection(tree).apply(planned(tree))
    tree.file(MIN_TTL.lstrip("/"), "3000\n")
    assert [each.path for each in protection(tree).undo().left] == [MIN_TTL], "in the boot in which we set it"
    tree.file("proc/sys/kernel/random/boot_id", "99999999-2222-3333-4444-555555555555\n")
    assert protection(tree).undo().left == ()
    assert tree.text(MIN_TTL) == "3000\n"
    assert not os.path.exists(f"{tree.root}{STATE}/protect.changes")


def test_a_value_that_our_file_gave_a_later_boot_is_put_back(tree):
    protection(tree).apply(planned(tree))
    tree.file("proc/sys/kernel/random/boot_id", "99999999-2222-3333-4444-555555555555\n")
    assert protection(tree).undo().left == ()
    assert tree.text(MIN_TTL) == "0\n"


OURS, THEIRS = (Seen(text, 0o644, os.geteuid(), os.getegid()) for text in (b"ours", b"theirs"))


def edited(path):
    with open(path, "w") as file:
        file.write("mine")


def led_elsewhere(path):
    os.unlink(path)
    os.symlink("/dev/null", path)


@pytest.mark.parametrize(
    ("before", "meanwhile", "told"),
    [
        (None, edited, "changed"),
        (None, led_elsewhere, "changed"),
        (THEIRS, edited, "changed"),
        (THEIRS, led_elsewhere, "changed"),
        (THEIRS, os.unlink, "removed"),
    ],
)
def test_what_somebody_made_of_a_file_of_ours_is_left_and_named(tree, before, meanwhile, told):
    disk = FragileDisk(tree.root)
    change = Change("/etc/x.conf", before, OURS)
    deeds = Deeds(disk, boot="b", started=lambda _: None)
    deeds.make(change)
    meanwhile(disk.at(change.path))
    now = tree.everything()
    back = deeds.put_back((Intent(1, change),))
    assert back == ((), ((change.path, f"somebody has {told} it since"),), ())
    assert tree.everything() == now


def test_somebody_elses_file_in_a_folder_of_ours_keeps_the_folder(tree):
    protection(tree).apply(planned(tree))
    own = f"{os.path.dirname(tree.root + FIRST)}/50-own.conf"
    with open(own, "w") as file:
        file.write("x")
    assert protection(tree).undo().left == ()
    assert os.listdir(os.path.dirname(own)) == ["50-own.conf"]


class Refuses(FragileDisk):
    """A disk on which one kind of step fails from its n-th time on."""

    def __init__(self, root, step, number, code):
        super().__init__(root)
        self.step, self.number, self.code = step, number, code

    def _maybe(self, step, path):
        if step == self.step:
            self.number -= 1
            if self.number < 0:
                self.number = 10**9  # taking back works again
                raise OSError(self.code, os.strerror(self.code), path)

    def _mkdir(self, path):
        self._maybe("mkdir", path)
        super()._mkdir(path)

    def _rename(self, path, to):
        self._maybe("rename", to)
        super()._rename(path, to)

    def _write(self, path, data):
        self._maybe("write", path)
        super()._write(path, data)

    def set_value(self, path, text):
        self._maybe("value", path)
        super().set_value(path, text)


@pytest.mark.parametrize(
    ("step", "number", "code"),
    [
        ("mkdir", 0, errno.EROFS),
        ("mkdir", 3, errno.EACCES),
        ("rename", 5, errno.EIO),
        ("write", 9, errno.ENOSPC),
        ("value", 0, errno.EINVAL),
        ("value", 2, errno.EACCES),
    ],
)
def test_a_disk_that_refuses_leaves_nothing_and_one_clear_message(tree, step, number, code):
    before = tree.everything()
    with pytest.raises((CannotContainError, JournalUnwritableError), match=os.strerror(code)) as caught:
        protection(tree, Refuses(tree.root, step, number, code)).apply(planned(tree))
    assert caught.value.exit_code in (3, 74)
    assert tree.everything() == before


class ReadOnlyEtc(FragileDisk):
    """/etc is mounted read-only: the kernel answers EROFS there before it looks whether the name exists."""

    def _step(self, kind, path, half=None):
        if kind != "sync" and path.startswith(f"{self.at('/etc')}/"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        super()._step(kind, path, half)


@pytest.mark.parametrize("folder", [True, False], ids=["a new folder first", "a file first"])
def test_a_read_only_etc_leaves_nothing(tree, folder):
    if not folder:
        os.makedirs(os.path.dirname(tree.root + FIRST))
    before = tree.everything()
    with pytest.raises(CannotContainError, match="Read-only") as caught:
        protection(tree, ReadOnlyEtc(tree.root)).apply(planned(tree))
    assert "taken back" not in caught.value.message, "there was nothing to be taken back"
    assert tree.everything() == before


@pytest.mark.parametrize("fails", [False, True])
def test_folders_made_for_the_state_directory_go_with_it(tree, fails):
    before = tree.everything()
    state = "/home/desk/.local/state/steadyrun"
    disk = FragileDisk(tree.root, 30, error=full, once=True) if fails else FragileDisk(tree.root)
    theirs = Protection(state, disk, root=tree.root)
    if fails:
        with pytest.raises(SteadyrunError):
            theirs.apply(planned(tree))
    else:
        theirs.apply(planned(tree))
        Protection(state, FragileDisk(tree.root), root=tree.root).undo()
    assert tree.everything() == before


class RecordsDiskFull(FragileDisk):
    """The state directory's file system takes some lines of the record, and nothing any more."""

    def __init__(self, root, lines):
        super().__init__(root)
        self.lines = lines

    def _write(self, path, data):
        if path.endswith("/protect.changes"):
            self.lines -= 1
            if self.lines < 0:
                super()._write(path, data[:9])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        super()._write(path, data)


@pytest.mark.parametrize("lines", range(9))
def test_where_nothing_more_can_be_written_down_all_is_taken_back_all_the_same(tree, lines):
    before = tree.everything()
    with pytest.raises(JournalUnwritableError, match="No space left") as caught:
        protection(tree, RecordsDiskFull(tree.root, lines)).apply(planned(tree))
    assert "df -h" in caught.value.hint
    assert "STEADYRUN_STATE_DIR" not in caught.value.hint, "another record would know nothing of this one"
    assert tree.everything() == before


@pytest.mark.parametrize("lines", range(4))
def test_a_second_apply_that_cannot_be_written_down_leaves_the_first_as_it_was(tree, lines):
    old = planned(tree)
    protection(tree).apply(old._replace(files=old.files[:3]))
    before = tree.everything()
    with pytest.raises(JournalUnwritableError):
        protection(tree, RecordsDiskFull(tree.root, lines)).apply(planned(tree))
    assert tree.everything() == before, "the record, too"


def test_what_cannot_be_taken_back_is_named_with_what_to_do(tree):
    class Stays(Refuses):
        def _unlink(self, path):
            if path == tree.root + FIRST:
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            super()._unlink(path)

    before = tree.everything()
    with pytest.raises(CannotContainError) as caught:
        protection(tree, Stays(tree.root, "value", 0, errno.EINVAL)).apply(planned(tree))
    assert f"{FIRST} (Input/output error)" in caught.value.message
    assert "nothing was changed" not in caught.value.message + caught.value.hint
    assert caught.value.hint.endswith("steadyrun protect --undo")
    assert tree.text(FIRST)
    assert not os.path.exists(tree.root + "/etc/systemd/system/app.slice.d"), "all else is taken back"
    protection(tree).undo()
    assert tree.everything() == before


def test_a_read_only_etc_is_exit_3_and_names_the_place(tree):
    disk = Refuses(tree.root, "mkdir", 0, errno.EROFS)
    with pytest.raises(CannotContainError, match="Read-only file system") as caught:
        protection(tree, disk).apply(planned(tree))
    assert caught.value.exit_code == 3
    assert "/etc/systemd" in caught.value.message
    assert "as it was" in caught.value.hint


def test_a_ctrl_c_in_the_middle_takes_everything_back(tree):
    class Interrupted(FragileDisk):
        def _rename(self, path, to):
            if "session-.scope" in to:
                raise KeyboardInterrupt
            super()._rename(path, to)

    before = tree.everything()
    with pytest.raises(KeyboardInterrupt):
        protection(tree, Interrupted(tree.root)).apply(planned(tree))
    assert tree.everything() == before


def test_two_at_once_are_one_and_a_busy(tree):
    os.makedirs(tree.root + STATE)
    holder = os.open(tree.root + STATE, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        for deed in (lambda: protection(tree).apply(planned(tree)), protection(tree).undo):
            with pytest.raises(BusyError) as caught:
                deed()
            assert caught.value.exit_code == 75
    finally:
        os.close(holder)
    protection(tree).apply(planned(tree))


def test_without_a_place_to_write_down_nothing_is_changed(tree):
    tree.file("var/lib/steadyrun", "a file")
    before = tree.everything()
    with pytest.raises(JournalUnwritableError) as caught:
        protection(tree).apply(planned(tree))
    assert caught.value.exit_code == 74
    assert tree.everything() == before


def test_a_damaged_record_stops_everything(tree):
    protection(tree).apply(planned(tree))
    path = f"{tree.root}{STATE}/protect.changes"
    with open(path, "r+b") as file:
        file.seek(30)
        file.write(b"\0")
    with pytest.raises(FormatError):
        protection(tree).undo()
    with pytest.raises(FormatError):
        protection(tree).apply(planned(tree))


def crafted(tree):
    """Have a record that would make root put somebody's file anywhere; return its path."""
    evil = Change("/etc/evil", Seen(b"theirs", 0o4755, os.geteuid(), os.getegid()), None)
    steps = (Begin("0", "desktop", 1.0), Intent(1, evil), End())
    tree.file(f"{STATE.lstrip('/')}/protect.changes", b"".join(map(line_of, steps)))
    return f"{tree.root}{STATE}/protect.changes"


def given_to_somebody(path):
    if os.geteuid() != 0:
        pytest.skip("giving a file to another user is root's")
    os.chown(path, 65534, 65534)


def linked(path):
    os.rename(path, f"{path}.real")
    os.symlink(f"{path}.real", path)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda path: given_to_somebody(os.path.dirname(path)),
        lambda path: os.chmod(os.path.dirname(path), 0o777),
        given_to_somebody,
        lambda path: os.chmod(path, 0o664),
        linked,
    ],
    ids=["their folder", "a folder for all", "their file", "a file for a group", "a link"],
)
def test_a_record_that_somebody_else_could_have_written_is_not_believed(tree, tamper):
    tamper(crafted(tree))
    before = tree.everything()
    for deed in (protection(tree).undo, protection(tree).mend, lambda: protection(tree).apply(planned(tree))):
        with pytest.raises(JournalUnwritableError) as caught:
            deed()
        assert caught.value.exit_code == 74
    assert tree.everything() == before


def test_the_record_that_this_user_alone_can_write_is_believed(tree):
    crafted(tree)
    protection(tree).undo()
    assert tree.text("/etc/evil") == "theirs"


def test_the_score_of_a_process_that_is_gone_is_nobodys(tree):
    protection(tree).apply(planned(tree))
    tree.process(200, "other", ticks=99)  # its number is another one's now
    assert protection(tree).undo().left == ()
    assert tree.text("/proc/200/oom_score_adj") == "-100\n"
    assert tree.text("/proc/201/oom_score_adj") == "200\n"


def test_a_process_that_ends_before_its_score_is_set_stops_nothing(tree):
    made = planned(tree)
    for pid in (200, 201):
        os.unlink(f"{tree.root}/proc/{pid}/oom_score_adj")
    protection(tree).apply(made)
    assert tree.text(MIN_TTL) == "1000\n"


def test_after_a_boot_scores_of_the_boot_before_are_not_touched(tree):
    protection(tree).apply(planned(tree))
    tree.file("proc/sys/kernel/random/boot_id", "another\n")
    assert protection(tree).undo().left == ()
    assert tree.text("/proc/201/oom_score_adj") == "-100\n"
    assert tree.text(MIN_TTL) == "0\n", "tmpfiles.d had set that again"


def test_a_value_that_somebody_changed_since_is_left_and_named(tree):
    protection(tree).apply(planned(tree))
    tree.file(MIN_TTL.lstrip("/"), "3000\n")
    (left,) = protection(tree).undo().left
    assert left.path == MIN_TTL
    assert "3000" in left.why


def test_what_an_administrator_decides_after_an_apply_is_theirs_and_nothing_is_missing(tree):
    protection(tree).apply(planned(tree))
    tree.file(MIN_TTL.lstrip("/"), "3000\n")
    os.unlink(tree.root + FIRST)
    tree.file("etc/systemd/system/user.slice.d/own.conf", "[Slice]\nMemoryMax=50%\nMemoryLow=90%\n")
    files = {each.path: each for each in protection(tree).apply(planned(tree)).status.files}
    assert not files.keys() & {MIN_TTL, FIRST}
    assert {each.state for each in files.values()} == {State.YES}
    assert protection(tree).undo().left == ()
    assert tree.text(MIN_TTL) == "3000\n"


def test_what_somebody_changed_and_the_plan_still_wants_is_made_anew(tree):
    protection(tree).apply(planned(tree))
    os.unlink(tree.root + FIRST)
    tree.file("proc/200/oom_score_adj", "0\n")
    assert {each.path for each in protection(tree).apply(planned(tree)).changes} == {
        FIRST,
        "/proc/200/oom_score_adj",
    }
    assert protection(tree).undo().left == ()


def test_the_first_disk_writes_through_to_real_files(tmp_path):
    tree = Desktop(tmp_path)
    before = tree.everything()
    small = planned(tree)
    small = small._replace(files=small.files[:2], values=())
    protection(tree, Disk(tree.root)).apply(small)
    assert tree.text(FIRST) == small.files[0].text
    protection(tree, Disk(tree.root)).undo()
    assert tree.everything() == before


def test_an_older_versions_file_is_replaced_or_removed_and_its_place_is_empty_after_undo(tree):
    before = tree.everything()
    old = planned(tree)
    gone = old.files[0]._replace(path="/etc/tmpfiles.d/steadyrun-old.conf")
    old = old._replace(files=(*old.files[:3], gone))
    protection(tree).apply(old)
    new = planned(tree)
    changed = {change.path: change.after for change in protection(tree).pending(new)}
    assert changed["/etc/tmpfiles.d/steadyrun-old.conf"] is None
    protection(tree).apply(new)
    assert not os.path.exists(tree.root + "/etc/tmpfiles.d/steadyrun-old.conf")
    protection(tree).undo()
    assert tree.everything() == before


class Slow:
    """Managers that take their time; somebody who is not patient presses Ctrl-C meanwhile."""

    def __init__(self, *, patient):
        self.patient, self.reloads = patient, 0

    def reload(self):
        self.reloads += 1
        if not self.patient:
            raise KeyboardInterrupt
        return ()

    def reload_until_settled(self, disk, cgroups):
        return self.reload()

    def realize(self, cgroups):
        pass


def managed_by(tree, managers):
    return Protection(STATE, FragileDisk(tree.root), root=tree.root, managers=managers, settle_s=0)


def test_an_apply_that_was_interrupted_in_its_reload_is_reloaded_by_the_next(tree):
    with pytest.raises(KeyboardInterrupt):
        managed_by(tree, Slow(patient=False)).apply(planned(tree))
    again = Slow(patient=True)
    assert managed_by(tree, again).apply(planned(tree)).changes == ()
    assert again.reloads == 1


def test_an_undo_that_was_interrupted_in_its_reload_is_done_again_with_it(tree):
    before = tree.everything()
    protection(tree).apply(planned(tree))
    with pytest.raises(KeyboardInterrupt):
        managed_by(tree, Slow(patient=False)).undo()
    again = Slow(patient=True)
    mended = managed_by(tree, again)
    assert mended.record().undoing()
    assert mended.undo().paths != ()
    assert again.reloads == 1
    assert tree.everything() == before


def test_the_score_of_a_process_whose_number_is_anothers_by_now_is_not_set(tree):
    made = planned(tree)
    tree.process(200, "other", ticks=99)
    score = tree.text("/proc/200/oom_score_adj")
    protection(tree).apply(made)
    assert tree.text("/proc/200/oom_score_adj") == score


@pytest.mark.parametrize("applied", [False, True])
def test_files_that_systemd_does_not_understand_are_not_written(tree, applied):
    if applied:
        protection(tree).apply(planned(tree))
        os.unlink(tree.root + FIRST)
        tree.file(MIN_TTL.lstrip("/"), "3000\n")
    before = tree.everything()
    strict = Protection(
        STATE,
        FragileDisk(tree.root),
        root=tree.root,
        verify=lambda files: (f"{len(tuple(files))} files: no",),
    )
    with pytest.raises(CannotContainError, match="files: no; nothing was changed"):
        strict.apply(planned(tree))
    assert tree.everything() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="a file is given to somebody else by root alone")
def test_a_file_is_put_with_its_owner_and_mode_whatever_the_umask_is(tree):
    wanted = Seen(b"theirs", 0o646, 1234, 1235)
    before = os.umask(0o077)
    try:
        Disk(tree.root).put("/var/lib/other", wanted)
    finally:
        os.umask(before)
    assert Disk(tree.root).look("/var/lib/other") == wanted


def test_folders_are_for_every_users_manager_to_look_into_whatever_the_umask_is(tree):
    before = os.umask(0o077)
    try:
        protection(tree, Disk(tree.root)).apply(planned(tree))
    finally:
        os.umask(before)
    for inside in ("/etc/systemd/user/app.slice.d", "/etc/systemd/system/user.slice.d"):
        assert os.stat(tree.root + inside).st_mode & 0o777 == 0o755
