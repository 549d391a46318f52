"""The owner's lock: held while the owner lives, seen by everybody else, never outliving it."""

import contextlib
import os
import shutil
import subprocess
import sys

import pytest
from journal_values import BOOT, OTHER_BOOT, a_header, a_plan, opened

from conftest import until
from steadyrun.cli.records import running
from steadyrun.errors import JournalUnwritableError
from steadyrun.journal.owners import Owners
from steadyrun.journal.rows import IntentKind
from steadyrun.kernel.processes import pid_started
from steadyrun.kernel.reader import boot_id
from steadyrun.recovery.clean_up import recover

GONE = 2**22 - 3


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "journal"
    folder.mkdir(mode=0o700)
    return folder


def test_an_owned_run_is_seen_by_others_and_not_by_its_owner(folder):
    with Owners(str(folder)) as owner, Owners(str(folder)) as other:
        owner.own("r1")
        owner.own("r1")
        assert other.has_other("r1")
        assert not other.has_other("r2")
        assert not owner.has_other("r1")
        with pytest.raises(JournalUnwritableError, match=r"owners\.lock"):
            other.own("r1")
        owner.let_go("r1")
        assert not other.has_other("r1")


def test_closing_ends_what_was_owned_and_a_copy_keeps_it(folder):
    owner, other = Owners(str(folder)), Owners(str(folder))
    owner.own("r1")
    copy = Owners(str(folder), os.dup(owner.fd))
    owner.close()
    assert other.has_other("r1")
    assert not copy.has_other("r1")
    copy.close()
    assert not other.has_other("r1")
    other.close()


def test_a_lock_file_that_is_something_else_is_refused_by_name(folder):
    (folder / "owners.lock").mkdir()
    with pytest.raises(JournalUnwritableError, match=r"owners\.lock"):
        Owners(str(folder))


def test_recovery_leaves_an_owned_run_alone_though_its_pid_is_not_here(folder):
    with opened(folder) as journal, Owners(str(folder)) as owner:
        journal.begin_run(a_header("r1", boot_id=BOOT, pid=GONE))
        owner.own("r1")
        assert recover(journal).told == ()
        assert journal.record("r1").end is None
        owner.let_go("r1")
        assert len(recover(journal).told) == 1
        assert journal.record("r1").end is not None


@pytest.mark.parametrize("after", ["open_runs", "open_intents"])
def test_recovery_leaves_a_run_alone_that_begins_while_it_looks(folder, monkeypatch, after):
    """Seen of four starts at once: one removed the cgroup of another, whose run it had not read yet."""
    with opened(folder) as journal, opened(folder) as theirs, Owners(str(folder)) as owner:
        look = getattr(journal, after)

        def and_then_another_begins():
            seen = look()
            owner.own("r2")
            with theirs.batch():
                theirs.begin_run(a_header("r2", boot_id=boot_id(), pid=GONE))
                theirs.intend("r2", IntentKind.CONTAINMENT, a_plan())
            return seen

        monkeypatch.setattr(journal, after, and_then_another_begins)
        assert recover(journal) == ((), (), (), ())
        assert [intent.run_id for intent in theirs.open_intents()] == ["r2"]


def of_this_process(run_id="r1", *, boot):
    me = os.getpid()
    return a_header(run_id, boot_id=boot, pid=me, pid_started=pid_started(me))


@pytest.mark.parametrize("locks", ["never any", "a file of them"])
def test_a_run_of_an_older_version_is_known_by_its_process(folder, locks):
    if locks != "never any":
        Owners(str(folder)).close()
    with opened(folder) as journal:
        journal.begin_run(of_this_process(boot=boot_id()))
        assert recover(journal).told == ()
        assert [run.run_id for run in running(journal)] == ["r1"]


@pytest.mark.parametrize("locks", ["never any", "a file of them", "the caller's own"])
def test_a_process_with_the_pid_and_the_ticks_of_another_boots_run_is_not_its_owner(folder, locks):
    """An early service gets the same pid and the same ticks at each boot."""
    with opened(folder) as journal, contextlib.ExitStack() as opened_locks:
        journal.begin_run(of_this_process(boot=OTHER_BOOT))
        owners = None
        if locks != "never any":
            owners = opened_locks.enter_context(Owners(str(folder)))
        assert running(journal) == ()
        assert len(recover(journal, owners=owners if "own" in locks else None).told) == 1
        assert journal.record("r1").end is not None


HOLD = """
import sys
from steadyrun.journal.owners import Owners
from steadyrun.journal.rows import IntentKind
Owners(sys.argv[1]).own("r1")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("wrap", [(), ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")])
def test_the_lock_ends_with_its_owner_also_in_another_pid_namespace(folder, wrap):
    if wrap and (
        not shutil.which("unshare")
        or subprocess.run([*wrap, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("no pid namespace to be had here")
    line = [*wrap, sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        try:
            assert owner.stdout.readline() == b"held\n"
            with Owners(str(folder)) as other:
                assert other.has_other("r1")
                owner.kill()
                owner.wait()
                assert until(lambda: not other.has_other("r1"), 10)
        finally:
            owner.kill()
