"""Starting a ramp as root for a user: what stands in the user's folder is opened with the user's rights."""

import os

import pytest

from steadyrun.model.plan import RunAs
from steadyrun.ramp.launch import LOG, launch
from steadyrun.ramp.order import RampOrder
from steadyrun.report.files import ReportUnwritableError, open_growing

NOBODY = (65534, 65534)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act with another user's rights")


@pytest.fixture
def theirs(tmp_path):
    """A folder of a user's that the user can reach; pytest keeps its own for one user."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder.parent != folder:
            folder.chmod(folder.stat().st_mode | 0o011)
    made = tmp_path / "theirs"
    made.mkdir()
    os.chown(made, *NOBODY)
    return made


def order(folder):
    """An order that goes no further than to its log: no descriptor in it is one."""
    nothing = dict.fromkeys(RampOrder._fields[: len(RampOrder._fields) - len(RampOrder._field_defaults)])
    user = RunAs(*NOBODY, groups=(), name="nobody", home="/")
    return RampOrder(**{**nothing, "lock_fd": -1, "run_as": user, "report_dir": str(folder)})


@needs_root
def test_a_link_in_place_of_the_runs_folder_does_not_lead_roots_log_anywhere(tmp_path, theirs):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (theirs / "run").symlink_to(private)
    with pytest.raises(ReportUnwritableError, match="Permission denied") as caught:
        launch(order(theirs / "run"))
    assert caught.value.exit_code == 74
    assert os.listdir(private) == []


@needs_root
def test_the_log_is_the_users(theirs):
    os.close(open_growing(f"{theirs}/{LOG}", owner=NOBODY))
    about = os.stat(f"{theirs}/{LOG}")
    assert (about.st_uid, about.st_gid) == NOBODY


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path):
    (tmp_path / LOG).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ReportUnwritableError):
        open_growing(str(tmp_path / LOG), owner=None)
    assert os.listdir(tmp_path) == [LOG]
