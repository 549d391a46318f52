"""The groups whose waiting counts, in a tree that looks like a machine with systemd."""

import os

import pytest

from steadyrun.desktop.login_screens import DISPLAY_MANAGERS
from steadyrun.desktop.protected import LOOK_EVERY, MOST, ProtectedReader, find_groups
from steadyrun.model.thresholds import Usual

TEXT = (
    "some avg10=0.00 avg60={a60} avg300=0.00 total={some}\n"
    "full avg10=0.00 avg60=1.00 avg300=0.00 total={full}\n"
)
MOUNT = "30 24 0:26 {root} /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"


class Tree:
    def __init__(self, root):
        self.root, self.top = root, root / "sys/fs/cgroup/unified"
        self.put("proc/self/mountinfo", MOUNT.format(root="/"))
        self.put("proc/pressure/memory", TEXT.format(a60="2.00", some=5, full=4))
        self.load("/steadyrun/run-1")

    def put(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def load(self, path):
        self.put("proc/77/cgroup", f"1:name=systemd:/\n0::{path}\n")

    def group(self, path, some=100, full=50, a60="3.00"):
        (self.top / path).mkdir(parents=True, exist_ok=True)
        (self.top / path / "memory.pressure").write_text(TEXT.format(a60=a60, some=some, full=full))

    def names(self):
        return [group.name for group in find_groups(77, str(self.root))]


@pytest.fixture
def tree(tmp_path):
    made = Tree(tmp_path)
    for path in (
        "system.slice/ssh.service",
        "system.slice/cron.service",
        "system.slice/lightdm.service",
        "user.slice/user-1000.slice/session-2.scope",
        "user.slice/user-1000.slice/user@1000.service/session.slice",
        "user.slice/user-1000.slice/user@1000.service/app.slice",
    ):
        made.group(path)
    return made


@pytest.fixture
def reader(tree):
    made = ProtectedReader(77, str(tree.root))
    yield made
    made.close()


def test_sessions_sshd_and_the_display_manager_are_found_and_nothing_else(tree):
    assert tree.names() == [
        "lightdm.service",
        "ssh.service",
        "session-2.scope",
        "session.slice of user@1000.service",
    ]


@pytest.mark.parametrize("name", sorted(DISPLAY_MANAGERS | {"display-manager"}))
def test_each_display_manager_that_the_judge_knows_is_found(tree, name):
    tree.group(f"system.slice/{name}.service")
    assert f"{name}.service" in tree.names()


def test_a_group_that_the_load_is_in_is_left_out(tree):
    tree.load("/user.slice/user-1000.slice/session-2.scope")
    assert "session-2.scope" not in tree.names()
    tree.load("/user.slice/user-1000.slice/session-2.scope/steadyrun-x")
    assert "session-2.scope" not in tree.names()
    tree.load("/user.slice/user-1000.slice/session-22.scope")
    assert "session-2.scope" in tree.names()


@pytest.mark.parametrize("what", ["no mount", "a part of the hierarchy", "no load"])
def test_where_groups_cannot_be_told_apart_there_are_none(tree, what):
    match what:
        case "no mount":
            tree.put("proc/self/mountinfo", "")
        case "a part of the hierarchy":
            tree.put("proc/self/mountinfo", MOUNT.format(root="/docker/1"))
        case _:
            tree.put("proc/77/cgroup", "garbage\n")
    assert tree.names() == []


def test_a_machine_without_systemd_has_none(tmp_path):
    assert ProtectedReader(77, str(tmp_path)).sample() == ()


def test_many_sessions_are_not_all_read(tree):
    for i in range(20):
        tree.group(f"user.slice/user-1000.slice/session-{i + 10}.scope")
    assert len(tree.names()) == MOST


def test_a_sample_holds_the_totals_now(tree, reader):
    assert {(g.name, g.some_total, g.full_total) for g in reader.sample()} >= {("ssh.service", 100, 50)}
    tree.group("system.slice/ssh.service", some=900, full=800)
    assert {(g.name, g.some_total, g.full_total) for g in reader.sample()} >= {("ssh.service", 900, 800)}


def test_a_group_that_cannot_be_read_or_has_another_form_is_left_out(tree, reader):
    (tree.top / "system.slice/ssh.service/memory.pressure").write_text("garbage\n")
    assert "ssh.service" not in {g.name for g in reader.sample()}


def test_sessions_that_come_and_go_are_noticed_after_a_while(tree, reader):
    tree.group("user.slice/user-1000.slice/session-9.scope")
    os.remove(tree.top / "user.slice/user-1000.slice/session-2.scope/memory.pressure")
    os.rmdir(tree.top / "user.slice/user-1000.slice/session-2.scope")
    for _ in range(LOOK_EVERY + 1):
        found = {g.name for g in reader.sample()}
    assert "session-9.scope" in found
    assert "session-2.scope" not in found


def test_what_is_usual_is_of_the_minute_that_is_over_and_of_the_group_that_waits_most(tree, reader):
    tree.group("system.slice/ssh.service", a60="20.00")
    found = reader.usual(Usual(frames_late=0.002))
    assert found == Usual(protected_some=0.2, protected_full=0.01, host_full=0.01, frames_late=0.002)


def test_where_nothing_can_be_read_nothing_is_usual(tmp_path):
    assert ProtectedReader(77, str(tmp_path)).usual(Usual()) == Usual()
