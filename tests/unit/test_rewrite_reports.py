"""The page of a run that a crash left without an end is written again once the end is known."""

import pytest
from journal_values import OTHER_BOOT, a_header, an_attempt, opened

from steadyrun.cli.records import rewrite_reports
from steadyrun.kernel.reader import boot_id
from steadyrun.recovery.clean_up import recover
from steadyrun.report.progress import render_progress


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "rep" / "run"
    folder.mkdir(parents=True)
    return folder


def crashed(tmp_path, report_dir):
    """Leave a run behind as a crash of the machine does; return its state directory."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    with opened(state, OTHER_BOOT) as journal:
        journal.begin_run(a_header(boot_id=OTHER_BOOT, report_dir=report_dir))
        journal.put_attempt("r1", an_attempt(boot_id=OTHER_BOOT))
    return state


def test_the_page_and_the_data_have_the_end_that_recovery_found(tmp_path, folder):
    state = crashed(tmp_path, str(folder))
    with opened(state, OTHER_BOOT) as journal:
        (folder / "PROGRESS.md").write_text(render_progress(journal.record("r1")))
    assert "this page grows as it runs" in (folder / "PROGRESS.md").read_text()
    with opened(state, boot_id()) as journal:
        found = recover(journal)
        assert found.marked == ("r1",)
        rewrite_reports(journal, found.marked)
        assert recover(journal).marked == ()
    page = (folder / "PROGRESS.md").read_text()
    assert "this page grows as it runs" not in page
    assert "CRASHED (machine)" in page
    assert '"CRASHED (machine)"' in (folder / "report.json").read_text()


@pytest.mark.parametrize("where", [None, "{}/gone", "{}/file"])
def test_a_folder_that_is_not_there_any_more_is_left_alone(tmp_path, where):
    (tmp_path / "file").write_text("mine")
    state = crashed(tmp_path, where and where.format(tmp_path))
    with opened(state, boot_id()) as journal:
        rewrite_reports(journal, recover(journal).marked)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "state"}
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_that_is_not_in_the_journal_does_not_keep_the_others_from_it(tmp_path, folder):
    with opened(crashed(tmp_path, str(folder)), boot_id()) as journal:
        rewrite_reports(journal, ("nobody", *recover(journal).marked))
    assert (folder / "PROGRESS.md").exists()
